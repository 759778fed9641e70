"""What is said of a customer: scores, segments, and the tables that BI reads."""

from expectations.behaviour import FEATURES, SNAPSHOT_DATE
from expectations.contract import Check, Column, Table
from expectations.events import CUSTOMER_KEY

VALUE_TIERS = ("high", "medium", "low")
CHURN_BANDS = ("low", "medium", "high")
# Stage → the management phase it calls for. Defined in words in docs/lifecycle.md, in code in jobs/lifecycle.py.
LIFECYCLE_PHASES = {
    "prospect": "acquisition",
    "new": "conversion",
    "active": "retention",
    "loyal": "loyalty",
    "dormant": "activation",
    "reactivated": "retention",
    "churned": "win_back",
}
LIFECYCLE_STAGES = tuple(LIFECYCLE_PHASES)

_PROBABILITY = {"type": "double", "minimum": 0, "maximum": 1, "unit": "probability"}
_MODEL = (
    Column(name="model_name", type="string", description="Registered name of the model that scored the row."),
    Column(name="model_version", type="int32", minimum=1, description="Its version in the registry."),
)

SCORES = Table(
    name="scores",
    description="What the model expects of every customer over the 30 days after snapshot_date.",
    grain="one row per customer and snapshot date",
    key=("customer_key",),
    partition="snapshot_date",
    columns=(
        CUSTOMER_KEY,
        SNAPSHOT_DATE,
        Column(name="purchase_probability_30d", **_PROBABILITY,
               description="Probability of at least one purchase in the next 30 days."),
        Column(name="churn_probability_30d", **_PROBABILITY,
               description="Probability of no purchase in the next 30 days: 1 - purchase_probability_30d."),
        Column(name="spend_if_purchase_30d", type="double", minimum=0, unit="currency",
               description="Expected spend in the next 30 days if the customer buys at all."),
        Column(name="expected_spend_30d", type="double", minimum=0, unit="currency",
               description="Expected spend in the next 30 days: purchase_probability_30d x spend_if_purchase_30d."),
        *_MODEL,
    ),
    checks=(Check(kind="row_count", severity="fail", minimum=1, why="a day without a scored customer"),),
)  # fmt: skip

CUSTOMER_SEGMENTS = Table(
    name="customer_segments",
    description="Who each customer is on snapshot_date: value tier, lifecycle stage, churn band and the numbers behind.",
    grain="one row per customer and snapshot date",
    key=("snapshot_date", "customer_key"),
    partition="snapshot_date",
    columns=(
        SNAPSHOT_DATE,
        CUSTOMER_KEY,
        Column(name="value_tier", type="string", values=VALUE_TIERS,
               description="Rank by expected_spend_30d; the cuts of the day are in segment_settings."),
        Column(name="lifecycle_stage", type="string", values=LIFECYCLE_STAGES,
               description="Where the customer stands; see the glossary."),
        Column(name="lifecycle_phase", type="string", values=tuple(dict.fromkeys(LIFECYCLE_PHASES.values())),
               description="The management task the stage calls for."),
        Column(name="churn_band", type="string", values=CHURN_BANDS,
               description="churn_probability_30d cut at the bounds in segment_settings."),
        *(SCORES.column(name) for name in ("purchase_probability_30d", "churn_probability_30d", "expected_spend_30d")),
        *(FEATURES.column(name) for name in (
            "recency_days", "frequency_days", "monetary_value", "tenure_days", "order_count",
            "first_purchase_date", "last_purchase_date", "purchase_amount_30d", "purchase_amount_365d")),
        *_MODEL,
    ),
    checks=(Check(kind="row_count", severity="fail", minimum=1, why="an empty snapshot must never replace a full one"),),
)  # fmt: skip

SEGMENT_SETTINGS = Table(
    name="segment_settings",
    description="Every threshold that made the snapshot: the settings in force, and the cuts computed from the day.",
    grain="one row per snapshot date and setting",
    key=("snapshot_date", "name"),
    partition="snapshot_date",
    columns=(
        SNAPSHOT_DATE,
        Column(name="name", type="string", description="Name of the threshold."),
        Column(name="value", type="double", description="Its value."),
        Column(name="unit", type="string", description="Unit of the value."),
        Column(name="origin", type="string", values=("setting", "computed"),
               description="setting: chosen; computed: follows from the settings and the day's scores."),
        Column(name="description", type="string", description="What the threshold decides."),
    ),
)  # fmt: skip

SEGMENT_SUMMARY = Table(
    name="segment_summary",
    description="Customers and value by tier, stage and churn band.",
    grain="one row per snapshot date, value tier, lifecycle stage and churn band",
    key=("snapshot_date", "value_tier", "lifecycle_stage", "churn_band"),
    partition="snapshot_date",
    columns=(
        *(CUSTOMER_SEGMENTS.column(name) for name in ("snapshot_date", "value_tier", "lifecycle_stage", "churn_band")),
        Column(name="customers", type="int64", minimum=1, unit="customers", description="Customers in the segment."),
        Column(name="customer_share", type="double", minimum=0, maximum=1, unit="share",
               description="Share of the snapshot's customers."),
        Column(name="expected_spend_30d", type="double", minimum=0, unit="currency",
               description="Sum of the customers' expected spend over the next 30 days."),
        Column(name="purchase_amount_365d", type="double", minimum=0, unit="currency",
               description="Sum of what they paid in the last 365 days."),
    ),
)  # fmt: skip

PUBLISH_LOG = Table(
    name="publish_log",
    description="Every publish: which day, from which model and code, how many rows, and when it became visible.",
    grain="one row per publish",
    key=("publish_id",),
    partition="snapshot_date",
    columns=(
        Column(name="publish_id", type="int64", minimum=1, description="Rises with every publish."),
        SNAPSHOT_DATE,
        Column(name="published_at", type="timestamp", description="When the snapshot became visible (UTC)."),
        Column(name="customers", type="int64", minimum=1, unit="customers", description="Rows of customer_segments."),
        Column(name="content_digest", type="string",
               description="SHA-256 over the snapshot's rows: equal digests, equal rows."),
        *_MODEL,
        Column(name="code_version", type="string", description="Version of the code that published."),
        Column(name="checks_passed", type="int32", minimum=0, description="Audit checks that held before the switch."),
        Column(name="checks_warned", type="int32", minimum=0, description="Audit checks that only warn and did not hold."),
    ),
)  # fmt: skip
