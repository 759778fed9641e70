"""The whole line on a tenth of the sample shop: on both engines, again, by the scheduler, with bad deliveries."""

import gzip
import shutil
import subprocess
from datetime import date

import pytest

from jobs.home import Home
from jobs.local.airflow_env import AIRFLOW_BIN, environment
from jobs.reading.mapping import load_mapping
from jobs.run_shop import due_days
from tests.faults.airflow_api import call, ended, task_instances
from tests.faults.small_shop import LAST, MARTS, command, marts, publishes, run_shop

pytestmark = pytest.mark.slow
AFTER_SCORE = (
    *("cluster", "segment", "tag", "assess_risk", "watch_churn", "recommend", "choose_actions", "portray"),
    *("measure_outcomes", "publish"),
)
DAY = (
    ("ingest", "--ds", LAST),
    ("validate", "--table", "events", "--ds", LAST),
    ("aggregate", "--ds", LAST),
    ("build_features", "--ds", LAST),
    ("score", "--ds", LAST, "--model", "lifestage_behaviour/1"),
    *((job, "--ds", LAST) for job in AFTER_SCORE),
)


def test_a_first_run_ends_with_a_summary_that_says_simulated(first_run):
    _, printed, published = first_run
    assert f"complete_journey (simulated data), snapshot of {LAST}" in printed
    for text in ("marts.customer_segments_history", "recency_rule", "gradient_boosting", "psql", "make up"):
        assert text in printed
    assert [str(row[0]) for row in published] == ["2017-12-29", "2017-12-30", "2017-12-31"]


def test_a_second_run_reuses_everything_and_leaves_the_marts(first_run, landing):
    home, *_ = first_run
    before, logged = marts(home), publishes(home)
    printed = run_shop(home, landing)
    assert f"{LAST} is published and unchanged" in printed
    assert (marts(home), publishes(home)) == (before, logged)


def test_days_are_due_again_when_history_or_a_setting_changes(first_run, landing):
    home, *_ = first_run
    mapping, days = load_mapping("complete_journey"), [date(2017, 12, n) for n in (29, 30, 31)]
    assert due_days(home, mapping, days) == []
    settings = home.path / "settings.yaml"
    settings.write_text("segment: {new_days: 7}\n")
    assert due_days(home, mapping, days) == days
    settings.unlink()
    # A day's delivery that changed makes that day due, and every later one with it.
    file = landing / "ds=2017-12-30" / "transactions.csv.gz"
    whole = file.read_bytes()
    file.write_bytes(gzip.compress(gzip.decompress(whole)[:2000].rpartition(b"\n")[0] + b"\n"))
    try:
        assert due_days(home, mapping, days) == days[1:]
    finally:
        file.write_bytes(whole)
    assert due_days(home, mapping, days) == []
    # A day of the history that was added up anew reaches every snapshot after it.
    assert command(home, "aggregate", "--ds", "2017-12-10").returncode == 0
    assert due_days(home, mapping, days) == days


def test_running_a_day_again_gives_equal_rows_in_every_mart(first_run):
    home, *_ = first_run
    before, logged = marts(home), publishes(home)
    assert daily(home, *DAY) == ""
    assert marts(home) == before
    # The log tells of both publishes, and that they showed the same.
    assert publishes(home) == [*logged, logged[-1]]


@pytest.mark.skipif(not shutil.which("java"), reason="Apache Spark needs Java 17")
def test_apache_spark_gives_equal_marts(first_run, homes, landing):
    sail, *_ = first_run
    spark = homes("spark")
    run_shop(spark, landing, "--engine", "spark")
    expected, found = marts(sail), marts(spark)
    for mart in MARTS:
        assert found[mart] == expected[mart], mart


def with_field(line: str, position: int, text: str) -> str:
    fields = line.split(",")
    return ",".join([*fields[:position], text, *fields[position + 1 :]])


