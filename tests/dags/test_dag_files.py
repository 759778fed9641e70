"""Every DAG file keeps the project's rules, and parsing one costs next to nothing."""

import ast
import json
import os
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import jinja2
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = sorted((REPOSITORY / "dags").glob("*.py"))
HEAVY = ("pyspark", "pysail", "torch", "great_expectations", "mlflow", "pandas", "numpy", "jobs", "ml", "expectations")
ARROWS = (ast.Expr, ast.Assign, ast.With, ast.Import, ast.ImportFrom)

PARSE = """
import json, runpy, sys, time
from airflow.sdk import DAG
for file in sys.argv[1:]:
    began = time.perf_counter()
    runpy.run_path(file)
    print(f"{file}: parsed in {time.perf_counter() - began:.3f} s", file=sys.stderr)
print(json.dumps(sorted(sys.modules)))
"""

by_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def test_there_is_a_dag_for_each_file(dags):
    assert sorted(dags) == [file.stem for file in FILES] == ["lifestage_daily", "lifestage_setup", "lifestage_train"]


def test_parsing_imports_no_job_and_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", PARSE, *map(str, FILES)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "plugins")},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    roots = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert roots.isdisjoint(HEAVY)
    # Printed, not asserted: a busy machine must not fail the suite. `make bench` holds the bar.
    print(done.stderr)


@by_file
def test_a_dag_file_holds_operators_and_arrows_only(file):
    tree = ast.parse(file.read_text())
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    assert all(isinstance(node, ARROWS) for node in statements)
    # Neither environment, nor variables, nor a database, nor the clock is read while parsing.
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names.isdisjoint({"os", "open", "Variable", "Connection", "datetime", "date"})
    assert {module.split(".")[0] for module in imported} <= {"airflow", "datetime", "lifestage_airflow"}


@by_file
def test_dag_policy(file, dags):
    dag = dags[file.stem]
    assert dag.doc_md == ast.get_docstring(ast.parse(file.read_text()), clean=False)
    assert "lifestage" in dag.tags
    assert len(dag.tags) >= 2
    assert dag.is_paused_upon_creation is True
    assert dag.catchup is False
    assert dag.max_active_runs == 1
    assert dag.template_undefined is jinja2.StrictUndefined
    # A moving start date makes every parse another DAG.
    assert dag.start_date.isoformat() == "2010-01-01T00:00:00+00:00"


@by_file
def test_task_policy(file, dags):
    for task in dags[file.stem].tasks:
        assert task.task_type == "JobOperator", task.task_id
        assert task.owner == "lifestage", task.task_id
        # Together they outlast a database that changes over to its standby: 1 + 2 + 4 + 8 + 10 minutes.
        assert (task.retries, task.retry_delay) == (5, timedelta(minutes=1)), task.task_id
        assert task.max_retry_delay == timedelta(minutes=10), task.task_id
        assert task.retry_exponential_backoff > 1, task.task_id
        assert timedelta(0) < task.execution_timeout <= timedelta(hours=12), task.task_id
        assert not task.depends_on_past, task.task_id


def test_the_daily_line(dags):
    dag = dags["lifestage_daily"]
    line = [
        *("ingest", "validate_events", "encode_text", "aggregate", "build_features", "validate_features"),
        *("score", "cluster", "segment", "validate_segments", "measure_outcomes", "publish", "report"),
    ]
    for first, second in pairwise(line):
        assert second in dag.get_task(first).downstream_task_ids
    # The model is resolved once, beside ingestion, and only scoring waits for it.
    assert dag.get_task("resolve_model").upstream_task_ids == set()
    assert dag.get_task("resolve_model").downstream_task_ids == {"score"}
    assert [leaf.task_id for leaf in dag.leaves] == ["report"]
    # What a day publishes is all there before it is published: nothing runs beside it.
    written = set(dag.task_ids) - {"publish", "report"}
    assert {task.task_id for task in dag.get_task("publish").get_flat_relatives(upstream=True)} == written
    for first, second in (
        ("tag", "portray"),
        ("assess_risk", "choose_actions"),
        ("validate_segments", "watch_churn"),
        ("watch_churn", "choose_actions"),
    ):
        assert second in dag.get_task(first).downstream_task_ids


def test_only_the_plugin_file_is_imported_as_a_plugin():
    from airflow.plugins_manager import _get_plugins

    plugins, errors = _get_plugins()
    assert errors == {}
    assert "lifestage" in {plugin.name for plugin in plugins}
    # Airflow would import every other file of the package a second time under its bare name.
    assert {"operators", "days", "run_days"}.isdisjoint(sys.modules)


def test_runs_by_hand_take_typed_parameters(dags):
    from airflow.sdk.exceptions import ParamValidationError

    params = dags["lifestage_daily"].params
    assert params["ds"] is None
    for wrong in ("31.12.2017", "2017-13-01", 20171231):
        with pytest.raises(ParamValidationError):
            dags["lifestage_daily"].params.get_param("ds").resolve(wrong)
