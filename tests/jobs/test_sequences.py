"""Event sequences against a slow oracle in pandas: order, cuts, late events, time zones, slices, bytes."""

import math
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.errors import DataError, SetupError
from expectations.events import EVENT_TYPES, EVENTS
from expectations.sequences import EVENT_ARRAYS, EVENT_TYPE_CODES, SEQUENCES
from expectations.texts import TEXT_SCORES, TEXT_VECTORS
from expectations.version import REPOSITORY
from jobs import build_sequences
from jobs.behaviour.sequence_columns import channel_code
from jobs.behaviour.sequences import SequenceSettings
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.reading.hashes import hash31
from jobs.schemas import arrow_schema
from jobs.text.encoder import encoder_name
from jobs.text.settings import TextSettings
from jobs.text.vectors import VectorCache
from ml.sequences import open_sequences
from ml.settings import training_cutoffs

D = date(2024, 3, 10)
FIRST = D - timedelta(days=150)
KEYS = [f"{n:032x}" for n in (7, 3, 2**100, 1)]  # their order is not that of their numbers here


def event(customer=0, days_ago=0, hour=12, lag=0, **changes) -> dict:
    """An event of ``days_ago`` before D that was delivered ``lag`` days after it happened."""
    day = D - timedelta(days=days_ago)
    known = {c.name: None for c in EVENTS.columns} | {
        "source": "web", "customer_key": KEYS[customer], "key_id": "k", "event_type": "view",
        "event_time": datetime(day.year, day.month, day.day, hour, tzinfo=UTC), "event_date": day, "event_hour": hour,
        "arrival_date": day + timedelta(days=lag), "is_session_start": False, "is_bounce": False,
        "session_step_seconds": 0, "source_file": f"ds={day + timedelta(days=lag)}/web.csv",
    }  # fmt: skip
    return known | changes


def write(home: Home, events: list[dict], first: int = 0) -> None:
    """The deliveries from ``first`` days before D (or the earliest event's) up to the last; lines as given."""
    events = [row | {"source_line": row.get("source_line") or n} for n, row in enumerate(events, start=1)]
    earliest = min([D - timedelta(days=first), *(row["arrival_date"] for row in events)])
    latest = max([D, *(row["arrival_date"] for row in events)])
    for n in range((latest - earliest).days + 1):
        day = earliest + timedelta(days=n)
        rows = [row for row in events if row["arrival_date"] == day]
        LakeTable(home, EVENTS).write_arrow(day, pa.Table.from_pylist(rows, schema=arrow_schema(EVENTS)))


def build(home: Home, **changes):
    build_sequences.build(home, D, SequenceSettings(**changes))
    return open_sequences(home.path, D)


def oracle(events: list[dict], max_events: int = 128, lookback_days: int = 365) -> dict[str, pd.DataFrame]:
    """customer → the arrays' values of their events, one row at a time, without the code under test."""
    rows = pd.DataFrame(events)
    rows["source_line"] = range(1, len(rows) + 1) if "source_line" not in rows else rows["source_line"]
    known = rows[(rows["arrival_date"] <= D) & (rows["event_date"] > D - timedelta(days=lookback_days))]
    known = known.sort_values(["event_time", "source", "source_file", "source_line"])
    found = {}
    for key, part in known.groupby("customer_key"):
        found[key] = pd.DataFrame([values_of(row) for _, row in part.tail(max_events).iterrows()])
    return found


def values_of(row: pd.Series) -> dict:
    def number(name):
        return 0 if pd.isna(row[name]) else row[name]

    price = float(number("price"))
    return {
        "event_type": EVENT_TYPES.index(row["event_type"]) + 1,
        **{name: int(number(name)) for name in ("product_hash", "category_hash", "brand_hash")},
        "price_bucket": math.floor(math.log(price) / math.log(1.05) + 1e-9) if price else -1000,
        "amount": np.float32(number("amount")),
        "channel": 0 if pd.isna(row["channel"]) else 1 + hash31(row["channel"]) % 65535,
        "hour": -1 if pd.isna(row["event_hour"]) else int(row["event_hour"]),
        "weekday": row["event_date"].weekday(),
        "age_days": (D - row["event_date"]).days,
        "event_seconds": math.floor(row["event_time"].timestamp()),
        "text_row": -1,
    }


def assert_equal(found, expected: dict[str, pd.DataFrame]) -> None:
    assert [key.decode() for key in found.customer_keys] == sorted(expected)
    assert found.offsets[0] == 0
    for n, key in enumerate(sorted(expected)):
        rows = slice(found.offsets[n], found.offsets[n + 1])
        for array in EVENT_ARRAYS:
            assert found.arrays[array.name][rows].tolist() == expected[key][array.name].tolist(), (key, array.name)


