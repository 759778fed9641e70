"""Models of repeat buying against published values, against other computations, and against simulated truth."""

import importlib.util
from pathlib import Path

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.special import hyp2f1

from expectations.errors import DataError
from ml.btyd.bg_nbd import BetaGeometric
from ml.btyd.gamma_gamma import GammaGamma, _Told
from ml.btyd.histories import Histories
from ml.btyd.pareto_nbd import ParetoNbd
from ml.btyd.quadrature import beta_nodes

BG = BetaGeometric(0.243, 4.414, 0.793, 2.426)
MBG = BetaGeometric(0.525, 6.183, 0.891, 1.614, is_modified=True)
PARETO = ParetoNbd(0.553, 10.578, 0.606, 11.669)
EVERY = pytest.mark.parametrize("model", [BG, MBG, PARETO], ids=["bg", "mbg", "pareto"])


def cdnow() -> pd.DataFrame:
    """Orders of the 1/10 sample of CDNOW: of the wheel of lifetimes (not imported: it needs what Python dropped), else
    of the data beside the repository.
    """
    wheel = importlib.util.find_spec("lifetimes")
    places = [Path(wheel.origin).parent / "datasets"] if wheel else []
    places.append(Path(__file__).parents[3] / "shared" / "data" / "cdnow")
    for place in places:
        if (place / "CDNOW_sample.txt").exists():
            names = ["customer", "sample_id", "date", "cds", "spend"]
            orders = pd.read_csv(place / "CDNOW_sample.txt", sep=r"\s+", header=None, names=names)
            orders["date"] = pd.to_datetime(orders["date"].astype(str), format="%Y%m%d")
            return orders
    pytest.skip("CDNOW's sample is in the wheel of lifetimes, which is not installed")


def purchase_histories(purchases: pd.DataFrame, until: np.datetime64, unit_days: float = 7.0) -> pd.DataFrame:
    """Rows by customer, in order: x, t_x, age, and mean_repeat_spend, NaN without repeats.

    ``purchases``: customer, date, spend, a row each, those after ``until`` left out; those of one day are one purchase.
    The first one makes the customer; spend of it is left out too (Fader and Hardie 2013).
    """
    days = purchases[purchases["date"] <= until].groupby(["customer", "date"], as_index=False)["spend"].sum()
    found = days.groupby("customer")["date"].agg(["min", "max", "size"])
    first = days["customer"].map(found["min"])
    repeats = days[days["date"] > first].groupby("customer")["spend"].mean()
    unit = np.timedelta64(1, "D") * unit_days
    return pd.DataFrame(
        {
            "x": found["size"] - 1,
            "t_x": (found["max"] - found["min"]) / unit,
            "age": (np.datetime64(until) - found["min"]) / unit,
            "mean_repeat_spend": repeats.reindex(found.index),
        }
    )


@pytest.fixture(scope="module")
def customers() -> pd.DataFrame:
    """39 weeks of calibration, in weeks."""
    return purchase_histories(cdnow(), np.datetime64("1997-09-30"))


@pytest.fixture(scope="module")
def histories(customers: pd.DataFrame) -> Histories:
    return Histories.of(customers["x"], customers["t_x"], customers["age"])


def chance_of(model: BetaGeometric | ParetoNbd, rows: Histories, weeks: float) -> np.ndarray:
    """(rows,): of at least one purchase in (T, T + weeks]."""
    return model.probability_alive(rows) * model.probability_if_alive(rows, weeks)


def drawn(rows: int = 400, seed: int = 0) -> Histories:
    rng = np.random.default_rng(seed)
    age = rng.uniform(1, 60, rows)
    x = rng.poisson(rng.gamma(0.5, 6.0, rows))
    return Histories.of(x, np.where(x > 0, rng.uniform(0, age), 0.0), age)


# Published values


def test_orders_of_one_day_are_one_purchase_and_the_first_one_is_no_repeat(customers: pd.DataFrame) -> None:
    # Fader, Hardie, Lee (2005), section 4: 2,357 customers, 946 of whom bought again, 2,457 repeat purchases
    assert (len(customers), (customers["x"] > 0).sum(), customers["x"].sum()) == (2357, 946, 2457)
    assert customers["age"].max() == pytest.approx(272 / 7)


