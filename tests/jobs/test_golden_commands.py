"""Every command that a DAG runs is understood, as a whole and without abbreviations, by the parser of its own job."""

import importlib
import re
import shlex
from datetime import date
from pathlib import Path

import pytest

GOLDEN = sorted((Path(__file__).resolve().parents[1] / "dags" / "golden").glob("*.txt"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_job_parses_its_golden_command(path):
    python, flag, package, command, *argv = shlex.split(path.read_text())
    assert (python, flag) == ("python", "-m")
    assert command in importlib.import_module(f"{package}.__main__").COMMANDS
    args = importlib.import_module(f"{package}.{command}").arg_parser().parse_args(argv)
    # Each date on the command line has become a date, wherever the job keeps it.
    kept = {value for entry in vars(args).values() for value in (entry if isinstance(entry, list) else [entry])}
    named = {date.fromisoformat(text) for text in re.findall(r"\d{4}-\d\d-\d\d", " ".join(argv))}
    assert named <= kept


def test_there_are_golden_commands():
    assert len(GOLDEN) > 15
