"""Histograms of prices and amounts → price ranks and bounds. Small numbers: Arrow and NumPy, no engine.

A line is judged within its category, by the logarithm of its amount: beyond the quartiles by some interquartile ranges
(Tukey 1977, Exploratory Data Analysis), or by its standard score.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.profiles import PRICE_BOUNDS
from jobs.schemas import arrow_schema

STEP = 1.05
"""Width of a bucket as a ratio."""
UNRANKED = -1000
"""Bucket of what has no rank: see event_profile."""
WHOLE_SHOP = -1
"""In place of a category's hash."""
_NO_LINES = np.array([], np.int32), np.array([], np.int64)
MOST = 1e13
"""Bounds end here: the contract's decimal holds amounts below 10¹⁴."""


@dataclass(frozen=True)
class OutlierSettings:
    """rule      iqr: beyond the quartiles by ``factor`` interquartile ranges; z_score: by that many standard deviations
    from the mean. Both of the logarithm of a line's amount, within its category
    history_days  days before a month's first that its bounds are made from
    least_ratio   within this multiple of the quartiles (the mean) nothing is an outlier: where nearly all lines cost
                  the same, two of them in one line are not unusual
    least_lines   a category with fewer lines in them is judged by the whole shop's; a shop with fewer is not judged
    """

    rule: str = "iqr"
    factor: float = 3.0
    history_days: int = 90
    least_ratio: float = 5.0
    least_lines: int = 100

    def __post_init__(self) -> None:
        if self.rule not in ("iqr", "z_score"):
            raise ValueError(f"rule must be iqr or z_score, found {self.rule!r}")
        if self.factor <= 0 or self.least_ratio < 1:
            raise ValueError(f"factor must be above 0 ({self.factor:g}), least_ratio at least 1 ({self.least_ratio:g})")
        if not 1 <= self.history_days <= 366:
            raise ValueError(f"history_days must lie between 1 and 366, found {self.history_days}")


def price_bounds(history: pa.Table, month: date, settings: OutlierSettings) -> pa.Table:
    """Rows of PRICE_BOUNDS for ``month`` from EVENT_PROFILE rows of the days before it.

    A category of fewer than ``least_lines`` lines has no rows of its own; a shop of fewer has none at all.
    """
    rows = []
    prices, amounts = _histograms(history, "price"), _histograms(history, "amount")
    for category, spread in sorted(amounts.items()):
        if spread[1].sum() < settings.least_lines:
            continue
        bounds = _bounds(*spread, settings)
        rows.append((month, category, UNRANKED, None, *bounds))
        buckets, counts = prices.get(category, _NO_LINES)
        ranks = (np.cumsum(counts) - counts / 2) / max(counts.sum(), 1)
        rows += [(month, category, b, _decimal(r), *bounds) for b, r in zip(buckets.tolist(), ranks, strict=True)]
    return _table(rows, PRICE_BOUNDS.column_names, arrow_schema(PRICE_BOUNDS))


def price_marks(profile: pa.Table, bounds: pa.Table) -> pa.Table:
    """What ``with_price_marks`` joins: rank and bounds for each month, category and price bucket in ``profile``.

    ``profile``: EVENT_PROFILE rows of the very days to be marked; ``bounds``: PRICE_BOUNDS rows of their months. A
    bucket that the month's history never saw ranks between its neighbours; a category that it hardly saw is judged by
    the whole shop's bounds; where there are none, lines have no mark.
    """
    known = _bounds_by_category(bounds)
    lines = profile.filter(pc.equal(profile["measured"], "price"))
    month = pc.floor_temporal(lines["arrival_date"], unit="month").cast(pa.date32())
    lines = lines.append_column("month", month).group_by(["month", "category_hash"]).aggregate([("bucket", "distinct")])
    parts = [MARKS.empty_table()]
    for month, category, buckets in zip(*(lines[name].to_pylist() for name in lines.column_names), strict=True):
        if usual := known.get((month, category)) or known.get((month, WHOLE_SHOP)):
            parts.append(_marks(month, category, np.array(sorted(buckets)), usual))
    return pa.concat_tables(parts).sort_by("mark_key")


MARKS = pa.schema(
    [
        pa.field("mark_key", pa.int64()),
        *(pa.field(name, pa.decimal128(18, 4)) for name in ("price_rank", "lower_amount", "upper_amount")),
    ]
)