def test_bg_nbd_of_cdnow(histories: Histories) -> None:
    model = BetaGeometric.fit(histories)
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx((0.2426, 4.4136, 0.7929, 2.4259), rel=2e-4)
    assert model.log_likelihood(histories) == pytest.approx(-9582.429, abs=2e-3)
    new = Histories.of([0], [0], [0])
    expected = [model.expected_purchases(new, weeks)[0] for weeks in (1 / 7, 1, 3, 31.8571, 32, 78)]
    assert expected == pytest.approx([0.0078, 0.0532, 0.1506, 1.0405, 1.0437, 1.8576], abs=5e-4)
    # x = 2, t_x = 30.43, T = 38.86: 1.226 purchases in the next 39 weeks
    assert model.expected_purchases(Histories.of([2], [30.43], [38.86]), 39) == pytest.approx([1.226], abs=5e-4)


def test_mbg_nbd_of_cdnow(histories: Histories) -> None:
    model = BetaGeometric.fit(histories, is_modified=True)
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx((0.525, 6.183, 0.891, 1.614), rel=1e-3)


def test_pareto_nbd_of_cdnow(histories: Histories) -> None:
    model = ParetoNbd.fit(histories)
    assert (model.r, model.alpha, model.s, model.beta) == pytest.approx((0.5532, 10.5776, 0.6062, 11.6692), rel=1e-3)
    assert model.log_likelihood(histories) == pytest.approx(-9594.976, abs=2e-3)
    # x = 26, t_x = 30.86, T = 31: 25.46 purchases in the next 52 weeks
    assert model.expected_purchases(Histories.of([26], [30.86], [31]), 52) == pytest.approx([25.46], abs=5e-3)


def test_gamma_gamma_of_cdnow(customers: pd.DataFrame) -> None:
    repeated = customers[customers["x"] > 0]
    count, mean = repeated["x"].to_numpy(dtype=float), repeated["mean_repeat_spend"].to_numpy()
    model = GammaGamma.fit(count, mean)
    assert (model.p, model.q, model.gamma) == pytest.approx((6.25, 3.74, 15.44), rel=2e-3)
    assert model.log_likelihood(count, mean) == pytest.approx(-4055.918, abs=2e-3)


# Other computations


def test_bg_nbd_expects_what_the_papers_series_says() -> None:
    rows, time = drawn(), 39.0
    r, alpha, a, b, x, t_x, age = BG.r, BG.alpha, BG.a, BG.b, rows.x, rows.t_x, rows.age
    # Equation 10 of Fader, Hardie, Lee (2005)
    series = hyp2f1(r + x, b + x, a + b + x - 1, time / (alpha + age + time))
    living = 1 - ((alpha + age) / (alpha + age + time)) ** (r + x) * series
    dead = np.where(x > 0, a / (b + np.maximum(x, 1) - 1) * ((alpha + age) / (alpha + t_x)) ** (r + x), 0)
    expected = (a + b + x - 1) / (a - 1) * living / (1 + dead)
    assert BG.expected_purchases(rows, time) == pytest.approx(expected, rel=1e-8)


@settings(max_examples=30)
@given(
    shape=st.floats(0.05, 400), alpha=st.floats(0.05, 100), s=st.floats(0.05, 5), beta=st.floats(0.05, 100),
    start=st.floats(0, 100), length=st.floats(0.01, 200),
)  # fmt: skip
def test_pareto_nbds_integral_is_right_wherever_parameters_lie(
    shape: float, alpha: float, s: float, beta: float, start: float, length: float
) -> None:
    from ml.btyd.pareto_nbd import _log_death

    def density(t: mpmath.mpf) -> mpmath.mpf:
        return (alpha + t) ** -mpmath.mpf(shape) * s * (beta + t) ** -mpmath.mpf(s + 1)

    pieces = [start, *(start + length * 10.0**-k for k in (4, 3, 2, 1, 0))]
    exact = float(mpmath.log(mpmath.quad(density, pieces)))
    ours = _log_death(np.array([shape]), alpha, s, beta, np.array([start]), np.array([start + length]))[0][0]
    assert ours == pytest.approx(exact, abs=1e-3)


