"""What is said of a customer: scores, segments, and the tables that BI reads."""

from dataclasses import replace

from expectations.behaviour import FEATURES, SNAPSHOT_DATE
from expectations.clusters import CLUSTER_ID
from expectations.contract import Check, Column, Table
from expectations.events import CUSTOMER_KEY
from expectations.lifecycle import LIFECYCLE_PHASES, LIFECYCLE_STAGES

# What each word means, said once: the dictionary prints it, jobs/segments computes it, thresholds by the names that
# segment_settings shows.
VALUE_TIER_DESCRIPTIONS = {
    "top": "eligible, and expected_spend_30d of at least top_value_from; where value_rule is four_level, it is "
    "purchase_probability_30d that counts, here and below",
    "high": "eligible, below top, and at least high_value_from",
    "medium": "eligible, below high, and at least medium_value_from",
    "low": "below medium, or no spend expected, or not eligible (is_eligible): what a model says of others than those "
    "it was judged on raises nobody",
}
VALUE_TIERS = tuple(VALUE_TIER_DESCRIPTIONS)

CHURN_BAND_DESCRIPTIONS = {
    "low": "churn_probability below churn_medium_from: likely to buy within churn_days",
    "medium": "churn_probability from churn_medium_from up to churn_high_from: could go either way",
    "high": "churn_probability of at least churn_high_from: unlikely to buy within churn_days",
}
CHURN_BANDS = tuple(CHURN_BAND_DESCRIPTIONS)

_PROBABILITY = {"type": "double", "minimum": 0, "maximum": 1, "unit": "probability"}
_MODEL = (
    Column(name="model_name", type="string", description="Registered name of the model that scored the row."),
    Column(name="model_version", type="int32", minimum=1, description="Its version in the registry."),
)

PROBABILITY_DAYS = (7, 14, 30, 60, 90)
"""Horizons of the purchase probabilities that are kept."""

SPEND_DAYS = (30, 90)
"""Windows of expected spend that are kept. The 30 days of both are never null, longer ones where models look so far."""


def _probability(days: int) -> Column:
    reach = "" if days <= 30 else " Null where the shop's models do not look so far ahead."
    return Column(name=f"purchase_probability_{days}d", **_PROBABILITY, nullable=days > 30,
                  description=f"Probability of at least one purchase in the next {days} days.{reach}")  # fmt: skip


def _spend(days: int) -> tuple[Column, ...]:
    far, kind = days > 30, {"type": "double", "minimum": 0, "unit": "currency"}
    reach = " Null where the shop's models do not look so far ahead." if far else ""
    how = f"purchase_probability_{days}d x the spend expected if there is a purchase."
    far_note = " Its width is fitted on shorter windows, whose outcomes are known." if far else ""
    interval = (
        f"end of the central 90 % interval of this one customer's spend in the next {days} days: not to be added up "
        f"over customers.{far_note}{reach}"
    )
    return (
        Column(name=f"expected_spend_{days}d", **kind, nullable=far,
               description=f"Expected spend in the next {days} days, before refunds: {how}{reach}"),
        Column(name=f"expected_spend_{days}d_low", **kind, nullable=far,
               description=f"Lower {interval} 0 where spending nothing has a probability of 5 % or more."),
        Column(name=f"expected_spend_{days}d_high", **kind, nullable=far,
               description=f"Upper {interval} 0 where it has a probability of 95 % or more."),
    )  # fmt: skip


SCORES = Table(
    name="scores",
    description="What the model expects of every customer after snapshot_date: purchases, spend, churn.",
    grain="one row per customer and snapshot date",
    key=("customer_key",),
    partition="snapshot_date",
    columns=(
        CUSTOMER_KEY,
        SNAPSHOT_DATE,
        Column(name="is_eligible", type="bool",
               description="Whether the customer is of the population that the model was trained and judged on; what "
               "it says of others is an extrapolation."),
        *map(_probability, PROBABILITY_DAYS),
        Column(name="churn_probability_30d", **_PROBABILITY,
               description="Probability of no purchase in the next 30 days: 1 - purchase_probability_30d."),
        Column(name="churn_probability", **_PROBABILITY,
               description="Probability of churn: of no purchase in the next churn_days, by the same hazard."),
        Column(name="churn_days", type="int32", minimum=1, unit="days",
               description="The shop's churn horizon: who buys nothing for so long has churned."),
        Column(name="spend_if_purchase_30d", type="double", minimum=0, unit="currency",
               description="Expected spend in the next 30 days, before refunds, if the customer buys at all."),
        *(column for days in SPEND_DAYS for column in _spend(days)),
        Column(name="clv_365d", type="double", minimum=0, unit="currency", nullable=True,
               description="Customer lifetime value: expected spend in the next 365 days, before refunds. An "
               "extrapolated one ranks as expected_spend_90d does where nobody is seen to ebb away. Null where the "
               "model was trained without one."),
        Column(name="is_clv_extrapolated", type="bool", nullable=True,
               description="Whether clv_365d carries shorter windows on, since no label of 365 days was known; null "
               "with it."),
        *_MODEL,
        Column(name="model_cutoff_date", type="date",
               description="The day before which everything lies that this version learned from. Where it is after "
               "snapshot_date, the scores are hindsight: an old day scored anew."),
    ),
    checks=(Check(kind="row_count", severity="fail", minimum=1, why="a day without a scored customer"),),
)  # fmt: skip

