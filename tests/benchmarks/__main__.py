"""`make bench`: measures, prints a table and writes bench.json in the home. Numbers, never verdicts of a test run."""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from expectations.version import code_version
from jobs.home import Home
from jobs.sql import format_table
from tests.benchmarks import dag_parse, gate, sequences, whole_run


@dataclass(frozen=True)
class Measured:
    """One number. ``bar`` is what it should not exceed, in the same unit."""

    name: str
    value: float
    unit: str
    bar: float
    commit: str
    machine: str


# A function measures one or more names at once; name → (unit, bar).
BENCHMARKS: dict[Callable[[Path], dict[str, float]], dict[str, tuple[str, float]]] = {
    whole_run.measure: {"run_first_s": ("s", 360), "run_again_s": ("s", 120), "run_peak_mb": ("MB", 4096)},
    dag_parse.measure: {"dag_parse_s": ("s", 1)},
    gate.measure: {"gate_share": ("share", 0.2)},
    sequences.measure: {"sequences_s": ("s", 60), "sequences_peak_mb": ("MB", 6144)},
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
    known = [name for names in BENCHMARKS.values() for name in names]
    parser.add_argument("--only", default=",".join(known), help=f"names, comma-separated; known: {', '.join(known)}")
    wanted = [name for name in parser.parse_args(argv).only.split(",") if name]
    if unknown := set(wanted) - set(known):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    home = Home.from_environment()
    home.path.mkdir(parents=True, exist_ok=True)
    measured = []
    for measure, names in BENCHMARKS.items():
        if names.keys() & set(wanted):
            values = measure(home.path / "bench")
            measured += [
                Measured(name, values[name], *names[name], commit=code_version(), machine=machine())
                for name in names
                if name in wanted
            ]
    write(home.path / "bench.json", measured)
    rows = [[m.name, f"{m.value:,.2f}", m.unit, f"{m.bar:g}"] for m in measured]
    print(f"\n{machine()}\n{format_table(['name', 'value', 'unit', 'at most'], rows, [False, True, False, True])}")
    return 0


def write(path: Path, measured: list[Measured]) -> None:
    """Adds to what the file holds; a name measured again replaces its old value."""
    known = {row["name"]: row for row in json.loads(path.read_text())} if path.exists() else {}
    known |= {m.name: asdict(m) for m in measured}
    path.write_text(json.dumps(list(known.values()), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
