"""A mapping is tried before anything is written: what it makes of a file, what it refuses, and what would mend it."""

import gzip
import importlib
import json
import re
import shlex
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.errors import DataError, SetupError
from expectations.events import EVENTS
from jobs import check_source
from jobs.lake import LakeTable
from jobs.land import land_files
from jobs.onboarding.advice import fits
from jobs.onboarding.draft import draft
from jobs.onboarding.hints import (
    FORMS,
    USUAL_WORDS,
    column_for,
    epoch_unit,
    event_type_for,
    time_formats_for,
)
from jobs.onboarding.inputs import day_in, inputs_of
from jobs.onboarding.trial import try_feed
from jobs.reading.mapping import parse_mapping
from tests.jobs.corner_shop import CORNER_SHOP, HEADER

LINES = [
    "c1,2024-03-04 10:00:00,sale,o1,p1,2,10.50,0.50,0.25",
    "c2,2024-03-04,look,,p2,,,,",
    "c1,2024-03-05 09:00:00,refund,o1,p1,-1,-5.25,0,0",
    ",2024-03-05 09:00:00,look,,p1,,,,",
]


@pytest.fixture
def check(tmp_path, capsys):
    """``check(lines, mapping)`` runs the command on a file of these lines: what it printed, the error it ended with."""

    def run(lines, mapping=CORNER_SHOP, header=HEADER, name="history.csv", raw=None, options=()) -> tuple[str, str]:
        (tmp_path / "corner_shop.yaml").write_text(mapping)
        path = tmp_path / name
        path.write_bytes(raw if raw is not None else "".join(f"{line}\n" for line in (header, *lines)).encode())
        before = sorted(tmp_path.rglob("*"))
        args = ["--mapping", str(tmp_path / "corner_shop.yaml"), "--path", str(path), *options]
        error = ""
        try:
            check_source.main(check_source.arg_parser().parse_args(args))
        except (DataError, SetupError) as raised:
            error = str(raised)
        assert sorted(tmp_path.rglob("*")) == before  # a dry run leaves no file behind
        return capsys.readouterr().out, error

    return run


def test_each_column_of_events_says_where_it_comes_from(check):
    out, error = check(LINES)
    assert not error
    table = {line.split("  ")[0]: line for line in out.splitlines()}
    assert "customer (keyed)" in table["customer_key"]
    assert "at by %Y-%m-%d %H:%M:%S or %Y-%m-%d" in table["event_time"]
    assert "kind: sale=purchase, refund=return, look=view" in table["event_type"]
    assert "rebate + coupon" in table["discount_amount"]
    assert "0.50 0.25" in table["discount_amount"]  # before, as it stands
    assert " 0.75 " in table["discount_amount"]  # after, added up
    assert "constant EUR" in table["currency"]
    assert "amount / quantity" in table["price"]
    assert "not filled: arrival_time, category, brand" in out


def test_columns_that_nobody_reads_are_listed(check):
    out, _ = check([f"{line},x" for line in LINES], header=HEADER + ",remark")
    assert "columns of the file that nobody reads: remark" in out


def test_rows_stand_before_and_after_with_one_of_each_event_type_first(check):
    out, _ = check([LINES[0]] * 12 + LINES[1:3])
    rows = out[out.index("10 rows before and after") :].splitlines()
    assert rows[1].split() == ["history.csv:2", *LINES[0].split()]
    assert rows[2].split()[:4] == ["→", "purchase", "on", "2024-03-04"]
    assert "amount=10.5" in rows[2]
    assert [row.split()[1] for row in rows[2:8:2]] == ["purchase", "view", "return"]
    # The id that the shop knows stands on the left alone: on the right it is keyed.
    assert "customer_key=c1" not in out


def test_a_key_is_thrown_away_after_each_run(check):
    first, second = (check(LINES)[0] for _ in range(2))
    assert first.split("customer_key=")[1][:8] != second.split("customer_key=")[1][:8]


def test_refusals_are_counted_with_their_first_line_and_drops_by_policy(check):
    out, error = check([*LINES * 10, "c9,2024-03-04,sale,o9,p9,two,10,0,0", "c9,2024-03-04,sale"])
    assert "42 rows read = 30 kept + 10 dropped + 2 quarantined" in out
    assert "dropped by policy no_customer: 10 (23.81%)" in out
    assert "quarantined by pieces_not_a_number: 1 (2.38%)" in out
    assert "history.csv:42  c9,2024-03-04,sale,o9,p9,two,10,0,0" in out
    assert "quarantined by field_count: 1" in out
    assert "event types: purchase 10, view 10, return 10" in out
    assert "event dates: 2024-03-04 … 2024-03-05, 2 days" in out
    assert "VERDICT look again: 4.8% would be quarantined; the gate warns above 1%" in out
    assert not error


