"""The gate: each kind of check finds its fault, on the engine and in the warehouse, and tells it without raw values."""

import json
import math
import os
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from expectations.contract import TYPES
from expectations.errors import DataError, SetupError, UnavailableError
from expectations.version import REPOSITORY
from jobs.checks.gate import gate_frame, gate_sql
from jobs.marts import warehouse
from jobs.schemas import spark_ddl
from tests.jobs.pets import DAY, FAULTS, HARMLESS, PETS, clean


def frame_of(spark, rows, table=PETS):
    return spark.createDataFrame([tuple(row[name] for name in table.column_names) for row in rows], spark_ddl(table))


@pytest.fixture
def on_engine(home, spark):
    """Gates rows as an engine's frame."""
    return lambda rows: gate_frame(home, PETS, frame_of(spark, rows), DAY)


@pytest.fixture
def pets_in_warehouse(warehouse_home):
    """``fill(rows)`` makes staging.pets anew; nullable throughout, so that the gate has something to find."""
    columns = ", ".join(f"{c.name} {TYPES[c.type][1]}" for c in PETS.columns)
    with warehouse.connect(warehouse_home, autocommit=True) as connection:

        def fill(rows):
            connection.execute("drop table if exists staging.pets")
            connection.execute(f"create table staging.pets ({columns})")
            for row in rows:
                insert = sql.SQL("insert into staging.pets values ({})").format(
                    sql.SQL(",").join([sql.Placeholder()] * len(row))
                )
                connection.execute(insert, [row[name] for name in PETS.column_names])

        yield fill
        connection.execute("drop table if exists staging.pets")


@pytest.fixture
def in_warehouse(home, warehouse_home, pets_in_warehouse):
    """Gates rows as a relation in PostgreSQL."""

    def gate(rows):
        pets_in_warehouse(rows)
        return gate_sql(home, PETS, warehouse.uri(warehouse_home), "staging", "pets", DAY)

    return gate


@pytest.fixture(params=["on_engine", "in_warehouse"])
def gate(request):
    return request.getfixturevalue(request.param)


def broken(result):
    return {o.name: o.unexpected_count for o in result.outcomes if not o.passed}


# -- one fault, one finding -----------------------------------------------------------------------------------------


def test_clean_rows_pass_every_check(gate):
    result = gate(clean())
    assert result.passed
    assert broken(result) == {}
    assert result.rows == 4
    result.raise_if_failed()


def test_what_the_contract_allows_passes(gate):
    rows = clean(2 * len(HARMLESS))
    for row, change in zip(rows[1::2], HARMLESS, strict=True):
        row |= change
    assert broken(gate(rows)) == {}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.name}-{'-'.join(map(str, f.change.values()))}")
def test_each_fault_is_found_by_its_own_check_alone(on_engine, fault):
    rows = clean()
    rows[fault.row] |= fault.change
    result = on_engine(rows)
    (found,) = (o for o in result.outcomes if not o.passed)
    assert (found.name, found.severity, found.observed) == (fault.name, fault.severity, fault.observed)
    # A warning lets the day pass; a failure stops it.
    assert result.passed == (fault.severity == "warn")


def test_row_counts_out_of_bounds_are_found(gate):
    (few,) = gate(clean(1)).failed
    assert (few.name, few.observed, few.expected) == ("row_count_fail", "1 rows", "row count between 2 and 10")
    (many,) = gate(clean(11)).failed
    assert (many.name, many.observed) == ("row_count_fail", "11 rows")


def test_no_row_at_all_breaks_the_row_count_alone(gate):
    assert broken(gate([])) == {"row_count_fail": None}


def test_a_share_of_nulls_above_its_bound_warns(gate):
    rows = clean()
    for row in rows[:3]:
        row["weight"] = None
    result = gate(rows)
    assert [(o.name, o.observed, o.expected) for o in result.warned] == [
        ("weight_null_share_warn", "3 of 4 rows (75.00%)", "at most 50% null")
    ]
    result.raise_if_failed()


# -- the shape of the table -----------------------------------------------------------------------------------------


