"""After a change of the customer key everything is as if made with the new one, whatever killed the change."""

import errno
import os
import secrets
import shutil
import subprocess
import sys
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.errors import DataError, SetupError, UnavailableError
from expectations.events import EVENTS
from expectations.offers import NEXT_ACTIONS
from expectations.segments import CUSTOMER_SEGMENTS, SEGMENT_SETTINGS
from expectations.sequences import EVENT_ARRAYS
from expectations.texts import TEXT_SCORES
from jobs import publish, rekey, simulate
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.marts.warehouse import connect
from jobs.reading.keys import CustomerKeys, given_keys
from jobs.reading.vault_file import keep_ids, vault_file
from jobs.rekeying import switch, warehouse_keys
from ml.home import restoring_file, shared_home
from tests.jobs.published import DAY, NEXT, ROWS, empty_warehouse, only, segments, write

FIRST, SECOND = date(2024, 3, 5), date(2024, 3, 6)
LINES = (
    "Ann,2024-03-05 10:00:00,look,,p1,,,,",
    "Ann,2024-03-05 10:05:00,sale,o1,p1,1,9.99,,",
    "Bob,2024-03-05 11:00:00,look,,p2,,,,",
    "Cid,2024-03-05 12:00:00,sale,o2,p2,1,1.00,,",
)


def change(home, *arguments):
    rekey.main(rekey.arg_parser().parse_args(["--home", str(home.path), *arguments]))


def rows_of(folder):
    """Rows of a partition, in the order of its files."""
    return pa.concat_tables(pq.read_table(file, partitioning=None) for file in sorted(folder.glob("*.parquet")))


@pytest.fixture
def filled(home, land, ingest):
    """Two ingested days, and a table that is sorted by customer."""
    land(FIRST, *LINES)
    land(SECOND, *(line.replace("-05 ", "-06 ") for line in LINES[1:]))
    ingest(FIRST, SECOND)
    keys = sorted(CustomerKeys.of(home).key(name) for name in ("Ann", "Bob", "Cid"))
    (home.lake / "embeddings" / f"snapshot_date={FIRST}").mkdir(parents=True)
    table = pa.table({"customer_key": keys, "embedding": [[float(n)] for n in range(3)]})
    pq.write_table(table, home.lake / "embeddings" / f"snapshot_date={FIRST}" / "part-0.parquet")
    (home.lake / "embeddings" / f"snapshot_date={FIRST}" / "_recipe").write_text("as before")
    home.run.mkdir()
    return home


def fresh(home, land, ingest, path):
    """Another home of the same landing under the key that ``home`` has now."""
    other = Home(path)
    other.adopt("corner_shop", "corner_shop", landing=home.landing_of("corner_shop"))
    other.secrets.mkdir(parents=True)
    (other.secrets / "customer_key").write_text((home.secrets / "customer_key").read_text())
    return other


# -- everything as if made with the new key ----------------------------------------------------------------------------


def test_rows_are_as_a_fresh_ingest_with_the_new_key_makes_them(filled, land, ingest, tmp_path, corner_shop):
    from jobs.ingest import ingest_days

    before = {path: path.stat().st_mtime_ns for path in filled.lake.glob("*/*") if path.is_dir()}
    by_name = rows_of(filled.lake / "embeddings" / f"snapshot_date={FIRST}")
    old = given_keys(filled)
    change(filled)
    new = given_keys(filled)
    assert new.key_id != old.key_id
    other = fresh(filled, land, ingest, tmp_path / "other")
    assert ingest_days(other, [corner_shop], [FIRST, SECOND]) == []
    for day in (FIRST, SECOND):
        for table in ("events", "quarantine", "ingest_report"):
            made, wanted = (home.lake / table / f"arrival_date={day}" / "part-0.parquet" for home in (filled, other))
            assert made.read_bytes() == wanted.read_bytes(), made
        assert vault_file(filled, day).read_bytes() == vault_file(other, day).read_bytes()
    sessions = rows_of(filled.lake / "events" / f"arrival_date={FIRST}")["session_id"].to_pylist()
    assert sessions[0].startswith(new.key("Ann")[:16])
    # What the day's order follows is sorted anew, and every customer keeps what was theirs.
    named = {old.key(name): new.key(name) for name in ("Ann", "Bob", "Cid")}
    after = rows_of(filled.lake / "embeddings" / f"snapshot_date={FIRST}")
    assert after["customer_key"].to_pylist() == sorted(named.values())
    wanted = {named[row["customer_key"]]: row["embedding"] for row in by_name.to_pylist()}
    assert {row["customer_key"]: row["embedding"] for row in after.to_pylist()} == wanted
    # Times of partitions say what is up to date: they stay.
    assert {path: path.stat().st_mtime_ns for path in filled.lake.glob("*/*") if path.is_dir()} == before
    assert ingest(FIRST, skip_unchanged=True) == []


