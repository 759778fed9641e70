"""A customer's numbers → the tags whose rules hold, with their evidence."""

import numpy as np
import pandas as pd
import pyarrow as pa

from expectations.behaviour import FEATURES, PREFERENCES
from jobs.profiles.tag_rules import COMMON, DERIVED, RULES, Rule, TagSettings

_ASKED = {name for rule in RULES for name in (rule.column, rule.least[0], rule.subject) if name} - DERIVED.keys()
_PARTS = {"gap_deviation_days", "gap_mean_days", "view_count_90d", "purchase_count_90d", "purchase_count_180d"}
FEATURE_COLUMNS = ["customer_key", *(name for name in FEATURES.column_names if name in _ASKED | _PARTS)]
PREFERENCE_COLUMNS = ["customer_key", *(name for name in PREFERENCES.column_names if name in _ASKED)]


def with_derived(customers: pd.DataFrame, gift_lines: pd.Series) -> pd.DataFrame:
    """``customers`` with DERIVED. ``gift_lines``: customer_key → purchase lines of 180 days that are gifts."""
    gifts = customers["customer_key"].map(gift_lines).fillna(0)
    lines = customers["purchase_count_180d"]
    return customers.assign(
        gap_variation=customers["gap_deviation_days"] / customers["gap_mean_days"],
        views_without_purchase_90d=customers["view_count_90d"].where(customers["purchase_count_90d"] == 0, 0),
        gift_share_180d=(gifts / lines.where(lines > 0)).clip(upper=1),
    )


def tags(customers: pd.DataFrame, settings: TagSettings) -> pa.Table:
    """customer_key, tag, tag_group, evidence: one row for each rule that holds of a customer."""
    parts = [_tagged(customers, rule, getattr(settings, rule.tag)) for rule in RULES]
    return pa.concat_tables(parts)


def _tagged(customers: pd.DataFrame, rule: Rule, bound: float) -> pa.Table:
    chosen = customers[holds(customers, rule, bound)]
    numbers, name = chosen[rule.column].astype(float).round(6), pd.Series(rule.tag, chosen.index)
    words = {number: rule.evidence.format(number) for number in numbers.unique()}
    tag = name + ":" + chosen[rule.subject].astype(str) if rule.subject else name
    columns = {"customer_key": chosen["customer_key"], "tag": tag, "tag_group": name, "evidence": numbers.map(words)}
    return pa.table({column: pa.array(values, pa.string(), from_pandas=True) for column, values in columns.items()})


def holds(customers: pd.DataFrame, rule: Rule, bound: float) -> np.ndarray:
    """(rows,) bool. Missing numbers hold no rule."""
    number = customers[rule.column].to_numpy(float, na_value=np.nan)
    founded = customers[rule.least[0]].to_numpy(float, na_value=np.nan) >= rule.least[1]
    if rule.is_rank:
        bound = _of_rank(number[founded & np.isfinite(number)], bound)
    with np.errstate(invalid="ignore"):
        held = founded & (number <= bound if rule.is_upper else number >= bound)
    return held & is_trait(customers[rule.subject]) if rule.subject else held


def _of_rank(judged: np.ndarray, share: float) -> float:
    """The quantile of ``judged``; infinite where COMMON of them reach it, since they are equal."""
    bound = np.quantile(judged, share, method="inverted_cdf") if len(judged) else np.inf
    return bound if np.count_nonzero(judged >= bound) <= COMMON * len(judged) else np.inf


def is_trait(subject: pd.Series) -> np.ndarray:
    """(rows,) bool: has a subject, and not the one that most have."""
    share = subject.map(subject.value_counts(normalize=True))
    return (share <= COMMON).to_numpy()
