"""Roles, tables and views: what setup makes, who sees what, and the addresses that lead there."""

import json
import stat

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from expectations.dictionary import FILE as DICTIONARY
from expectations.errors import DataError, SetupError, UnavailableError
from expectations.tables import WAREHOUSE
from expectations.views import VIEWS
from jobs import setup, sql, summary, warehouse_uri
from jobs.home import Home
from jobs.marts import warehouse
from jobs.marts.warehouse_ddl import stored_name
from jobs.reading import keys


@pytest.fixture
def reader(warehouse_home):
    with warehouse.connect(warehouse_home, "bi_reader", autocommit=True) as connection:
        yield connection


# -- what the reader may do --------------------------------------------------------------------------------------------


def test_reader_sees_the_views_of_marts(reader):
    seen = reader.execute("select table_schema, table_name, table_type from information_schema.tables").fetchall()
    ours = {row for row in seen if row[0] not in ("pg_catalog", "information_schema")}
    assert ours == {("marts", name, "VIEW") for name in VIEWS}
    for name in VIEWS:
        reader.execute(f"select * from {name}")  # found without the schema's name


@pytest.mark.parametrize(
    "statement",
    [
        *(f"select * from warehouse.{stored_name(table)}" for table in WAREHOUSE),
        "select * from warehouse.snapshot_pointer",
        "select * from staging.anything",
        "create table staging.mine (x int)",
        "create table marts.mine (x int)",
        "create table public.mine (x int)",
        "create view marts.mine as select 1",
        "create temp table mine (x int)",
        "create schema mine",
        "delete from marts.customer_segments",
        "insert into marts.segment_settings select * from marts.segment_settings",
        "drop view marts.customer_segments",
        "select lo_create(0)",
        "select pg_read_file('postgresql.conf')",
        "copy (select 1) to program 'true'",
        "set role lifestage_writer",
        "select * from pg_authid",
        "alter role bi_reader superuser",
    ],
)
def test_reader_may_nothing_else(reader, statement):
    reader.execute("set default_transaction_read_only = off")  # a habit that a session may drop; rights must hold
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute(statement)


@pytest.mark.parametrize("database", ["airflow", "mlflow", "postgres", "template1"])
@pytest.mark.parametrize("role", ["bi_reader", "lifestage_writer"])
def test_other_databases_stay_shut(warehouse_home, role, database):
    with pytest.raises(SetupError, match=f"{role} may not connect to database {database}"):
        warehouse.connect(warehouse_home, role, database)


@pytest.mark.parametrize("role", ["airflow", "mlflow"])
def test_owners_write_to_their_own_database_only(warehouse_home, role):
    with warehouse.connect(warehouse_home, role, role) as connection:
        connection.execute("create table t (x int)")
        connection.rollback()
    with pytest.raises(SetupError):
        warehouse.connect(warehouse_home, role, "warehouse")


def test_wrong_password_is_refused(warehouse_home):
    parts = conninfo_to_dict(warehouse.uri(warehouse_home, "bi_reader"))
    for host in ("127.0.0.1", conninfo_to_dict(warehouse.uri(warehouse_home, socket=True))["host"]):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(**parts | {"host": host, "password": "guess"})


# -- what setup makes --------------------------------------------------------------------------------------------------


def test_every_table_view_and_column_is_described(warehouse_home):
    query = """
        select n.nspname || '.' || c.relname || coalesce('.' || a.attname, '')
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and c.relname <> 'snapshot_pointer'
        where n.nspname in ('warehouse', 'marts') and c.relkind in ('r', 'p', 'v') and not c.relispartition
        and (obj_description(c.oid) is null or (a.attnum is not null and col_description(c.oid, a.attnum) is null))
    """
    with warehouse.connect(warehouse_home) as connection:
        assert connection.execute(query).fetchall() == []


def comment_on(home, kind, name):
    with warehouse.connect(home, "bi_reader") as connection:
        return connection.execute(f"select obj_description('{name}'::{kind}, %s)", [CATALOGUES[kind]]).fetchone()[0]


CATALOGUES = {"regclass": "pg_class", "regnamespace": "pg_namespace"}


def test_a_views_comment_says_what_the_dictionary_says(warehouse_home):
    text = DICTIONARY.read_text(encoding="utf-8")
    for name, view in VIEWS.items():
        comment = comment_on(warehouse_home, "regclass", f"marts.{name}")
        assert all(part in comment for part in (view.answers, view.rows, view.grain or view.table.grain))
        assert all(part in text for part in (view.answers, view.rows, view.grain or view.table.grain))
    assert "latest published day" in comment_on(warehouse_home, "regclass", "marts.customer_segments")


def test_the_comment_on_marts_says_whose_data_they_show(warehouse_home):
    assert comment_on(warehouse_home, "regnamespace", "marts").endswith(
        "Shop: complete_journey. Sources: complete_journey (time zone UTC, currency USD, simulated data)."
    )


def test_real_data_are_not_called_simulated(tmp_path):
    home = Home(tmp_path)
    home.adopt("online_retail", "online_retail")
    assert setup.shop_text(home) == (
        "Shop: online_retail. Sources: online_retail (time zone Europe/London, currency GBP)."
    )