def bad_days(good: bytes) -> dict[str, tuple[bytes | None, str]]:
    """Name → what is delivered for the last day (None: nothing), and what the failing run must say."""
    header, *lines = good.decode().splitlines()
    quantity = header.split(",").index("quantity")
    third = [with_field(line, quantity, "many") if n % 3 == 0 else line for n, line in enumerate(lines)]
    packed = gzip.compress(good)
    return {
        "missing": (None, "transactions.csv.gz: missing"),
        "truncated": (packed[: len(packed) // 2], "truncated, the compressed data ends early"),
        "empty": (b"", "transactions.csv.gz is empty (0 bytes)"),
        "a column lost": (
            gzip.compress(good.replace(b"sales_value", b"sales_valu", 1)),
            "line 1: missing column sales_value",
        ),
        "a third bad": (gzip.compress("\n".join([header, *third, ""]).encode()), "rows refused (3"),
    }


@pytest.mark.parametrize("fault", ["missing", "truncated", "empty", "a column lost", "a third bad"])
def test_a_bad_last_day_is_told_and_leaves_the_marts_until_it_is_mended(first_run, fault, landing):
    home, *_ = first_run
    file = landing / f"ds={LAST}" / "transactions.csv.gz"
    whole, before = file.read_bytes(), marts(home)
    content, message = bad_days(gzip.decompress(whole))[fault]
    try:
        file.unlink() if content is None else file.write_bytes(content)
        said = daily(home, ("ingest", "--ds", LAST), ("validate", "--table", "events", "--ds", LAST))
        assert message in said
        assert "transactions.csv.gz" in said
        assert marts(home) == before
    finally:
        file.write_bytes(whole)
    assert daily(home, *DAY) == ""
    assert marts(home) == before


def daily(home: Home, *commands: tuple[str, ...]) -> str:
    """Runs commands in order until one fails, as the DAG would; what that one said, or nothing."""
    for argv in commands:
        done = command(home, *argv)
        if done.returncode:
            assert done.returncode == 65, done.stderr
            return done.stderr
    return ""


def backfill(home: Home, first: str, last: str) -> None:
    """Asks Airflow to run days again that it has run before, as many at once as it likes."""
    asked = ["--dag-id", "lifestage_daily", "--from-date", first, "--to-date", last, "--max-active-runs", "5"]
    done = subprocess.run(
        [AIRFLOW_BIN / "python", "-m", "airflow", "backfill", "create", *asked, "--reprocess-behavior", "completed"],
        env=environment(home), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_published_days_run_again_side_by_side_and_from_the_middle(first_run):
    """By the scheduler, as an engineer does it: every mart is as before, and each publish says so."""
    home, *_ = first_run
    before, logged = marts(home), publishes(home)
    one_day, last_day = ([row for row in logged if str(row[0]) == f"2017-12-{n}"][-1] for n in (30, 31))
    days = {f"2017-12-{n}": f"/dags/lifestage_daily/dagRuns?logical_date_gte=2017-12-{n}T00:00:00Z"
            f"&logical_date_lte=2017-12-{n}T00:00:00Z" for n in (30, 31)}  # fmt: skip
    assert command(home, "up", "--port", "18095", "--mlflow-port", "15015").returncode == 0
    try:
        call(home, "/dags/lifestage_daily", {"is_paused": False}, "PATCH")
        backfill(home, *days)
        runs = [call(home, path)["dag_runs"][0]["dag_run_id"] for path in days.values()]
        assert [ended(home, "lifestage_daily", run, 600) for run in runs] == ["success"] * 2
        one, two = (task_instances(home, "lifestage_daily", run) for run in runs)
        assert two["ingest"]["start_date"] < one["publish"]["end_date"]  # under way together, and in order
        assert one["validate_features"]["end_date"] <= two["encode_text"]["start_date"]
        assert one["publish"]["end_date"] <= two["cluster"]["start_date"]
        assert marts(home) == before
        assert publishes(home) == [*logged, one_day, last_day]

        clear = {"dag_run_id": runs[1], "task_ids": ["segment"], "include_downstream": True, "only_failed": False}
        call(home, "/dags/lifestage_daily/clearTaskInstances", clear | {"dry_run": False}, "POST")
        assert ended(home, "lifestage_daily", runs[1], 600) == "success"
        again = task_instances(home, "lifestage_daily", runs[1])
        tried = {name for name in again if again[name]["try_number"] > two[name]["try_number"]}
        assert {"segment", "choose_actions", "publish", "report"} <= tried
        assert not {"ingest", "build_features", "score", "cluster"} & tried
        assert marts(home) == before
        assert publishes(home) == [*logged, one_day, last_day, last_day]
    finally:
        command(home, "down")
