"""`make bench`: measures, prints a table and writes bench.json in the home. Numbers, never verdicts of a test run."""

import argparse
import json
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

from expectations.version import code_version
from jobs.home import Home
from jobs.sql import format_table
from tests.benchmarks import (
    airflow_gap,
    bi_queries,
    btyd,
    dag_parse,
    gate,
    ingest,
    publish_speed,
    risk_recall,
    scale,
    score_speed,
    segment_speed,
    sequences,
    simulate,
    text,
    train_speed,
    whole_run,
)


@dataclass(frozen=True)
class Bar:
    """What a number should not exceed (should reach, if ``is_floor``), and its unit."""

    unit: str
    bar: float
    is_floor: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.is_floor else '≤'} {self.bar:,g}"


@dataclass(frozen=True)
class Measured:
    """One number, beside its bar."""

    name: str
    value: float
    unit: str
    bar: float
    is_floor: bool
    commit: str
    machine: str


# One module measures one or more names at once; what `make bench` may be asked for is both.
BENCHMARKS: dict[ModuleType, dict[str, Bar]] = {
    whole_run: {"run_first_s": Bar("s", 360), "run_again_s": Bar("s", 120), "run_peak_mb": Bar("MB", 4096)},
    dag_parse: {"dag_parse_s": Bar("s", 1)},
    airflow_gap: {"airflow_gap_s": Bar("s", 3)},
    ingest: {"ingest_rows_per_s": Bar("rows/s", 300_000, is_floor=True)},
    gate: {"gate_share": Bar("share", 0.2)},
    sequences: {"sequences_s": Bar("s", 60), "sequences_peak_mb": Bar("MB", 6144)},
    text: {
        "sentiment_auc_english": Bar("AUC", 0.8, is_floor=True),
        "sentiment_auc_chinese": Bar("AUC", 0.8, is_floor=True),
        "texts_per_s": Bar("texts/s", 100, is_floor=True),
    },
    btyd: {"btyd_1m_s": Bar("s", 60), "btyd_1m_mb": Bar("MB", 4096)},
    simulate: {"simulate_events_per_s": Bar("events/s", 200_000, is_floor=True), "simulate_10x": Bar("ratio", 11)},
    train_speed: {"packed_vs_padded": Bar("ratio", 2, is_floor=True)},
    score_speed: {"score_1m_s": Bar("s", 300)},
    risk_recall: {
        **{f"risk_{kind}_recall": Bar("share", 0.5, is_floor=True) for kind in risk_recall.INJECTED},
        **{f"risk_{kind}_precision": Bar("share", 0.5, is_floor=True) for kind in risk_recall.INJECTED},
    },
    publish_speed: {"publish_1m_s": Bar("s", 300), "publish_vs_copy": Bar("ratio", 3)},
    bi_queries: {"bi_query_s": Bar("s", 1)},
    segment_speed: {"segment_1m_s": Bar("s", 180)},
    scale: {
        "cold_vs_duckdb": Bar("ratio", 1),
        "cold_vs_polars": Bar("ratio", 1.2),
        "cold_vs_spark_local": Bar("ratio", 1 / 6),
        "cold_peak_mb": Bar("MB", 8000),
        "day_vs_duckdb_raw": Bar("ratio", 0.2),
        "day_vs_duckdb": Bar("ratio", 1),
        "day365_vs_day60": Bar("ratio", 1.2),
        "events_10x": Bar("ratio", 11),
    },
}


def machine() -> str:
    """The machine in words: processor, cores and memory."""
    import psutil

    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = models[0] if models else processor
    return f"{processor}, {psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, allow_abbrev=False)
    groups = {module.__name__.rpartition(".")[2]: set(bars) for module, bars in BENCHMARKS.items()}
    groups |= {name: {name} for names in list(groups.values()) for name in names}
    known = ", ".join(groups)
    parser.add_argument("--only", default=",".join(groups), help=f"names, comma-separated; known: {known}")
    asked = [name for name in parser.parse_args(argv).only.split(",") if name]
    if unknown := set(asked) - groups.keys():
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; known: {known}")
    wanted = set().union(*(groups[name] for name in asked))
    home = Home.from_environment()
    (home.path / "bench").mkdir(parents=True, exist_ok=True)
    measured = [
        found for module, bars in BENCHMARKS.items() for found in measure(module, bars, wanted, home.path / "bench")
    ]
    write(home.path / "bench.json", measured)
    rows = [[m.name, f"{m.value:,.2f}", m.unit, str(Bar(m.unit, m.bar, m.is_floor))] for m in measured]
    print(f"\n{machine()}\n{format_table(['name', 'value', 'unit', 'bar'], rows, [False, True, False, True])}")
    return 0


def measure(module: ModuleType, bars: dict[str, Bar], wanted: set[str], folder: Path) -> list[Measured]:
    """The numbers of ``module`` that are wanted; nothing is run where none is."""
    names = [name for name in bars if name in wanted]
    values = module.measure(folder) if names else {}
    made_by = {"commit": code_version(), "machine": machine()}
    return [Measured(name, values[name], **asdict(bars[name]), **made_by) for name in names]


def write(path: Path, measured: list[Measured]) -> None:
    """Adds to what the file holds; a name measured again replaces its old value."""
    known = {row["name"]: row for row in json.loads(path.read_text())} if path.exists() else {}
    known |= {m.name: asdict(m) for m in measured}
    path.write_text(json.dumps(list(known.values()), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
