"""How it turned out: who comes back, whether predictions held, whether the data are sound."""

from expectations.behaviour import SNAPSHOT_DATE
from expectations.contract import Column, Table
from expectations.segments import SCORES

COHORT_RETENTION = Table(
    name="cohort_retention",
    description="Of those who first bought in a month, who buys again in each later month, and for how much. The first "
    "cohort also holds who bought before the data begin: a shop's regulars rather than newcomers.",
    grain="one row per snapshot date, cohort month and month since",
    key=("snapshot_date", "cohort_month", "months_since"),
    partition="snapshot_date",
    columns=(
        SNAPSHOT_DATE,
        Column(name="cohort_month", type="date", description="First day of the month of the first purchase."),
        Column(name="months_since", type="int32", minimum=0, unit="months",
               description="Calendar months since; 0 is the cohort month itself."),
        Column(name="is_complete", type="bool", description="Whether that month was over by snapshot_date."),
        Column(name="customers", type="int64", minimum=1, unit="customers", description="Customers of the cohort."),
        Column(name="buyers", type="int64", minimum=0, unit="customers", description="Those who bought in that month."),
        Column(name="retention", type="double", minimum=0, maximum=1, unit="share", description="buyers / customers."),
        Column(name="purchase_amount", type="double", minimum=0, unit="currency",
               description="What they paid in that month, before refunds."),
    ),
)  # fmt: skip

MODEL_PERFORMANCE = Table(
    name="model_performance",
    description="What was predicted against what then happened, for the predictions whose window ended on "
    "snapshot_date. Days that were scored anew by a model that had learned from later ones are no forecasts and left "
    "out.",
    grain="one row per snapshot date and window that ended on it",
    key=("snapshot_date", "horizon_days"),
    partition="snapshot_date",
    columns=(
        SNAPSHOT_DATE,
        Column(name="horizon_days", type="int32", minimum=1, unit="days", description="Length of the window."),
        Column(name="scored_on", type="date", description="The snapshot that predicted: snapshot_date - horizon_days."),
        SCORES.column("model_name"),
        SCORES.column("model_version"),
        Column(name="customers", type="int64", minimum=1, unit="customers",
               description="Eligible customers of that snapshot."),
        Column(name="predicted_buyers", type="double", minimum=0, unit="customers",
               description="Sum of their purchase probabilities."),
        Column(name="actual_buyers", type="int64", minimum=0, unit="customers", description="Those who bought."),
        Column(name="auc", type="double", minimum=0, maximum=1, nullable=True,
               description="Area under the ROC curve of the purchase probability; null if all or none bought."),
        Column(name="brier_score", type="double", minimum=0, maximum=1,
               description="Mean squared error of the purchase probability."),
        Column(name="calibration_error", type="double", minimum=0, maximum=1,
               description="Expected calibration error of the purchase probability, ten bins of equal size."),
        Column(name="predicted_spend", type="double", minimum=0, nullable=True, unit="currency",
               description="Sum of expected spend; null for windows without one."),
        Column(name="actual_spend", type="double", minimum=0, nullable=True, unit="currency",
               description="What they then paid, before refunds; null with predicted_spend."),
    ),
)  # fmt: skip

DATA_QUALITY = Table(
    name="data_quality",
    description="Every check of the day's data and what it found, and what became of every row delivered.",
    grain="one row per snapshot date, table and check",
    key=("snapshot_date", "table_name", "check_name"),
    partition="snapshot_date",
    columns=(
        SNAPSHOT_DATE,
        Column(name="table_name", type="string", description="The table or delivery that was checked."),
        Column(name="check_name", type="string", description="What was checked."),
        Column(name="severity", type="string", values=("fail", "warn", "info"),
               description="What a failure means: fail stops the line, warn reports, info counts only."),
        Column(name="has_held", type="bool", nullable=True, description="Whether the check held; null for info, and "
               "where it could not be judged: words say why."),
        Column(name="observed", type="double", nullable=True, description="The number found, where there is one."),
        Column(name="words", type="string", description="The finding in plain words."),
    ),
)  # fmt: skip