def mark_key(month: date, category: int, bucket: int) -> int:
    """Month, category and bucket in one integer, so that a join compares one number."""
    return ((month.year * 12 + month.month) * 2**32 + category) * 2**12 + bucket


def _marks(month: date, category: int, buckets: np.ndarray, usual: "_Usual") -> pa.Table:
    """Rows of MARKS for the buckets of a category."""
    ranks = np.interp(buckets, usual.buckets, usual.ranks) if usual.buckets else np.zeros(len(buckets))
    units = pa.array(np.rint(ranks * 10**4).astype(np.int32), mask=(buckets == UNRANKED) | (not usual.buckets))
    return pa.table(
        [
            pa.array(mark_key(month, category, 0) + buckets.astype(np.int64)),
            pc.multiply(units.cast(pa.decimal128(10, 0)), pa.scalar(Decimal("0.0001"))).cast(MARKS.types[1]),
            *(pa.repeat(pa.scalar(value, MARKS.types[2]), len(buckets)) for value in (usual.lower, usual.upper)),
        ],
        schema=MARKS,
    )


@dataclass(frozen=True)
class _Usual:
    """A category's bounds in a month, and the rank of each bucket."""

    lower: Decimal
    upper: Decimal
    buckets: list[int]
    ranks: list[float]


def _bounds_by_category(bounds: pa.Table) -> dict[tuple[date, int], _Usual]:
    found: dict[tuple[date, int], _Usual] = {}
    ordered = bounds.sort_by([(name, "ascending") for name in ("arrival_month", "category_hash", "price_bucket")])
    for row in ordered.to_pylist():
        usual = found.setdefault(
            (row["arrival_month"], row["category_hash"]), _Usual(row["lower_amount"], row["upper_amount"], [], [])
        )
        if row["price_bucket"] != UNRANKED:
            usual.buckets.append(row["price_bucket"])
            usual.ranks.append(float(row["price_rank"]))
    return found


def _histograms(history: pa.Table, measured: str) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Category → buckets in order and the lines in each; WHOLE_SHOP: of all lines, also those without a category."""
    lines = history.filter((pc.field("measured") == measured) & (pc.field("bucket") != UNRANKED))
    lines = lines.group_by(["category_hash", "bucket"]).aggregate([("line_count", "sum")])
    lines = lines.sort_by([("category_hash", "ascending"), ("bucket", "ascending")])
    category, bucket, count = (lines[name].to_numpy() for name in ("category_hash", "bucket", "line_count_sum"))
    if not len(lines):
        return {}
    found, starts = np.unique(category, return_index=True)
    parts = zip(np.split(bucket, starts[1:]), np.split(count, starts[1:]), strict=True)
    own = {int(one): _added(*part) for one, part in zip(found, parts, strict=True)}
    return own | {WHOLE_SHOP: _added(bucket, count)}


def _added(bucket: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    buckets, place = np.unique(bucket, return_inverse=True)
    return buckets, np.bincount(place, weights=count).astype(np.int64)


def _bounds(bucket: np.ndarray, count: np.ndarray, settings: OutlierSettings) -> tuple[Decimal, Decimal]:
    """Lowest and highest usual amount of a histogram."""
    if settings.rule == "iqr":
        low, high = _quantile(bucket, count, 0.25), _quantile(bucket, count, 0.75)
        reach = settings.factor * (high - low)
    else:
        middle = (bucket + 0.5) * np.log(STEP)
        low = high = np.average(middle, weights=count)
        reach = settings.factor * np.sqrt(np.average((middle - low) ** 2, weights=count))
    reach = max(reach, np.log(settings.least_ratio))
    return _decimal(np.exp(low - reach)), _decimal(min(np.exp(high + reach), MOST))


def _quantile(bucket: np.ndarray, count: np.ndarray, share: float) -> float:
    """Logarithm of the value below which ``share`` of a histogram lies, linear within a bucket."""
    below = np.cumsum(count)
    wanted = share * below[-1]
    n = int(np.searchsorted(below, wanted))
    return float((bucket[n] + (wanted - below[n] + count[n]) / count[n]) * np.log(STEP))


def _decimal(value: float) -> Decimal:
    """Rounded to the four decimals of the contracts."""
    return Decimal(round(float(value) * 10**4)).scaleb(-4)


def _table(rows: list[tuple], names: list[str], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=schema)