def test_what_the_gate_would_stop_ends_as_bad_data(check):
    out, error = check([*LINES * 2, "c9,2024-03-04,sale,o9,p9,two,10,0,0"])
    assert "VERDICT stop: 11.1% would be quarantined; the gate stops the line above 10%" in out
    assert "sales: not to be ingested" in error


def test_the_trial_counts_what_ingestion_counts(home, land, ingest, corner_shop):
    # Two ways to the same file: the trial's pieces, and the day's ingestion.
    path = land(date(2024, 3, 5), *LINES, "c9,2024-03-04,sale,o9,p9,two,10,0,0")
    ingest(date(2024, 3, 5))
    kept = LakeTable(home, EVENTS).read_arrow([date(2024, 3, 5)])
    trial = try_feed(corner_shop, inputs_of(corner_shop, path, None), None)
    assert dict(trial.types) == {e["values"]: e["counts"] for e in kept["event_type"].value_counts().to_pylist()}
    assert trial.rows == {"read": 5, "kept": 3, "dropped": 1, "quarantined": 1}
    assert trial.inputs[0].day == date(2024, 3, 5)


def test_a_history_has_no_event_after_its_delivery_but_a_days_file_can(corner_shop, land):
    late = land(date(2024, 3, 4), LINES[2])
    trial = try_feed(corner_shop, inputs_of(corner_shop, late, None), None)
    assert list(trial.refusals) == ["event_date_after_arrival"]


def test_a_sample_reads_as_many_rows_as_asked_and_says_so(check):
    lines = [*LINES[:2] * 100, "broken"]
    out, _ = check(lines, options=["--rows", "150"])
    assert "150 rows read, a sample: --all reads every row" in out
    assert "100.0% of the sample kept" in out
    out, _ = check(lines, options=["--all"])
    assert "201 rows read\n" in out
    assert "quarantined by field_count: 1" in out


