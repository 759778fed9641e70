"""What is known of a customer: behaviour by day and month, and features as of a date."""

from expectations.contract import Check, Column, Table
from expectations.events import ARRIVAL_DATE, CUSTOMER_KEY, EVENTS
from expectations.features import FEATURE_COLUMNS
from expectations.measures import MEASURES

SNAPSHOT_DATE = Column(
    name="snapshot_date", type="date", description="The date the row speaks of; nothing later was known to it."
)
_MEASURES = tuple(measure.column for measure in MEASURES)
_ORDER_IDS = Column(
    name="order_ids", type="strings", nullable=True,
    description="The exact set of orders bought in: distinct counts do not add up, sets do.",
)  # fmt: skip
_PURCHASE_DATES = Column(
    name="purchase_dates", type="dates", nullable=True, description="The exact set of event dates with a purchase."
)
_ARRIVAL_MONTH = Column(
    name="arrival_month", type="date", description="First day of the month in which the deliveries came."
)

CUSTOMER_DAY = Table(
    name="customer_day",
    description="Behaviour of a customer on a day, from the events of one delivery. "
    "Windows add these rows up and never re-read the events.",
    grain="one row per customer, event date and arrival date",
    key=("customer_key", "event_date"),
    partition="arrival_date",
    columns=(CUSTOMER_KEY, EVENTS.column("event_date"), ARRIVAL_DATE, *_MEASURES, _ORDER_IDS),
)

CUSTOMER_MONTH = Table(
    name="customer_month",
    description="The customer_day rows of a closed arrival month, merged, so that long windows read few rows. "
    "What happened in the month itself becomes one row a customer; what arrived late keeps its day.",
    grain="one row per customer and period within an arrival month",
    key=("customer_key", "period_start_date"),
    partition="arrival_month",
    columns=(
        CUSTOMER_KEY,
        _ARRIVAL_MONTH,
        Column(name="period_start_date", type="date",
               description="arrival_month for events of the month itself; for earlier events, their event date."),
        Column(name="first_event_date", type="date", description="Earliest event date in the row."),
        Column(name="last_event_date", type="date", nullable=True,
               description="Latest event date in the row with more than campaign contacts; null without one."),
        *_MEASURES,
        _ORDER_IDS,
        _PURCHASE_DATES,
    ),
)  # fmt: skip

CUSTOMER_HISTORY = Table(
    name="customer_history",
    description="What is known of a customer from the shop's first day to the end of an arrival month: "
    "what windows cannot tell.",
    grain="one row per customer and month end",
    key=("customer_key",),
    partition="arrival_month",
    columns=(
        CUSTOMER_KEY,
        _ARRIVAL_MONTH,
        Column(name="first_event_date", type="date", description="Date of the first event of any type."),
        Column(name="last_event_date", type="date", nullable=True,
               description="Date of the last event that was not a campaign contact; null without one."),
        Column(name="purchase_amount", type="decimal", minimum=0, unit="currency",
               description="Money paid, before refunds."),
        _ORDER_IDS,
        _PURCHASE_DATES,
    ),
)  # fmt: skip

CUSTOMER_PRODUCT = Table(
    name="customer_product",
    description="Products that a customer wanted, from the events of one delivery: bought, put into the cart or marked "
    "as a favourite. Preferences and recommendations add these rows up.",
    grain="one row per customer, product and arrival date",
    key=("customer_key", "product_id"),
    partition="arrival_date",
    columns=(
        CUSTOMER_KEY,
        ARRIVAL_DATE,
        Column(name="product_id", type="string", description="The shop's product."),
        EVENTS.column("category"),
        EVENTS.column("brand"),
        Column(name="purchase_count", type="int64", minimum=0, unit="lines", description="Purchase lines."),
        Column(name="intent_count", type="int64", minimum=0, unit="events", description="Cart and favourite events."),
        Column(name="purchase_amount", type="decimal", minimum=0, unit="currency", description="Money paid."),
        Column(name="last_event_date", type="date", description="Latest event date in the row."),
    ),
)  # fmt: skip

PURCHASE_WEIGHT = 3
"""A purchase says as much of what is wanted as this many cart or favourite events."""

PREFERENCES = Table(
    name="preferences",
    description="A customer's favourite category and brand over the 180 days up to and including snapshot_date, from "
    "customer_product: purchases count threefold, cart and favourite events once.",
    grain="one row per customer with a preference and snapshot date",
    key=("customer_key",),
    partition="snapshot_date",
    columns=(
        CUSTOMER_KEY,
        SNAPSHOT_DATE,
        Column(name="favourite_category", type="string", nullable=True, description="The category wanted most."),
        Column(name="favourite_category_share", type="double", nullable=True, minimum=0, maximum=1, unit="share",
               description="Its share of everything wanted that has a category."),
        Column(name="favourite_brand", type="string", nullable=True, description="The brand wanted most."),
        Column(name="favourite_brand_share", type="double", nullable=True, minimum=0, maximum=1, unit="share",
               description="Its share of everything wanted that has a brand."),
    ),
)  # fmt: skip

NOT_MODEL_INPUTS = (
    "tenure_days", "frequency_days", "order_count",
    *(c.name for c in FEATURE_COLUMNS if c.name.endswith(("_180d", "_365d")) and not c.nullable),
)  # fmt: skip
"""Sums and counts that grow with the data's own age while the data are younger than the window. Data begin on one day
for everybody, so such a number is a calendar clock: on the day of scoring it stands beyond all that training has seen.
Ratios and means over the same windows are none."""

# What a model may look at: every other number of the features table, in the contract's order.
FEATURE_NAMES = tuple(
    c.name for c in FEATURE_COLUMNS if c.type in ("int32", "int64", "double") and c.name not in NOT_MODEL_INPUTS
)

FEATURES = Table(
    name="features",
    description="Recency, frequency, monetary value and behaviour of each customer seen so far, point-in-time correct: "
    "only events that had happened and had arrived by snapshot_date.",
    grain="one row per customer and snapshot date",
    key=("customer_key",),
    partition="snapshot_date",
    columns=(CUSTOMER_KEY, SNAPSHOT_DATE, *FEATURE_COLUMNS),
    checks=(
        Check(kind="row_count", severity="fail", minimum=1, why="no customer at all means that nothing was ingested"),
        Check(kind="null_share", severity="warn", columns=("recency_days",), maximum=0.9,
              why="nearly nobody has ever bought"),
        Check(kind="drift", severity="warn", columns=FEATURE_NAMES, days=28, maximum=0.25, name="drift_warn",
              why="what a model learned of four weeks ago may not hold: look at the feature before the scores"),
    ),
)  # fmt: skip