def test_a_missing_column_and_another_type_are_named_and_nothing_else_is_asked(home, spark):
    frame = frame_of(spark, clean()).drop("legs")
    frame = frame.withColumn("weight", frame.weight.cast("string"))
    result = gate_frame(home, PETS, frame, DAY)
    assert [(o.name, o.observed) for o in result.outcomes] == [
        ("types", "legs: expected int, found no such column; weight: expected double, found string"),
        ("columns", "no column legs"),
    ]


def test_an_unknown_column_and_another_order_are_named(home, spark):
    frame = frame_of(spark, clean())
    extra = gate_frame(home, PETS, frame.withColumn("owner", frame.pet_id), DAY)
    assert [(o.name, o.observed) for o in extra.failed] == [("columns", "unknown column owner")]
    turned = gate_frame(home, PETS, frame.select(*reversed(PETS.column_names)), DAY)
    assert [(o.name, o.observed) for o in turned.failed] == [
        ("columns", f"another order: {', '.join(reversed(PETS.column_names))}")
    ]


def test_another_type_in_the_warehouse_is_named(home, warehouse_home, pets_in_warehouse):
    pets_in_warehouse(clean())
    with warehouse.connect(warehouse_home, autocommit=True) as connection:
        connection.execute("alter table staging.pets alter price type numeric(10,2), drop column is_tame")
    result = gate_sql(home, PETS, warehouse.uri(warehouse_home), "staging", "pets", DAY)
    assert result.failed[0].observed == (
        "price: expected numeric(18,4), found numeric(10,2); is_tame: expected boolean, found no such column"
    )


# -- a range of days ------------------------------------------------------------------------------------------------


def days_of_pets(counts):
    for n, count in enumerate(counts):
        day = DAY + timedelta(days=n)
        yield from (row | {"ds": day, "arrival_date": day} for row in clean(count))


def test_a_range_counts_rows_day_by_day_and_keys_within_a_day(home, spark):
    # The same pet on three days breaks no key; the day with one row and the day without any break the row count.
    frame = frame_of(spark, list(days_of_pets([3, 1, 0, 3])))
    result = gate_frame(home, PETS, frame, DAY, last=DAY + timedelta(days=3))
    assert broken(result) == {"row_count_fail": None}
    (found,) = result.failed
    assert found.observed == "2 of 4 days outside: 2024-03-05 (1 rows), 2024-03-06 (0 rows)"
    assert result.rows == 7
    assert result.path.name == "2024-03-04_2024-03-07.json"


def test_a_row_of_a_day_outside_the_range_is_found(home, spark):
    frame = frame_of(spark, list(days_of_pets([3, 3, 3])))
    result = gate_frame(home, PETS, frame, DAY, last=DAY + timedelta(days=1))
    assert broken(result) == {"partition_of_another_day": 3}


# -- what is said and kept ------------------------------------------------------------------------------------------


def test_the_error_names_check_observed_expected_reason_and_place(on_engine):
    rows = clean()
    rows[0] |= {"legs": 7, "event_type": "moo"}
    with pytest.raises(DataError) as error:
        on_engine(rows).raise_if_failed(advice="feed the dog")
    text = str(error.value)
    assert "pets of 2024-03-04 broke 2 of" in text
    assert "legs_above_4: expected at most 4 legs; observed 1 of 4 rows (25.00%)" in text
    assert "event_type_unknown: expected one of bark, meow; observed 1 of 4 rows" in text
    assert "validations/pets/2024-03-04.json" in text
    assert "feed the dog" in text


def test_neither_message_nor_result_holds_a_value_of_a_row(gate):
    rows = clean()
    rows[0] |= {"pet_id": "alice@example.com", "event_type": "4111111111111111", "price": Decimal("-71077345.2501")}
    rows[1] |= {"pet_id": "alice@example.com"}
    result = gate(rows)
    assert broken(result).keys() == {"key_unique", "event_type_unknown", "price_below_0"}
    with pytest.raises(DataError) as error:
        result.raise_if_failed()
    for text in (str(error.value), result.path.read_text()):
        for value in ("alice", "4111111111111111", "71077345"):
            assert value not in text


