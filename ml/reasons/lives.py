"""Contributions of the few numbers of a life that models of repeat buying read, against the typical customer's.

The customer's own numbers take their places one after the other, and what each then changes is its contribution, so
that all add up. Silence comes last and is judged by the customer's own rhythm: until then it is as many of the usual
gaps as the typical customer's. In days, a frequent buyer's silence would be blamed on having bought so often.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ml.examples import Inputs
from ml.models.btyd import SILENT_GAPS, usual_gap

Answer = Callable[[Inputs], np.ndarray]
"""Inputs → (rows,) log-odds."""


def names_of(typical: dict[str, float]) -> tuple[str, ...]:
    """What contributions are named after; ``typical`` ends with SILENT_GAPS."""
    return (*list(typical)[:-1], "recency_days")


def contributions(answer: Answer, inputs: Inputs, typical: dict[str, float]) -> tuple[float, np.ndarray]:
    """The answer for the typical customer, and (rows, names_of(typical)), which with it add up to the answers.

    Who never bought has no numbers to read: that they are silent is all that moves the answer.
    """
    base = float(answer(_told(inputs.rows(slice(0, 1)), typical))[0])
    parts, bought = np.zeros((len(inputs), len(typical))), inputs.life["frequency_days"] > 0
    if bought.any():
        buyers, names = inputs.rows(bought), list(typical)
        steps = [answer(_told(buyers, {name: typical[name] for name in names[n:]})) for n in range(len(names) + 1)]
        parts[bought] = np.diff(steps, axis=0).T
    if not bought.all():
        parts[~bought, -1] = answer(inputs.rows(~bought)) - base
    return base, parts


def _told(inputs: Inputs, instead: dict[str, float]) -> Inputs:
    """With some numbers those of the typical customer."""
    life = inputs.life | {name: np.full(len(inputs), value) for name, value in instead.items() if name != SILENT_GAPS}
    if SILENT_GAPS in instead:
        silence = instead[SILENT_GAPS] * usual_gap(life)
        life["recency_days"] = np.minimum(silence, life["first_purchase_age_days"])
    return replace(inputs, life=life)