def test_nothing_of_the_old_key_is_left(filled):
    old = given_keys(filled)
    text = (filled.secrets / "customer_key").read_text().strip()
    (filled.path / "risk_labels.csv").write_text(f"customer_key,event_date\n{old.key('Ann')},2024-03-05\n")
    (filled.path / "reports").mkdir()
    (filled.path / "reports" / "a.html").write_text(f"<code>{old.key('Bob')}</code> {'0' * 32}")
    change(filled)
    new = given_keys(filled)
    assert (filled.path / "risk_labels.csv").read_text().split()[1] == f"{new.key('Ann')},2024-03-05"
    assert (filled.path / "reports" / "a.html").read_text() == f"<code>{new.key('Bob')}</code> {'0' * 32}"
    gone = [text, old.key_id, *(old.key(name)[:16] for name in ("Ann", "Bob", "Cid"))]
    for file in (path for path in filled.path.rglob("*") if path.is_file() and filled.landing not in path.parents):
        held = repr(pq.read_table(file, partitioning=None).to_pylist()) if file.suffix == ".parquet" else ""
        found = file.read_bytes()
        assert not any(one in held or one.encode() in found for one in gone), file
    assert not (filled.path / "rekey").exists()
    assert not (filled.lake / "_rekey").exists()


def test_texts_are_found_again_under_their_new_hash(filled, monkeypatch):
    old = given_keys(filled)
    events = LakeTable(filled, EVENTS)
    rows = events.read_arrow([FIRST])
    texts = pa.array(["good", "bad", None, "good"])
    events.write_arrow(FIRST, rows.set_column(rows.column_names.index("text"), "text", texts))
    some = rows.take([0, 1, 3])
    hashes = [old.key(f"text\0{text}") for text in ("good", "bad")] + ["f" * 32]  # a text that is gone by now
    score = {"language": "en", "sentiment": 0.5, "topic": None}
    made = [
        {**{n: row[n] for n in TEXT_SCORES.column_names if n in row}, "text_hash": one, **score}
        for row, one in zip(some.to_pylist(), hashes, strict=True)
    ]
    LakeTable(filled, TEXT_SCORES).write_arrow(FIRST, pa.Table.from_pylist(made).select(TEXT_SCORES.column_names))
    change(filled)
    new = given_keys(filled)
    found = LakeTable(filled, TEXT_SCORES).read_arrow([FIRST])
    assert found["text_hash"].to_pylist()[:2] == [new.key(f"text\0{text}") for text in ("good", "bad")]
    assert found["text_hash"].to_pylist()[2] not in {*hashes, *found["text_hash"].to_pylist()[:2]}


