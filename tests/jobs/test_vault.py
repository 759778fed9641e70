"""The vault: raw ids reach it and nothing else, activation alone reads it, and every export is chosen and logged."""

import argparse
import csv
import hashlib
import resource
import stat
from datetime import date, timedelta

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg import errors

from expectations.errors import DataError, SetupError
from expectations.offers import NEXT_ACTIONS
from expectations.segments import CUSTOMER_SEGMENTS
from jobs import export_audience, publish
from jobs.home import Home
from jobs.marts import vault, warehouse
from jobs.marts.publish_staging import stage
from jobs.marts.sql_expression import refuse_unless_one_expression
from jobs.reading.keys import CustomerKeys
from jobs.reading.vault_file import NOBODY, keep_ids, vault_file
from tests.jobs.published import DAY, FEW, NEXT, ROWS, action, empty_warehouse, only, segments, write

IDS = {row["customer_key"]: f"shop-{n}" for n, row in enumerate(ROWS, start=1)}


def fill(home, folder):
    """A published day whose three customers the vault knows."""
    empty_warehouse(home, folder)
    deliver(home, DAY, IDS)
    write(home, segments())
    publish.publish(home, DAY)
    return home


@pytest.fixture(autouse=True, scope="module")
def few_tables():
    with only(*FEW):
        yield


@pytest.fixture(scope="module")
def filled(warehouse_home, tmp_path_factory):
    """Not to be published to: ``own`` is for that, and its tests come last."""
    return fill(warehouse_home, tmp_path_factory.mktemp("before"))


@pytest.fixture
def own(warehouse_home, tmp_path_factory):
    return fill(warehouse_home, tmp_path_factory.mktemp("before"))


def deliver(home, day, ids):
    rows = [{"customer_key": key, "customer_id": raw, "key_id": "k"} for key, raw in ids.items()]
    keep_ids(home, day, [pa.Table.from_pylist(rows, NOBODY.schema)])


def known(home):
    with warehouse.connect(home, "activation") as connection:
        return dict(connection.execute("select customer_key, customer_id from vault.customer_ids").fetchall())


LINES = (
    "Customer One,2024-03-05 10:00:00,sale,o1,p1,1,9.99,,",
    "Customer Two,2024-03-05 11:00:00,sale,o2,p1,1,9.99,,",
    "Customer One,2024-03-05 12:00:00,look,,p2,,,,",
    "Customer Three,2024-03-05 12:00:00,nonsense,,p2,,,,",  # refused: nothing of it is kept
    ",2024-03-05 12:00:00,sale,o3,p2,1,1.00,,",  # dropped
)


# -- from a delivery to the vault --------------------------------------------------------------------------------------


def test_ingestion_keeps_the_cleaned_ids_of_kept_rows_for_their_owner_alone(home, land, ingest):
    day = date(2024, 3, 5)
    land(day, *LINES)
    ingest(day)
    file = vault_file(home, day)
    rows = pq.read_table(file).to_pylist()
    keys = CustomerKeys.of(home)
    assert sorted(row["customer_id"] for row in rows) == ["Customer One", "Customer Two"]
    assert all(row["customer_key"] == keys.key(row["customer_id"]) and row["key_id"] == keys.key_id for row in rows)
    events = pq.read_table(home.lake / f"events/arrival_date={day}", columns=["customer_key"], partitioning=None)
    assert {row["customer_key"] for row in rows} == set(events["customer_key"].to_pylist())
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(home.vault.stat().st_mode)) == (0o600, 0o700)
    raw = [row["customer_id"].encode() for row in rows]
    for path in home.lake.rglob("*.parquet"):
        assert not any(value in path.read_bytes() for value in raw), path


def test_a_day_whose_ids_are_not_kept_is_ingested_again(home, land, ingest):
    day = date(2024, 3, 5)
    land(day, *LINES)
    ingest(day)
    before = vault_file(home, day).read_bytes()
    vault_file(home, day).unlink()
    ingest(day, skip_unchanged=True)
    assert vault_file(home, day).read_bytes() == before


