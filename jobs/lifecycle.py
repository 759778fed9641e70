"""Value tiers, lifecycle stages and churn bands: the settings and the rules, each stated once."""

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from expectations.lifecycle import LIFECYCLE_PHASES

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class SegmentSettings:
    """What decides a segment. Meaning and unit of each field stand in ``DESCRIPTIONS``, which BI reads too."""

    high_value_quantile: float = 0.80
    medium_value_quantile: float = 0.50
    new_days: float = 30
    reactivated_days: float = 30
    silent_after_gaps: float = 3.0
    silent_least_days: float = 14
    silent_most_days: float = 120
    loyal_tenure_days: float = 180
    loyal_quantile: float = 0.70
    churned_below_probability: float = 0.10
    churn_medium_from: float = 1 / 3
    churn_high_from: float = 2 / 3

    def __post_init__(self) -> None:
        for low, high in (
            ("medium_value_quantile", "high_value_quantile"),
            ("churn_medium_from", "churn_high_from"),
        ):
            if not 0 <= getattr(self, low) < getattr(self, high) <= 1:
                raise ValueError(
                    f"{low} ({getattr(self, low):g}) must lie below {high} ({getattr(self, high):g}), both in 0..1"
                )
        if self.silent_least_days > self.silent_most_days:
            raise ValueError(
                f"silent_least_days ({self.silent_least_days:g}) must not exceed silent_most_days "
                f"({self.silent_most_days:g})"
            )
        for name in ("loyal_quantile", "churned_below_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} ({getattr(self, name):g}) must lie in 0..1")


DESCRIPTIONS = {
    "high_value_quantile": ("quantile", "customers from this quantile of expected_spend_30d up are tier high"),
    "medium_value_quantile": ("quantile", "customers from this quantile of expected_spend_30d up are at least medium"),
    "new_days": ("days", "a customer is new for so long after the first purchase"),
    "reactivated_days": ("days", "a customer is reactivated for so long after a purchase that ended a silence"),
    "silent_after_gaps": ("mean gaps", "silent means no purchase for so many of the customer's own mean gaps"),
    "silent_least_days": ("days", "nobody is silent before so many days without a purchase"),
    "silent_most_days": (
        "days",
        "everybody is silent after so many days without a purchase, however slow their rhythm",
    ),
    "loyal_tenure_days": ("days", "loyal takes at least so many days since the first event"),
    "loyal_quantile": (
        "quantile",
        "loyal takes purchase days and spend of 365 days at or above this quantile of buyers",
    ),
    "churned_below_probability": ("probability", "a silent customer below this purchase probability is churned"),
    "churn_medium_from": ("probability", "churn probability from here is band medium"),
    "churn_high_from": ("probability", "churn probability from here is band high"),
    "high_value_from": ("currency", "expected_spend_30d from here was tier high on this day"),
    "medium_value_from": ("currency", "expected_spend_30d from here was at least tier medium on this day"),
    "loyal_purchase_days_from": ("days", "purchase_days_365d from here could be loyal on this day"),
    "loyal_amount_from": ("currency", "purchase_amount_365d from here could be loyal on this day"),
}


@dataclass(frozen=True)
class DayCuts:
    """Thresholds that follow from the settings and one day's customers; null quantiles of an empty set become 0."""

    high_value_from: float
    medium_value_from: float
    loyal_purchase_days_from: float
    loyal_amount_from: float


