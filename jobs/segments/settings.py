"""What decides a segment: the settings, and what each of them means."""

from dataclasses import dataclass, fields
from itertools import pairwise

VALUE_RULES = {
    "quantile": "expected_spend_30d cut at quantiles of the day's eligible customers who are expected to spend",
    "fixed": "expected_spend_30d cut at amounts that the shop gives: top_value_amount, high_value_amount and "
    "medium_value_amount",
    "four_level": "purchase_probability_30d of the day's eligible customers cut at their 95th percentile, their mean, "
    "the midpoint of both and the midpoint of mean and 0, largest first; the fourth decides nothing, since what lies "
    "below the third is low",
}
TIERS = ("top", "high", "medium")
"""Tiers that have a cut, from the top; the rest is low."""


@dataclass(frozen=True)
class SegmentSettings:
    """What decides a segment. Meaning and unit of each field stand in ``DESCRIPTIONS``, which BI reads too."""

    value_rule: str = "quantile"
    top_value_quantile: float = 0.95
    high_value_quantile: float = 0.80
    medium_value_quantile: float = 0.50
    top_value_amount: float = 0
    high_value_amount: float = 0
    medium_value_amount: float = 0
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
        if self.value_rule not in VALUE_RULES:
            raise ValueError(f"value_rule must be one of {', '.join(VALUE_RULES)}, found {self.value_rule!r}")
        self._refuse_disorder("medium_value_quantile", "high_value_quantile", "top_value_quantile", most=1)
        self._refuse_disorder("churn_medium_from", "churn_high_from", most=1)
        if self.value_rule == "fixed":
            self._refuse_disorder("medium_value_amount", "high_value_amount", "top_value_amount")
            if not self.medium_value_amount:
                raise ValueError("value_rule fixed takes a medium_value_amount above 0, found none")
        elif any((self.top_value_amount, self.high_value_amount, self.medium_value_amount)):
            raise ValueError(f"amounts of value take value_rule fixed; value_rule {self.value_rule} reads none")
        if self.silent_least_days > self.silent_most_days:
            raise ValueError(
                f"silent_least_days ({self.silent_least_days:g}) must not exceed silent_most_days "
                f"({self.silent_most_days:g})"
            )
        for name in ("loyal_quantile", "churned_below_probability"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} ({getattr(self, name):g}) must lie in 0..1")
        for name in ("new_days", "reactivated_days"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} ({getattr(self, name):g}) must be 1 or more: a stage lasts a day at least")

    def _refuse_disorder(self, *names: str, most: float | None = None) -> None:
        """ValueError unless the settings rise in this order, the last to ``most`` at the most."""
        for low, high in pairwise(names):
            below, above = getattr(self, low), getattr(self, high)
            if not below < above:
                raise ValueError(f"{low} ({below:g}) must lie below {high} ({above:g}): else the tier between is empty")
        if most is not None and getattr(self, names[-1]) > most:
            raise ValueError(f"{names[-1]} ({getattr(self, names[-1]):g}) must lie in 0..{most:g}")

    @property
    def value_measure(self) -> str:
        """The column by which customers are worth more or less."""
        return "purchase_probability_30d" if self.value_rule == "four_level" else "expected_spend_30d"


@dataclass(frozen=True)
class DayCuts:
    """Thresholds that follow from the settings and one day's customers; 0 where there is nobody to take them from."""

    top_value_from: float
    high_value_from: float
    medium_value_from: float
    loyal_purchase_days_from: float
    loyal_amount_from: float


def _value_from(tier: str) -> tuple[str, str]:
    return "currency", f"value from here was at least tier {tier} on this day, by the measure of value_rule"


DESCRIPTIONS = {
    "value_rule": ("word", "how value tiers are cut: quantile, fixed or four_level"),
    **{f"{tier}_value_quantile": ("quantile", f"value_rule quantile: expected_spend_30d from here is at least {tier}")
       for tier in TIERS},
    **{f"{tier}_value_amount": ("currency", f"value_rule fixed: expected_spend_30d from here is at least {tier}")
       for tier in TIERS},
    "new_days": ("days", "a customer is new for so long after the first purchase"),
    "reactivated_days": ("days", "a customer is reactivated for so long after a purchase that ended a silence"),
    "silent_after_gaps": ("mean gaps", "silent means no purchase for so many of the customer's own mean gaps"),
    "silent_least_days": ("days", "who has a rhythm is not silent before so many days without a purchase"),
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
    **{f"{tier}_value_from": _value_from(tier) for tier in TIERS},
    "loyal_purchase_days_from": ("days", "purchase_days_365d from here could be loyal on this day"),
    "loyal_amount_from": ("currency", "purchase_amount_365d from here could be loyal on this day"),
}  # fmt: skip


def settings_rows(settings: SegmentSettings, cuts: DayCuts) -> list[dict]:
    """Rows of segment_settings without their date: what was chosen, and what followed from it."""
    chosen = [setting_row(f.name, getattr(settings, f.name), *DESCRIPTIONS[f.name]) for f in fields(settings)]
    unit = "probability" if settings.value_rule == "four_level" else "currency"
    units = {f"{tier}_value_from": unit for tier in TIERS}
    for name, value in vars(cuts).items():
        own, meaning = DESCRIPTIONS[name]
        chosen.append(setting_row(name, value, units.get(name, own), meaning) | {"origin": "computed"})
    return chosen


def setting_row(name: str, value: object, unit: str, description: str) -> dict:
    """A row of segment_settings without its date: numbers as numbers, all else in words."""
    is_number = isinstance(value, int | float)
    text = None if is_number else value if isinstance(value, str) else ", ".join(map(str, value))
    return {"name": name, "value": float(value) if is_number else None, "text": text, "unit": unit,
            "origin": "setting", "description": description}  # fmt: skip
