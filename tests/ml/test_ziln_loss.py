"""The loss against SciPy's own log-normal and Bernoulli densities, and against numeric differentiation."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit
from scipy.stats import bernoulli, lognorm

from ml.loss import SIGMA_FLOOR, ziln_windows_loss

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
    """The paper's loss: one interval of the hazard, and one window as long."""
    values = torch.tensor(outputs.reshape(3, ROWS, 1), dtype=torch.float64, requires_grad=True)
    at_risk = torch.ones(ROWS, 1, dtype=torch.bool)
    loss = ziln_windows_loss(*values, at_risk, torch.tensor(IS_BUYER)[:, None], torch.tensor(SPEND)[:, None])
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


# ---- several windows of one hazard

INTERVALS, WINDOWS = 3, 2
# Who was at risk when, and bought then. The last two rows are known for the first interval only.
AT_RISK = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 0, 0]], dtype=bool)
IS_EVENT = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0]], dtype=float)
NAN = np.nan
WINDOW_SPEND = np.array([[0, 12.5], [3.0, 830.0], [0.01, 7.0], [0, NAN], [NAN, NAN], [20.0, NAN]])


def windows_by_scipy(outputs: np.ndarray) -> float:
    """Row by row, interval by interval, without torch."""
    logits, mu, raw_sigma = np.split(outputs, [ROWS * INTERVALS, ROWS * (INTERVALS + WINDOWS)])
    logits, mu, raw_sigma = (values.reshape(ROWS, -1) for values in (logits, mu, raw_sigma))
    total = 0.0
    for row in range(ROWS):
        for k in range(INTERVALS):
            if AT_RISK[row, k]:
                total -= bernoulli.logpmf(IS_EVENT[row, k], expit(logits[row, k]))
        for window, spend in enumerate(WINDOW_SPEND[row]):
            if spend > 0:
                sigma = np.logaddexp(0.0, raw_sigma[row, window]) + SIGMA_FLOOR
                total -= lognorm.logpdf(spend, s=sigma, scale=np.exp(mu[row, window]))
    return total / ROWS


def windows_by_torch(outputs: np.ndarray) -> tuple[float, np.ndarray]:
    values = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
    logits, mu, raw_sigma = values.split([ROWS * INTERVALS, ROWS * WINDOWS, ROWS * WINDOWS])
    loss = ziln_windows_loss(
        *(part.view(ROWS, -1) for part in (logits, mu, raw_sigma)),
        *(torch.tensor(label) for label in (AT_RISK, IS_EVENT, WINDOW_SPEND)),
    )
    loss.backward()
    return loss.item(), values.grad.numpy()


windows_strategy = st.tuples(
    arrays(float, ROWS * INTERVALS, elements=st.integers(-60, 60).map(lambda n: n / 10)),
    arrays(float, ROWS * WINDOWS, elements=st.integers(-60, 60).map(lambda n: n / 10)),
    arrays(float, ROWS * WINDOWS, elements=st.integers(-10, 30).map(lambda n: n / 10)),
).map(np.concatenate)


@settings(max_examples=25)
@given(windows_strategy)
def test_loss_of_windows_and_its_gradient_are_those_of_scipy(outputs):
    loss, gradient = windows_by_torch(outputs)
    assert abs(loss - windows_by_scipy(outputs)) < 1e-6 * max(1.0, abs(loss))
    step = 1e-5
    for n in range(len(outputs)):
        nudge = np.zeros(len(outputs))
        nudge[n] = step
        numeric = (windows_by_scipy(outputs + nudge) - windows_by_scipy(outputs - nudge)) / (2 * step)
        assert abs(gradient[n] - numeric) < 1e-6 * max(1.0, abs(numeric), abs(loss))


def test_windows_that_have_not_matured_give_no_gradient():
    _, gradient = windows_by_torch(np.linspace(-2, 2, ROWS * (INTERVALS + 2 * WINDOWS)))
    assert np.isfinite(gradient).all()
    hazard, mu, sigma = np.split(gradient, [ROWS * INTERVALS, ROWS * (INTERVALS + WINDOWS)])
    assert ((hazard.reshape(ROWS, -1) != 0) == AT_RISK).all()
    paid = np.nan_to_num(WINDOW_SPEND) > 0
    assert ((mu.reshape(ROWS, -1) != 0) == paid).all()
    assert ((sigma.reshape(ROWS, -1) != 0) == paid).all()
