"""Matrix factorisation on shops written by hand: sums, dates, least squares, recommendations, the command."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from expectations.behaviour import CUSTOMER_PRODUCT
from expectations.errors import DataError
from ml import factors as command
from ml.factor_gains import customer_factors, recommendation_recalls
from ml.interactions import Interactions, bought_after, place_of, read_interactions
from ml.matrix_factors import Factors, FactorSettings, fit_factors

D = date(2021, 3, 1)
SMALL = FactorSettings(factors=4, min_customers=2, regularisation=1.0, confidence=1.0)


def write_rows(write, home, rows, last=30):
    """customer_product of D-40 … D+last; rows are (customer, product, arrival day, event day, purchases, intents)."""
    for n in range(-40, last + 1):
        here = [
            {"customer_key": key, "arrival_date": D + timedelta(days=n), "product_id": product, "category": None}
            | {"brand": None, "purchase_count": bought, "intent_count": intents, "purchase_amount": 1.0}
            | {"last_event_date": D + timedelta(days=happened)}
            for key, product, arrived, happened, bought, intents in rows
            if arrived == n
        ]
        frame = pd.DataFrame(here, columns=CUSTOMER_PRODUCT.column_names)
        write(home, CUSTOMER_PRODUCT, D + timedelta(days=n), frame)


def tastes(customers=60, seed=0) -> list[tuple]:
    """Two kinds of customers, two kinds of products: each wants some of the ten of their own, again after D."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(customers):
        own = [f"{'ab'[n % 2]}{k}" for k in range(10)]
        chosen = rng.permutation(own)
        rows += [(f"c{n:02}", product, -int(rng.integers(0, 30)), -30, 1, 0) for product in chosen[:5]]
        rows += [(f"c{n:02}", product, int(rng.integers(1, 31)), 1, 1, 0) for product in chosen[4:7]]
    return rows


def test_interactions_are_weighted_sums_of_what_arrived_in_the_window(tmp_path, write_partition):
    rows = [
        ("b", "q", 0, 0, 1, 2),  # on the cutoff: 3 x 1 + 2
        ("b", "q", -5, -5, 1, 0),  # added to it
        ("a", "p", -9, -9, 0, 1),  # the window's first day
        ("a", "p", -10, -10, 5, 5),  # the day before it
        ("a", "q", 1, -1, 1, 0),  # happened before the cutoff, arrived after it
        ("z", "r", -1, -1, 0, 0),  # neither bought nor wanted
    ]
    write_rows(write_partition, tmp_path, rows)
    seen = read_interactions(D, 10, tmp_path)
    assert (seen.customer_keys.tolist(), seen.product_ids.tolist()) == (["a", "b"], ["p", "q"])
    assert seen.weights.toarray().tolist() == [[1, 0], [0, 8]]
    # Other columns: a product not there is nil, one not asked for is gone.
    assert seen.of_products(np.array(["nobody's", "q"], dtype=object)).toarray().tolist() == [[0, 0], [0, 8]]
    with pytest.raises(DataError, match="nobody wanted a product in the 1 days up to 2021-01-25"):
        read_interactions(D - timedelta(days=35), 1, tmp_path)


def test_bought_after_counts_purchases_of_the_window_alone(tmp_path, write_partition):
    rows = [
        ("a", "p", 1, 1, 2, 0),
        ("a", "q", 30, 30, 1, 0),  # the last day
        ("a", "r", 3, -1, 1, 0),  # came late: happened before the cutoff
        ("a", "s", 3, 3, 0, 4),  # wanted, not bought
        ("a", "t", 0, 0, 1, 0),
    ]
    write_rows(write_partition, tmp_path, rows)
    found = bought_after(D, 30, tmp_path)
    assert found.product_ids.tolist() == ["p", "q"]
    with pytest.raises(DataError, match="lacks 1 of the 31 days after 2021-03-01, the first 2021-04-01"):
        bought_after(D, 31, tmp_path)


def by_normal_equations(items: np.ndarray, weights: np.ndarray, settings: FactorSettings) -> np.ndarray:
    """One customer: (Y'CY + λI) x = Y'Cp, with C over all products; Hu, Koren, Volinsky 2008, equation 4."""
    c = np.where(weights > 0, 1 + settings.confidence * np.log1p(weights), 1.0)
    left = items.T @ (c[:, None] * items) + settings.regularisation * np.eye(items.shape[1])
    return np.linalg.solve(left, items.T @ (c * (weights > 0)))