def test_a_view_of_other_columns_is_made_anew(warehouse_home):
    with warehouse.connect(warehouse_home) as connection:
        connection.execute("drop view marts.segment_summary")
        connection.execute("create view marts.segment_summary as select 1.5::double precision as expected_spend_30d")
    setup.create_warehouse(warehouse_home)
    with warehouse.connect(warehouse_home, "bi_reader") as connection:
        shown = connection.execute("select * from marts.segment_summary").description
    assert [column.name for column in shown] == VIEWS["segment_summary"].table.column_names


def test_setup_again_changes_nothing(warehouse_home):
    def state():
        query = "select oid, relname, relowner, relacl::text from pg_class where relnamespace > 16000 order by oid"
        with warehouse.connect(warehouse_home) as connection:
            files = {p.name: p.read_text() for p in warehouse_home.secrets.iterdir()}
            return connection.execute(query).fetchall(), files, (warehouse_home.mlflow / "tracking_uri").read_text()

    before = state()
    setup.main(setup.arg_parser().parse_args(["--home", str(warehouse_home.path)]))
    assert state() == before


def test_secrets_are_the_owners_alone(warehouse_home):
    files = [*warehouse_home.secrets.iterdir(), warehouse_home.mlflow / "tracking_uri"]
    assert {"customer_key", "bi_reader_password", "tracking_uri"} <= {file.name for file in files}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(warehouse_home.secrets.stat().st_mode) == 0o700
    assert keys.CustomerKeys.of(warehouse_home).key_id


def test_changed_contract_needs_a_version(warehouse_home):
    with warehouse.connect(warehouse_home) as connection:
        connection.execute("alter table warehouse.segment_settings_v2 add extra int")
        with pytest.raises(SetupError, match=r"segment_settings_v2 holds other columns.*: extra.*version=3"):
            setup.refuse_other_columns(connection)
        connection.rollback()
        connection.execute("alter table warehouse.segment_settings_v2 drop text cascade")
        connection.commit()
    try:
        with pytest.raises(SetupError, match=r"segment_settings_v2 holds other columns.*: text"):
            setup.create_warehouse(warehouse_home)
    finally:
        with warehouse.connect(warehouse_home) as connection:
            connection.execute("drop table warehouse.segment_settings_v2 cascade")
        setup.create_warehouse(warehouse_home)


def test_another_shops_source_is_refused(warehouse_home):
    with pytest.raises(SetupError, match=r"home of shop 'complete_journey'.*'online_retail'"):
        setup.main(setup.arg_parser().parse_args(["--home", str(warehouse_home.path), "--source", "online_retail"]))


# -- a server of one's own ---------------------------------------------------------------------------------------------


@pytest.fixture
def external(warehouse_home, monkeypatch, tmp_path):
    """Another home that uses a database of the first one's server as its warehouse, with an administrator's address."""
    with warehouse.connect(warehouse_home, "postgres", "postgres", autocommit=True) as admin:
        admin.execute('create database "a warehouse"')
    address = warehouse.uri(warehouse_home, "postgres", "a warehouse")
    password = (warehouse_home.secrets / "bi_reader_password").read_text().strip()
    monkeypatch.setenv("LIFESTAGE_WAREHOUSE_URI", address)
    monkeypatch.setenv("LIFESTAGE_BI_READER_PASSWORD", password)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # so that no server of the home's own is needed
    home = Home(tmp_path)
    home.adopt("complete_journey", "complete_journey")
    yield home
    monkeypatch.delenv("LIFESTAGE_WAREHOUSE_URI")
    with warehouse.connect(warehouse_home, "postgres", "postgres", autocommit=True) as admin:
        admin.execute('drop database "a warehouse"')


def test_external_warehouse(external):
    setup.create_warehouse(external)
    setup.create_warehouse(external)
    assert not external.postgres.exists()
    with warehouse.connect(external, "bi_reader") as connection:
        assert connection.execute("select count(*) from marts.publish_log").fetchone() == (0,)
    with warehouse.connect(external) as connection:
        owners = "select distinct relowner::regrole::text from pg_class where relnamespace = 'warehouse'::regnamespace"
        assert connection.execute(owners).fetchall() == [("lifestage_writer",)]


def test_the_owner_sets_up_again_what_an_administrator_set_up(external, warehouse_home, monkeypatch):
    setup.create_warehouse(external)
    with warehouse.connect(warehouse_home, "postgres", "postgres", autocommit=True) as admin:
        admin.execute('alter database "a warehouse" owner to lifestage_writer')
    address = warehouse.uri(warehouse_home, "lifestage_writer", "a warehouse")
    monkeypatch.setenv("LIFESTAGE_WAREHOUSE_URI", address)
    setup.create_warehouse(external)  # may not touch what is the superuser's


