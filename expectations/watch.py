"""Whom to look after: who is likely to leave, and who is risky. Each with reasons in plain words."""

from expectations.behaviour import SNAPSHOT_DATE
from expectations.contract import Column, Table, explained
from expectations.events import CUSTOMER_KEY
from expectations.segments import CUSTOMER_SEGMENTS

REASONS = tuple(
    Column(name=f"reason_{n}", type="string", nullable=True,
           description=f"{place} reason, in plain words. Null where there is none.")
    for n, place in enumerate(("The strongest", "The second", "The third"), start=1)
)  # fmt: skip
_RANK = Column(name="rank", type="int32", minimum=1, unit="places", description="1 for whom to look at first.")

CHURN_WATCHLIST = Table(
    name="churn_watchlist",
    description="Customers worth keeping who are likely to leave, the most money at stake first, and why. "
    "Those of stage churned have left already.",
    grain="one row per listed customer and snapshot date",
    key=("snapshot_date", "customer_key"),
    partition="snapshot_date",
    columns=(
        SNAPSHOT_DATE,
        _RANK,
        CUSTOMER_KEY,
        *(CUSTOMER_SEGMENTS.column(name) for name in ("churn_probability", "churn_days")),
        Column(name="churn_probability_change", type="double", minimum=-1, maximum=1, nullable=True,
               unit="probability", description="churn_probability less that of compared_with, told anew by "
               "this day's calibration; null without it."),
        Column(name="compared_with", type="date", nullable=True,
               description="The snapshot a week before, or the nearest one earlier within another week; null if none "
               "was scored by the same model version or knew the customer."),
        Column(name="spend_at_risk", type="double", minimum=0, unit="currency",
               description="churn_probability x what the customer paid within 365 days, less refunds: what ranks."),
        *(CUSTOMER_SEGMENTS.column(name) for name in ("value_tier", "lifecycle_stage", "last_purchase_date")),
        *REASONS,
    ),
)  # fmt: skip

RISK_KINDS = {
    "velocity": "many orders, amounts or payment methods within a short time (as in card testing)",
    "takeover": "an order unlike all before: device, country, hour and amount",
    "return_abuse": "far more is sent back than by others who buy as much",
    "review_abuse": "many reviews on a day, or of one text",
    "bot": "visits faster or longer than a person's",
    "anomaly": "unlike nearly all other customers in many ways at once (isolation forest)",
    "labelled": "alike those whom the shop has marked as fraud (a supervised score; only where labels exist)",
}
RISK_BANDS = ("medium", "high")

RISK_ALERTS = Table(
    name="risk_alerts",
    description="Customers whose behaviour looks fraudulent, abusive or automated, by kind, and why. Signals for a "
    "person to look at, no verdicts.",
    grain="one row per listed customer, kind of risk and snapshot date",
    key=("snapshot_date", "customer_key", "kind"),
    partition="snapshot_date",
    columns=(
        SNAPSHOT_DATE,
        CUSTOMER_KEY,
        Column(name="kind", type="string", values=tuple(RISK_KINDS),
               description=f"Kind of risk. {explained(RISK_KINDS)}"),
        Column(name="rank", type="int32", minimum=1, unit="places", description="1 for the riskiest of its kind."),
        Column(name="score", type="double", minimum=0, maximum=1, unit="share",
               description="How far beyond the usual, 0 to 1; comparable within one kind."),
        Column(name="risk_band", type="string", values=RISK_BANDS,
               description="The score cut at the bounds in segment_settings; who is below medium is not listed."),
        Column(name="event_date", type="date", nullable=True,
               description="The day on which it happened; null where it is no single day's."),
        *REASONS,
    ),
)  # fmt: skip
