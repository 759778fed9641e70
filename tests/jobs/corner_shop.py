"""A mapping that uses most of the format, and the header of its file."""

CORNER_SHOP = """
source: corner_shop
shop: corner_shop
timezone: Europe/Berlin
currency: EUR
expected:
  first: 2024-01-01
  last: 2024-12-31
  weekdays: [mon, tue, wed, thu, fri, sat]
feeds:
  - name: sales
    files: ds={ds}/sales.csv.gz
    time_formats: ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]
    event_type:
      column: kind
      values: {sale: purchase, refund: return, look: view}
    negative_returns: true
    drop_without_customer: true
    columns:
      customer_id: customer
      event_time: at
      order_id: order
      product_id: product
      quantity: pieces
      amount: paid
      discount_amount: [rebate, coupon]
"""
HEADER = "customer,at,kind,order,product,pieces,paid,rebate,coupon"
