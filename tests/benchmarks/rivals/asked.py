"""What both rivals are asked for: the windows of each measure, told apart from the jobs' own list."""

from expectations.features import (
    LONG_WINDOW_SUMS,
    RATIO_WINDOWS_DAYS,
    RATIOS,
    TOPIC_SUMS,
    VELOCITY_WINDOWS_DAYS,
    WINDOW_SUMS,
    WINDOWS_DAYS,
)
from expectations.measures import SKETCHES

NEGATIVE = -0.05
"""A sentiment below is a negative one."""


def asked() -> set[tuple[str, int]]:
    """(measure, days) for every measure and window that a feature asks for."""
    long = {*LONG_WINDOW_SUMS, "largest_line_amount", "sentiment_sum", "weekend_count"}
    long |= {name for ratio in RATIOS for name in (*ratio.numerator, *ratio.denominator)}
    long |= {word for what in ("product", "category", "brand") for word in SKETCHES[what][1]}
    short = {word for what in ("device", "payment_method") for word in SKETCHES[what][1]}
    groups = (
        (WINDOW_SUMS, WINDOWS_DAYS),
        (long, RATIO_WINDOWS_DAYS),
        (short, VELOCITY_WINDOWS_DAYS),
        (TOPIC_SUMS, RATIO_WINDOWS_DAYS),
        (("rating_count", "rating_sum"), WINDOWS_DAYS[-1:]),
        (("largest_line_amount",), WINDOWS_DAYS[:1]),
    )
    return {(name, days) for names, windows in groups for name in names for days in windows}
