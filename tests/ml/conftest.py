"""A simulated shop with known truth: every customer buys each day with a probability of their own, for ever.

So the true chance of a purchase within 30 days and the true mean of spend are known, and recency alone cannot tell all.
"""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings

from expectations.behaviour import CUSTOMER_DAY, FEATURES
from expectations.contract import Table
from expectations.features import RATIO_WINDOWS_DAYS, WINDOWS_DAYS
from jobs.schemas import arrow_schema
from ml.cohorts import Parts, load_parts
from ml.examples import Examples
from ml.settings import ModelSettings

# A busy machine is no fault of the code.
settings.register_profile("lifestage-ml", deadline=None)
settings.load_profile("lifestage-ml")

FIRST_DAY = date(2020, 1, 1)
DAYS = 240
CUTOFF = FIRST_DAY + timedelta(days=DAYS - 31)
PROTOCOL = ModelSettings().protocol(CUTOFF, FIRST_DAY)


@dataclass(frozen=True)
class Shop:
    """bought and spent: (customers, days). The last ``prospects`` rows never buy; they only get a campaign on day 0."""

    daily_probability: np.ndarray
    mean_spend: np.ndarray
    bought: np.ndarray
    spent: np.ndarray
    keys: np.ndarray

    @property
    def true_probability(self) -> np.ndarray:
        return 1 - (1 - self.daily_probability) ** 30

    @classmethod
    def simulate(cls, customers: int = 1200, prospects: int = 10, seed: int = 7) -> "Shop":
        rng = np.random.default_rng(seed)
        daily = np.concatenate([rng.beta(0.7, 12, customers), np.zeros(prospects)])
        mean_spend = rng.lognormal(3.5, 0.6, customers + prospects)
        bought = rng.random((customers + prospects, DAYS)) < daily[:, None]
        spent = (bought * mean_spend[:, None] * rng.lognormal(-0.08, 0.4, bought.shape)).round(2)
        keys = np.array([f"{n:064x}" for n in rng.permutation(customers + prospects)])
        return cls(daily, mean_spend, bought, spent, keys)

    def features(self, cutoff: date) -> pd.DataFrame:
        """Features as of ``cutoff`` with the contract's columns, computed apart from the jobs."""
        today = (cutoff - FIRST_DAY).days
        seen, spent = self.bought[:, : today + 1], self.spent[:, : today + 1]
        days = [np.flatnonzero(row) for row in seen]
        gaps = [np.diff(d) for d in days]
        known = {"customer_key": self.keys, "snapshot_date": cutoff, "tenure_days": today}
        known["recency_days"] = [today - d[-1] if len(d) else None for d in days]
        known["event_recency_days"] = [today - d[-1] if len(d) else today for d in days]
        known["first_purchase_date"] = [FIRST_DAY + timedelta(days=int(d[0])) if len(d) else None for d in days]
        known["last_purchase_date"] = [FIRST_DAY + timedelta(days=int(d[-1])) if len(d) else None for d in days]
        known["frequency_days"] = known["order_count"] = [len(d) for d in days]
        known["monetary_value"] = [s.sum() / len(d) if len(d) else None for s, d in zip(spent, days, strict=True)]
        known["gap_mean_days"] = [g.mean() if len(g) else None for g in gaps]
        known["gap_deviation_days"] = [g.std() if len(g) > 1 else None for g in gaps]
        known["gap_trend"] = [g[-1] / g[:-1].mean() if len(g) > 1 else None for g in gaps]
        known["gap_last_days"] = [g[-1] if len(g) else None for g in gaps]
        known["gap_mean_before_last_days"] = [g[:-1].mean() if len(g) > 1 else None for g in gaps]
        for window in WINDOWS_DAYS:
            count, amount = seen[:, -window:].sum(axis=1), spent[:, -window:].sum(axis=1)
            for name in ("event_count", "purchase_days", "order_count", "purchase_count"):
                known[f"{name}_{window}d"] = count
            known[f"purchase_amount_{window}d"] = amount
            if window in RATIO_WINDOWS_DAYS:
                known[f"winsorised_amount_{window}d"] = amount
                known[f"largest_line_amount_{window}d"] = spent[:, -window:].max(axis=1)
                known[f"average_order_amount_{window}d"] = [
                    a / n if n else None for a, n in zip(amount, count, strict=True)
                ]
        # A shop of purchases alone: what counts visits, texts or campaigns is 0, what divides by them is null.
        rest = {c.name: None if c.nullable else 0 for c in FEATURES.columns if c.name not in known}
        return pd.DataFrame(known | rest)[FEATURES.column_names]

    def customer_day(self, day: date) -> pd.DataFrame:
        n = (day - FIRST_DAY).days
        rows = np.flatnonzero(self.bought[:, n])
        frame = pd.DataFrame({c.name: 0 for c in CUSTOMER_DAY.columns}, index=range(len(rows)))
        frame["customer_key"], frame["event_date"], frame["arrival_date"] = self.keys[rows], day, day
        frame["event_count"] = frame["purchase_count"] = 1
        frame["order_ids"] = [[f"{day}-{row}"] for row in rows]
        frame["purchase_amount"] = self.spent[rows, n]
        return frame


def write_partition(home: Path, table: Table, day: date, rows: pd.DataFrame) -> None:
    """One partition of the lake with the contract's types."""
    folder = home / "lake" / table.folder(day)
    folder.mkdir(parents=True, exist_ok=True)
    columns = {}
    for field in arrow_schema(table):
        if field.name in rows:
            exact = pa.types.is_decimal(field.type)
            values = pa.array(rows[field.name].tolist(), pa.float64() if exact else None, from_pandas=True)
            columns[field.name] = values.cast(field.type, safe=not exact)
    pq.write_table(pa.table(columns), folder / "part-0.parquet")


@pytest.fixture(scope="session")
def shop() -> Shop:
    return Shop.simulate()


@pytest.fixture(scope="session")
def shop_home(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home, in a path with a space, whose lake holds the simulated shop and whose MLflow is a file of its own."""
    home = tmp_path_factory.mktemp("simulated shop")
    (home / "mlflow").mkdir()
    (home / "shop.json").write_text(json.dumps({"shop": "pets", "simulated": True, "sources": ["pets"]}))
    (home / "mlflow" / "tracking_uri").write_text(f"sqlite:///{home}/mlflow/mlflow.db\n")
    for n in range(DAYS):
        write_partition(
            home, CUSTOMER_DAY, FIRST_DAY + timedelta(days=n), shop.customer_day(FIRST_DAY + timedelta(days=n))
        )
    for cutoff in PROTOCOL.cutoffs:
        write_partition(home, FEATURES, cutoff, shop.features(cutoff))
    return home


@pytest.fixture(scope="session")
def parts(shop_home: Path) -> Parts:
    """What a training of the simulated shop as of CUTOFF reads."""
    return load_parts(PROTOCOL, shop_home)


@pytest.fixture(scope="session")
def test_part(parts: Parts) -> Examples:
    return parts.tests[-1]


@pytest.fixture(autouse=True)
def _own_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tester's own MLflow stays untouched."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(name="write_partition", scope="session")
def _write_partition():
    return write_partition
