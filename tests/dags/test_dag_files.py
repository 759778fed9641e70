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
from airflow.sdk import DAG  # what the DAG processor has imported before it parses a file
seconds = {}
for file in sys.argv[1:]:
    began = time.process_time()
    runpy.run_path(file)
    seconds[file] = time.process_time() - began
print(json.dumps({"modules": sorted(sys.modules), "seconds": seconds}))
"""

by_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def test_there_is_a_dag_for_each_file(dags):
    names = ["lifestage_daily", "lifestage_maintenance", "lifestage_setup", "lifestage_train"]
    assert sorted(dags) == [file.stem for file in FILES] == names


@pytest.fixture(scope="module")
def parsed():
    """Modules that parsing all files imports, and the processor time of each file, the first with all they share."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE, *map(str, FILES)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "plugins")},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def test_parsing_imports_no_job_and_nothing_heavy(parsed):
    assert {name.split(".")[0] for name in parsed["modules"]}.isdisjoint(HEAVY)


def test_a_file_is_parsed_in_less_than_a_second(parsed):
    """Of processor time, which a busy machine does not stretch as it does the clock's."""
    assert {file: seconds for file, seconds in parsed["seconds"].items() if seconds >= 1} == {}


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
    assert "**When it fails.**" in dag.doc_md
    assert dag.template_undefined is jinja2.StrictUndefined
    # A moving start date makes every parse another DAG.
    assert dag.start_date.isoformat() == "2010-01-01T00:00:00+00:00"


@by_file
def test_task_policy(file, dags):
    for task in dags[file.stem].tasks:
        assert task.task_type in POOLS, task.task_id
        assert task.pool == pool_of(task), task.task_id
        assert task.owner == "lifestage", task.task_id
        # Together they outlast a database that changes over to its standby: 1 + 2 + 4 + 8 + 10 minutes.
        assert (task.retries, task.retry_delay) == (5, timedelta(minutes=1)), task.task_id
        assert task.max_retry_delay == timedelta(minutes=10), task.task_id
        assert task.retry_exponential_backoff > 1, task.task_id
        assert timedelta(0) < task.execution_timeout <= timedelta(hours=12), task.task_id
        assert not task.depends_on_past, task.task_id


POOLS = {
    "JobOperator": "default_pool",
    "JobGate": "default_pool",
    "WarnOperator": "default_pool",
    "DayBefore": "default_pool",
    "PublishOperator": "lifestage_warehouse",
    "TrainOperator": "lifestage_gpu",
}
TAKES_ENGINE = {"validate", "encode_text", "aggregate", "build_features", "assess_risk", "measure_outcomes"}


def pool_of(task):
    """By what the task's job takes for itself: the engine, the warehouse, the accelerator, or nothing."""
    arguments = getattr(task, "arguments", [])
    if arguments[1:2] and arguments[1] in TAKES_ENGINE:
        assert task.uses_engine, task.task_id
        return "lifestage_engine"
    assert not getattr(task, "uses_engine", False), task.task_id
    return "lifestage_warehouse" if arguments[1:4] == ["maintain", "--only", "warehouse"] else POOLS[task.task_type]


def test_pools_are_written_with_the_slots_asked_for(metadata, monkeypatch):
    from airflow.models.pool import Pool
    from lifestage_airflow.pools import write_pools

    for asked, slots in (("3", 3), ("", 1)):
        monkeypatch.setenv("LIFESTAGE_ENGINE_SLOTS", asked)
        written = {"lifestage_engine": slots, "lifestage_gpu": 1, "lifestage_warehouse": 1}
        assert write_pools() == written
        with metadata() as session:
            assert {name: Pool.get_pool(name, session=session).slots for name in written} == written
    for wrong in ("0", "two", "-1"):
        monkeypatch.setenv("LIFESTAGE_ENGINE_SLOTS", wrong)
        with pytest.raises(ValueError, match=r"LIFESTAGE_ENGINE_SLOTS=.* give 1 or more"):
            write_pools()


def test_every_pool_that_a_task_names_is_one_that_is_written(dags):
    from lifestage_airflow.pools import wanted

    assert {task.pool for dag in dags.values() for task in dag.tasks} <= {"default_pool", *wanted()}


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
    assert {leaf.task_id for leaf in dag.leaves} == {"report", "warn"}
    # What a day publishes is all there before it is published: nothing runs beside it.
    written = set(dag.task_ids) - {"publish", "report", "warn"}
    assert {task.task_id for task in dag.get_task("publish").get_flat_relatives(upstream=True)} == written
    for first, second in (
        ("tag", "portray"),
        ("assess_risk", "choose_actions"),
        ("validate_segments", "watch_churn"),
        ("watch_churn", "choose_actions"),
        ("ingest", "open_day"),
        ("open_day", "build_features"),
    ):
        assert second in dag.get_task(first).downstream_task_ids
    # What reads snapshots or partitions of earlier days waits for them.
    before = {name: dag.get_task(name).get_flat_relative_ids(upstream=True) for name in dag.task_ids}
    late = {name for name, all_before in before.items() if "publish_of_day_before" in all_before}
    early = {"ingest", "open_day", "validate_events", "resolve_model", "features_of_day_before"}
    middle = {"encode_text", "aggregate", "build_features", "validate_features", "score"}
    assert late == set(dag.task_ids) - early - middle - {"publish_of_day_before"}
    assert all("features_of_day_before" in before[name] for name in (late | middle) - {"features_of_day_before"})


def test_tasks_are_grouped_and_keep_their_plain_names(dags):
    groups = {group.group_id: set(group.children) for group in dags["lifestage_daily"].task_group.children.values()
              if hasattr(group, "children")}  # fmt: skip
    assert list(groups) == ["behaviour", "model", "segments", "actions", "marts"]
    assert groups["marts"] == {"publish", "report", "warn"}


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
    for dag_id, name, wrong in (
        ("lifestage_train", "budget", "large"),
        ("lifestage_train", "force", "yes"),
        ("lifestage_maintenance", "dry_run", 1),
        ("lifestage_setup", "source", "../etc"),
        ("lifestage_setup", "first", "2017"),
    ):
        with pytest.raises(ParamValidationError):
            dags[dag_id].params.get_param(name).resolve(wrong)
