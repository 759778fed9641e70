"""A small table with one rule of every kind, its clean rows, and one fault for each rule."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from expectations.contract import Check, Column, Table

DAY = date(2024, 3, 4)
PETS = Table(
    name="pets",
    description="Pets of a day.",
    grain="one row per pet and day",
    key=("pet_id",),
    partition="ds",
    columns=(
        Column(name="pet_id", type="string", description="The pet."),
        Column(name="ds", type="date", description="The day."),
        Column(name="event_type", type="string", values=("bark", "meow"), description="What it did."),
        Column(name="arrival_date", type="date", description="When it came."),
        Column(name="event_date", type="date", description="When it did it."),
        Column(name="legs", type="int32", minimum=0, maximum=4, unit="legs", description="Legs."),
        Column(name="weight", type="double", nullable=True, minimum=0, unit="kg", description="Weight."),
        Column(name="price", type="decimal", nullable=True, required_for=("bark",), minimum=0, unit="currency",
               description="Price."),
        Column(name="is_tame", type="bool", nullable=True, description="Tame."),
        Column(name="toys", type="strings", nullable=True, description="Toys."),
    ),
    checks=(
        Check(kind="row_count", severity="fail", minimum=2, maximum=10, why="a kennel"),
        Check(kind="value_range", severity="warn", columns=("price",), maximum=1000, why="a typing error"),
        Check(kind="value_range", severity="fail", columns=("legs",), minimum=2, why="a kennel has no snakes"),
        Check(kind="null_share", severity="warn", columns=("weight",), maximum=0.5, why="the scales are broken"),
    ),
)  # fmt: skip


def clean(count: int = 4) -> list[dict]:
    """Rows that break nothing; the even ones bark."""
    return [
        {
            "pet_id": f"p{n}", "ds": DAY, "event_type": "meow" if n % 2 else "bark", "arrival_date": DAY,
            "event_date": DAY, "legs": 4, "weight": 2.5, "price": Decimal("9.9900"), "is_tame": True, "toys": ["ball"],
        }
        for n in range(count)
    ]  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """``change`` in the row at ``row`` breaks the check ``name`` alone."""

    name: str
    change: dict
    observed: str = "1 of 4 rows (25.00%)"
    row: int = 0
    severity: str = "fail"


FAULTS = (
    Fault("pet_id_missing", {"pet_id": None}),
    # Two rows of one pet: both break the key.
    Fault("key_unique", {"pet_id": "p1"}, observed="2 of 4 rows (50.00%)"),
    Fault("partition_of_another_day", {"ds": date(2024, 3, 5)}),
    Fault("event_type_unknown", {"event_type": "moo"}),
    Fault("event_date_after_arrival", {"event_date": date(2024, 3, 5)}),
    Fault("legs_above_4", {"legs": 5}),
    Fault("legs_value_range_fail", {"legs": 1}),
    Fault("weight_below_0", {"weight": -0.001}),
    # NaN is above every number to Spark and PostgreSQL: a minimum alone lets it pass.
    Fault("weight_not_finite", {"weight": float("nan")}),
    Fault("weight_not_finite", {"weight": float("inf")}),
    Fault("price_below_0", {"price": Decimal("-0.0001")}),
    # Null is allowed, but not for a row that barks; only those two rows are asked.
    Fault("price_missing", {"price": None}, observed="1 of 2 rows (50.00%)"),
    Fault("price_value_range_warn", {"price": Decimal("1000.0001")}, severity="warn"),
)

HARMLESS = (
    {"price": None},  # of a row that meows
    {"weight": None},  # one of four: half may be null
    {"weight": 0.0, "legs": 2, "price": Decimal("1000")},  # bounds belong to the range
    {"is_tame": None, "toys": None},
    {"event_date": date(2020, 1, 1)},  # late, but not from the future
)