@EVERY
def test_gradients_are_those_of_the_likelihood(model: BetaGeometric | ParetoNbd) -> None:
    rows = drawn(40)
    names = list(vars(model))[:4]
    at = np.array([getattr(model, name) for name in names])

    def total(parameters: np.ndarray) -> float:
        changed = type(model)(**{**vars(model), **dict(zip(names, parameters, strict=True))})
        return float(changed.gradient(rows)[0].sum())

    assert model.gradient(rows)[1].sum(axis=0) == pytest.approx(approx_fprime(at, total, 1e-6), rel=1e-4, abs=1e-3)


def test_gamma_gammas_gradient_is_that_of_its_likelihood() -> None:
    rng = np.random.default_rng(0)
    count, mean = rng.integers(1, 9, 50).astype(float), rng.gamma(3, 10, 50)
    at = np.array([6.0, 4.0, 15.0])
    told = _Told.of(count, mean)
    slope = approx_fprime(at, lambda parameters: GammaGamma(*parameters)._likelihood(told)[0], 1e-6)
    assert GammaGamma(*at)._likelihood(told)[1] == pytest.approx(slope, rel=1e-4)


def test_beta_nodes_integrate_polynomials() -> None:
    points, weights = beta_nodes(0.4, np.array([0.6, 1.6, 2.0, 500.0]))  # a + b = 1 and 2 are edges of the recursion
    for place, b in enumerate((0.6, 1.6, 2.0, 500.0)):
        assert (weights[place] * points[place]).sum() == pytest.approx(0.4 / (0.4 + b))
        square = 0.4 * 1.4 / ((0.4 + b) * (1.4 + b))
        assert (weights[place] * points[place] ** 2).sum() == pytest.approx(square)


# Simulated truth


def simulate(customers: int, drop_at_once: bool, weeks: tuple[float, float], seed: int) -> tuple[Histories, np.ndarray]:
    """Customers who buy and drop out as MBG or BG says; ``weeks``: of history, and after it, when they buy as told."""
    rng = np.random.default_rng(seed)
    truth = MBG if drop_at_once else BG
    rate, drop = rng.gamma(truth.r, 1 / truth.alpha, customers), rng.beta(truth.a, truth.b, customers)
    alive = rng.random(customers) > drop if drop_at_once else np.ones(customers, dtype=bool)
    now, x, t_x, after = np.zeros(customers), np.zeros(customers), np.zeros(customers), np.zeros(customers)
    living = np.flatnonzero(alive)
    while len(living):
        now[living] += rng.exponential(1, len(living)) / np.maximum(rate[living], 1e-9)
        living = living[now[living] <= sum(weeks)]
        early, late = living[now[living] <= weeks[0]], living[now[living] > weeks[0]]
        x[early] += 1
        t_x[early] = now[early]
        after[late] += 1
        living = living[rng.random(len(living)) > drop[living]]
    return Histories.of(x, t_x, np.full(customers, weeks[0])), after


@pytest.mark.parametrize("drop_at_once", [False, True], ids=["bg", "mbg"])
def test_what_is_foretold_comes_true_in_a_simulated_shop(drop_at_once: bool) -> None:
    rows, after = simulate(40_000, drop_at_once, (39.0, 39.0), seed=3)
    model = BetaGeometric.fit(rows, is_modified=drop_at_once)
    buys, expected = chance_of(model, rows, 39.0), model.expected_purchases(rows, 39.0)
    for stratum in (rows.x == 0, (rows.x > 0) & (rows.x < 4), rows.x >= 4):
        error = 3 * (after[stratum] > 0).std() / np.sqrt(stratum.sum())
        assert buys[stratum].mean() == pytest.approx((after[stratum] > 0).mean(), abs=error)
        error = 3 * after[stratum].std() / np.sqrt(stratum.sum())
        assert expected[stratum].mean() == pytest.approx(after[stratum].mean(), abs=error)


def test_where_nobody_drops_out_everybody_is_found_alive() -> None:
    # Nothing tells a and b, nor s and beta, but for what they say together: a ridge without a summit.
    rng = np.random.default_rng(4)
    age = np.full(4000, 40.0)
    x = rng.poisson(rng.gamma(2.0, 0.1, 4000) * age).astype(float)
    rows = Histories.of(x, np.where(x > 0, age * rng.random(4000) ** (1 / np.maximum(x, 1)), 0.0), age)
    for model in (BetaGeometric.fit(rows), BetaGeometric.fit(rows, is_modified=True), ParetoNbd.fit(rows)):
        assert model.probability_alive(rows).mean() > 0.97
        assert model.expected_purchases(rows, 10.0).mean() == pytest.approx(x.mean() / 4, rel=0.05)


