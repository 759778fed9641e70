"""Which of the simulated shop's injected cases of fraud the risk list finds, and how many of those listed are none.

Every case of 60 days lies in the window of one of two snapshots. Return abuse has no day: it is sought on the last.
"""

import shutil
from dataclasses import dataclass, fields
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from scipy.stats import beta

from expectations.behaviour import FEATURES
from expectations.texts import TEXT_SCORES
from expectations.watch import RISK_ALERTS
from jobs import aggregate, assess_risk, build_features, simulate
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.risk.settings import RiskSettings
from jobs.schemas import arrow_schema

CUSTOMERS, DAYS, START = 100_000, 120, date(2024, 1, 1)
SEED = "2"
"""Bounds were looked at on the shop of seed 1."""
TOP = 100
INJECTED = {
    "velocity": "card_testing", "takeover": "account_takeover", "return_abuse": "return_abuse",
    "review_abuse": "review_spam", "bot": "bot_browsing",
}  # fmt: skip
"""Kind of alert → kind of case."""


@dataclass(frozen=True)
class Recall:
    """Of one kind, over the snapshots whose windows hold cases.

    listed     in the first TOP places
    by_chance  of the cases, how many TOP customers drawn at random would be expected to hold
    drawn      how many these are: TOP a snapshot
    """

    cases: int = 0
    found: int = 0
    listed: int = 0
    by_chance: float = 0
    drawn: int = 0

    @property
    def recall(self) -> float:
        return self.found / self.cases

    @property
    def precision(self) -> float:
        """precision@100; of a shorter list, of all of it."""
        return self.found / max(self.listed, 1)

    def __str__(self) -> str:
        places = f"{self.found} of {self.cases} cases, {self.listed} listed in the first {TOP}"
        return (
            f"{places}; recall {_told(self.found, self.cases)}, precision@{TOP} {_told(self.found, self.listed)}; "
            f"a random list of {TOP}: {self.by_chance / self.cases:.4f} and {self.by_chance / self.drawn:.5f}"
        )


def _told(hits: int, of: int) -> str:
    """Share with its 95 % interval (Clopper and Pearson)."""
    low = beta.ppf(0.025, hits, of - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, of - hits) if hits < of else 1.0
    return f"{hits / max(of, 1):.2f} ({low:.2f} to {high:.2f})"


def measure(folder: Path) -> dict[str, float]:
    """recall and precision@100 of each kind, on a shop that is removed again."""
    home = Home(folder / "simulated fraud")
    shutil.rmtree(home.path, ignore_errors=True)
    try:
        found = recalls(home, CUSTOMERS)
    finally:
        shutil.rmtree(home.path, ignore_errors=True)
    for kind, one in found.items():
        print(f"{kind}: {one}")
    recall = {f"risk_{kind}_recall": one.recall for kind, one in found.items() if kind in INJECTED}
    return recall | {f"risk_{kind}_precision": one.precision for kind, one in found.items() if kind in INJECTED}


def recalls(home: Home, customers: int) -> dict[str, Recall]:
    """By kind; ``anomaly`` against the cases of all kinds together. ``home``: a folder of its own."""
    snapshots = [START + timedelta(days=days - 1) for days in (DAYS - 30, DAYS)]
    _make(home, customers, snapshots)
    cases = pq.read_table(home.path / "truth" / "fraud.parquet").to_pandas()
    parts = [_on(home, day, cases, is_last=day == snapshots[-1]) for day in snapshots]
    return {kind: _added([part[kind] for part in parts]) for kind in parts[0]}


def _make(home: Home, customers: int, snapshots: list[date]) -> None:
    """The shop, its features and alerts. What texts mean is no sign of fraud, and dear: none are scored."""

    def run(job: object, *arguments: str) -> None:
        job.main(job.arg_parser().parse_args(["--home", str(home.path), *arguments]))

    last = START + timedelta(days=DAYS - 1)
    run(simulate, "--customers", str(customers), "--days", str(DAYS), "--seed", SEED, "--to", "lake")
    for n in range(DAYS):
        LakeTable(home, TEXT_SCORES).write_arrow(START + timedelta(days=n), arrow_schema(TEXT_SCORES).empty_table())
    run(aggregate, "--from", str(START), "--to", str(last))
    run(build_features, "--ds", *map(str, snapshots))
    for day in snapshots:
        run(assess_risk, "--ds", str(day))


def _on(home: Home, day: date, cases: pd.DataFrame, is_last: bool) -> dict[str, Recall]:
    """One snapshot: cases within its window, and of those without a day only on the last snapshot."""
    alerts = LakeTable(home, RISK_ALERTS).read_arrow([day]).to_pandas()
    customers = LakeTable(home, FEATURES).row_count(day)
    first = day - timedelta(days=RiskSettings.window_days - 1)
    dated = cases["event_date"].notna()
    within = dated & cases["event_date"].where(dated, START).between(first, day)
    sought = cases[within | (~dated & is_last)]
    return {
        kind: _of(alerts[alerts["kind"] == kind], sought[sought["kind"].isin(injected)], customers)
        for kind, injected in ((*((k, [v]) for k, v in INJECTED.items()), ("anomaly", list(INJECTED.values()))))
    }


def _of(alerts: pd.DataFrame, sought: pd.DataFrame, customers: int) -> Recall:
    if not len(sought):
        return Recall()
    top = alerts[alerts["rank"] <= TOP]
    found = int(top["customer_key"].isin(sought["customer_key"]).sum())
    return Recall(len(sought), found, len(top), len(sought) * TOP / customers, TOP)


def _added(parts: list[Recall]) -> Recall:
    return Recall(*(sum(getattr(part, field.name) for part in parts) for field in fields(Recall)))