def test_lines_are_numbered_as_in_the_file_whatever_the_pieces(corner_shop, tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.onboarding.inputs.PIECE_BYTES", 100)
    path = tmp_path / "history.csv"
    path.write_text("".join(f"{line}\n" for line in [HEADER, *LINES[:2] * 50, "broken", LINES[0]]))
    trial = try_feed(corner_shop, inputs_of(corner_shop, path, None), None)
    assert trial.refusals["field_count"].place.endswith(":102")
    assert trial.rows["read"] == 102


@pytest.mark.parametrize(
    ("change", "lines", "hint"),
    [
        # The file's times are written otherwise: the format that reads them.
        ({}, ["c1,04.03.2024 10:00,sale,o,p,1,1,0,0"], "add '%d.%m.%Y %H:%M' to time_formats"),
        # A day that can be a month: both are told.
        ({}, ["c1,04/03/2024,sale,o,p,1,1,0,0"], "add '%d/%m/%Y' to time_formats (or, if that is how"),
        # 31 March cannot be the third day of a month that is none.
        ({}, ["c1,31/03/2024,sale,o,p,1,1,0,0"], "add '%d/%m/%Y' to time_formats\n"),
        ({}, ["c1,1709550000,sale,o,p,1,1,0,0"], "add 'unix' to time_formats: these look like seconds since 1970"),
        ({}, ["c1,1709550000123,sale,o,p,1,1,0,0"], "add 'unix_ms' to time_formats: these look like milliseconds"),
        # A zone that the time tells itself, and one that the format's words state.
        ({}, ["c1,2024-03-04T10:00:00+01:00,sale,o,p,1,1,0,0"], "add '%Y-%m-%dT%H:%M:%S%z' to time_formats\n"),
        ({}, ["c1,2024-03-04T10:00:00Z,sale,o,p,1,1,0,0"], "add '%Y-%m-%dT%H:%M:%S%z' to time_formats\n"),
        ({}, ["c1,2024-03-04 10:00:00 UTC,sale,o,p,1,1,0,0"], "to time_formats, and `timezone: UTC`, which they state"),
        ({}, ["c1,04-13-2024,sale,o,p,1,1,0,0"], "add '%m-%d-%Y' to time_formats"),
        ({}, ["c1,2024-03-04T10:00:00.123Z,sale,o,p,1,1,0,0"], "add '%Y-%m-%dT%H:%M:%S.%f%z' to time_formats\n"),
        ({}, ["c1,2024-03-04 10:00:00.5,sale,o,p,1,1,0,0"], "add '%Y-%m-%d %H:%M:%S.%f' to time_formats\n"),
        ({}, ["c1,04/Mar/2024:10:00:00 -0800,sale,o,p,1,1,0,0"], "add '%d/%b/%Y:%H:%M:%S %z' to time_formats\n"),
        ({}, ["c1,6-4,sale,o,p,1,1,0,0"], "`assumed_year:` the year, which they lack"),
        # Words of the shop: what they usually mean, and a question mark for what no one knows.
        ({}, ["c1,2024-03-04,pv,o,p,1,1,0,0", "c1,2024-03-04,zap,,,,,,"], 'values: {"pv": view, "zap": ?}'),
        ({"drop_without_customer: true": ""}, [",2024-03-04,look,,,,,,"], "`drop_without_customer: true`"),
        ({"negative_returns: true": ""}, ["c1,2024-03-04,refund,o,p,-1,-5,0,0"], "`negative_returns: true`"),
        ({}, ['c1,2024-03-04,sale,o,p,1,"1,50",0,0'], "'1,50' has a decimal comma"),
        ({}, ["c1,2024-03-04,sale,o,p,1,€5,0,0"], "a currency or unit beside the number"),
        ({}, ["c1,2024-03-04,sale,o,p,1,,0,0"], "`constants: {amount: 0}`"),
        ({}, ['c1,2024-03-04,sale,"o,p,1,1,0,0'], "a quote that does not close"),
    ],
)
def test_what_is_refused_comes_with_what_mends_it(check, change, lines, hint):
    mapping = CORNER_SHOP
    for old, new in change.items():
        mapping = mapping.replace(old, new)
    out, _ = check(lines, mapping)
    assert hint in out


def test_bytes_that_are_no_text_are_shown_as_other_encodings_read_them(check):
    out, _ = check([], raw=f"{HEADER}\nc1,2024-03-04,sale,Grüntee,p,1,1,0,0\n".encode("cp1252"))
    assert "`encoding: cp1252` reads 'c1,2024-03-04,sale,Grüntee,p,1,1,0,0'" in out


def test_a_column_the_file_lacks_is_told_with_those_it_has(check):
    _, error = check(LINES, header=HEADER.replace("customer", "Customer_ID").replace("paid", "total"))
    assert "the mapping names 'customer', 'paid', and the file has no such column" in error
    assert "for 'customer': did you mean 'Customer_ID'?" in error
    assert "the file has: Customer_ID, at, kind, order, product, pieces, total, rebate, coupon" in error


def test_a_wrong_delimiter_and_a_missing_header_are_recognised(check):
    _, error = check([line.replace(",", ";") for line in LINES], header=HEADER.replace(",", ";"))
    assert "set `delimiter: ';'`" in error
    _, error = check(LINES[1:], header=LINES[0])
    assert "set `header: false`" in error


def test_feeds_are_told_apart_by_the_names_of_their_files():
    mapping = parse_mapping(SEVERAL, "two.yaml")
    with pytest.raises(SetupError, match=r"say by --feed which it is: sales \(ds=\{ds\}/sales.csv\), visits"):
        inputs_of(mapping, Path(__file__), None)
    assert [each.feed.name for each in inputs_of(mapping, Path(__file__), "visits")] == ["visits"]
    with pytest.raises(SetupError, match="has no feed 'nothing'; it has sales, visits"):
        inputs_of(mapping, Path(__file__), "nothing")


SEVERAL = """
source: two
shop: two
timezone: UTC
currency: EUR
feeds:
  - name: sales
    files: "ds={ds}/sales.csv"
    event_type: view
    time_formats: ["%Y-%m-%d"]
    columns: {customer_id: a, event_time: b}
  - name: visits
    files: "ds={ds}/visits.csv"
    event_type: view
    time_formats: ["%Y-%m-%d"]
    columns: {customer_id: a, event_time: b}
"""


@pytest.mark.parametrize(
    ("path", "pattern", "day"),
    [
        ("/x/ds=2024-03-04/sales.csv", "ds={ds}/sales.csv", date(2024, 3, 4)),
        ("/x/2024-03-04.csv.gz", "{ds}.csv.gz", date(2024, 3, 4)),
        # Both days of a path are the same; no such day; another file.
        ("/x/2024-03-04/2024-03-04.csv", "{ds}/{ds}.csv", date(2024, 3, 4)),
        ("/x/2024-03-04/2024-03-05.csv", "{ds}/{ds}.csv", None),
        ("/x/2024-02-30.csv", "{ds}.csv", None),
        ("/x/y2024-03-04.csv", "{ds}.csv", None),
        ("/x/2024-03-04xcsv", "{ds}.csv", None),
    ],
)
def test_a_files_day_stands_in_its_path(path, pattern, day):
    assert day_in(Path(path), pattern) == day


def test_json_lines_and_parquet_are_tried_alike(check, tmp_path):
    rows = [{"who": {"id": "c1"}, "at": "2024-03-04 10:00:00", "what": "look"}] * 20
    mapping = CORNER_SHOP.split("feeds:")[0] + (
        'feeds:\n  - {name: f, files: "{ds}", format: FORMAT, event_type: view, time_formats: ["%Y-%m-%d %H:%M:%S"], '
        "columns: {customer_id: who.id, event_time: at}}\n"
    )
    text = "".join(json.dumps(row) + "\n" for row in [*rows, {"at": "2024-03-04 10:00:00"}]) + "{no json\n"
    out, _ = check([], mapping.replace("FORMAT", "jsonl"), raw=text.encode())
    assert "22 rows read = 20 kept + 0 dropped + 2 quarantined" in out
    assert "history.csv:22  {no json" in out
    assert "columns of the file that nobody reads: what" in out
    pq.write_table(
        pa.table({"who.id": ["c1"] * 20, "at": ["2024-03-04 10:00:00"] * 19 + ["?"]}), tmp_path / "h.parquet"
    )
    out, _ = check([], mapping.replace("FORMAT", "parquet"), raw=(tmp_path / "h.parquet").read_bytes())
    assert "20 rows read = 19 kept + 0 dropped + 1 quarantined" in out
    assert "history.csv:20  at=?" in out


MOMENTS = st.datetimes(
    datetime.fromisoformat("1991-01-01"), datetime.fromisoformat("2060-01-01"), timezones=st.just(UTC)
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FORMS), st.lists(MOMENTS, min_size=1, max_size=9))
def test_whatever_format_wrote_the_times_one_that_reads_them_all_is_found(form, moments):
    texts = [moment.strftime(form) for moment in moments if (moment.month, moment.day) != (2, 29)] or ["2024-01-01"]
    found = time_formats_for(texts, fits)
    assert found
    assert fits(texts, found[0]) == len(texts)