def test_sequences_without_texts_keep_what_names_nobody_where_no_file_can_be_linked(filled, monkeypatch):
    old, part = given_keys(filled), filled.lake / "sequences" / f"snapshot_date={FIRST}"
    part.mkdir(parents=True)
    arrays = {array.name: np.zeros(3, array.dtype) for array in EVENT_ARRAYS}
    arrays |= {"customer_keys": np.array(sorted(old.key(name) for name in ("Ann", "Bob", "Cid")), "S32")}
    arrays |= {"offsets": np.arange(4), "text_row": np.full(3, -1, np.int32)}
    arrays |= {"text_hashes": np.empty(0, "S32"), "text_vectors": np.empty((0, 384), np.float16)}
    for name, values in arrays.items():
        np.save(part / f"{name}.npy", values)
    for other in ("about.json", "_recipe"):
        (part / other).write_text(other)

    def no_links(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    change(filled)
    new = given_keys(filled)
    made = {file.stem: np.load(file) for file in part.glob("*.npy")}
    assert made["customer_keys"].astype(str).tolist() == sorted(new.key(name) for name in ("Ann", "Bob", "Cid"))
    for name in arrays.keys() - {"customer_keys"}:
        assert np.array_equal(made[name], arrays[name]), name
        assert made[name].shape == arrays[name].shape
    assert [(part / other).read_text() for other in ("about.json", "_recipe")] == ["about.json", "_recipe"]


def test_a_customer_whose_id_nobody_kept_stops_the_change_before_anything_is_switched(filled):
    vault_file(filled, FIRST).unlink()
    vault_file(filled, SECOND).unlink()
    before = rows_of(filled.lake / "events" / f"arrival_date={FIRST}")
    with pytest.raises(DataError, match=r"of customers whose raw ids are in no vault.*ingest"):
        change(filled)
    assert rows_of(filled.lake / "events" / f"arrival_date={FIRST}").equals(before)
    with shared_home(filled.path):
        assert CustomerKeys.of(filled)


def test_a_day_that_arrives_meanwhile_is_changed_too(filled, land, ingest, monkeypatch):
    """Jobs go on while the copy is made: what they wrote is done before the switch."""
    third, begin = date(2024, 3, 7), rekey.home_alone

    def after_a_delivery(home, wait_s):
        land(third, "Dee,2024-03-07 10:00:00,sale,o9,p1,1,9.99,,")
        land(FIRST, *LINES[:2])
        ingest(FIRST, third)
        shutil.rmtree(filled.lake / "events" / f"arrival_date={SECOND}")
        return begin(home, wait_s)

    monkeypatch.setattr(rekey, "home_alone", after_a_delivery)
    change(filled)
    new, events = given_keys(filled), filled.lake / "events"
    assert rows_of(events / f"arrival_date={third}")["customer_key"].to_pylist() == [new.key("Dee")]
    assert rows_of(events / f"arrival_date={FIRST}")["customer_key"].to_pylist() == [new.key("Ann")] * 2
    assert not (events / f"arrival_date={SECOND}").exists()


# -- killed ------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    pass


@pytest.mark.parametrize("nth", range(0, 24, 3))
def test_killed_before_any_rename_it_goes_on_and_ends_alike(filled, monkeypatch, nth):
    """Every step that can be seen is a rename: dying before the nth of them, a second run ends the change."""
    old, count = given_keys(filled), 0
    reached = os.rename, os.replace

    def dying(do):
        def step(source, target, **more):
            nonlocal count
            count += 1
            if count == nth + 1:
                raise Killed
            return do(source, target, **more)

        return step

    for name, do in zip(("rename", "replace"), reached, strict=True):
        monkeypatch.setattr(os, name, dying(do))
    with pytest.raises(Killed):
        change(filled)
    for name, do in zip(("rename", "replace"), reached, strict=True):
        monkeypatch.setattr(os, name, do)
    if (filled.path / "rekey" / "switching").exists():
        with pytest.raises(SetupError, match="run `python -m jobs rekey` again"), shared_home(filled.path):
            pass
    kept = filled.path / "rekey" / "new_key"
    chosen = kept.read_text() if kept.exists() else None
    change(filled)
    new = given_keys(filled)
    assert chosen in (None, (filled.secrets / "customer_key").read_text())
    assert CustomerKeys.of(filled).key_id == new.key_id != old.key_id
    for day, names in ((FIRST, "Ann Ann Bob Cid"), (SECOND, "Ann Bob Cid")):
        keys = rows_of(filled.lake / "events" / f"arrival_date={day}")["customer_key"].to_pylist()
        assert keys == [new.key(name) for name in names.split()]
        assert set(pq.read_table(vault_file(filled, day))["key_id"].to_pylist()) == {new.key_id}
    assert not (filled.path / "rekey").exists()


def test_a_given_key_is_taken_and_must_be_given_with_a_given_one(filled, monkeypatch, capsys):
    old = (filled.secrets / "customer_key").read_text().strip()
    monkeypatch.setenv("LIFESTAGE_CUSTOMER_KEY", old)
    with pytest.raises(SetupError, match="LIFESTAGE_NEW_CUSTOMER_KEY"):
        change(filled)
    monkeypatch.setenv("LIFESTAGE_NEW_CUSTOMER_KEY", old)
    with pytest.raises(SetupError, match="is the key that the home has"):
        change(filled)
    assert not (filled.path / "rekey").exists()
    new = secrets.token_hex(32)
    monkeypatch.setenv("LIFESTAGE_NEW_CUSTOMER_KEY", new)
    with shared_home(filled.path), pytest.raises(UnavailableError):
        change(filled, "--wait", "0")
    monkeypatch.setenv("LIFESTAGE_NEW_CUSTOMER_KEY", secrets.token_hex(32))
    with pytest.raises(SetupError, match=r"has begun.*give it up by deleting"):
        change(filled)
    monkeypatch.setenv("LIFESTAGE_NEW_CUSTOMER_KEY", new)
    change(filled)
    assert "set LIFESTAGE_CUSTOMER_KEY" in capsys.readouterr().out
    with pytest.raises(SetupError, match="another one than before"):
        CustomerKeys.of(filled)
    monkeypatch.setenv("LIFESTAGE_CUSTOMER_KEY", new)
    assert CustomerKeys.of(filled).key_id == filled.key_id
    assert old not in {path.read_text().strip() for path in filled.secrets.iterdir()} - {old}


# -- alone in the home -------------------------------------------------------------------------------------------------


def test_it_waits_for_jobs_and_jobs_are_refused_while_it_switches(filled, monkeypatch):
    with shared_home(filled.path), pytest.raises(UnavailableError, match="pause the DAGs"):
        change(filled, "--wait", "0.1")
    assert CustomerKeys.of(filled)
    do, seen = switch.rekey_warehouse, []

    def during(home, keys):
        done = subprocess.run(
            [sys.executable, "-m", "jobs", "quarantine", "--home", str(home.path), "--ds", str(FIRST)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        seen.append((done.returncode, done.stderr))
        return do(home, keys)

    monkeypatch.setattr(switch, "rekey_warehouse", during)
    change(filled)
    assert seen[0][0] == 75
    assert "rekey or restore has the home" in seen[0][1]


def test_a_home_whose_restore_was_cut_short_is_neither_worked_on_nor_changed(filled):
    restoring_file(filled.path).touch()
    with pytest.raises(SetupError, match=r"a restore of .* was cut short: run it again"), shared_home(filled.path):
        pass
    with pytest.raises(SetupError, match="was cut short"):
        change(filled)
    assert not (filled.path / "rekey").exists()


# -- warehouse ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def published(warehouse_home, tmp_path_factory):
    """Two days of three customers, in the marts and in the vault."""
    home = empty_warehouse(warehouse_home, tmp_path_factory.mktemp("before"))
    shop = home.path / "shop.json"
    before, key = shop.read_text(), (home.secrets / "customer_key").read_text()
    keys = CustomerKeys.of(home)
    names = {row["customer_key"]: f"shop-{n}" for n, row in enumerate(ROWS)}
    rows = [row | {"customer_key": keys.key(names[row["customer_key"]])} for row in ROWS]
    ids = [{"customer_key": keys.key(raw), "customer_id": raw, "key_id": keys.key_id} for raw in names.values()]
    keep_ids(home, DAY, [pa.Table.from_pylist(ids)])
    with only(CUSTOMER_SEGMENTS, SEGMENT_SETTINGS, NEXT_ACTIONS):
        for day in (DAY, NEXT):
            write(home, segments(day, rows), day)
            publish.publish(home, day)
    yield home
    shop.write_text(before)
    (home.secrets / "customer_key").write_text(key)


def told(home, statement):
    with connect(home, "bi_reader") as connection:
        return connection.execute(statement).fetchall()


HISTORY = (
    "select snapshot_date, customer_key, value_tier, expected_spend_30d from customer_segments_history order by 1, 2"
)
JOINED = (
    "select snapshot_date, value_tier, s.churn_band, action, count(*), sum(s.expected_spend_30d) "
    "from next_actions_history join customer_segments_history s using (snapshot_date, customer_key, value_tier) "
    "group by 1, 2, 3, 4 order by 1, 2, 3"
)


@pytest.mark.slow
def test_the_marts_are_the_same_but_for_the_keys_which_change_at_once(published, monkeypatch):
    before, joined, old = told(published, HISTORY), told(published, JOINED), given_keys(published)
    do, meanwhile = warehouse_keys._drop_staged, []

    def look(connection):  # every table is updated, nothing is committed
        meanwhile.append(told(published, HISTORY))
        do(connection)

    monkeypatch.setattr(warehouse_keys, "_drop_staged", look)
    change(published)
    assert meanwhile == [before]
    new = given_keys(published)
    named = {old.key(f"shop-{n}"): new.key(f"shop-{n}") for n in range(3)}
    assert told(published, HISTORY) == sorted((day, named[key], *rest) for day, key, *rest in before)
    assert told(published, JOINED) == joined
    with connect(published, "activation") as connection:
        vault = connection.execute("select customer_key, customer_id, key_id from vault.customer_ids").fetchall()
    assert sorted(vault) == sorted((new.key(f"shop-{n}"), f"shop-{n}", new.key_id) for n in range(3))
    with only(CUSTOMER_SEGMENTS, SEGMENT_SETTINGS, NEXT_ACTIONS):
        publish.publish(published, NEXT)  # the lake's rows are those of the warehouse
    assert told(published, JOINED) == joined


@pytest.mark.slow
def test_a_row_of_an_unknown_customer_leaves_the_warehouse_as_it_was(published):
    with connect(published, autocommit=True) as connection:
        stored = f"warehouse.customer_segments_v{CUSTOMER_SEGMENTS.version}"
        one = "where snapshot_date = %s and customer_key = (select min(customer_key) from " + stored + ")"
        connection.execute(f"update {stored} set customer_key = 'stranger' {one}", [DAY])
    before = told(published, HISTORY)
    with pytest.raises(DataError, match=r"1 rows of .*customer_segments.*raw ids are in no vault"):
        change(published)
    assert told(published, HISTORY) == before
    with connect(published, autocommit=True) as connection:
        connection.execute(f"delete from {stored} where customer_key = 'stranger'")
    change(published)  # what had begun is ended
    assert not (published.path / "rekey").exists()


# -- a whole simulated shop --------------------------------------------------------------------------------------------


def run(home, job, *arguments):
    import importlib

    module = importlib.import_module(f"jobs.{job}")
    module.main(module.arg_parser().parse_args(["--home", str(home.path), *arguments]))


def built(home):
    days = ["--from", "2024-01-01", "--to", "2024-01-12"]
    run(home, "ingest", *days)
    run(home, "encode_text", *days)
    run(home, "aggregate", *days)
    run(home, "build_features", "--ds", "2024-01-12")
    run(home, "build_sequences", "--ds", "2024-01-12")
    return home


@pytest.mark.slow
def test_every_stage_of_a_simulated_shop_is_as_made_anew(tmp_path):
    """Texts, dimensions, features and sequences; 100 customers, 12 days, made twice."""
    first, second = Home(tmp_path / "first"), Home(tmp_path / "second")
    simulate.main(simulate.arg_parser().parse_args(
        ["--home", str(first.path), "--customers", "100", "--days", "12", "--seed", "3", "--start", "2024-01-01"]
    ))  # fmt: skip
    built(first)
    change(first)
    second.adopt("simulated_shop", "simulated_shop", landing=first.landing_of("simulated_shop"), simulated=True)
    second.secrets.mkdir(parents=True)
    shutil.copy(first.secrets / "customer_key", second.secrets / "customer_key")
    built(second)
    compared = 0
    for part in sorted(second.lake.glob("[!_]*/*")):
        made = first.lake / part.relative_to(second.lake)
        for file in part.glob("*.npy"):
            assert np.array_equal(np.load(made / file.name), np.load(file)), file
        if any(part.glob("*.parquet")) and part.parent.name != "text_vectors":
            assert rows_of(made).equals(rows_of(part)), part
            compared += 1
        if part.parent.name == "text_vectors":
            by_hash = [rows_of(one).sort_by("text_hash") for one in (made, part)]
            assert by_hash[0].equals(by_hash[1])
    assert compared > 60
    assert sorted(path.name for path in first.lake.glob("[!_]*/*")) == sorted(
        p.name for p in second.lake.glob("[!_]*/*")
    )
