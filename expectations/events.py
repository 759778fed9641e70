"""What arrives: customer events, the rows that were refused, and the count of both."""

from expectations.contract import Check, Column, Table

EVENT_TYPES = (
    "view", "search", "add_to_cart", "remove_from_cart", "favourite", "purchase", "return", "review", "support",
    "campaign_send", "campaign_open", "campaign_click", "coupon_redeem",
)  # fmt: skip
SESSION_TYPES = ("view", "search", "add_to_cart", "remove_from_cart", "favourite", "purchase")
"""What a customer does in a visit; the rest happens to them or apart from visits."""
TEXT_TYPES = ("search", "review", "support")

# Columns that tables share; one quantity has one name and one description everywhere.
CUSTOMER_KEY = Column(
    name="customer_key", type="string",
    description="First 32 hex digits of the HMAC-SHA-256 of the shop's customer id under the shop's secret key.",
)  # fmt: skip
ARRIVAL_DATE = Column(
    name="arrival_date", type="date", description="Business date of the delivery that brought the row (landing ds)."
)
SOURCE = Column(name="source", type="string", description="Name of the source mapping that read the row.")
SOURCE_FILE = Column(
    name="source_file", type="string", description="File the row was read from, relative to the source's landing."
)
SOURCE_LINE = Column(
    name="source_line",
    type="int64",
    minimum=1,
    description="Line of the row in its file, its row where a file has no lines (parquet); the first is 1.",
)

EVENTS = Table(
    name="events",
    description="Every customer event that passed the row rules, typed and keyed.",
    grain="one row per event (a purchase line, a return line, a coupon, a campaign contact)",
    key=("source", "source_file", "source_line"),
    partition="arrival_date",
    columns=(
        SOURCE,
        CUSTOMER_KEY,
        Column(name="key_id", type="string", description="Which secret key made customer_key."),
        Column(name="event_type", type="string", values=EVENT_TYPES, description="What happened."),
        Column(name="event_time", type="timestamp", description="When it happened (UTC)."),
        Column(name="event_date", type="date", description="Business date of the event in the shop's time zone."),
        Column(
            name="event_hour", type="int32", nullable=True, minimum=0, maximum=23, unit="hour of day",
            description="Hour of the event in the shop's time zone; null where the source tells no time of day.",
        ),
        ARRIVAL_DATE,
        Column(name="arrival_time", type="timestamp", nullable=True,
               description="When the shop's systems recorded the event (UTC), where the source says so."),
        Column(name="session_id", type="string", nullable=True,
               description="The visit it belongs to: the source's own, else one made at ingestion by a gap of silence. "
               "Null for what a customer does not do in a visit, and where the source tells no time of day."),
        Column(name="is_session_start", type="bool",
               description="Whether it is its session's first event of the delivery and event date."),
        Column(name="is_bounce", type="bool",
               description="Whether it is the only event of its session in the delivery and event date."),
        Column(name="session_step_seconds", type="int32", minimum=0, unit="seconds",
               description="Seconds since the session's previous event; 0 for its first and outside sessions. "
               "Their sum is the session's length."),
        Column(name="order_id", type="string", nullable=True, description="The shop's order, invoice or basket."),
        Column(name="product_id", type="string", nullable=True, description="The shop's product."),
        Column(name="category", type="string", nullable=True,
               description="Category of the product, a path from the widest to the narrowest parted by dots."),
        Column(name="brand", type="string", nullable=True, description="Brand of the product."),
        Column(name="product_hash", type="int32", nullable=True, minimum=0,
               description="31 bits of SHA-256 of product_id: what sketches and models count and embed."),
        Column(name="category_hash", type="int32", nullable=True, minimum=0,
               description="31 bits of SHA-256 of category."),
        Column(name="brand_hash", type="int32", nullable=True, minimum=0, description="31 bits of SHA-256 of brand."),
        Column(name="device_hash", type="int32", nullable=True, minimum=0,
               description="31 bits of SHA-256 of device."),
        Column(name="payment_hash", type="int32", nullable=True, minimum=0,
               description="31 bits of SHA-256 of payment_method."),
        Column(name="campaign_id", type="string", nullable=True, description="The marketing campaign it belongs to."),
        Column(
            name="quantity", type="decimal", nullable=True, minimum=0, unit="items",
            description="Items bought or returned, as the shop counts them; never negative.",
        ),
        Column(
            name="price", type="decimal", nullable=True, minimum=0, unit="currency per item",
            description="Price of one item: given by the source, else amount / quantity.",
        ),
        Column(
            name="amount", type="decimal", nullable=True, required_for=("purchase", "return"), minimum=0,
            unit="currency",
            description="Money for the whole line after discounts: paid for a purchase, refunded for a return. "
            "Zero for a purchase of a source that tells no money.",
        ),
        Column(
            name="discount_amount", type="decimal", nullable=True, minimum=0, unit="currency",
            description="Discount already taken off the line.",
        ),
        Column(name="currency", type="string", nullable=True, description="ISO 4217 code of the amounts."),
        Column(name="channel", type="string", nullable=True, description="Channel: web, app, store, email and others."),
        Column(name="device", type="string", nullable=True, description="Device or browser, as the shop names it."),
        Column(name="country", type="string", nullable=True, description="Country of the customer, as the shop says."),
        Column(name="payment_method", type="string", nullable=True, description="How a purchase was paid."),
        Column(name="text", type="string", nullable=True,
               description="What the customer wrote: search words, a review, a message to support."),
        Column(name="rating", type="double", nullable=True, minimum=0, maximum=1, unit="share",
               description="Rating given with a review, from 0 (worst) to 1 (best), by the mapping's scale."),
        SOURCE_FILE,
        SOURCE_LINE,
    ),
    checks=(
        Check(
            kind="value_range", severity="warn", columns=("amount",), maximum=100_000,
            why="a line of more than 100,000 is usually a typing error",
        ),
        Check(kind="newest_days", severity="warn", columns=("event_date",), maximum=0, name="freshness_warn",
              why="a delivery without an event of its own day may be an old file"),
        Check(kind="late_share", severity="warn", columns=("event_date",), days=2, maximum=0.05, name="late_warn",
              why="what arrives late was missing from the days in between"),
        Check(kind="mix", severity="warn", columns=("event_type",), maximum=0.25, name="event_type_drift_warn",
              without=("campaign_send", "campaign_open", "campaign_click"),  # which come by the thousand, some days
              why="a feed may have stopped, or its types be mapped wrongly"),
        Check(kind="null_shift", severity="warn", maximum=0.2, name="null_shift_warn",
              columns=("order_id", "product_id", "category", "brand", "price", "amount", "session_id", "channel",
                       "device", "country", "payment_method", "campaign_id", "text", "rating"),
              why="a column that the shop used to fill may be lost"),
        Check(kind="unknown_share", severity="warn", columns=("campaign_id",), of="campaigns", maximum=0.01,
              name="unknown_campaign_warn", why="the delivered campaigns may be old"),
    ),
)  # fmt: skip

