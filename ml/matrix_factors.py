"""Matrix factorisation of customers × products from implicit feedback.

Hu, Koren, Volinsky 2008, "Collaborative Filtering for Implicit Feedback Datasets"; by the library `implicit`.

Products get their factors once, from what had arrived by one date. Customers are folded in: least squares given the
products' factors, from what had arrived by any later date. So factors of two dates lie in one space and compare.
"""

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from expectations.errors import DataError
from ml.interactions import Interactions

if TYPE_CHECKING:
    from implicit.cpu.als import AlternatingLeastSquares

BATCH = 512
"""Customers whose scores of all products are in memory at a time."""


@dataclass(frozen=True)
class FactorSettings:
    """factors         numbers a product and a customer
    history_days    days up to the cutoff from which interactions are taken
    min_customers   customers who must have wanted a product: of fewer there is nothing to learn
    confidence      of an interaction of weight w: 1 + confidence x log(1 + w); of none it is 1
    regularisation  penalty of the squared length of a customer's or product's factors
    repeat          added to a product's score for a customer who wanted it with weight w: repeat x log(1 + w)
    iterations      sweeps over customers and products
    seed            of the first factors
    """

    factors: int = 32
    history_days: int = 180
    min_customers: int = 3
    confidence: float = 0.3
    regularisation: float = 30.0
    repeat: float = 3.0
    iterations: int = 15
    seed: int = 0


@dataclass(frozen=True)
class Factors:
    """product_ids  (products,) str, sorted
    item_factors  (products, factors) float32
    fitted_as_of  what had arrived by this date is in them
    """

    product_ids: np.ndarray
    item_factors: np.ndarray
    fitted_as_of: date
    settings: FactorSettings

    def fold_in(self, seen: Interactions) -> np.ndarray:
        """(customers of ``seen``, factors) float32. Nil for who wanted none of the products known here."""
        return _solve(self.item_factors, confidences(seen.of_products(self.product_ids), self.settings), self.settings)

    def recommend(
        self, seen: Interactions, customers: np.ndarray, n: int = 10, new_only: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """(customers, n) product ids and their scores, the likeliest wanted first.

        ``customers``: rows of ``seen``. Score: customer factors · product factors + repeat x log(1 + weight), since
        most of what people buy they buy again. ``new_only``: without products that the customer wanted before.
        """
        n = min(n, len(self.product_ids))
        parts = [self._top(seen.rows(part), n, new_only) for part in _batches(np.asarray(customers))]
        ids, scores = zip(*parts, strict=True) if parts else ([np.empty((0, n), int)], [np.empty((0, n), np.float32)])
        return self.product_ids[np.vstack(ids)], np.vstack(scores)

    def _top(self, seen: Interactions, n: int, new_only: bool) -> tuple[np.ndarray, np.ndarray]:
        known = seen.of_products(self.product_ids)
        scores = _solve(self.item_factors, confidences(known, self.settings), self.settings) @ self.item_factors.T
        row = np.repeat(np.arange(known.shape[0]), np.diff(known.indptr))
        scores[row, known.indices] += -np.inf if new_only else self.settings.repeat * np.log1p(known.data)
        some = np.sort(np.argpartition(-scores, min(n, scores.shape[1] - 1), axis=1)[:, :n], axis=1)
        order = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(some, order, axis=1)
        return best, np.take_along_axis(scores, best, axis=1)

    def save(self, folder: Path) -> None:
        """item_factors.npy, product_ids.json, about.json: nothing pickled."""
        np.save(folder / "item_factors.npy", self.item_factors, allow_pickle=False)
        (folder / "product_ids.json").write_text(json.dumps(self.product_ids.tolist(), ensure_ascii=False))
        about = {"fitted_as_of": str(self.fitted_as_of), "settings": asdict(self.settings)}
        (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Factors":
        """What ``save`` wrote there; item factors are mapped, not read."""
        about = json.loads((folder / "about.json").read_text())
        return cls(
            np.array(json.loads((folder / "product_ids.json").read_text()), dtype=object),
            np.load(folder / "item_factors.npy", mmap_mode="r", allow_pickle=False),
            date.fromisoformat(about["fitted_as_of"]),
            FactorSettings(**about["settings"]),
        )


def fit_factors(seen: Interactions, as_of: date, settings: FactorSettings = FactorSettings()) -> Factors:
    """Factors of the products that at least ``min_customers`` wanted; the same seed gives the same bits."""
    from threadpoolctl import threadpool_limits

    customers = seen.weights.getnnz(axis=0)
    product_ids = seen.product_ids[customers >= settings.min_customers]
    if len(product_ids) <= settings.factors:
        raise DataError(
            f"as of {as_of} {len(product_ids):,} products were wanted by at least {settings.min_customers} customers: "
            f"too few for {settings.factors} factors"
        )
    with threadpool_limits(limits=1):
        model = _model(settings)
        model.fit(confidences(seen.of_products(product_ids), settings), show_progress=False)
    return Factors(product_ids, model.item_factors, as_of, settings)


def confidences(weights: csr_matrix, settings: FactorSettings) -> csr_matrix:
    """The weights as confidences: above 1 where there is an interaction."""
    found = weights.copy()
    found.data = (1 + settings.confidence * np.log1p(found.data)).astype(np.float32)
    return found


def _batches(customers: np.ndarray) -> list[np.ndarray]:
    return [customers[n : n + BATCH] for n in range(0, len(customers), BATCH)]


def _model(settings: FactorSettings) -> "AlternatingLeastSquares":
    from implicit.cpu.als import AlternatingLeastSquares

    # One thread: sums in another order would change the last bits.
    return AlternatingLeastSquares(
        factors=settings.factors,
        regularization=settings.regularisation,
        iterations=settings.iterations,
        num_threads=1,
        random_state=settings.seed,
    )


def _solve(item_factors: np.ndarray, wanted: csr_matrix, settings: FactorSettings) -> np.ndarray:
    """Customers' factors, exact least squares given the products'."""
    from threadpoolctl import threadpool_limits

    if not wanted.shape[0]:
        return np.zeros((0, settings.factors), np.float32)
    with threadpool_limits(limits=1):
        model = _model(settings)
        model.item_factors = np.array(item_factors)  # the library takes no read-only memory
        return model.recalculate_user(np.arange(wanted.shape[0]), wanted)