def test_setup_gives_the_reader_its_password_and_habits_anew(external, warehouse_home):
    setup.create_warehouse(external)
    with warehouse.connect(warehouse_home, "postgres", "postgres", autocommit=True) as admin:
        admin.execute("alter role bi_reader password 'another'")
        admin.execute("alter role bi_reader set statement_timeout = 0")
    setup.create_warehouse(external)
    with warehouse.connect(external, "bi_reader") as connection:
        assert connection.execute("show statement_timeout").fetchone() == ("5min",)


def test_unusable_addresses_say_so(monkeypatch, tmp_path):
    monkeypatch.setenv("LIFESTAGE_WAREHOUSE_URI", "warehouse of mine")
    with pytest.raises(SetupError, match="LIFESTAGE_WAREHOUSE_URI is no libpq address"):
        warehouse.connect(Home(tmp_path))
    monkeypatch.setenv("LIFESTAGE_WAREHOUSE_URI", "postgresql://lifestage_writer@127.0.0.1:9/warehouse")
    with pytest.raises(UnavailableError, match="does not answer"):
        warehouse.connect(Home(tmp_path))


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)


@given(user=texts, password=texts, database=texts, host=st.sampled_from(["db.example", "::1", "/a folder/of?#sockets"]))
def test_uri_means_its_parts(user, password, database, host):
    # libpq's own parser is the oracle: whatever the characters, the address says what went in.
    parts = {"user": user, "password": password, "host": host, "port": "5433", "dbname": database}
    assert conninfo_to_dict(warehouse._joined(parts, None)) == parts


def test_addresses_for_airflow_and_mlflow(warehouse_home):
    assert warehouse.airflow_uri(warehouse_home).startswith("postgresql+psycopg2://airflow:")
    assert warehouse.mlflow_uri(warehouse_home) == (warehouse_home.mlflow / "tracking_uri").read_text()


# -- commands ----------------------------------------------------------------------------------------------------------


def run(module, home, *arguments):
    return module.main(module.arg_parser().parse_args(["--home", str(home.path), *arguments]))


@pytest.mark.parametrize("extra", [[], ["--socket"]])
def test_warehouse_uri_connects(warehouse_home, capsys, extra):
    run(warehouse_uri, warehouse_home, *extra)
    with psycopg.connect(capsys.readouterr().out.strip()) as connection:
        assert connection.execute("select current_user, current_database()").fetchone() == ("bi_reader", "warehouse")


def test_sql_prints_an_aligned_table(warehouse_home, capsys):
    statement = "select * from (values ('ab', 1.50, null), (null, -12, date '2017-12-31')) t (name, amount, day)"
    run(sql, warehouse_home, statement)
    assert capsys.readouterr().out.splitlines() == [
        "name | amount | day",
        "-----+--------+-----------",
        "ab   |   1.50 | null",
        "null |    -12 | 2017-12-31",
        "(2 rows)",
    ]


def test_sql_prints_csv_that_keeps_nulls_apart(warehouse_home, capsys):
    run(sql, warehouse_home, "--csv", """select 1 as a, '' as b, null as c, 'x,"y"' as d""")
    assert capsys.readouterr().out == 'a,b,c,d\n1,"",,"x,""y"""\n'


def test_sql_prints_every_result(warehouse_home, capsys):
    run(sql, warehouse_home, "select 1 as a; select 2 as b where false;")
    assert capsys.readouterr().out == "a\n-\n1\n(1 row)\n\nb\n-\n(0 rows)\n"


@pytest.mark.parametrize("statement", ["", " ; ", "-- a remark"])
def test_sql_refuses_what_says_nothing(warehouse_home, statement):
    with pytest.raises(DataError, match="there is no statement to run"):
        run(sql, warehouse_home, statement)


@pytest.mark.parametrize("reader", [sql, warehouse_uri, summary])
def test_readers_make_no_server(tmp_path, reader):
    home = Home(tmp_path / "a home")
    home.adopt("complete_journey", "complete_journey")
    with pytest.raises(SetupError, match=r"no warehouse in .*/a home yet: run `python -m jobs setup`"):
        run(reader, home, *(["select 1"] if reader is sql else []))
    assert not home.postgres.exists()
    assert not home.secrets.exists()


def test_sql_errors_are_readable(warehouse_home):
    with pytest.raises(
        DataError, match=r"(?s)permission denied for schema warehouse.*sees the views of schema marts: cu"
    ):
        run(sql, warehouse_home, "select * from warehouse.customer_segments_v3")
    with pytest.raises(DataError, match=r"(?s)column \"nonsense\" does not exist.*LINE 1.*\^"):
        run(sql, warehouse_home, "select nonsense")
    run(sql, warehouse_home, "--role", "lifestage_writer", "select * from warehouse.customer_segments_v3")


def test_writer_statement_takes_effect(warehouse_home, capsys):
    run(sql, warehouse_home, "--role", "lifestage_writer", "create table staging.mine (x int)")
    run(sql, warehouse_home, "--role", "lifestage_writer", "drop table staging.mine")
    assert capsys.readouterr().out.splitlines() == ["CREATE TABLE", "DROP TABLE"]


def test_shop_file_is_kept(warehouse_home):
    assert json.loads((warehouse_home.path / "shop.json").read_text())["shop"] == "complete_journey"
