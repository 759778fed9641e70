"""What is known of a customer: behaviour by day, and features as of a date."""

from expectations.contract import Check, Column, Table
from expectations.events import ARRIVAL_DATE, CUSTOMER_KEY, EVENTS

WINDOWS_DAYS = (7, 30, 90, 365)
"""Look-back windows. A window of w days as of D holds the event dates D-w+1 … D."""

SNAPSHOT_DATE = Column(
    name="snapshot_date", type="date", description="The date the row speaks of; nothing later was known to it."
)

CUSTOMER_DAY = Table(
    name="customer_day",
    description="Behaviour of a customer on a day, from the events of one delivery. "
    "Windows add these rows up and never re-read the events.",
    grain="one row per customer, event date and arrival date",
    key=("customer_key", "event_date"),
    partition="arrival_date",
    columns=(
        CUSTOMER_KEY,
        EVENTS.column("event_date"),
        ARRIVAL_DATE,
        Column(name="event_count", type="int64", minimum=1, unit="events", description="Events of every type."),
        Column(name="purchase_count", type="int64", minimum=0, unit="lines", description="Purchase lines."),
        Column(name="return_count", type="int64", minimum=0, unit="lines", description="Return lines."),
        Column(name="coupon_count", type="int64", minimum=0, unit="events", description="Coupons redeemed."),
        Column(name="campaign_count", type="int64", minimum=0, unit="events", description="Campaign contacts sent."),
        Column(name="order_ids", type="strings", nullable=True,
               description="The exact set of orders bought in: distinct counts do not add up, sets do."),
        Column(name="quantity", type="decimal", minimum=0, unit="items", description="Items bought."),
        Column(name="purchase_amount", type="decimal", minimum=0, unit="currency",
               description="Money paid, before refunds."),
        Column(name="return_amount", type="decimal", minimum=0, unit="currency", description="Money refunded."),
        Column(name="discount_amount", type="decimal", minimum=0, unit="currency", description="Discounts taken."),
    ),
)  # fmt: skip


def _window_columns(days: int) -> tuple[Column, ...]:
    over = f"in the {days} days up to and including snapshot_date"

    def count(name: str, unit: str, what: str) -> Column:
        return Column(name=f"{name}_{days}d", type="int64", minimum=0, unit=unit, description=f"{what} {over}.")

    def amount(name: str, what: str) -> Column:
        return Column(name=f"{name}_{days}d", type="double", minimum=0, unit="currency", description=f"{what} {over}.")

    return (
        count("event_count", "events", "Events of every type"),
        count("purchase_days", "days", "Days with a purchase"),
        count("order_count", "orders", "Distinct orders"),
        count("purchase_count", "lines", "Purchase lines"),
        count("return_count", "lines", "Return lines"),
        count("coupon_count", "events", "Coupons redeemed"),
        count("campaign_count", "events", "Campaign contacts received"),
        amount("purchase_amount", "Money paid, before refunds,"),
        amount("return_amount", "Money refunded"),
        amount("discount_amount", "Discounts taken"),
    )


FEATURES = Table(
    name="features",
    description="Recency, frequency, monetary value and activity of every customer seen so far, point-in-time correct: "
    "only events that had happened and had arrived by snapshot_date.",
    grain="one row per customer and snapshot date",
    key=("customer_key",),
    partition="snapshot_date",
    columns=(
        CUSTOMER_KEY,
        SNAPSHOT_DATE,
        Column(name="tenure_days", type="int32", minimum=0, unit="days",
               description="Days since the customer's first event of any type."),
        Column(name="recency_days", type="int32", minimum=0, nullable=True, unit="days",
               description="Days since the last purchase; null if there was none."),
        Column(name="first_purchase_date", type="date", nullable=True,
               description="Date of the first purchase; null if there was none."),
        Column(name="last_purchase_date", type="date", nullable=True,
               description="Date of the last purchase; null if there was none."),
        Column(name="frequency_days", type="int64", minimum=0, unit="days",
               description="Frequency: days with a purchase, ever."),
        Column(name="order_count", type="int64", minimum=0, unit="orders", description="Distinct orders, ever."),
        Column(name="monetary_value", type="double", minimum=0, nullable=True, unit="currency",
               description="Mean money paid per day with a purchase, before refunds; null without purchases."),
        Column(name="gap_mean_days", type="double", minimum=0, nullable=True, unit="days",
               description="Mean days between consecutive purchase days; null with fewer than two."),
        Column(name="gap_last_days", type="int32", minimum=1, nullable=True, unit="days",
               description="Days between the last two purchase days; null with fewer than two."),
        Column(name="gap_mean_before_last_days", type="double", minimum=0, nullable=True, unit="days",
               description="gap_mean_days as it stood before the last purchase day; null with fewer than three."),
        *(column for days in WINDOWS_DAYS for column in _window_columns(days)),
    ),
    checks=(
        Check(kind="row_count", severity="fail", minimum=1, why="no customer at all means that nothing was ingested"),
        Check(kind="null_share", severity="warn", columns=("recency_days",), maximum=0.9,
              why="nearly nobody has ever bought"),
    ),
)  # fmt: skip

NOT_MODEL_INPUTS = (
    "tenure_days", "frequency_days", "order_count", *(c.name for c in FEATURES.columns if c.name.endswith("_365d")),
)  # fmt: skip
"""Numbers that grow with the data's own age while the data are younger than the window. Data begin on one day for
everybody, so such a number is a calendar clock: on the day of scoring it stands beyond all that training has seen."""

# What a model may look at: every other number of the features table, in the contract's order.
FEATURE_NAMES = tuple(
    c.name for c in FEATURES.columns if c.type in ("int32", "int64", "double") and c.name not in NOT_MODEL_INPUTS
)
