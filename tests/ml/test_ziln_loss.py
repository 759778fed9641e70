"""The loss against SciPy's own log-normal and Bernoulli densities, and against numeric differentiation."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit
from scipy.stats import bernoulli, lognorm

from ml.loss import SIGMA_FLOOR, ziln_loss

ROWS = 6
IS_BUYER = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
# The fourth customer bought and paid nothing: a voucher.
SPEND = np.array([12.5, 0.0, 830.0, 0.0, 0.0, 0.01])


def by_scipy(outputs: np.ndarray) -> float:
    """Mean negative log-likelihood of (logit, mu, raw sigma) rows, written without torch."""
    logit, mu, raw_sigma = outputs.reshape(3, ROWS)
    total = -bernoulli.logpmf(IS_BUYER, expit(logit)).sum()
    sigma = np.logaddexp(0.0, raw_sigma) + SIGMA_FLOOR
    for n in np.flatnonzero(SPEND > 0):
        total -= lognorm.logpdf(SPEND[n], s=sigma[n], scale=np.exp(mu[n]))
    return total / ROWS


def by_torch(outputs: np.ndarray) -> tuple[float, np.ndarray]:
    values = torch.tensor(outputs.reshape(3, ROWS), dtype=torch.float64, requires_grad=True)
    loss = ziln_loss(*values, torch.tensor(IS_BUYER), torch.tensor(SPEND))
    loss.backward()
    return loss.item(), values.grad.numpy().ravel()


# Drawn from a grid: logits to ±6, means of log spend to ±6, raw sigmas to ±3, where differences keep their digits.
outputs_strategy = st.tuples(
    arrays(float, ROWS, elements=st.integers(-60, 60).map(lambda n: n / 10)),
    arrays(float, ROWS, elements=st.integers(-60, 60).map(lambda n: n / 10)),
    arrays(float, ROWS, elements=st.integers(-10, 30).map(lambda n: n / 10)),
).map(np.concatenate)


@given(outputs_strategy)
def test_loss_and_gradient_are_those_of_scipy(outputs):
    loss, gradient = by_torch(outputs)
    assert abs(loss - by_scipy(outputs)) < 1e-6 * max(1.0, abs(loss))
    step = 1e-5
    for n in range(3 * ROWS):
        nudge = np.zeros(3 * ROWS)
        nudge[n] = step
        numeric = (by_scipy(outputs + nudge) - by_scipy(outputs - nudge)) / (2 * step)
        assert abs(gradient[n] - numeric) < 1e-6 * max(1.0, abs(numeric), abs(loss))


def test_customers_without_spend_leave_the_spend_head_alone():
    _, gradient = by_torch(np.linspace(-2, 2, 3 * ROWS))
    spend_gradient = gradient.reshape(3, ROWS)[1:]
    assert np.isfinite(gradient).all()
    assert (spend_gradient[:, SPEND == 0] == 0).all()
    assert (spend_gradient[:, SPEND > 0] != 0).all()