EMBEDDINGS = Table(
    name="embeddings",
    description="Where the model places each customer: near one another if their behaviour is alike. Only of models "
    "that make embeddings; comparable within one model version alone.",
    grain="one row per customer and snapshot date",
    key=("customer_key",),
    partition="snapshot_date",
    columns=(
        CUSTOMER_KEY,
        SNAPSHOT_DATE,
        Column(name="embedding", type="floats", description="The customer's place, as many numbers as the model has."),
        *_MODEL,
    ),
)  # fmt: skip

CUSTOMER_SEGMENTS = Table(
    version=3,
    name="customer_segments",
    description="Each customer on snapshot_date: value tier, lifecycle stage, churn band, behaviour cluster and the "
    "numbers behind.",
    grain="one row per customer and snapshot date",
    key=("snapshot_date", "customer_key"),
    partition="snapshot_date",
    columns=(
        SNAPSHOT_DATE,
        CUSTOMER_KEY,
        Column(name="value_tier", type="string", values=VALUE_TIERS,
               description="Worth by expected_spend_30d or as value_rule has it; the day's cuts are in "
               "segment_settings."),
        Column(name="lifecycle_stage", type="string", values=LIFECYCLE_STAGES,
               description="Where the customer stands; DICTIONARY.md says what each stage means."),
        Column(name="lifecycle_phase", type="string", values=tuple(dict.fromkeys(LIFECYCLE_PHASES.values())),
               description="The management task the stage calls for."),
        Column(name="stage_since", type="date",
               description="The first snapshot without a break in which the customer stands in this stage. On the "
               "first snapshot that a customer is in, its own date: since when before that is not known."),
        Column(name="previous_stage", type="string", values=LIFECYCLE_STAGES, nullable=True,
               description="The stage before this one. Null where no snapshot has seen another."),
        Column(name="churn_band", type="string", values=CHURN_BANDS,
               description="churn_probability cut at the bounds in segment_settings."),
        replace(CLUSTER_ID, nullable=True,
                description=f"{CLUSTER_ID.description} Null where the day was not clustered."),
        *(SCORES.column(name) for name in (
            "is_eligible", "purchase_probability_30d", "purchase_probability_90d", "churn_probability_30d",
            "churn_probability", "churn_days", "spend_if_purchase_30d", "expected_spend_30d", "expected_spend_30d_low",
            "expected_spend_30d_high", "expected_spend_90d", "expected_spend_90d_low", "expected_spend_90d_high",
            "clv_365d", "is_clv_extrapolated")),
        *(FEATURES.column(name) for name in (
            "recency_days", "frequency_days", "monetary_value", "tenure_days", "order_count",
            "first_purchase_date", "last_purchase_date", "gap_mean_days", "gap_last_days", "gap_mean_before_last_days",
            "purchase_days_365d", "purchase_amount_30d", "purchase_amount_365d", "return_amount_30d",
            "return_amount_365d")),
        *_MODEL,
    ),
    checks=(
        Check(kind="row_count", severity="fail", minimum=1, why="an empty snapshot must never replace a full one"),
    ),
)  # fmt: skip

SEGMENT_SETTINGS = Table(
    version=2,
    name="segment_settings",
    description="Every threshold that made the snapshot: the settings in force, and the cuts computed from the day.",
    grain="one row per snapshot date and setting",
    key=("snapshot_date", "name"),
    partition="snapshot_date",
    columns=(
        SNAPSHOT_DATE,
        Column(name="name", type="string",
               description="Name of the threshold; of another part's, after its section and a dot."),
        Column(name="value", type="double", nullable=True, description="Its value. Null where it is no number."),
        Column(name="text", type="string", nullable=True,
               description="Its value where it is no number: the name of a rule. Else null."),
        Column(name="unit", type="string", description="Unit of the value; word for a text."),
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
               description="Sum of the customers' expected spend over the next 30 days, before refunds."),
        Column(name="purchase_amount_365d", type="double", minimum=0, unit="currency",
               description="Sum of what they paid in the last 365 days, before refunds."),
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
               description="SHA-256 over the rows of every table of the day: equal digests, equal rows."),
        *_MODEL,
        Column(name="code_version", type="string", description="Version of the code that published."),
        Column(name="checks_passed", type="int32", minimum=0, description="Audit checks that held before the switch."),
        Column(name="checks_warned", type="int32", minimum=0,
               description="Audit checks that only warn and did not hold."),
    ),
)  # fmt: skip
