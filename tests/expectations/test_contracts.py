"""Every contract keeps the house rules of names, units and descriptions."""

import re

import pytest

from expectations.contract import Check, Column, Table
from expectations.lifecycle import (
    LIFECYCLE_DESCRIPTIONS,
    LIFECYCLE_ORDER,
    LIFECYCLE_PHASES,
    LIFECYCLE_STAGES,
    LIFECYCLE_TRANSITIONS,
    PHASE_DESCRIPTIONS,
    reachable,
)
from expectations.publication import PUBLICATION
from expectations.segments import CHURN_BANDS, CUSTOMER_SEGMENTS, VALUE_TIERS
from expectations.tables import LAKE, TABLES, WAREHOUSE, table

COLUMNS = [(t, c) for t in TABLES.values() for c in t.columns]
EACH_COLUMN = pytest.mark.parametrize(("owner", "column"), COLUMNS, ids=lambda x: x.name)
EACH_TABLE = pytest.mark.parametrize("owner", TABLES.values(), ids=lambda t: t.name)

# Numbers that count nothing and measure nothing: they name, order or hold other columns' values.
# Hashes, sketches and places in a histogram count nothing.
CODE = re.compile("_hash$|_id$|_bits(_[01])?$|bucket$")
WITHOUT_UNIT = {"source_line", "model_version", "publish_id", "checks_passed", "checks_warned", "value"}
# Statistics have none, nor has what is in the unit of another column.
WITHOUT_UNIT |= {"silhouette", "stability", "refit_agreement", "auc", "brier_score", "calibration_error"}
WITHOUT_UNIT |= {"low", "high", "observed", "budget_weight"}

OWN_MEANING = {"kind", "risk_band", "purchase_amount"}
"""Names whose meaning is their table's."""

# The unit that a name's ending promises.
SUFFIX_UNITS = {
    "_days": "days", "_amount": "currency", "_share": "share", "_spend_30d": "currency",
    "_probability_30d": "probability", "_amount_30d": "currency", "_amount_365d": "currency", "_value": "currency",
}  # fmt: skip


@EACH_TABLE
def test_tables_are_described_in_full(owner):
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", owner.name)
    assert owner.description.endswith(".")
    assert owner.grain.startswith("one row per ")
    assert owner.key
    assert all(not owner.column(name).nullable for name in (*owner.key, owner.partition))
    assert all(check.why for check in owner.checks)


@EACH_COLUMN
def test_columns_are_named_and_described(owner, column):
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", column.name)
    # Sentences, for they stand in the dictionary and in the warehouse's comments.
    assert column.description.endswith(".")
    assert "|" not in column.description


@EACH_COLUMN
def test_booleans_say_so_and_nothing_else_does(owner, column):
    assert column.name.startswith(("is_", "has_")) == (column.type == "bool")


@EACH_COLUMN
def test_numbers_bear_their_unit(owner, column):
    is_number = column.type in ("int32", "int64", "double", "decimal")
    assert bool(column.unit) == (is_number and column.name not in WITHOUT_UNIT and not CODE.search(column.name))
    for suffix, unit in SUFFIX_UNITS.items():
        if is_number and column.name.endswith(suffix):
            assert column.unit == unit


@EACH_COLUMN
def test_counts_shares_and_probabilities_are_bounded(owner, column):
    if column.unit in ("share", "probability"):
        assert (column.minimum, column.maximum) == (-1 if column.name.endswith("_change") else 0, 1)
    if column.unit and column.type != "double":
        assert column.minimum is not None


def test_one_name_means_one_thing_in_every_table():
    seen = {}
    for owner, column in COLUMNS:
        found = (column.type, column.unit, column.values)
        name = f"{owner.name}.{column.name}" if column.name in OWN_MEANING else column.name
        first = seen.setdefault(name, (owner.name, found))
        assert first[1] == found, f"{column.name} differs between {first[0]} and {owner.name}"


@EACH_TABLE
def test_dates_end_in_date_and_times_in_time_or_at(owner):
    for column in owner.columns:
        is_date = column.name.endswith(("_date", "_month", "_on", "_since", "_with")) and column.name != "months_since"
        assert is_date == (column.type == "date"), column.name
        assert column.name.endswith(("_time", "_at")) == (column.type == "timestamp"), column.name


@EACH_TABLE
def test_value_sets_hold_distinct_words(owner):
    for column in owner.columns:
        assert len(set(column.values)) == len(column.values)
        assert not column.values or column.type == "string"
        assert not column.required_for or set(column.required_for) <= set(owner.column("event_type").values)


def test_every_tier_stage_band_and_phase_has_a_meaning():
    assert LIFECYCLE_DESCRIPTIONS.keys() == LIFECYCLE_PHASES.keys() == set(LIFECYCLE_ORDER)
    assert set(LIFECYCLE_PHASES.values()) == PHASE_DESCRIPTIONS.keys()
    column = CUSTOMER_SEGMENTS.column
    assert column("value_tier").values == VALUE_TIERS == ("top", "high", "medium", "low")
    assert column("churn_band").values == CHURN_BANDS == ("low", "medium", "high")
    assert column("lifecycle_stage").values == tuple(LIFECYCLE_PHASES)
    assert set(column("lifecycle_phase").values) == PHASE_DESCRIPTIONS.keys()


def test_the_state_machine_lets_nobody_begin_anew():
    assert LIFECYCLE_TRANSITIONS.keys() == set(LIFECYCLE_STAGES)
    for stage, later in LIFECYCLE_TRANSITIONS.items():
        assert set(later) <= set(LIFECYCLE_STAGES) - {stage, "prospect"}
        assert ("new" in later) == (stage == "prospect")
        assert ("reactivated" in later) == (stage in ("dormant", "churned"))
        assert reachable(stage, 1) == {stage, *later}
    # In time everybody may reach everything that lies before them.
    assert reachable("prospect", 35) == set(LIFECYCLE_STAGES)
    assert reachable("active", 35) == set(LIFECYCLE_STAGES) - {"prospect", "new"}
    assert reachable("prospect", 2) == {"prospect", "new", "active", "loyal", "dormant", "churned"}
    assert reachable("loyal", 0) == {"loyal"}


def test_the_register_knows_every_table_by_its_name():
    assert {t.name for t in (*LAKE, *WAREHOUSE, PUBLICATION)} == TABLES.keys()
    assert all(table(name) is found for name, found in TABLES.items())
    with pytest.raises(ValueError, match="no table 'unicorns'; known: events, "):
        table("unicorns")


def pets(**changes):
    columns = (
        Column(name="ds", type="date", description="Day."),
        Column(name="pet", type="string", description="Pet."),
    )
    return Table(**{"name": "pets", "description": "Pets.", "grain": "one row per pet", "key": ("pet",),
                    "partition": "ds", "columns": columns} | changes)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"key": ("owner",)}, "no such column: owner"),
        ({"partition": "day"}, "no such column: day"),
        ({"columns": 2 * pets().columns}, "declared twice: ds, pet"),
        ({"checks": (Check(kind="row_count", severity="warn", why="w", columns=("tail",)),)}, "no such column: tail"),
    ],
)
def test_a_table_refuses_what_does_not_fit_together(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        pets(**changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [({"type": "text"}, "unknown type 'text'"), ({"description": ""}, "description is required")],
)
def test_a_column_refuses_what_it_cannot_be(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        Column(**{"name": "pet", "type": "string", "description": "Pet."} | changes)
