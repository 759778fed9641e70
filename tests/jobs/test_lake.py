"""Partitions are replaced whole, survive kills at any moment, and know whether they are fresh."""

import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from types import ModuleType

import pyarrow as pa
import pytest

from expectations.contract import Column, Table
from expectations.errors import DataError, SetupError
from expectations.version import REPOSITORY
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.reading.keys import CustomerKeys, ensure_key
from jobs.schemas import arrow_schema

DAY = date(2024, 3, 4)
NOTES = Table(
    name="notes",
    description="Notes.",
    grain="one row per note",
    key=("note",),
    partition="day",
    columns=(
        Column(name="note", type="string", description="A note."),
        Column(name="day", type="date", description="Its day."),
    ),
)


def notes(*texts: str) -> pa.Table:
    return pa.table({"note": list(texts), "day": [DAY] * len(texts)}, schema=arrow_schema(NOTES))


def texts(table: LakeTable) -> list[str]:
    return table.read_arrow([DAY])["note"].to_pylist()


def left_behind(table: LakeTable) -> list[str]:
    """Names of whatever lies in the table's folder, and in the folder it is written through."""
    return [path.name for path in (*table.root.iterdir(), *(table.home.lake / "_work" / "notes").iterdir())]


@pytest.fixture
def table(home) -> LakeTable:
    table = LakeTable(home, NOTES)
    table.write_arrow(DAY, notes("b", "a"))
    return table


def test_rows_are_replaced_and_sorted_by_key(table):
    assert texts(table) == ["a", "b"]
    table.write_arrow(DAY, notes("c"))
    assert texts(table) == ["c"]
    assert left_behind(table) == [f"day={DAY}", "lock"]


# Ends the process without a word at the n-th rename of the swap, which moves what has been written.
KILLED = """
import os, sys
from datetime import date
from pathlib import Path
from jobs.home import Home
from jobs.lake import LakeTable
from tests.jobs.test_lake import DAY, NOTES, notes
renamed, real = [], os.rename
def rename(a, b):
    if "day" in a.name and len(renamed) == int(sys.argv[2]):
        os._exit(9)
    renamed.extend([a] * ("day" in a.name))
    real(a, b)
os.rename = rename
LakeTable(Home(Path(sys.argv[1])), NOTES).write_arrow(DAY, notes("new"))
os._exit(9)
"""


@pytest.mark.parametrize(("renames", "left"), [(0, ["a", "b"]), (1, ["a", "b"]), (2, ["new"])])
def test_a_writer_killed_at_any_rename_leaves_the_old_rows_or_the_new(table, renames, left):
    command = [sys.executable, "-c", KILLED, str(table.home.path), str(renames)]
    assert subprocess.run(command, cwd=REPOSITORY).returncode == 9
    assert texts(table) == left
    # The next write clears away what the killed one left.
    table.write_arrow(DAY, notes("next"))
    assert texts(table) == ["next"]
    assert left_behind(table) == [f"day={DAY}", "lock"]


def test_two_writers_at_once_leave_one_whole_partition(table):
    script = KILLED.replace("os._exit(9)\n    renamed", "pass\n    renamed")
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(table.home.path), "99"], cwd=REPOSITORY) for _ in range(4)
    ]
    assert [writer.wait() for writer in writers] == [9] * 4
    assert texts(table) == ["new"]


@pytest.mark.parametrize("apart", [[], ["unshare", "--user", "--map-root-user", "--pid", "--fork"]], ids=["", "apart"])
def test_what_a_living_writer_has_staged_stays_though_its_number_is_nobodys(table, apart):
    """Containers that share a home do not see each other's processes."""
    if apart and subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces of processes here")
    with table.replaced(DAY) as (_, part):
        (part / "half").touch()
        other = KILLED.replace("os._exit(9)\n    renamed", "pass\n    renamed")
        command = [*apart, sys.executable, "-c", other, str(table.home.path), "99"]
        assert subprocess.run(command, cwd=REPOSITORY).returncode == 9
        assert texts(table) == ["new"]
        assert (part / "half").exists()
    assert (table.folder(DAY) / "half").exists()
    assert left_behind(table) == [f"day={DAY}", "lock"]


def test_a_partition_of_another_contract_is_told(table):
    changed = Table(
        **{**vars(NOTES), "columns": (*NOTES.columns, Column(name="by", type="string", description="Who."))}
    )
    with pytest.raises(DataError, match=r"does not fit the contract of notes \(it lacks by\): run the job"):
        LakeTable(table.home, changed).read_arrow([DAY])


def test_a_home_without_a_shop_is_a_wrong_setting(tmp_path):
    with pytest.raises(SetupError, match="holds no shop yet"):
        LakeTable(Home(tmp_path / "nowhere"), NOTES).require([DAY])


def test_fresh_means_the_same_recipe_and_newer_than_every_input(table, spark, tmp_path):
    made, other = LakeTable(table.home, Table(**{**vars(NOTES), "name": "made"})), DAY + timedelta(days=1)
    rows = spark.createDataFrame(notes("x"))
    made.write(rows, [DAY], "recipe 1")
    assert made.is_fresh(DAY, "recipe 1", [(table, DAY)])
    # Another code or setting.
    assert not made.is_fresh(DAY, "recipe 2", [(table, DAY)])
    # Never written.
    assert not made.is_fresh(other, "recipe 1", [(table, DAY)])
    # An input written since; also at the very same moment, since order cannot be told.
    table.write_arrow(DAY, notes("y"))
    assert not made.is_fresh(DAY, "recipe 1", [(table, DAY)])
    moment = made.written_at(DAY)
    os.utime(table.folder(DAY), ns=(moment, moment))
    assert not made.is_fresh(DAY, "recipe 1", [(table, DAY)])


def test_a_recipe_changes_with_contract_code_and_settings(tmp_path):
    module = ModuleType("job")
    module.__file__ = str(tmp_path / "job.py")
    (tmp_path / "job.py").write_text("1")
    first = recipe_of(NOTES, module, {"days": 30})
    assert recipe_of(NOTES, module, {"days": 30}) == first
    assert recipe_of(NOTES, module, {"days": 31}) != first
    (tmp_path / "job.py").write_text("2")
    assert recipe_of(NOTES, module, {"days": 30}) != first


def test_a_home_keeps_the_key_its_customers_were_keyed_with(home, monkeypatch):
    first = CustomerKeys.of(home)
    monkeypatch.setenv("LIFESTAGE_CUSTOMER_KEY", "ab" * 32)
    with pytest.raises(SetupError, match=f"keyed under key {first.key_id}"):
        CustomerKeys.of(home)
    for weak in ("", " ", "00", "ab" * 15):
        monkeypatch.setenv("LIFESTAGE_CUSTOMER_KEY", weak)
        if weak:
            with pytest.raises(SetupError, match="at least 16 are needed"):
                CustomerKeys.of(home)
    monkeypatch.setenv("LIFESTAGE_CUSTOMER_KEY", "xyz")
    with pytest.raises(SetupError, match="not hexadecimal"):
        CustomerKeys.of(home)


def test_no_key_is_written_where_one_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("LIFESTAGE_CUSTOMER_KEY", "ab" * 32)
    fresh = Home(tmp_path / "fresh")
    fresh.adopt("corner_shop", "corner_shop")
    ensure_key(fresh)
    assert not fresh.secrets.exists()
    shutil.rmtree(fresh.path)