# -- who may read it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["bi_reader", "lifestage_writer"])
@pytest.mark.parametrize(
    "statement",
    [
        "select customer_id from vault.customer_ids",
        "select * from vault.export_log",
        "delete from vault.customer_ids",
        "insert into vault.customer_ids values ('c1', 'x', 'k') on conflict (customer_key) do update "
        "set customer_id = excluded.customer_id",
        "insert into vault.customer_ids values ('c1', 'x', 'k') on conflict do nothing returning customer_id",
        "copy vault.customer_ids to program 'cat'",
        "alter table vault.customer_ids owner to lifestage_writer",
        "set role activation",
        "create view vault.mine as select 1",
    ],
)
def test_others_than_activation_may_not_read_or_change_it(filled, role, statement):
    with warehouse.connect(filled, role, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement)


def test_nobody_can_be_let_in(filled):
    with warehouse.connect(filled, autocommit=True) as connection:
        connection.execute("grant select on vault.customer_ids to bi_reader")  # the server warns, and grants nothing
        right = connection.execute("select has_table_privilege('bi_reader', 'vault.customer_ids', 'select')")
        assert right.fetchone() == (False,)


@pytest.mark.parametrize(
    "statement",
    [
        "delete from vault.export_log",
        "update vault.export_log set exported_by = 'nobody'",
        "delete from vault.customer_ids",
        "insert into vault.customer_ids values ('x', 'x', 'x')",
        "select * from warehouse.customer_segments_v3",
        "truncate vault.export_log",
    ],
)
def test_activation_reads_and_adds_to_the_log_alone(filled, statement):
    with warehouse.connect(filled, "activation", autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement)


# -- exports -----------------------------------------------------------------------------------------------------------


def export(home: Home, out, where, *more):
    arguments = ["--home", str(home.path), "--where", where, "--out", str(out), "--as", "Ann", *more]
    export_audience.main(export_audience.arg_parser().parse_args(arguments))


def entries(home):
    with warehouse.connect(home, "activation") as connection:
        return connection.execute(
            "select exported_by, purpose, snapshot_date, where_clause, file_name, customers, file_digest "
            "from vault.export_log order by export_id"
        ).fetchall()


def test_an_audience_leaves_with_the_shops_ids_and_an_entry(filled, tmp_path, capsys):
    out = tmp_path / "an audience.csv"
    where = "value_tier = 'high' and churn_band in ('low')"
    export(filled, out, where, "--columns", "lifecycle_stage, monetary_value", "--purpose", "spring letter")
    assert list(csv.reader(out.open(newline=""))) == [
        ["customer_id", "lifecycle_stage", "monetary_value"],
        ["shop-2", "loyal", "0.33"],
        ["shop-3", "loyal", "2.50"],
    ]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert entries(filled)[-1] == ("Ann", "spring letter", DAY, where, str(out), 2, digest)
    assert "2 customers of 2017-12-30, for Ann" in capsys.readouterr().out


def test_other_marts_may_be_asked_too(filled, tmp_path):
    where = "customer_key in (select customer_key from customer_segments_history where recency_days = 3)"
    export(filled, tmp_path / "some.csv", where)
    assert (tmp_path / "some.csv").read_text().split() == ["customer_id", "shop-3"]


IN_VAULT, IN_WAREHOUSE = (f"permission denied for schema {name}" for name in ("vault", "warehouse"))
INJECTIONS = {
    "true; drop table vault.customer_ids": "; ends it",
    "true) union select snapshot_date, customer_id from vault.customer_ids where (true": "closes that none has opened",
    "true) or (true": "closes that none has opened",
    "(true": "does not close",
    "true -- and so on": "neither comments",
    "true /* and so on": "neither comments",
    "value_tier = 'high": "a quote does not end",
    'true or "value_tier': "a quote does not end",
    "$x$ $x$ is not null": "dollar quotes",
    "x = E'\\'('": "E'…' string",
    "x = E'\\' or true) --'": "E'…' string",
    "x = 1e'\\'": "E'…' string",
    # A string that goes on in the next line goes on by the rules of its beginning.
    "value_tier = e'x'\n'\\' || ' ) union all select snapshot_date, customer_key "
    "from marts.customer_segments_history where (true --'": "E'…' string",
    "": "says nothing",
    "  \n ": "says nothing",
    # One expression, and refused by the server: the role that chooses sees the marts alone.
    "exists (select from vault.customer_ids)": IN_VAULT,
    "query_to_xml('select * from vault.customer_ids', true, true, '') is not null": IN_VAULT,
    "customer_key in (select customer_key from warehouse.customer_segments_v3)": IN_WAREHOUSE,
    "pg_read_file('postgresql.conf') is not null": "permission denied for function",
    "lo_create(0) = 0": "permission denied|read-only",
    "nextval('vault.export_log_export_id_seq') > 0": "permission denied",
    "set_config('role', 'activation', false) is null": "permission denied",
    "value_tier": "must be type boolean",
    "count(*) > 1": "aggregate functions are not allowed",
    "true, true": "must be type boolean|type record",
    "nonsense = 1": 'column "nonsense" does not exist',
    "customer_key = $1": "supplies 0 parameters",
    "select true": "begins with select",
}


