"""Random search of settings: as many trials for every model that has settings to tune."""

from collections.abc import Callable

import numpy as np

TRIALS = {"quick": 4, "full": 20}
"""Budget → trials."""

Space = dict[str, tuple]
"""Setting → the values it may take; the first of each is the default."""


def trials(space: Space, seed: int, budget: str) -> list[dict[str, object]]:
    """The defaults, then other combinations drawn at random, each once; fewer where the space holds no more."""
    rng = np.random.default_rng(seed)
    drawn = [{name: values[0] for name, values in space.items()}]
    wanted = min(TRIALS[budget], int(np.prod([len(values) for values in space.values()])))
    while len(drawn) < wanted:
        trial = {name: values[rng.integers(len(values))] for name, values in space.items()}
        if trial not in drawn:
            drawn.append(trial)
    return drawn


def best(
    space: Space, seed: int, budget: str, loss_of: Callable[[dict[str, object]], tuple[float, object]]
) -> tuple[dict[str, object], object]:
    """The settings of the lowest loss, and what was fitted with them; ``loss_of`` fits a trial and tells both.

    The first of equals wins, so that the default stays where nothing is known.
    """
    settings, fitted, lowest = {}, None, np.inf
    for trial in trials(space, seed, budget):
        loss, candidate = loss_of(trial)
        if fitted is None or loss < lowest:
            settings, fitted, lowest = trial, candidate, loss
    return settings, fitted