def test_pareto_nbds_silence_is_that_of_lives_drawn_from_what_is_known() -> None:
    # A living customer with x purchases in T weeks: rate ~ Gamma(r+x, alpha+T), remaining life ~ Pareto(s, beta+T).
    rng, rows, weeks = np.random.default_rng(1), Histories.of([3], [20], [30]), 26.0
    rate = rng.gamma(PARETO.r + 3, 1 / (PARETO.alpha + 30), 400_000)
    life = rng.exponential(1 / rng.gamma(PARETO.s, 1 / (PARETO.beta + 30), 400_000))
    silent = np.exp(-rate * np.minimum(life, weeks)).mean()
    expected = PARETO.probability_alive(rows)[0] * (1 - silent)
    assert chance_of(PARETO, rows, weeks)[0] == pytest.approx(expected, abs=2e-3)


def test_gamma_gamma_finds_what_purchases_were_drawn_from() -> None:
    rng = np.random.default_rng(2)
    count = rng.integers(1, 10, 30_000).astype(float)
    nu = rng.gamma(4.0, 1 / 15.0, len(count))
    mean = rng.gamma(6.0 * count) / nu / count
    model = GammaGamma.fit(count, mean)
    assert (model.p, model.q, model.gamma) == pytest.approx((6.0, 4.0, 15.0), rel=0.15)  # p and gamma trade
    later = rng.gamma(6.0 * 3, size=len(count)) / nu  # three purchases more
    assert 3 * model.expected_value(count, mean).mean() == pytest.approx(later.mean(), rel=0.03)
    variance = model.relative_variance(count, np.full(len(count), 3.0), np.zeros(len(count)))
    ratio = later / (3 * model.expected_value(count, mean))
    assert np.mean((ratio - 1) ** 2) == pytest.approx(variance.mean(), rel=0.1)


# What must always hold


@EVERY
@settings(max_examples=40)
@given(x=st.integers(0, 3000), age=st.floats(0, 500), share=st.floats(0, 1), weeks=st.floats(0.1, 200))
def test_answers_are_numbers_in_their_bounds_and_agree(
    model: BetaGeometric | ParetoNbd, x: int, age: float, share: float, weeks: float
) -> None:
    rows = Histories.of([x], [share * age if x else 0.0], [age])
    alive, buys = model.probability_alive(rows)[0], chance_of(model, rows, weeks)[0]
    expected = model.expected_purchases(rows, weeks)[0]
    assert 0 <= buys <= alive + 1e-12 <= 1 + 2e-12
    assert buys <= expected * (1 + 1e-6) + 1e-12  # who buys, buys at least once
    assert buys <= chance_of(model, rows, weeks * 2)[0] + 1e-9
    assert np.isfinite(np.concatenate([part.ravel() for part in model.gradient(rows)])).all()


def test_who_bought_once_is_alive_for_ever_only_to_the_bg_nbd() -> None:
    rows = Histories.of([0, 0], [0, 0], [10, 200])
    assert BG.probability_alive(rows).tolist() == [1.0, 1.0]
    for model in (MBG, PARETO):
        soon, late = model.probability_alive(rows)
        assert late < soon < 1


def test_equal_rows_are_counted_and_put_back_where_they_were() -> None:
    rows = Histories.of([1, 0, 1, 0], [2.0, 0.0, 2.0, 0.0], [5.0, 5.0, 5.0, 6.0])
    unique, place = rows.unique()
    assert sorted(unique.weights) == [1, 1, 2]
    for name in ("x", "t_x", "age"):
        assert getattr(unique, name)[place].tolist() == getattr(rows, name).tolist()


def test_parameters_do_not_depend_on_the_unit_of_time(histories: Histories) -> None:
    days = Histories.of(histories.x, histories.t_x * 7, histories.age * 7)
    weekly, daily = BetaGeometric.fit(histories), BetaGeometric.fit(days)
    assert (daily.r, daily.alpha / 7, daily.a, daily.b) == pytest.approx(
        (weekly.r, weekly.alpha, weekly.a, weekly.b), rel=1e-4
    )


def test_gamma_gamma_without_payers_says_so() -> None:
    with pytest.raises(DataError, match="paid something"):
        GammaGamma.fit(np.array([1.0, 2.0]), np.array([0.0, np.nan]))