@pytest.mark.parametrize("where", INJECTIONS)
def test_what_is_not_one_expression_over_the_marts_is_refused(filled, tmp_path, where):
    before = len(entries(filled))
    with pytest.raises(DataError, match=INJECTIONS[where]):
        export(filled, tmp_path / "out.csv", where)
    assert list(tmp_path.glob("*out.csv*")) == []
    assert len(entries(filled)) == before
    assert known(filled) == IDS


@pytest.mark.parametrize(
    "clause",
    [
        "true",
        "value_tier = 'a;b'",
        "x = 'it''s (' and (y)",
        '"we;ird(" is null',
        "x ~ '[a-z]--'",
        "a = 1.5",
    ],
)
def test_marks_within_quotes_are_text(clause):
    refuse_unless_one_expression(clause)


def test_a_clause_that_runs_on_is_stopped(filled, tmp_path):
    with warehouse.connect(filled, "postgres", autocommit=True) as admin:
        admin.execute("alter role bi_reader set statement_timeout = '300ms'")
        try:
            with pytest.raises(DataError, match="statement timeout"):
                export(filled, tmp_path / "out.csv", "pg_sleep(60) is null")
        finally:
            admin.execute("alter role bi_reader set statement_timeout = '5min'")


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        (["--columns", "customer_key,raw_id"], DataError, "has no raw_id; it has"),
        (["--as", " "], DataError, "say who takes the file"),
        (["--as", "Andr\udce9"], DataError, "--as: .* is not UTF-8 from its character 5 on"),
        (["--purpose", "\udce9t\udce9"], DataError, "--purpose: .* is not UTF-8"),
        (["--where", "value_tier = '\udce9'"], DataError, "--where: .* is not UTF-8"),
    ],
)
def test_what_is_missing_is_named(filled, tmp_path, more, error, message):
    with pytest.raises(error, match=message):
        export(filled, tmp_path / "out.csv", "true", *more)


def test_a_file_that_cannot_be_written_is_named(filled, tmp_path):
    before = entries(filled)
    (tmp_path / "a file").write_text("")
    for out in ("no such folder/out.csv", "a file/out.csv", "x" * 300):
        with pytest.raises(SetupError, match=r"--out: .*cannot be written"):
            export(filled, tmp_path / out, "true")
    with pytest.raises(SetupError, match=r"--out: .* is a folder"):
        export(filled, tmp_path, "true")
    assert entries(filled) == before


def test_a_full_disk_leaves_an_entry_and_no_file(filled, tmp_path):
    before, (soft, hard) = entries(filled), resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path / "out.csv").write_text("before")
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
    try:
        with pytest.raises(SetupError, match=r"--out: .*cannot be written"):
            export(filled, tmp_path / "out.csv", "true")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "out.csv").read_text() == "before"
    assert [path.name for path in tmp_path.glob("*out.csv*")] == ["out.csv"]
    (*others, entry) = entries(filled)
    assert others == before
    export(filled, tmp_path / "out.csv", "true")
    assert entry[-1] == hashlib.sha256((tmp_path / "out.csv").read_bytes()).hexdigest()


def test_an_account_without_a_name_is_told_by_its_number(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 1_234_567)  # as a container may be started
    assert export_audience.account() == "1234567"


def test_what_is_not_logged_leaves_no_file(filled, tmp_path):
    audience = export_audience.Audience(DAY, ["c1"], [()])
    args = argparse.Namespace(out=tmp_path / "out.csv", who="Ann", purpose=None)
    with warehouse.connect(filled, "bi_reader") as connection, pytest.raises(psycopg.Error):
        export_audience.write(connection, args, "true", audience, b"customer_id\r\nshop-1\r\n")
    assert list(tmp_path.iterdir()) == [] or not any("out.csv" in path.name for path in tmp_path.iterdir())