def test_texts_that_are_no_times_get_no_format():
    assert time_formats_for(["soon", "later"], fits) == []
    assert time_formats_for([], fits) == []
    # Most of the texts must fit, not all: one broken line must not hide the format of the others.
    assert time_formats_for(["2024-03-04", "2024-03-05", "2024-13-05"], fits)[0] == "%Y-%m-%d"


@pytest.mark.parametrize(
    ("texts", "unit"),
    [(["1709550000"], "seconds"), (["1709550000000"], "milliseconds"), (["20240304"], ""), (["12345"], ""), ([], "")],
)
def test_seconds_since_1970_are_known_by_their_size(texts, unit):
    assert epoch_unit(texts) == unit


def test_usual_words_and_columns_are_known_whatever_their_case_and_blanks():
    assert [event_type_for(word) for word in ("Buy", "add to cart", "PV", "zap")] == [
        "purchase",
        "add_to_cart",
        "view",
        "",
    ]
    assert column_for("customer_id", ["Sku", "User ID"]) == "User ID"
    assert column_for("customer_id", ["Sku", "User ID"], taken=["User ID"]) == ""
    # Every word stands for one type.
    words = [word for several in USUAL_WORDS.values() for word in several]
    assert len(words) == len(set(words))


def drafted(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    return draft("new_shop", tmp_path / name)


def test_a_draft_of_a_plain_shop_reads_it_as_it_is(tmp_path, home, monkeypatch):
    lines = ["user_id;when;action;sku;price"]
    lines += [
        f"u{n};{n % 28 + 1:02d}.03.2024 10:{n % 60:02d};{('pv', 'cart', 'buy')[n % 3]};s{n};1.50" for n in range(90)
    ]
    text = drafted(tmp_path, "export.csv", "\r\n".join(lines).encode())
    mapping = parse_mapping(text, "new_shop.yaml")
    trial = try_feed(mapping, inputs_of(mapping, tmp_path / "export.csv", None), None)
    assert trial.rows == {"read": 90, "kept": 90, "dropped": 0, "quarantined": 0}
    assert trial.types == {"view": 30, "add_to_cart": 30, "purchase": 30}
    assert (mapping.expected.first, mapping.expected.last) == (date(2024, 3, 1), date(2024, 3, 28))
    assert trial.examples["purchase"][0].event["amount"] == Decimal("1.50")


def test_a_draft_asks_where_it_cannot_know(tmp_path):
    text = drafted(tmp_path, "export.csv", b"Kunde;Zeitpunkt;Art\nK1;04.03.2024;zap\n")
    assert 'customer_id: "?"' in text
    assert "columns not used yet: Kunde, Art" in text
    # A question mark is refused as a column that is not there, with those that are.
    mapping = parse_mapping(text, "new_shop.yaml")
    with pytest.raises(
        SetupError, match="no such column(.|\n)*the file has: Kunde, Zeitpunkt, Art".replace("\n", "\\n")
    ):
        check_source.check_columns(inputs_of(mapping, tmp_path / "export.csv", None)[0])


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (
            "e.jsonl",
            b'{"user": {"id": "u"}, "ts": "2024-03-04T10:00:00", "event": "buy"}\n',
            ["format: jsonl", '"user.id"'],
        ),
        ("e.txt", b" 00004 19970101  2\r\n", ["header: false", 'delimiter: "whitespace"', "event_time: column_2"]),
        (
            "e.csv.gz",
            gzip.compress("user,at\nGrün,2024-03-04\n".encode("latin-1")),
            ["encoding: latin-1", "events.csv.gz"],
        ),
        ("e.csv", b"user,at\nu,6-4\n", ["assumed_year: 2024", '"%-m-%-d"']),
    ],
)
def test_a_draft_knows_a_file_by_its_content(tmp_path, name, data, said):
    text = drafted(tmp_path, name, data)
    assert [each for each in said if each not in text] == []
    if "?" in text:  # what cannot be guessed is asked for, not taken
        with pytest.raises(SetupError, match=r"no column \?"):
            parse_mapping(text, "new_shop.yaml")
    else:
        parse_mapping(text, "new_shop.yaml")