EVENT = st.builds(
    event,
    customer=st.integers(0, 3),
    days_ago=st.integers(0, 9),
    hour=st.integers(0, 23),
    lag=st.integers(-2, 4).map(lambda n: max(n, 0)),  # most come on their day; some after D
    source=st.sampled_from(["web", "app"]),
    source_file=st.sampled_from(["b.csv", "a.csv", "é.csv"]),
    event_type=st.sampled_from(EVENT_TYPES),
    product_hash=st.none() | st.integers(0, 2**31 - 1),
    category_hash=st.none() | st.integers(0, 2**31 - 1),
    price=st.none() | st.decimals(0, 10_000, places=4),
    amount=st.none() | st.decimals(0, 10**13, places=4),
    channel=st.sampled_from([None, "web", "store"]),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENT, min_size=1, max_size=25), st.integers(1, 5), st.integers(1, 9), st.sampled_from([1, 6, 10**6]))
def test_arrays_are_the_oracles(tmp_path_factory, monkeypatch, events, max_events, lookback_days, slice_rows):
    home = Home(tmp_path_factory.mktemp("a home"))
    home.adopt("corner_shop", "corner_shop")
    monkeypatch.setattr(build_sequences, "SLICE_ROWS", slice_rows)  # a day at a time, some days, all
    write(home, events, first=13)
    # Lines are numbered over all of an example's files, so no key comes twice.
    assert_equal(
        build(home, max_events=max_events, lookback_days=lookback_days), oracle(events, max_events, lookback_days)
    )


def test_the_last_events_are_kept_oldest_first_by_time_source_file_and_line(home):
    same = {"event_time": datetime(2024, 3, 9, 8, tzinfo=UTC)}
    events = [
        event(days_ago=1, product_hash=5, source="web", source_file="b.csv", source_line=10, **same),
        event(days_ago=1, product_hash=4, source="web", source_file="b.csv", source_line=9, **same),  # 9 before 10
        event(days_ago=1, product_hash=3, source="web", source_file="a.csv", source_line=11, **same),  # a before b
        event(days_ago=1, product_hash=2, source="app", source_file="z.csv", source_line=12, **same),  # app before web
        event(days_ago=0, product_hash=6, source_line=1),
        event(days_ago=2, product_hash=1, source_line=1),
    ]
    write(home, events)
    assert build(home).arrays["product_hash"].tolist() == [1, 2, 3, 4, 5, 6]
    assert build(home, max_events=3).arrays["product_hash"].tolist() == [4, 5, 6]


def test_a_late_event_stands_where_it_happened(home, monkeypatch):
    monkeypatch.setattr(build_sequences, "SLICE_ROWS", 1)
    events = [event(days_ago=n, product_hash=100 - n) for n in range(6)]
    events.append(event(days_ago=4, hour=23, lag=4, product_hash=97 * 10))  # arrived on D, happened four days before
    write(home, events)
    assert build(home).arrays["product_hash"].tolist() == [95, 96, 970, 97, 98, 99, 100]
    # With room for three the late one has no place, and takes nobody else's.
    assert build(home, max_events=3).arrays["product_hash"].tolist() == [98, 99, 100]


def test_days_of_shops_far_apart_in_time_zone_overlap(home, monkeypatch):
    # On the 9th in Honolulu, still, when it is the 10th in Auckland for long: the later moment has the earlier date.
    monkeypatch.setattr(build_sequences, "SLICE_ROWS", 1)
    auckland = event(days_ago=0, product_hash=1, event_time=datetime(2024, 3, 9, 12, tzinfo=UTC))
    honolulu = event(days_ago=1, product_hash=2, event_time=datetime(2024, 3, 10, 9, tzinfo=UTC))
    write(home, [auckland, honolulu])
    assert build(home).arrays["product_hash"].tolist() == [1, 2]
    assert build(home, max_events=1).arrays["product_hash"].tolist() == [2]


def test_who_has_no_event_in_the_look_back_is_left_out(home):
    # Delivered within it, together with another's, but happened before it.
    write(home, [event(customer=1, days_ago=5, lag=5), event(customer=0)])
    assert [key.decode() for key in build(home, lookback_days=3).customer_keys] == [KEYS[0]]


