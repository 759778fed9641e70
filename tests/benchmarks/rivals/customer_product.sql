-- Events → what each customer wanted of each delivery's products.
SELECT customer_key, arrival_date, product_id, max(category) AS category, max(brand) AS brand,
       count(*) FILTER (event_type = 'purchase') AS purchase_count,
       count(*) FILTER (event_type <> 'purchase') AS intent_count,
       coalesce(sum(amount) FILTER (event_type = 'purchase'), 0)::DECIMAL(18, 4) AS purchase_amount,
       max(event_date) AS last_event_date
FROM {events}
WHERE event_type IN ('purchase', 'add_to_cart', 'favourite') AND product_id IS NOT NULL
GROUP BY customer_key, arrival_date, product_id