def test_a_draft_of_parquet_takes_typed_times_as_they_are(tmp_path):
    table = pa.table({"customer": ["c"], "timestamp": pa.array([datetime(2024, 3, 4, tzinfo=UTC)]), "amount": [1.5]})
    pq.write_table(table, tmp_path / "e.parquet")
    text = draft("new_shop", tmp_path / "e.parquet")
    mapping = parse_mapping(text, "new_shop.yaml")
    trial = try_feed(mapping, inputs_of(mapping, tmp_path / "e.parquet", None), None)
    assert trial.rows["kept"] == 1


def test_one_of_source_mapping_and_draft_is_needed(capsys):
    with pytest.raises(SystemExit):
        check_source.arg_parser().parse_args(["--path", "x"])
    with pytest.raises(SetupError, match="there is no such file"):
        check_source.read_mapping(Path("/nowhere/x.yaml"))


def test_the_page_for_new_users_says_what_works(tmp_path, capsys):
    # Its mapping reads its own example, and every command on it is understood.
    page = (Path(__file__).resolve().parents[2] / "docs" / "ten_minutes.md").read_text()
    blocks = re.findall(r"```(\w*)\n(.*?)```", page, re.DOTALL)
    (mapping,) = (text for kind, text in blocks if kind == "yaml")
    (tmp_path / "tea_house.yaml").write_text(mapping)
    (tmp_path / "tea_house.csv").write_text(next(text for _, text in blocks if text.startswith("Kunde")), "cp1252")
    args = ["--mapping", str(tmp_path / "tea_house.yaml"), "--path", str(tmp_path / "tea_house.csv")]
    check_source.main(check_source.arg_parser().parse_args(args))
    out = capsys.readouterr().out
    assert "2 rows read = 2 kept" in out
    assert "amount=9 " in out
    commands = re.findall(r"-m jobs (\w+) (.*?)\s*(?:#.*|>.*)?$", page, re.MULTILINE)
    assert {name for name, _ in commands} == {"check_source", "land", "setup", "ingest", "quarantine"}
    for name, rest in commands:
        importlib.import_module(f"jobs.{name}").arg_parser().parse_args(shlex.split(rest))


PRODUCTS = """
dimensions:
  - table: products
    files: dimensions/products.csv
    columns: {product_id: sku, category: [dept, shelf]}
"""