def test_the_same_rows_leave_the_same_bytes_in_any_order(gate):
    rows = clean()
    rows[2] |= {"legs": 9, "weight": None}
    first = gate(rows).path.read_bytes()
    again = gate(rows[::-1])
    assert again.path.read_bytes() == first
    kept = json.loads(first)
    assert (kept["table"], kept["day"], kept["rows"], kept["passed"]) == ("pets", "2024-03-04", 4, False)
    assert [o["name"] for o in kept["outcomes"] if not o["passed"]] == ["legs_above_4"]
    # Nothing half-written stays behind.
    assert [path.name for path in again.path.parent.iterdir()] == [again.path.name]


# -- what is not the data's fault -----------------------------------------------------------------------------------


def test_an_engine_that_breaks_is_not_bad_data(home, spark):
    from pyspark.sql import functions as F

    frame = frame_of(spark, clean()).withColumn("pet_id", F.raise_error(F.lit("disk gone")).cast("string"))
    with pytest.raises(UnavailableError, match="disk gone"):
        gate_frame(home, PETS, frame, DAY)


def test_a_relation_that_is_not_there_is_named(home, warehouse_home):
    with pytest.raises(SetupError, match=r"no relation staging\.unicorns"):
        gate_sql(home, PETS, warehouse.uri(warehouse_home), "staging", "unicorns", DAY)


def test_a_warehouse_that_is_down_may_be_tried_again(home):
    with pytest.raises(UnavailableError, match="does not answer"):
        gate_sql(home, PETS, "postgresql://nobody@127.0.0.1:1/warehouse", "staging", "pets", DAY)


@pytest.mark.parametrize("driver", [None, "psycopg", "psycopg2"])
@pytest.mark.parametrize("socket", [False, True])
def test_every_form_of_the_address_is_taken(home, warehouse_home, pets_in_warehouse, driver, socket):
    pets_in_warehouse(clean())
    address = warehouse.uri(warehouse_home, driver=driver, socket=socket)
    assert gate_sql(home, PETS, address, "staging", "pets", DAY).passed


def test_the_gate_leaves_no_connection_that_could_hold_up_a_publish(warehouse_home, in_warehouse):
    in_warehouse([{**row, "legs": 9} for row in clean()])
    with warehouse.connect(warehouse_home, autocommit=True) as connection:
        connection.execute("set lock_timeout = '1s'")
        connection.execute("alter table staging.pets rename to pets_old")
        connection.execute("drop table staging.pets_old")


def test_uncommitted_rows_are_not_seen(home, warehouse_home, pets_in_warehouse):
    pets_in_warehouse(clean())
    with warehouse.connect(warehouse_home) as connection:
        connection.execute("delete from staging.pets where pet_id <> 'p0'")
        assert gate_sql(home, PETS, warehouse.uri(warehouse_home), "staging", "pets", DAY).rows == 4
        connection.rollback()


# -- against an independent oracle ----------------------------------------------------------------------------------

NEXT = DAY + timedelta(days=1)
PET_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "pet_id": st.sampled_from(["a", "b", "c", "d", "e"]),
            "ds": st.sampled_from([DAY, DAY, DAY, NEXT]),
            "event_type": st.sampled_from(["bark", "meow", "moo", "", None]),
            "arrival_date": st.sampled_from([DAY, NEXT, None]),
            "event_date": st.sampled_from([DAY, NEXT, date(1970, 1, 1), None]),
            "legs": st.one_of(st.none(), st.integers(-1, 5)),
            "weight": st.one_of(
                st.none(), st.sampled_from([-0.0, 5e-324, -5e-324, 1.0, math.inf, -math.inf, math.nan])
            ),
            "price": st.one_of(st.none(), st.decimals("-0.0002", "1000.0002", places=4)),
            "is_tame": st.one_of(st.none(), st.booleans()),
            "toys": st.one_of(st.none(), st.lists(st.sampled_from(["ball", ""]), max_size=2)),
        }
    ),
    max_size=11,
)