def test_folded_in_customers_solve_their_least_squares(tmp_path, write_partition):
    write_rows(write_partition, tmp_path, tastes())
    seen = read_interactions(D, 30, tmp_path)
    fitted = fit_factors(seen, D, SMALL)
    found, weights = fitted.fold_in(seen), seen.of_products(fitted.product_ids).toarray()
    items = np.asarray(fitted.item_factors, np.float64)
    for n in range(len(weights)):
        np.testing.assert_allclose(found[n], by_normal_equations(items, weights[n], SMALL), rtol=1e-3, atol=1e-5)
    # Who wants none of the products has no factors.
    stranger = Interactions(
        np.array(["x"], dtype=object), np.array(["new"], dtype=object), csr_matrix(np.ones((1, 1), np.float32))
    )
    assert (fitted.fold_in(stranger) == 0).all()


def test_the_same_seed_gives_the_same_bits_and_nothing_later_changes_them(tmp_path, write_partition):
    rows = tastes()
    write_rows(write_partition, tmp_path, rows)
    first = fit_factors(read_interactions(D, 30, tmp_path), D, SMALL)
    again = fit_factors(read_interactions(D, 30, tmp_path), D, SMALL)
    assert first.item_factors.tobytes() == again.item_factors.tobytes()
    write_rows(write_partition, tmp_path, [*rows, ("c00", "b1", 3, -2, 9, 9), ("new", "a1", 2, 2, 9, 0)])
    later = fit_factors(read_interactions(D, 30, tmp_path), D, SMALL)
    assert first.item_factors.tobytes() == later.item_factors.tobytes()
    other = fit_factors(read_interactions(D, 30, tmp_path), D, FactorSettings(**{**vars(SMALL), "seed": 1}))
    assert first.item_factors.tobytes() != other.item_factors.tobytes()


def test_recommendations_know_the_customers_taste(tmp_path, write_partition):
    write_rows(write_partition, tmp_path, tastes())
    seen = read_interactions(D, 30, tmp_path)
    fitted = fit_factors(seen, D, SMALL)
    customers = np.arange(len(seen.customer_keys))
    ids, scores = fitted.recommend(seen, customers, 8)
    assert ids.shape == scores.shape == (60, 8)
    assert (np.diff(scores, axis=1) <= 0).all()
    own = [["a", "b"][n % 2] for n in customers]
    assert all(product[0] == taste for row, taste in zip(ids, own, strict=True) for product in row)
    new, _ = fitted.recommend(seen, customers, 3, new_only=True)
    for n, row in enumerate(new):
        had = set(seen.product_ids[seen.weights[n].indices])
        assert not had & set(row)
        assert all(product[0] == own[n] for product in row)
    # The others asked for at the same time change nothing; no more products than there are.
    np.testing.assert_array_equal(fitted.recommend(seen, customers[7:8], 8)[0], ids[7:8])
    assert fitted.recommend(seen, customers[:1], 99)[0].shape == (1, len(fitted.product_ids))
    assert fitted.recommend(seen, customers[:0], 5)[0].shape == (0, 5)


def test_factors_are_kept_without_pickle(tmp_path, write_partition):
    write_rows(write_partition, tmp_path / "home", tastes())
    fitted = fit_factors(read_interactions(D, 30, tmp_path / "home"), D, SMALL)
    folder = tmp_path / "kept"
    folder.mkdir()
    fitted.save(folder)
    assert {path.name for path in folder.iterdir()} == {"item_factors.npy", "product_ids.json", "about.json"}
    found = Factors.load(folder)
    assert (found.fitted_as_of, found.settings) == (D, SMALL)
    assert found.product_ids.tolist() == fitted.product_ids.tolist()
    np.testing.assert_array_equal(found.item_factors, fitted.item_factors)
    seen = read_interactions(D, 30, tmp_path / "home")
    np.testing.assert_array_equal(found.fold_in(seen), fitted.fold_in(seen))


def test_too_few_products_are_refused(tmp_path, write_partition):
    write_rows(write_partition, tmp_path, [("a", "p", 0, 0, 1, 0), ("b", "p", 0, 0, 1, 0), ("b", "q", 0, 0, 1, 0)])
    with pytest.raises(DataError, match="1 products were wanted by at least 2 customers: too few for 4 factors"):
        fit_factors(read_interactions(D, 30, tmp_path), D, SMALL)