def test_dimensions_are_tried_where_they_lie(tmp_path, capsys):
    (tmp_path / "corner_shop.yaml").write_text(CORNER_SHOP + PRODUCTS)
    for name, text in (
        ("ds=2024-03-05/sales.csv.gz", "\n".join([HEADER, *LINES])),
        ("dimensions/products.csv", "sku,dept,shelf\np1,food,tea\np1,food,herbs\np2,,\n"),
        ("readme.txt", "hello"),
    ):
        (tmp_path / "landing" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "landing" / name).write_text(text)
    args = ["--mapping", str(tmp_path / "corner_shop.yaml"), "--path", str(tmp_path / "landing")]
    check_source.main(check_source.arg_parser().parse_args(args))
    out = capsys.readouterr().out
    # A product told twice counts once, as its last row says.
    assert "products.csv: 3 rows read, 2 products known" in out
    assert "dept . shelf" in out
    assert "food.herbs" in out
    assert "made at ingestion from the products" in out
    assert "4 rows read = 3 kept" in out
    assert "1 file(s) that fit no `files` of the mapping, such as" in out
    # The file alone is tried alone, and what it lacks is told as for a feed.
    (tmp_path / "landing" / "dimensions" / "products.csv").write_text("SKU,dept\n")
    args[-1] += "/dimensions/products.csv"
    with pytest.raises(SetupError, match=r"for 'sku': did you mean 'SKU'\?"):
        check_source.main(check_source.arg_parser().parse_args(args))


def test_a_sample_of_many_files_is_taken_from_the_first_to_the_last(corner_shop, tmp_path):
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(60)]
    for day in days:
        (tmp_path / f"ds={day}").mkdir()
        (tmp_path / f"ds={day}" / "sales.csv.gz").write_text(f"{HEADER}\n" + f"c,{day},look,,,,,,\n" * 9)
    inputs = inputs_of(corner_shop, tmp_path, None)
    trial = try_feed(corner_shop, inputs, 100)
    assert trial.days == dict.fromkeys(days[::3], 5)  # 20 files, 5 rows of each
    assert not trial.is_whole
    assert try_feed(corner_shop, inputs, None).rows["read"] == 60 * 9
    # Few small files are read whole.
    assert try_feed(corner_shop, inputs[:5], 100).is_whole


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04...", "a zip archive or a spreadsheet: unpack it, or save the sheet as CSV"),
        ("user,at\nu,2024-03-04\n".encode("utf-16"), "text in UTF-16: save it in UTF-8"),
        (b'[\n {"user": 1}]', "one JSON list: write one object a line"),
        (gzip.compress(b'[{"user": 1}]'), "one JSON list"),
    ],
)
def test_what_no_feed_reads_is_named_with_the_way_out(check, tmp_path, data, said):
    _, error = check([], raw=data)
    assert said in error
    with pytest.raises(SetupError, match=re.escape(said)):
        drafted(tmp_path, "export", data)
    with pytest.raises(SetupError, match=re.escape(said)):
        land_files(
            tmp_path / "landing", parse_mapping(CORNER_SHOP, "corner_shop.yaml").feeds[0], "UTC", [tmp_path / "export"]
        )


def test_a_column_named_with_a_bracket_is_no_list(tmp_path):
    assert "event_time: when" in drafted(tmp_path, "export.csv", b"[user],when\nu,2024-03-04\n")
    # Names and no rows: the column is named, its format asked for.
    assert 'time_formats: ["?"]' in drafted(tmp_path, "empty.csv", b"user,when\n")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("1709550000", "unix"),
        ("1709550000123", "unix_ms"),
        ("2024-03-04T11:00:00Z", "%Y-%m-%dT%H:%M:%S%z"),
        ("2024-03-04 11:00:00.250+00", "%Y-%m-%d %H:%M:%S.%f%z"),
    ],
)
def test_a_draft_reads_moments_whatever_tells_them(tmp_path, text, form):
    made = drafted(tmp_path, "export.csv", f"user,when\nu,{text}\n".encode())
    mapping = parse_mapping(made, "new_shop.yaml")
    assert mapping.feeds[0].time_formats == (form,)
    assert mapping.feeds[0].assumed_year == 0
    assert mapping.expected.first == date(2024, 3, 4)


def test_a_barcode_is_no_time(tmp_path):
    # 4006381333931 could count milliseconds to 2096; only a column called a time may be one.
    assert 'event_time: "?"' in drafted(tmp_path, "export.csv", b"user,ean\nu,4006381333931\n")