def oracle(rows):
    """The contract of pets in plain Python: check → rows that break it (None where rows are not what it counts)."""

    def count(condition):
        return sum(map(condition, rows))

    keys = Counter((r["pet_id"], r["ds"]) for r in rows)
    required = ("pet_id", "ds", "event_type", "arrival_date", "event_date", "legs")
    found = {f"{name}_missing": count(lambda r, name=name: r[name] is None) for name in required}
    found |= {
        "key_unique": sum(n for n in keys.values() if n > 1),
        "partition_of_another_day": count(lambda r: r["ds"] != DAY),
        "event_date_after_arrival": count(
            lambda r: None not in (r["event_date"], r["arrival_date"]) and r["event_date"] > r["arrival_date"]
        ),
        "event_type_unknown": count(lambda r: r["event_type"] in ("moo", "")),
        "legs_below_0": count(lambda r: r["legs"] is not None and r["legs"] < 0),
        "legs_above_4": count(lambda r: r["legs"] is not None and r["legs"] > 4),
        "legs_value_range_fail": count(lambda r: r["legs"] is not None and r["legs"] < 2),
        "weight_not_finite": count(lambda r: r["weight"] is not None and not math.isfinite(r["weight"])),
        "weight_below_0": count(lambda r: r["weight"] is not None and r["weight"] < 0),
        "price_missing": count(lambda r: r["event_type"] == "bark" and r["price"] is None),
        "price_below_0": count(lambda r: r["price"] is not None and r["price"] < 0),
        "price_value_range_warn": count(lambda r: r["price"] is not None and r["price"] > 1000),
    }
    nulls = count(lambda r: r["weight"] is None)
    found["weight_null_share_warn"] = nulls if 2 * nulls > len(rows) else 0
    found = {name: number for name, number in found.items() if number}
    return found | ({} if 2 <= len(rows) <= 10 else {"row_count_fail": None})


BRIEF = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def agree(gate, rows):
    expected = oracle(rows)
    result = gate(rows)
    assert broken(result) == expected
    assert result.passed == all(name.endswith("_warn") for name in expected)


@settings(BRIEF, max_examples=12)
@given(rows=PET_ROWS)
def test_the_engines_verdict_is_the_oracles(on_engine, rows):
    agree(on_engine, rows)


@settings(BRIEF, max_examples=12)
@given(rows=PET_ROWS)
def test_the_warehouses_verdict_is_the_oracles(in_warehouse, rows):
    agree(in_warehouse, rows)


@pytest.mark.slow
@settings(BRIEF, max_examples=40)
@given(rows=PET_ROWS)
def test_both_verdicts_are_the_oracles_many_times(on_engine, in_warehouse, rows):
    agree(on_engine, rows)
    agree(in_warehouse, rows)


ON_APACHE_SPARK = """
import json, sys
from jobs.engine import open_engine
from jobs.checks.gate import gate_frame
from jobs.home import Home
from pathlib import Path
from tests.jobs.pets import DAY, PETS, clean
from tests.jobs.test_gate import broken, crowded, frame_of

with open_engine("spark") as spark:
    rows = (clean(), [], *(rows for rows, _ in crowded()))
    found = [broken(gate_frame(Home(Path(sys.argv[1])), PETS, frame_of(spark, each), DAY)) for each in rows]
    persisted = spark.sparkContext._jsc.sc().getPersistentRDDs().size()
print(json.dumps({"found": found, "persisted": persisted}))
"""


def crowded():
    """Every fault, five to a frame, each in a row of its own that barks; with what each frame must show."""
    for start in range(0, len(FAULTS), 5):
        rows, faults = clean(10), FAULTS[start : start + 5]
        for row, fault in zip(rows[::2], faults, strict=False):
            row |= fault.change
        counts = Counter(fault.name for fault in faults)
        yield rows, counts | ({"key_unique": 2} if counts["key_unique"] else {})


@pytest.mark.slow
def test_apache_spark_finds_the_same_faults(home):
    # In a process of its own: one process speaks either to the embedded engine or to Apache Spark, and its environment
    # says which.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    run = subprocess.run(
        [sys.executable, "-c", ON_APACHE_SPARK, str(home.path)],
        cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["found"] == [{}, {"row_count_fail": None}, *(dict(counts) for _, counts in crowded())]
    # What Great Expectations persists it never lets go of.
    assert result["persisted"] == 0
