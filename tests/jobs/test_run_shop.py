"""What the whole-line command plans: which days have landed, what is history, what runs day by day."""

import importlib
from datetime import date, timedelta

import pytest

from expectations.errors import DataError
from jobs.home import Home
from jobs.local.stages import StageFailed, Stages
from jobs.run_shop import bootstrap, landed_days, plan_days, require_landed

MONDAY = date(2024, 3, 4)


def test_days_count_when_every_required_file_is_there_and_the_shop_is_open(home, corner_shop, land):
    for day in (MONDAY, MONDAY + timedelta(days=1), date(2024, 3, 3)):  # the last is a Sunday: closed
        land(day, "x")
    assert landed_days(home.landing / "corner_shop", corner_shop) == [MONDAY, MONDAY + timedelta(days=1)]


def test_history_ends_the_day_before_the_first_daily_run_and_runs_have_no_hole(home):
    friday, saturday, monday, tuesday = date(2024, 3, 1), date(2024, 3, 2), MONDAY, MONDAY + timedelta(days=1)
    first, last, daily = plan_days([friday, saturday, monday, tuesday], 3)
    assert (first, last) == (friday, friday)
    # A closed Sunday between open days is run too: the line notes it as empty before it skips the rest.
    assert daily == [saturday, date(2024, 3, 3), monday, tuesday]


def test_too_short_a_landing_is_refused():
    with pytest.raises(DataError, match=r"3 open day\(s\) have landed; at least 4 are needed"):
        plan_days([MONDAY, MONDAY, MONDAY], 3)


def test_an_empty_landing_says_where_it_looked(home, corner_shop):
    with pytest.raises(DataError, match=r"no day of corner_shop in .*expected files ds=YYYY-MM-DD/sales.csv.gz"):
        require_landed(home, corner_shop)


def test_a_failed_stage_names_itself_its_cause_and_its_log(tmp_path, capsys):
    stages = Stages(Home(tmp_path / "a home"), "sail")
    with pytest.raises(
        StageFailed, match=r"(?s)stage ingest failed \(exit 78\).*holds no shop yet.*log: .*ingest.log"
    ) as e:
        stages.run("ingest", "jobs", "ingest", "--ds", "2024-03-04")
    assert e.value.exit_code == 78
    assert "holds no shop yet" in (tmp_path / "a home" / "logs" / "ingest.log").read_text()
    assert "ingest" in capsys.readouterr().out


def test_history_brings_all_that_training_reads_by_commands_that_their_jobs_understand(home):
    """The same commands as in the DAG of training: which models the settings name is asked by the command itself."""
    called = []

    class Noted(Stages):
        def run(self, stage: str, package: str, *argv: str, results: bool = False) -> None:
            called.append((package, *argv))

    bootstrap(Noted(home, "sail"), MONDAY, MONDAY + timedelta(days=200), MONDAY + timedelta(days=170))
    for package, command, *argv in called:
        importlib.import_module(f"{package}.{command}").arg_parser().parse_args(argv)
    assert [command for _, command, *_ in called] == [
        "ingest", "validate", "encode_text", "aggregate", "build_features", "build_sequences",
    ]  # fmt: skip
    assert called[-1] == ("jobs", "build_sequences", "--for-training", "2024-08-21", "--skip-unchanged")


def test_what_runs_beside_a_stage_fails_with_it(tmp_path):
    def fails() -> None:
        raise DataError("no database")

    stages = Stages(Home(tmp_path), "sail")
    with pytest.raises(DataError, match="no database"), stages.background("databases", fails):
        pass
