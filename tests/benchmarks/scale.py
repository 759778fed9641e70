"""How long a year takes, and one more day: beside the same results by hand for DuckDB and Polars, and Apache Spark.

Environment: BENCH_CUSTOMERS and BENCH_DAYS choose the simulated shop, BENCH_PAIRS how often the sides take turns. Both
sides are whole processes that read the same files; what they write is compared before a number is told.
"""

import json
import os
import shutil
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from expectations.behaviour import CUSTOMER_DAY, FEATURES, PREFERENCES
from expectations.errors import DataError
from tests.benchmarks.scale_check import differences
from tests.benchmarks.scale_runs import Run, aggregate, build_features, rival
from tests.benchmarks.scale_shop import FIRST, copy_of, events_of, shop

EARLY_DAYS = 60
DAY_PAIRS = 3


def measure(folder: Path) -> dict[str, float]:
    """Every number of the scale benchmark; what the sides took goes to scale.json in ``folder`` as it is measured."""
    customers, days, pairs = (
        int(os.environ.get(f"BENCH_{name}", default))
        for name, default in (("CUSTOMERS", 50_000), ("DAYS", 365), ("PAIRS", 1))
    )
    bench = Scale(folder, customers, days)
    return bench.cold(pairs) | bench.smaller() | bench.day(DAY_PAIRS) | bench.early_day(DAY_PAIRS)


class Scale:
    """One session over one shop."""

    def __init__(self, folder: Path, customers: int, days: int):
        self.folder, self.customers, self.days = folder, customers, days
        self.last = FIRST + timedelta(days=days - 1)
        self.home, self.out = folder / "scale", folder / "scale rivals"
        self._log: list[dict] = []

    def cold(self, pairs: int) -> dict[str, float]:
        """All days into a home that has only events, by turns with DuckDB and Polars."""
        source = shop(self.folder, self.customers, self.days)
        took: dict[str, list[Run]] = {"ours": [], "duckdb": [], "polars": []}
        for pair in range(pairs):
            took["ours"].append(self._cold(source))
            for name in ("duckdb", "polars"):
                target = self._target(f"{name} cold")
                run = rival(f"{name}_cold", self.home / "lake", target, self.last)
                took[name].append(self._told(f"cold {name}", run))
                if not pair:
                    self._hold_equal(target)
                shutil.rmtree(target)
        return {
            "cold_vs_duckdb": _ratio(took["ours"], took["duckdb"]),
            "cold_vs_polars": _ratio(took["ours"], took["polars"]),
            "cold_peak_mb": max(run.peak_mb for run in took["ours"]),
        }

    def smaller(self) -> dict[str, float]:
        """A tenth of the customers: what ten times the events cost, and the same jobs on Apache Spark."""
        source = shop(self.folder, self.customers // 10, self.days)
        few, home = events_of(source), self.folder / "scale tenth"
        ours = self._cold(source, home)
        spark = self._cold(source, self.folder / "scale spark", "spark")
        whole = median(row["seconds"] for row in self._log if row["what"] == "cold ours")
        print(f"scale: Spark, and a tenth: {few:,} events; ten times: {events_of(self.home):,}")
        for path in (home, self.folder / "scale spark"):
            shutil.rmtree(path)
        return {"cold_vs_spark_local": ours.seconds / spark.seconds, "events_10x": whole / ours.seconds}

    def day(self, pairs: int) -> dict[str, float]:
        """The last day on top of all others, by turns with DuckDB over the raw events and over the same roll-ups."""
        took: dict[str, list[Run]] = {"ours": [], "events": [], "rollups": []}
        for pair in range(pairs):
            took["ours"].append(self._day(self.home, self.last))
            for base in ("rollups", "events") if not pair else ("rollups",):
                target = self._target(f"duckdb {base}")
                run = rival("duckdb_day", base, self.home / "lake", target, self.last)
                took[base].append(self._told(f"day duckdb {base}", run))
                if not pair:
                    self._hold_equal(target)
                shutil.rmtree(target)
        return {
            "day_vs_duckdb_raw": _ratio(took["ours"], took["events"]),
            "day_vs_duckdb": _ratio(took["ours"], took["rollups"]),
        }

    def early_day(self, pairs: int) -> dict[str, float]:
        """The last day against the 60th of the same shop, whose home knows nothing later."""
        early = FIRST + timedelta(days=EARLY_DAYS - 1)
        home = copy_of(shop(self.folder, self.customers, self.days), self.folder / "scale early", early)
        aggregate(home, FIRST, early)
        build_features(home, early)
        runs = [(self._day(self.home, self.last), self._day(home, early)) for _ in range(pairs)]
        print(f"scale: {events_of(self.home, self.last):,} events the last day, {events_of(home, early):,} the 60th")
        shutil.rmtree(home)
        return {"day365_vs_day60": _ratio([late for late, _ in runs], [early for _, early in runs])}

    def _cold(self, source: Path, home: Path | None = None, engine: str = "sail") -> Run:
        home = copy_of(source, home or self.home)
        size = "" if home == self.home else " of a tenth"
        who = "ours" if engine == "sail" else engine
        days = self._told(f"cold{size} {who}: aggregate", aggregate(home, FIRST, self.last, engine))
        features = self._told(f"cold{size} {who}: build_features", build_features(home, self.last, engine))
        return self._told(f"cold{size} {who}", days + features)

    def _day(self, home: Path, ds: date) -> Run:
        days = self._told(f"{ds} ours: aggregate", aggregate(home, ds, ds))
        features = self._told(f"{ds} ours: build_features", build_features(home, ds))
        return self._told(f"{ds} ours", days + features)

    def _target(self, name: str) -> Path:
        """An empty place for what a rival writes."""
        shutil.rmtree(self.out / name, ignore_errors=True)
        self.out.mkdir(parents=True, exist_ok=True)
        return self.out / name

    def _told(self, what: str, run: Run) -> Run:
        print(f"scale: {what}: {run}", flush=True)
        row = {"what": what, "customers": self.customers, "days": self.days}
        self._log.append(row | {k: round(v, 2) for k, v in vars(run).items()})
        (self.folder / "scale.json").write_text(json.dumps(self._log, indent=1) + "\n")
        return run

    def _hold_equal(self, target: Path) -> None:
        """DataError if a rival's tables are not ours."""
        lake = self.home / "lake"
        sides = [(table, [lake / table.folder(self.last)], target / f"{table.name}.parquet")
                 for table in (FEATURES, PREFERENCES)]  # fmt: skip
        for file in sorted((target / "customer_day").glob("*.parquet")):  # a month
            ours = sorted((lake / "customer_day").glob(f"arrival_date={file.stem}-*"))
            sides.append((CUSTOMER_DAY, ours, file))
        for table, ours, theirs in sides:
            if found := differences(ours, [theirs], list(table.column_names), [*table.key, table.partition]):
                raise DataError(f"{target.name} makes another {table.name}: {'; '.join(found[:5])}")


def _ratio(ours: list[Run], theirs: list[Run]) -> float:
    """Median of the pairs' ratios; where one side ran once, of the medians."""
    if len(ours) == len(theirs):
        return median(a.seconds / b.seconds for a, b in zip(ours, theirs, strict=True))
    return median(run.seconds for run in ours) / median(run.seconds for run in theirs)