QUARANTINE = Table(
    name="quarantine",
    description="Rows that were refused, pointing back at their text in landing.",
    grain="one row per refused line of a source file",
    key=("source", "source_file", "source_line"),
    partition="arrival_date",
    columns=(
        SOURCE,
        SOURCE_FILE,
        SOURCE_LINE,
        Column(name="byte_start", type="int64", minimum=0, unit="bytes",
               description="First byte of the line in the uncompressed file; 0 where a file has no lines (parquet)."),
        Column(name="byte_end", type="int64", minimum=0, unit="bytes",
               description="Byte after the line's last one in the uncompressed file; 0 where a file has no lines."),
        Column(name="failed_rules", type="strings", description="Every row rule the line broke."),
        ARRIVAL_DATE,
    ),
)  # fmt: skip

INGEST_REPORT = Table(
    name="ingest_report",
    description="What became of every row read: kept, quarantined or dropped by a named policy. They add up.",
    grain="one row per file read",
    key=("source", "source_file"),
    partition="arrival_date",
    columns=(
        SOURCE,
        SOURCE_FILE,
        Column(name="file_digest", type="string",
               description="SHA-256 of the file as delivered; empty if it was missing."),
        Column(name="is_complete", type="bool",
               description="False where the file was missing, unreadable or cut short; what could be read was kept."),
        Column(name="mapping_digest", type="string", description="SHA-256 of the source mapping that read it."),
        Column(name="products_digest", type="string",
               description="SHA-256 of what made the products its rows were looked up in; empty if there are none."),
        Column(name="rows_read", type="int64", minimum=0, unit="rows", description="Data lines in the file."),
        Column(name="rows_kept", type="int64", minimum=0, unit="rows", description="Rows written to events."),
        Column(name="rows_quarantined", type="int64", minimum=0, unit="rows", description="Rows refused by a rule."),
        Column(name="rows_dropped", type="int64", minimum=0, unit="rows",
               description="Rows left out by a policy of the mapping."),
        Column(name="reasons", type="string",
               description="Rows per failed rule and per drop policy, as name=count; name=count."),
        Column(name="quarantine_share", type="double", minimum=0, maximum=1, unit="share",
               description="rows_quarantined / rows_read; 0 for an empty file."),
        Column(name="rows_unknown_product", type="int64", minimum=0, unit="rows",
               description="Rows kept that name a product the delivered products do not hold; 0 where the shop "
               "delivers no products."),
        Column(name="rows_with_text", type="int64", minimum=0, unit="rows", description="Rows kept that hold a text."),
        Column(name="feed", type="string", description="Which feed of the mapping the file belongs to."),
        Column(name="header", type="string",
               description="Names of the columns, sorted, parted by line breaks; empty if the file has none."),
        Column(name="added_columns", type="string",
               description="Columns that the feed's previous delivery did not have, parted by commas; empty if none."),
        ARRIVAL_DATE,
    ),
    checks=(
        Check(kind="value_range", severity="fail", columns=("quarantine_share",), maximum=0.10,
              why="more than a tenth of a file refused means that the file or its mapping is wrong"),
        Check(kind="value_range", severity="warn", columns=("quarantine_share",), maximum=0.01,
              why="more than one row in a hundred refused"),
        Check(kind="value_range", severity="warn", columns=("rows_read",), minimum=1,
              why="a delivered file without a row"),
        Check(kind="is_true", severity="fail", columns=("is_complete",), name="is_complete_fail",
              why="part of a day would pass for the whole: deliver the file again"),
        Check(kind="volume", severity="fail", columns=("rows_kept", "feed"), minimum=0.1, maximum=10,
              name="volume_fail", why="a tenth or ten times of what is usual is a broken delivery, not a shopping day"),
        Check(kind="volume", severity="warn", columns=("rows_kept", "feed"), minimum=0.5, maximum=2,
              name="volume_warn", why="half or twice of what is usual"),
        Check(kind="share", severity="warn", columns=("rows_unknown_product", "rows_kept"), maximum=0.05,
              name="unknown_product_warn", why="the delivered products may be old"),
        Check(kind="is_blank", severity="warn", columns=("added_columns",), name="added_columns_warn",
              why="the shop has added a column; the mapping may want it"),
    ),
)  # fmt: skip
