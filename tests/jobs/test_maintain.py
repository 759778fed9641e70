"""What maintenance removes and what it never touches, on real homes; a dry run removes nothing."""

import json
import os
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from expectations.behaviour import CUSTOMER_DAY, CUSTOMER_HISTORY, CUSTOMER_MONTH, FEATURES
from expectations.errors import SetupError
from expectations.events import EVENTS, QUARANTINE
from expectations.segments import CUSTOMER_SEGMENTS, SCORES, SEGMENT_SETTINGS
from jobs import list_warnings, maintain, open_day
from jobs.lake import LakeTable
from jobs.local.airflow_env import CONNECTION
from jobs.maintenance import lake, logs, models, results, warehouse
from jobs.maintenance.gone import MaintainSettings
from jobs.marts.warehouse import connect
from jobs.schemas import arrow_schema

DAY = date(2017, 12, 31)


def fill(home, table, *days):
    for day in days:
        LakeTable(home, table).write_arrow(day, arrow_schema(table).empty_table())


def run(home, *argv):
    maintain.main(maintain.arg_parser().parse_args(["--home", str(home.path), "--ds", str(DAY), *argv]))


def test_old_snapshots_go_and_what_later_days_count_from_stays(home, capsys):
    old, new = DAY - timedelta(days=401), DAY - timedelta(days=400)
    tables = (FEATURES, SCORES, CUSTOMER_SEGMENTS, QUARANTINE, EVENTS, CUSTOMER_DAY, CUSTOMER_MONTH, CUSTOMER_HISTORY,
              SEGMENT_SETTINGS)  # fmt: skip
    for table in tables:
        fill(home, table, old, new, DAY)
    run(home, "--only", "lake", "--dry-run")
    said = capsys.readouterr().out
    assert f"lake: would remove 1 × features ({old})" in said
    assert all(LakeTable(home, table).has(old) for table in tables)
    run(home, "--only", "lake", "--no-dry-run")
    gone = {table for table in tables if not LakeTable(home, table).has(old)}
    assert gone == {FEATURES, SCORES, CUSTOMER_SEGMENTS, QUARANTINE}
    assert all(LakeTable(home, table).has(day) for table in tables for day in (new, DAY))
    run(home, "--only", "lake")
    assert capsys.readouterr().out.endswith("lake: removes nothing\n")


def test_a_shop_whose_last_day_is_years_ago_keeps_what_its_next_day_looks_back_on(home):
    today, old, kept = date(2026, 11, 22), DAY - timedelta(days=401), DAY - timedelta(days=400)
    fill(home, FEATURES, old, kept, DAY, DAY + timedelta(days=1))
    fill(home, SCORES, old, kept)
    # Without segments a table's own newest partition tells the time.
    assert [gone.name for gone in lake.find(home, today, MaintainSettings())] == [str(old), str(kept)]
    fill(home, CUSTOMER_SEGMENTS, kept, DAY)
    gone = [(gone.kind, gone.name) for gone in lake.find(home, today, MaintainSettings())]
    assert sorted(gone) == [("features", str(old)), ("scores", str(old))]
    # Asked about an earlier day, ages are that day's.
    assert list(lake.find(home, kept, MaintainSettings())) == []


def test_days_are_set_by_table_and_never_fewer_than_later_days_need(home):
    (home.path / "settings.yaml").write_text("keep_days: {features: 200, scores: 0}\n")
    kept = {table.name: days for table, days in lake.kept_days(home).items()}
    assert (kept["features"], kept["scores"], kept["customer_segments"]) == (200, 0, 400)
    assert not {"events", "customer_month", "customer_history", "price_bounds", "segment_settings"} & kept.keys()
    for wrong, why in (
        ("{features: 30}", "features must be 0 .* or [0-9]+ or more"),
        ("{events: 900}", "no table 'events' that may go"),
    ):
        (home.path / "settings.yaml").write_text(f"keep_days: {wrong}\n")
        with pytest.raises(SetupError, match=why):
            lake.kept_days(home)


def test_days_that_later_days_need_follow_the_settings(home):
    """A forecast of 90 days matures before its scores go; so does a longer cool-down or horizon."""
    usual = lake.needed_days(home)
    assert usual > 90
    (home.path / "settings.yaml").write_text("model: {edges_days: [30, 90, 180], churn_days: 180}\n")
    assert lake.needed_days(home) >= 180 + 35 > usual