def test_an_id_that_a_spreadsheet_would_compute_is_text(own, tmp_path):
    deliver(own, NEXT, {"c4": "=1+1", "c5": "+49 151", "c6": "-7", "c7": "@sum", "c8": "a=1"})
    write(own, segments(NEXT, [ROWS[0] | {"customer_key": f"c{n}"} for n in range(4, 9)]), NEXT)
    publish.publish(own, NEXT)
    export(own, tmp_path / "sheet.csv", "true")
    assert (tmp_path / "sheet.csv").read_text().splitlines()[1:] == ["'+49 151", "'-7", "'=1+1", "'@sum", "a=1"]
    export(own, tmp_path / "raw.csv", "true", "--verbatim")
    assert (tmp_path / "raw.csv").read_text().splitlines()[1:] == ["+49 151", "-7", "=1+1", "@sum", "a=1"]


# -- days that follow --------------------------------------------------------------------------------------------------


def test_each_delivery_is_loaded_once_and_a_changed_one_again(own):
    assert known(own) == IDS
    assert vault.fill_vault(own) == 0
    deliver(own, NEXT, {"c1": "shop-1", "c9": "shop-9"})
    assert vault.fill_vault(own) == 1
    deliver(own, NEXT, {"c10": "shop-10"})
    assert vault.fill_vault(own) == 1
    assert known(own) == IDS | {"c9": "shop-9", "c10": "shop-10"}  # nobody is forgotten


def test_what_the_server_never_takes_is_no_matter_of_trying_again(own):
    deliver(own, NEXT, {"c9": "shop\0nine"})
    with pytest.raises(DataError, match="the warehouse refuses values of the vault"):
        vault.fill_vault(own)
    write(own, segments(NEXT, [ROWS[0] | {"customer_key": "c\0nine"}]), NEXT)
    with pytest.raises(DataError, match=r"refuses values of staging\.customer_segments"):
        stage(own, CUSTOMER_SEGMENTS, NEXT)
    assert known(own) == IDS


def test_many_deliveries_are_loaded_a_few_at_a_time(own, monkeypatch):
    rows, add = [], vault._add
    monkeypatch.setattr(vault, "_add", lambda home, some: (rows.append(some.num_rows), add(home, some)))
    days = [NEXT + timedelta(days=n) for n in range(vault.AT_ONCE + 5)]
    for n, day in enumerate(days):
        deliver(own, day, {f"new-{n}": f"shop-new-{n}"})
    assert vault.fill_vault(own) == len(days)
    assert rows == [vault.AT_ONCE, 5]
    assert len(known(own)) == len(IDS) + len(days)
    assert vault.fill_vault(own) == 0


def test_the_current_day_is_exported_and_nobody_twice(own, tmp_path):
    write(own, segments(NEXT), NEXT)
    publish.publish(own, NEXT)
    export(own, tmp_path / "all.csv", "true")
    assert (tmp_path / "all.csv").read_text().split() == ["customer_id", "shop-1", "shop-2", "shop-3"]
    assert entries(own)[-1][2] == NEXT


def test_customers_whom_the_vault_does_not_know_are_named(own, tmp_path):
    write(own, segments(NEXT, [ROWS[0] | {"customer_key": "stranger"}, *ROWS[1:]]), NEXT)
    publish.publish(own, NEXT)
    with pytest.raises(DataError, match=r"does not know 1 of 3 customers \(stranger\)"):
        export(own, tmp_path / "out.csv", "true")
    assert not (tmp_path / "out.csv").exists()


def test_the_control_group_is_left_out_on_request(own, tmp_path):
    rows = segments()
    held_out = [action(DAY, row, is_held_out=row["customer_key"] == "c2") for row in rows]
    with only(*FEW, NEXT_ACTIONS):
        write(own, rows, next_actions=held_out)
        publish.publish(own, DAY)
    export(own, tmp_path / "out.csv", "value_tier = 'high' or value_tier = 'low'", "--without-held-out")
    assert (tmp_path / "out.csv").read_text().split() == ["customer_id", "shop-1", "shop-3"]
    assert entries(own)[-1][3].endswith("in (select customer_key from marts.next_actions where is_held_out)")