def day_cuts(customers: "DataFrame", settings: SegmentSettings) -> DayCuts:
    """The day's cuts, over buyers for loyal, over everyone for value.

    Discrete quantiles: the smallest value that at least such a share of customers does not exceed. A cut is some
    customer's own value, so nobody who stands at it is lost by a last bit, on whatever engine.
    """
    from pyspark.sql import functions as F

    def quantile(column: str, share: float) -> "Column":
        return F.expr(f"percentile_disc({share!r}D) WITHIN GROUP (ORDER BY {column})")

    buyers = "CASE WHEN frequency_days > 0 THEN CAST({} AS DOUBLE) END"
    row = customers.agg(
        quantile("expected_spend_30d", settings.high_value_quantile).alias("high_value_from"),
        quantile("expected_spend_30d", settings.medium_value_quantile).alias("medium_value_from"),
        quantile(buyers.format("purchase_days_365d"), settings.loyal_quantile).alias("loyal_purchase_days_from"),
        quantile(buyers.format("purchase_amount_365d"), settings.loyal_quantile).alias("loyal_amount_from"),
    ).toArrow()
    return DayCuts(**{name: values[0] or 0.0 for name, values in row.to_pydict().items()})


def value_tier(cuts: DayCuts) -> "Column":
    from pyspark.sql import functions as F

    spend = F.col("expected_spend_30d")
    return (
        F.when((spend >= cuts.high_value_from) & (spend > 0), "high")
        .when((spend >= cuts.medium_value_from) & (spend > 0), "medium")
        .otherwise("low")
    )


def churn_band(settings: SegmentSettings) -> "Column":
    from pyspark.sql import functions as F

    churn = F.col("churn_probability")
    return (
        F.when(churn >= settings.churn_high_from, "high")
        .when(churn >= settings.churn_medium_from, "medium")
        .otherwise("low")
    )


def lifecycle_stage(settings: SegmentSettings, cuts: DayCuts) -> "Column":
    """The first stage that holds, in this order; a customer has exactly one."""
    from pyspark.sql import functions as F

    recency, frequency = F.col("recency_days"), F.col("frequency_days")
    since_first = F.datediff(F.col("snapshot_date"), F.col("first_purchase_date"))
    silent = recency > _patience(settings, F.col("gap_mean_days"))
    loyal = (
        (F.col("tenure_days") >= settings.loyal_tenure_days)
        & (F.col("purchase_days_365d") >= cuts.loyal_purchase_days_from)
        & (F.col("purchase_amount_365d") >= cuts.loyal_amount_from)
    )
    # Before its last purchase the customer had been silent beyond the rhythm of that time.
    woke = (recency < settings.reactivated_days) & (
        F.col("gap_last_days") > _patience(settings, F.col("gap_mean_before_last_days"))
    )
    return (
        F.when(frequency == 0, "prospect")
        .when(since_first < settings.new_days, "new")
        .when(silent & (F.col("purchase_probability_30d") < settings.churned_below_probability), "churned")
        .when(silent, "dormant")
        .when(woke, "reactivated")
        .when(loyal, "loyal")
        .otherwise("active")
    )


def _patience(settings: SegmentSettings, gap_mean: "Column") -> "Column":
    """Days without a purchase that still fit the customer's rhythm; one purchase shows none, so new_days stands in."""
    from pyspark.sql import functions as F

    least, most = F.lit(float(settings.silent_least_days)), F.lit(float(settings.silent_most_days))
    own = F.least(F.greatest(gap_mean * settings.silent_after_gaps, least), most)
    # Engines skip nulls in least and greatest: without a gap there is no rhythm to bound.
    return F.when(gap_mean.isNull(), F.lit(float(settings.new_days))).otherwise(own)


def lifecycle_phase(stage: "Column") -> "Column":
    from pyspark.sql import functions as F

    pairs = [F.lit(part) for pair in LIFECYCLE_PHASES.items() for part in pair]
    return F.element_at(F.create_map(*pairs), stage)


def settings_rows(settings: SegmentSettings, cuts: DayCuts) -> list[dict]:
    """Rows of segment_settings without their date: what was chosen, and what followed from it."""
    chosen = [(name, value, "setting") for name, value in asdict(settings).items()]
    computed = [(f.name, getattr(cuts, f.name), "computed") for f in fields(cuts)]
    return [
        {"name": name, "value": float(value), "unit": DESCRIPTIONS[name][0], "origin": origin,
         "description": DESCRIPTIONS[name][1]}
        for name, value, origin in (*chosen, *computed)
    ]  # fmt: skip