def test_old_results_go_and_the_rest_makes_the_docs(home, capsys):
    kept = home.validations / "events"
    kept.mkdir(parents=True)
    old, new = DAY - timedelta(days=401), DAY - timedelta(days=399)
    names = (f"{old}.json", f"{old}-warehouse.json", f"{old}_{new}.json", f"{new}.json", f"{DAY}.json")
    for name in names:
        (kept / name).write_text("{}")
    found = [gone.name for gone in results.find(home, DAY, MaintainSettings())]
    # A range is as old as its last day.
    assert sorted(found) == [f"{old}", f"{old}-warehouse"]
    assert list(results.find(home, DAY, MaintainSettings(results_days=0))) == []
    # Years later nothing has come since: nothing has grown older.
    assert len(list(results.find(home, date(2026, 11, 22), MaintainSettings()))) == 2


def test_old_task_logs_go_with_their_folders(home, monkeypatch):
    for name in (logs.DATABASE, CONNECTION):  # nobody says which Airflow's, and the home has none of its own
        monkeypatch.delenv(name, raising=False)
    folder = home.logs / "airflow" / "dag_id=lifestage_daily"
    files = {}
    for run_id, age in (("run_id=old", 200), ("run_id=new", 10)):
        file = folder / run_id / "task_id=ingest" / "attempt=1.log"
        file.parent.mkdir(parents=True)
        file.write_text("a line")
        then = (datetime(2018, 1, 1, tzinfo=UTC) - timedelta(days=age)).timestamp()
        os.utime(file, (then, then))
        files[run_id] = file
    (gone,) = logs.find(home, DAY, MaintainSettings())
    assert (gone.kind, gone.size) == ("task logs", 6)
    gone.remove()
    assert not (folder / "run_id=old").exists()
    assert files["run_id=new"].exists()
    assert list(logs.find(home, DAY, MaintainSettings(logs_days=0))) == []
    monkeypatch.setenv(logs.DATABASE, "postgresql+psycopg2://airflow@nowhere.example/airflow")
    monkeypatch.setattr("jobs.local.airflow_env.AIRFLOW_BIN", Path(sys.executable).parent)
    (gone,) = logs.find(home, DAY, MaintainSettings())  # in a home without a database of its own
    assert gone.kind == "Airflow's metadata"


def test_staging_tables_of_old_days_go_and_what_is_being_filled_stays(warehouse_home):
    old, new = DAY - timedelta(days=15), DAY - timedelta(days=14)
    names = [f"customer_segments_v1_{day:%Y%m%d}_maintain" for day in (old, new)]
    busy = f"clusters_v1_{old - timedelta(days=1):%Y%m%d}_maintain"
    lock = f"{warehouse.DAY_LOCK}, {old - timedelta(days=1):%Y%m%d}"
    with connect(warehouse_home, autocommit=True) as publisher:
        for name in (*names, busy):
            publisher.execute(f"create table staging.{name} as select 1 as one")
        publisher.execute(f"select pg_advisory_lock({lock})")
        ours = [g for g in warehouse.find(warehouse_home, DAY, MaintainSettings()) if g.name.endswith("maintain")]
        assert {gone.name for gone in ours} == {names[0], busy}
        assert all(gone.size > 0 for gone in ours)
        for gone in ours:
            gone.remove()
        left = publisher.execute("select tablename from pg_tables where tablename like '%maintain'").fetchall()
        assert {name for (name,) in left} == {names[1], busy}
        for (name,) in left:
            publisher.execute(f"drop table staging.{name}")
    warehouse.afterwards(warehouse_home, DAY)
    with connect(warehouse_home) as connection:
        done = connection.execute(
            "select relname, last_vacuum is not null from pg_stat_user_tables"
            " where schemaname = 'warehouse' and last_analyze > now() - interval '1 minute'"
        ).fetchall()
    # The server counts a partitioned table's statistics by its partitions, so only the others show here.
    assert {"publish_log_v1", "snapshot_pointer"} <= {name for name, was_vacuumed in done if was_vacuumed}