def test_values_without_a_source_and_at_the_edges(home):
    bare = event(days_ago=1, event_hour=None, event_type=EVENT_TYPES[-1])
    full = event(
        product_hash=2**31 - 1, category_hash=1, brand_hash=9, price=Decimal("1.0500"),
        amount=Decimal("99999999999999"), channel="store", hour=0,
    )  # fmt: skip
    write(home, [bare, full])
    found = {name: values.tolist() for name, values in build(home).arrays.items()}
    assert found["event_type"] == [len(EVENT_TYPES), 1]
    assert found["product_hash"] == [0, 2**31 - 1]
    assert found["price_bucket"] == [-1000, 1]  # ln(1.05) / ln(1.05)
    assert found["amount"] == [0.0, float(np.float32(99999999999999))]
    assert found["channel"] == [0, channel_code("store")]
    assert found["hour"] == [-1, 0]
    assert found["weekday"] == [5, 6]  # 9 and 10 March 2024: Saturday, Sunday
    assert found["age_days"] == [1, 0]


def test_codes_of_event_types_never_change():
    # Trained models read these numbers. A new type goes to the end.
    assert list(EVENT_TYPE_CODES.items())[:13] == [
        ("view", 1), ("search", 2), ("add_to_cart", 3), ("remove_from_cart", 4), ("favourite", 5), ("purchase", 6),
        ("return", 7), ("review", 8), ("support", 9), ("campaign_send", 10), ("campaign_open", 11),
        ("campaign_click", 12), ("coupon_redeem", 13),
    ]  # fmt: skip


TEXTS = {"good": f"{9:032x}", "bad": f"{4:032x}", "never seen": f"{1:032x}"}


def score_texts(home: Home, events: list[dict]) -> None:
    """text_scores of the days, and the vectors of two of the three texts."""
    for day in {row["arrival_date"] for row in events if row["text"]}:
        rows = [
            {name: row.get(name) for name in TEXT_SCORES.column_names}
            | {"source_line": n, "text_hash": TEXTS[row["text"]], "language": "en"}
            for n, row in enumerate(events, start=1)
            if row["arrival_date"] == day and row["text"]
        ]
        LakeTable(home, TEXT_SCORES).write_arrow(day, pa.Table.from_pylist(rows, schema=arrow_schema(TEXT_SCORES)))
    kept = {"text_hash": [TEXTS["good"], TEXTS["bad"]], "vector": [[1.0, 0.0], [0.0, 1.0]], "language": ["en", "en"]}
    schema = pa.schema([field for field in arrow_schema(TEXT_VECTORS) if field.name != "encoder"])
    rows = pa.table(kept | {name: [None, None] for name in ("sentiment", "topic")}, schema=schema)
    VectorCache(home, encoder_name(TextSettings().encoder), "scoring").add(rows)


def test_events_name_the_vectors_of_their_texts(home, monkeypatch):
    monkeypatch.setattr(build_sequences, "SLICE_ROWS", 1)
    events = [
        event(days_ago=3, event_type="review", text="good"),
        event(days_ago=2),
        event(days_ago=1, lag=1, event_type="search", text="bad"),  # came a day late
        event(customer=1, event_type="search", text="good"),  # the same text again
        event(customer=1, days_ago=4, event_type="support", text="never seen"),
    ]
    write(home, events)
    with pytest.raises(DataError, match="text_scores has no partition for 2024-03-06, 2024-03-07, 2024-03-10"):
        build(home)
    assert build(home, texts=False).arrays["text_row"].tolist() == [-1] * 5
    score_texts(home, events)
    found = build(home)
    assert [text.decode() for text in found.text_hashes] == sorted(TEXTS.values())
    assert found.text_vectors.tolist() == [[0, 0], [0, 1], [1, 0]]  # no vector was kept of the first
    # Customer 1 comes first: 3 sorts before 7.
    assert found.arrays["text_row"].tolist() == [0, 2, 2, -1, 1]
    # A text of an event that is cut off is not held.
    assert [text.decode() for text in build(home, max_events=1).text_hashes] == [TEXTS["bad"], TEXTS["good"]]
    assert isinstance(build(home).text_vectors, np.memmap)


def contents(home: Home) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(LakeTable(home, SEQUENCES).folder(D).iterdir())}


def test_again_gives_equal_bytes_and_nothing_later_changes_one(home):
    events = [event(customer=n % 4, days_ago=n % 7, hour=n % 24, product_hash=n) for n in range(60)]
    write(home, events)
    build(home)
    before = contents(home)
    build(home)
    assert contents(home) == before
    write(home, [*events, event(days_ago=2, lag=3), event(days_ago=-1)])  # arrives after D; happens after D
    build(home)
    assert contents(home) == before
    write(home, [*events, event(days_ago=2, lag=2)])  # arrives on D
    build(home)
    assert contents(home) != before


