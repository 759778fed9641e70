"""One number of the table, as it is printed, kept and read by others."""

from dataclasses import dataclass

import numpy as np

ALL, MEAN, OUTCOME, EVERY_TASK = "all", "mean", "outcome", "all"
"""Names in rows that stand for: every stratum; the mean of the test cutoffs; what happened, which no model said; every
task."""


@dataclass(frozen=True)
class Row:
    """``low`` and ``high`` end the 95 % interval of ``value``; NaN where there is none.

    cutoff  a date, or MEAN of the test cutoffs where the task's window has matured
    model   a name of MODELS, or OUTCOME
    """

    source: str
    cutoff: str
    task: str
    model: str
    stratum: str
    metric: str
    value: float
    low: float = np.nan
    high: float = np.nan