@pytest.fixture
def runs(home, monkeypatch):
    """Two old runs with files and a logged model each, the second registered; one deleted; one that has not ended."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home.path}/mlflow.db")
    from ml.tracking import initialise, mlflow_for

    experiment, client = initialise(home.path), mlflow_for(home.path).MlflowClient()
    long_ago = int((time.time() - 400 * 86400) * 1000)
    made = {}
    for name in ("loser", "winner", "deleted", "running"):
        run = client.create_run(experiment, start_time=long_ago, run_name=name)
        made[name] = run.info
        client.log_text(run.info.run_id, "a plot", "plots/roc.txt")
        client.log_metric(run.info.run_id, "auc", 0.7)
        model = client.create_logged_model(experiment, source_run_id=run.info.run_id)
        client.log_model_artifact(model.model_id, _file(home, f"{name}.txt"))
        if name != "running":
            client.set_terminated(run.info.run_id, end_time=long_ago)
    client.create_registered_model("lifestage_behaviour")
    client.create_model_version("lifestage_behaviour", made["winner"].artifact_uri, made["winner"].run_id)
    client.delete_run(made["deleted"].run_id)
    return client, made


def _file(home, name):
    path = home.path / name
    path.write_text("weights")
    return str(path)


def test_old_runs_lose_their_files_but_a_version_never_does(home, runs):
    client, made = runs
    today = datetime.now(UTC).date()
    found = list(models.find(home, today, MaintainSettings()))
    assert [(gone.kind, gone.name.split()[0]) for gone in found] == [
        ("files of runs", "loser"),
        ("deleted runs", "deleted"),
    ]
    assert found[0].size == len("a plot") + len("weights")
    for gone in found:
        gone.remove()
    assert client.list_artifacts(made["loser"].run_id) == []
    assert client.get_run(made["loser"].run_id).data.metrics == {"auc": 0.7}
    for name in ("winner", "running"):
        assert [each.path for each in client.list_artifacts(made[name].run_id)] == ["plots"]
    experiment = made["loser"].experiment_id
    left = {model.source_run_id for model in client.search_logged_models([experiment])}
    assert {made["winner"].run_id, made["running"].run_id} <= left
    assert made["loser"].run_id not in left
    with pytest.raises(Exception, match="not found"):
        client.get_run(made["deleted"].run_id)
    assert list(models.find(home, today, MaintainSettings())) == []
    assert list(models.find(home, today, MaintainSettings(runs_days=0))) == []


def test_a_closed_day_is_one_on_which_nothing_was_expected_or_came(home, land, monkeypatch, corner_shop, capsys):
    """The corner shop is closed on Sundays."""
    monkeypatch.setattr(open_day, "load_mapping", lambda source: corner_shop)
    closed = "closed: no file of 2024-12-22 is expected of corner_shop"
    for day, said in (("2024-12-22", closed), ("2024-12-23", "open: ")):
        open_day.main(open_day.arg_parser().parse_args(["--home", str(home.path), "--ds", day]))
        assert capsys.readouterr().out.startswith(said)
    land(date(2024, 12, 22))  # it opened after all
    assert not open_day.is_closed(home, date(2024, 12, 22))


def test_warnings_of_a_day_are_listed_from_what_the_gates_kept(home, capsys):
    def keep(name, table, *outcomes):
        path = home.validations / table / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            {"name": n, "passed": passed, "severity": severity, "expected": "e", "observed": "o"}
            for n, passed, severity in outcomes
        ]
        path.write_text(json.dumps({"table": table, "outcomes": rows}))

    keep("2017-12-31.json", "events", ("mix", False, "warn"), ("rows", True, "fail"), ("drift", None, "warn"))
    keep("2017-12-31-warehouse.json", "clusters", ("sizes", False, "warn"))
    keep("2017-12-31_2018-01-05.json", "events", ("other", False, "warn"))
    keep("2017-12-30.json", "events", ("mix", False, "warn"))
    args = ["--home", str(home.path), "--ds"]
    list_warnings.main(list_warnings.arg_parser().parse_args([*args, "2017-12-31"]))
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "2 check(s) warned on 2017-12-31: clusters (warehouse) sizes, events mix"
    list_warnings.main(list_warnings.arg_parser().parse_args([*args, "2018-01-02"]))
    assert capsys.readouterr().out == "no check warned on 2018-01-02\n"