def test_recall_by_hand(tmp_path, write_partition):
    # a and b want p and q before; afterwards a buys p again and the new s, b buys q; c buys, and was never seen.
    before = [(key, product, -1, -1, 1, 0) for key in "ab" for product in "pq"] + [("b", "r", -2, -2, 4, 0)]
    after = [("a", "p", 2, 2, 1, 0), ("a", "s", 2, 2, 1, 0), ("b", "q", 5, 5, 1, 0), ("c", "p", 5, 5, 1, 0)]
    write_rows(write_partition, tmp_path, before + after)
    seen = read_interactions(D, 30, tmp_path)
    fitted = Factors(np.array(["p", "q"], object), np.eye(2, dtype=np.float32), D, FactorSettings(factors=2))
    assert place_of(seen.customer_keys, np.array(["b", "c"])).tolist() == [1, -1]
    found = recommendation_recalls(fitted, D, 30, 0, tmp_path)
    # Three products are known: everybody's ten hold all of them. a: one of two; b: one of one.
    assert {name: recall.recall for name, recall in found.items()} == {
        "popularity": 0.75, "own_history": 0.75, "factors": 0.75,
        # New to a is s, which nobody can know of; b buys nothing new and does not count.
        "popularity_new": 0.0, "factors_new": 0.0,
    }  # fmt: skip


def test_customers_factors_are_those_of_their_cutoff(tmp_path, write_partition):
    write_rows(write_partition, tmp_path, [*tastes(), ("c00", "b1", 5, 5, 9, 0)])
    fitted = fit_factors(read_interactions(D, 180, tmp_path), D, SMALL)
    keys = np.array(["c01", "nobody", "c00"], dtype=object)
    now = customer_factors(fitted, D, tmp_path)(keys)
    later = customer_factors(fitted, D + timedelta(days=10), tmp_path)(keys)
    assert (now[1] == 0).all()
    assert (now[2] != later[2]).any()


@pytest.fixture
def own_home(shop_home, tmp_path) -> Path:
    """The simulated shop's lake, and an MLflow of its own: other tests count the runs of theirs."""
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "tracking_uri").write_text(f"sqlite:///{tmp_path}/mlflow/mlflow.db\n")
    (tmp_path / "shop.json").write_text((shop_home / "shop.json").read_text())
    (tmp_path / "lake").symlink_to(shop_home / "lake")
    return tmp_path


def test_command_judges_keeps_and_gives_back(own_home, shop, parts, write_partition, capsys, monkeypatch):
    """Every customer of the simulated shop has one taste of three products; each purchase is one of them."""
    # Boosting takes ten seconds here; whether factors help it is a question to real shops.
    monkeypatch.setattr("ml.factor_gains.BOOSTING", "recency_rule")
    cutoff, first = parts.tests[-1].inputs.cutoffs[0].item(), date(2020, 1, 1)
    for n in range(shop.bought.shape[1]):
        rows = np.flatnonzero(shop.bought[:, n])
        day = first + timedelta(days=n)
        frame = pd.DataFrame({"customer_key": shop.keys[rows], "arrival_date": day, "last_event_date": day})
        frame["product_id"] = [f"p{row % 20}.{(row + n) % 3}" for row in rows]
        frame["purchase_count"], frame["intent_count"], frame["purchase_amount"] = 1, 0, 1.0
        write_partition(own_home, CUSTOMER_PRODUCT, day, frame)
    command.main(command.arg_parser().parse_args(["--home", str(own_home), "--cutoff", str(cutoff)]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"products' factors as of {parts.train.inputs.cutoffs.min()}: 60 x 32"
    recall = {line.split()[0]: float(line.split()[1]) for line in lines[2:7]}
    assert recall["factors"] > recall["popularity"] + 0.5
    assert recall["factors_new"] > recall["popularity_new"] + 0.05
    # The rule looks at recency alone.
    assert lines[-1].endswith("gradient boosting: AUC +0.0000 [+0.0000, +0.0000]: no gain shown")

    from ml.tracking import runs_of

    kept = runs_of({"lifestage.model": "factors"}, own_home)["factors"]
    assert kept.data.metrics["recall_at_10_factors"] == pytest.approx(recall["factors"], abs=1e-4)
    loaded = command.load_factors(kept.info.run_id, own_home)
    assert loaded.item_factors.shape == (60, 32)
