"""Two runs of the same days make equal bytes in every mart, and nothing that was made is stale until something changes.

Some 60 s of processor time, most of them for the features of the simulated shop.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from expectations.behaviour import CUSTOMER_PRODUCT, FEATURES, PREFERENCES
from expectations.clusters import CUSTOMER_CLUSTERS
from expectations.events import EVENTS
from expectations.segments import CUSTOMER_SEGMENTS, SCORES
from expectations.tables import PUBLISHED
from expectations.tags import CUSTOMER_TAGS
from expectations.watch import RISK_ALERTS
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.marts.rows_digest import rows_digest
from jobs.stale import JOBS, stale_jobs
from tests.jobs.segment_line import DAYS, prepare

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
LAST = DAYS[-1]


@pytest.fixture(scope="module")
def homes(tmp_path_factory) -> list[Home]:
    """The same shop twice; the jobs were run over each by a process of its own, with another order of hashes."""
    first = Home(tmp_path_factory.mktemp("simulated") / "one")
    prepare(first)
    second = Home(first.path.with_name("two"))
    shutil.copytree(first.path, second.path)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run_apart, (first, second), ("1", "2")))
    return [first, second]


def run_apart(home: Home, hashes: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.jobs.segment_line", str(home.path)],
        cwd=REPOSITORY, env=os.environ | {"PYTHONHASHSEED": hashes}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def digests(home: Home) -> dict[str, str]:
    return {
        f"{table.name} {day}": rows_digest(LakeTable(home, table).read_arrow([day]))
        for table in (*PUBLISHED, CUSTOMER_CLUSTERS) for day in DAYS
    }  # fmt: skip


def test_two_runs_of_the_same_days_make_equal_rows_and_bytes(homes):
    first, second = map(digests, homes)
    assert first == second
    for table in PUBLISHED:
        for day in DAYS:
            one, other = (
                [file.read_bytes() for file in sorted(LakeTable(home, table).folder(day).glob("*.parquet"))]
                for home in homes
            )
            assert one == other, f"{table.name} {day}"


def test_the_shop_has_something_of_everything_to_compare(homes):
    """Empty tables are equal too."""
    empty = {
        table.name for table in PUBLISHED
        if not any(LakeTable(homes[0], table).row_count(day) for day in DAYS)
    }  # fmt: skip
    assert empty <= {RISK_ALERTS.name}, empty


CHANGES = {
    FEATURES: {"cluster", "segment", "tag", "portray", "assess_risk", "watch_churn"},
    SCORES: {"segment", "watch_churn"},
    PREFERENCES: {"tag", "portray"},
    CUSTOMER_PRODUCT: {"tag", "recommend"},
    EVENTS: {"assess_risk"},
    CUSTOMER_TAGS: {"portray"},
    CUSTOMER_SEGMENTS: {"portray", "watch_churn", "recommend", "choose_actions"},
    RISK_ALERTS: {"choose_actions"},
}
"""Table that is written anew → the jobs that read it."""


def test_nothing_is_stale_until_an_input_is_written_anew(homes):
    home = homes[1]
    assert stale_jobs(home, LAST) == []
    assert stale_jobs(home, DAYS[0]) == []
    for table, readers in CHANGES.items():
        folder = LakeTable(home, table).folder(LAST)
        was = folder.stat().st_mtime_ns
        os.utime(folder)
        assert set(stale_jobs(home, LAST)) == readers, table.name
        assert stale_jobs(home, DAYS[0]) == []
        os.utime(folder, ns=(was, was))


def test_changed_settings_and_strategies_make_stale_what_they_decide(homes):
    home = homes[1]
    for text, stale in (
        ("tags: {coupon_user: 4}", {"segment", "tag"}),
        ("watch: {most_listed: 7}", {"segment", "watch_churn"}),
        ("risk: {bot_visit_events: 90}", {"segment", "assess_risk"}),
        ("recommendations: {places: 4}", {"segment", "recommend"}),
        ("cluster: {seed: 5}", {"cluster", "segment"}),
    ):
        (home.path / "settings.yaml").write_text(text)
        assert set(stale_jobs(home, LAST)) == stale, text
    (home.path / "settings.yaml").unlink()
    own = (
        (REPOSITORY / "jobs" / "actions" / "strategies.yaml")
        .read_text()
        .replace("cool_down_days: ", "cool_down_days: 1")
    )
    (home.path / "strategies.yaml").write_text(own)
    assert stale_jobs(home, LAST) == ["choose_actions"]
    (home.path / "strategies.yaml").unlink()


def test_a_day_that_was_never_made_is_stale_in_all(homes):
    assert stale_jobs(homes[0], LAST.replace(day=30)) == list(JOBS)
