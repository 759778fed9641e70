"""A small shop and the home of its first run, which the slow tests of the whole line share."""

from pathlib import Path

import pytest

from jobs.home import Home
from jobs.land_sample import FEEDS, land_dimensions, land_feed, read_table
from jobs.local import postgres
from tests.faults.small_shop import publishes, run_shop


@pytest.fixture(scope="session")
def landing(tmp_path_factory) -> Path:
    """The sample shop's files, of every tenth household."""
    folder = tmp_path_factory.mktemp("a small shop")

    def tenth(table: str):
        rows = read_table(table)
        return rows[rows.household_id % 10 == 0]

    for name, feed in FEEDS.items():
        land_feed(folder, name, tenth(feed[0]), feed[1])
    land_dimensions(folder)
    return folder


@pytest.fixture(scope="session")
def homes(tmp_path_factory):
    """Makes homes and stops their servers at the end."""
    made: list[Home] = []

    def make(name: str) -> Home:
        made.append(Home(tmp_path_factory.mktemp("homes") / f"home {name}"))
        return made[-1]

    yield make
    for home in made:
        if home.path.exists():
            postgres.stop(home)


@pytest.fixture(scope="session")
def first_run(homes, landing):
    """A home after its first run, what the run printed, and what it had then published."""
    home = homes("sail")
    return home, run_shop(home, landing), publishes(home)
