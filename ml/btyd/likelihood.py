"""Maximum likelihood for positive parameters: over their logarithms, by exact gradients."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from expectations.errors import DataError

LOG_BOUNDS = (-9.0, 9.0)
"""Of a parameter's logarithm: where the data say nothing of a parameter, it stops here and not at infinity."""

TRIES = 3


def maximise(
    log_likelihood: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray, what: str
) -> tuple[np.ndarray, float]:
    """Parameters of the greatest mean log-likelihood, and that mean; ``log_likelihood`` returns it with its gradient.

    DataError if the likelihood has no maximum that can be found.
    """

    def loss(logs: np.ndarray) -> tuple[float, np.ndarray]:
        parameters = np.exp(logs)
        value, gradient = log_likelihood(parameters)
        return -value, -gradient * parameters

    logs = np.log(start)
    for _ in range(TRIES):  # A line search that gives up is begun anew where it stopped.
        settings = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-8, "maxls": 50}
        found = minimize(loss, logs, jac=True, method="L-BFGS-B", bounds=[LOG_BOUNDS] * len(start), options=settings)
        logs = found.x
        if found.success:
            break
    slope = np.abs(found.jac[(logs > LOG_BOUNDS[0]) & (logs < LOG_BOUNDS[1])]).max(initial=0.0)
    if not np.isfinite(found.fun) or slope > 1e-3:
        raise DataError(
            f"{what} found no maximum of its likelihood (slope {slope:.2g} where it stopped, at "
            f"{', '.join(f'{value:.4g}' for value in np.exp(logs))}): too few customers bought again to tell"
        )
    return np.exp(logs), -float(found.fun)