def test_arrays_are_mapped_and_never_copied_or_written(home):
    write(home, [event(customer=n % 4, days_ago=n % 7) for n in range(40)])
    found = build(home)
    folder = LakeTable(home, SEQUENCES).folder(D)
    for name, values in {"offsets": found.offsets, "customer_keys": found.customer_keys, **found.arrays}.items():
        assert isinstance(values, np.memmap), name
        assert Path(values.filename) == folder / f"{name}.npy"
        assert np.shares_memory(values, values[1:3])
        with pytest.raises(ValueError, match="read-only"):
            values[0] = values[0]


def test_packed_gives_chosen_customers_in_the_order_asked_for(home):
    write(home, [event(customer=0, days_ago=2, product_hash=1), event(customer=0, product_hash=2), event(customer=1)])
    found = build(home)
    places = found.places(np.array(["f" * 32, KEYS[0], KEYS[1]], dtype=object))
    assert places.tolist() == [-1, 1, 0]
    offsets, arrays = found.packed(places)
    assert offsets.tolist() == [0, 0, 2, 3]
    assert arrays["product_hash"].tolist() == [1, 2, 0]


def test_a_day_without_events_gives_empty_arrays(home):
    write(home, [event(days_ago=3)])
    found = build(home, lookback_days=2)
    assert (len(found), found.offsets.tolist()) == (0, [0])
    assert found.places(np.array([KEYS[0]])).tolist() == [-1]
    assert found.packed(np.array([-1]))[0].tolist() == [0, 0]


def test_command_builds_each_day_skips_fresh_ones_and_says_what_lacks(home, capsys):
    def run(*arguments):
        build_sequences.main(
            build_sequences.arg_parser().parse_args(["--home", str(home.path), "--skip-unchanged", *arguments])
        )

    with pytest.raises(DataError, match="nothing was ingested up to 2024-03-10"):
        run("--ds", str(D))
    with pytest.raises(DataError, match=r"is missing: run `python -m jobs build_sequences --ds 2024-03-10`"):
        open_sequences(home.path, D)
    write(home, [event(days_ago=n) for n in range(5)])
    table, earlier = LakeTable(home, SEQUENCES), D - timedelta(days=1)
    run("--ds", str(earlier), str(D))
    assert len(open_sequences(home.path, earlier).arrays["hour"]) == 4
    before = table.written_at(earlier), table.written_at(D)
    run("--ds", str(earlier), str(D))
    assert (table.written_at(earlier), table.written_at(D)) == before
    write(home, [event(days_ago=0)])  # D is delivered again
    run("--ds", str(earlier), str(D))
    assert table.written_at(earlier) == before[0]
    assert table.written_at(D) > before[1]


def test_a_training_has_sequences_built_only_if_one_of_its_models_reads_them(home):
    """As the training line runs it, in a process of its own: what has nothing to build says so and loads no model."""
    code = (
        "import sys; from jobs import build_sequences\n"
        "build_sequences.main(build_sequences.arg_parser().parse_args(sys.argv[1:]))\n"
        "print(*{'torch', 'sklearn', 'mlflow', 'pyspark'} & set(sys.modules))"
    )

    def run(*more: str) -> set[date]:
        arguments = ["--home", str(home.path), "--for-training", str(D), "--skip-unchanged", *more]
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=REPOSITORY)
        assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
        return {n for n in training_cutoffs(D, FIRST, home.path) if LakeTable(home, SEQUENCES).has(n)}

    write(home, [event()], first=(D - FIRST).days)
    assert run() == set(), "the default models read none"
    (home.path / "settings.yaml").write_text("model: {max_train: 2, models: [recency_rule, gru]}")
    every = set(training_cutoffs(D, FIRST, home.path))
    assert len(every) == 4
    assert run("--models", "recency_rule") == set(), "the command line is what counts, as in training"
    assert run() == every
    with pytest.raises(SetupError, match="no model 'oracle'"):
        build_sequences.training_snapshots(home, D, "oracle")


def test_another_setting_is_another_recipe(home):
    write(home, [event(days_ago=n) for n in range(5)])
    build(home)
    assert build_sequences.is_fresh(home, D, SequenceSettings())
    assert not build_sequences.is_fresh(home, D, SequenceSettings(max_events=64))
    with pytest.raises(ValueError, match="max_events must lie between 1 and 4096, found 0"):
        SequenceSettings(max_events=0)
