"""Imports between the rooms point one way, and no job is named like a standard module."""

import ast
import sys
from pathlib import Path

import pytest

from expectations.version import REPOSITORY

ROOMS = ("expectations", "ml", "jobs", "plugins", "dags")
# What a room's files may not import. lifestage_airflow is the package inside plugins/.
FORBIDDEN = {
    "expectations": {"ml", "jobs", "lifestage_airflow", "airflow", "pyspark", "torch", "mlflow", "pyarrow", "pandas"},
    "ml": {"jobs", "lifestage_airflow", "airflow", "pyspark"},
    "jobs": {"lifestage_airflow", "airflow"},
    "plugins": {"expectations", "ml", "jobs", "pyspark", "torch", "great_expectations", "mlflow"},
    "dags": {"expectations", "ml", "jobs", "pyspark", "torch", "great_expectations", "mlflow", "pandas"},
}
FILES = [path for room in ROOMS for path in sorted((REPOSITORY / room).rglob("*.py"))]


def imported(path: Path, top_level_only: bool = False) -> set[str]:
    """First parts of the names of modules that a file imports, anywhere or at its top level."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_file_imports_nothing_from_the_rooms_above_it(path):
    room = path.relative_to(REPOSITORY).parts[0]
    assert imported(path) & FORBIDDEN[room] == set()
    if room == "expectations" and path.name != "suites.py":
        assert "great_expectations" not in imported(path)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "jobs").glob("*.py")), ids=lambda path: path.stem)
def test_a_job_parses_its_arguments_without_heavy_imports(path):
    heavy = {"pyspark", "pysail", "torch", "mlflow", "great_expectations", "matplotlib", "sklearn"}
    assert imported(path, top_level_only=True) & heavy == set()
    # Running a file of jobs/ as a script would put it in place of the standard module of its name.
    assert path.stem.startswith("__") or path.stem not in sys.stdlib_module_names
