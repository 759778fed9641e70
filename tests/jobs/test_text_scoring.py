"""Texts of events → scores: encoded once, the same whatever their batch, and the text itself goes nowhere."""

import logging
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.errors import DataError, SetupError
from expectations.events import EVENTS
from expectations.measures import MEASURE
from expectations.texts import TEXT_SCORES, TEXT_VECTORS
from expectations.version import REPOSITORY
from jobs import encode_text
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema
from jobs.text import encoder
from jobs.text.scores import TEXT_MEASURES, has_text, text_sums
from jobs.text.sentiment import BLAME as SEEDS_OF_BLAME
from jobs.text.sentiment import PRAISE as SEEDS_OF_PRAISE
from jobs.text.topics import SEEDS

DAY = date(2024, 3, 4)
NEXT = DAY + timedelta(days=1)
PRAISE = "I love this dress, it is beautiful and fits me perfectly"
BLAME = "Terrible. The seams came apart after one wash, awful quality"
LATE = "The parcel still has not arrived"
CHINESE = "质量太差了，再也不买了"


def event(text, line=1, customer="a", on=DAY, arrived=None):
    row = dict.fromkeys(EVENTS.column_names)
    return row | {
        "source": "s", "source_file": "f", "source_line": line, "customer_key": customer, "key_id": "k",
        "event_type": "review", "event_time": datetime(on.year, on.month, on.day, tzinfo=UTC), "event_date": on,
        "arrival_date": arrived or on, "is_session_start": False, "is_bounce": False, "session_step_seconds": 0,
        "text": text,
    }  # fmt: skip


def write(home, day, *texts):
    rows = [event(text, line=n + 1, customer="ab"[n % 2], on=day) for n, text in enumerate(texts)]
    LakeTable(home, EVENTS).write_arrow(day, pa.Table.from_pylist(rows, schema=arrow_schema(EVENTS)))


def score(home, first, last=None, *options):
    span = ["--from", str(first), "--to", str(last or first)]
    encode_text.main(encode_text.arg_parser().parse_args(["--home", str(home.path), *span, *options]))
    return [row for day in sorted({first, last or first}) for row in scores(home, day)]


def scores(home, day):
    return LakeTable(home, TEXT_SCORES).read_arrow([day]).to_pylist()


def file_of(home, day):
    (file,) = LakeTable(home, TEXT_SCORES).folder(day).glob("*.parquet")
    return file


@pytest.fixture
def encoded(monkeypatch):
    """Texts that the real encoder is given, in order; the phrases of ours, which it embeds too, are left out."""
    seen, encode = [], encoder.SentenceEncoder.encode
    ours = {*SEEDS_OF_PRAISE, *SEEDS_OF_BLAME, *(phrase for phrases in SEEDS.values() for phrase in phrases)}

    def noted(self, texts):
        seen.extend(text for text in texts if text not in ours)
        return encode(self, texts)

    monkeypatch.setattr(encoder.SentenceEncoder, "encode", noted)
    return seen


def test_every_text_of_a_day_is_scored(home):
    write(home, DAY, PRAISE, BLAME, None, LATE, CHINESE, "  ", "green tea", "Где моя посылка?", "12345")
    rows = {row["source_line"]: row for row in score(home, DAY)}
    assert sorted(rows) == [1, 2, 4, 5, 7, 8, 9]  # neither null nor blank is a text
    assert rows[1]["sentiment"] > 0.5
    assert (rows[2]["sentiment"] < -0.3, rows[2]["topic"]) == (True, "quality")
    assert rows[4]["topic"] == "delivery"
    assert (rows[5]["language"], rows[5]["sentiment"] < -0.5) == ("zh", True)
    assert rows[5]["topic"] is None  # the default encoder does not read Chinese
    assert rows[7]["topic"] is None
    assert (rows[8]["language"], rows[8]["sentiment"]) == ("other", None)
    assert (rows[9]["language"], rows[9]["sentiment"]) == ("none", None)
    assert rows[1]["customer_key"] == rows[5]["customer_key"] == "a"


def test_a_text_is_encoded_once_whatever_day_it_comes(home, encoded):
    write(home, DAY, PRAISE, BLAME, PRAISE)
    write(home, NEXT, BLAME, LATE, PRAISE)
    score(home, DAY)
    assert sorted(encoded) == sorted([PRAISE, BLAME])  # twice in a day is once
    score(home, NEXT)
    assert encoded[2:] == [LATE]
    score(home, DAY, NEXT)
    assert len(encoded) == 3


def test_scores_that_are_made_anew_take_the_vectors_there_are(home, encoded):
    write(home, DAY, PRAISE, LATE)
    before = score(home, DAY)
    (home.path / "settings.yaml").write_text("text: {latin_language: de}")
    after = score(home, DAY, None, "--skip-unchanged")
    assert len(encoded) == 2
    # What is written in Latin letters is now German, in which nothing is scored.
    assert [row["sentiment"] for row in after] == [None, None]
    (home.path / "settings.yaml").unlink()
    assert score(home, DAY, None, "--skip-unchanged") == before
    assert len(encoded) == 2


def test_a_day_makes_the_same_bytes_again_also_without_the_cache_and_in_other_company(home):
    write(home, DAY, PRAISE, BLAME, LATE)
    write(home, NEXT, *(f"{PRAISE}, number {n}" for n in range(40)), LATE)
    score(home, DAY)
    first = file_of(home, DAY).read_bytes()
    score(home, DAY)
    assert file_of(home, DAY).read_bytes() == first
    shutil.rmtree(home.lake / TEXT_VECTORS.name)
    score(home, DAY, NEXT)  # the day's texts are encoded among forty others
    assert file_of(home, DAY).read_bytes() == first


def test_what_is_unchanged_is_left(home):
    write(home, DAY, PRAISE)
    write(home, NEXT, None)
    score(home, DAY, NEXT)
    table = LakeTable(home, TEXT_SCORES)
    written = [table.written_at(day) for day in (DAY, NEXT)]
    score(home, DAY, NEXT, "--skip-unchanged")
    assert [table.written_at(day) for day in (DAY, NEXT)] == written
    write(home, NEXT, LATE)
    score(home, DAY, NEXT, "--skip-unchanged")
    assert table.written_at(DAY) == written[0]
    assert len(scores(home, NEXT)) == 1


def test_the_text_stays_in_events(home, caplog):
    secret = "Zanzibar purple umbrella 4711"
    write(home, DAY, secret)
    with caplog.at_level(logging.DEBUG):
        score(home, DAY)
    assert secret not in caplog.text
    outside = [file for file in home.path.rglob("*") if file.is_file() and EVENTS.name not in file.parts]
    assert {TEXT_SCORES.name, TEXT_VECTORS.name} <= {part for file in outside for part in file.parts}
    for file in outside:
        content = pq.read_table(file, partitioning=None).to_pylist() if file.suffix == ".parquet" else file.read_bytes()
        assert "Zanzibar" not in str(content)


def test_a_vector_is_found_by_its_texts_hash_alone(home, tmp_path):
    write(home, DAY, PRAISE)
    (row,) = score(home, DAY)
    (file,) = (home.lake / TEXT_VECTORS.name).rglob("*.parquet")
    (kept,) = pq.read_table(file, partitioning=None).to_pylist()
    # Nothing in the cache tells whose text it was, when or where it came.
    assert set(kept) == {"encoder", "text_hash", "vector", "language", "sentiment", "topic"}
    assert kept["text_hash"] == row["text_hash"]
    # Another shop's key makes another hash: hashes of guessed texts cannot be compared.
    (home.secrets / "customer_key").write_text("ab" * 32)
    (home.path / "shop.json").unlink()
    home.adopt("corner_shop", "corner_shop")
    assert score(home, DAY)[0]["text_hash"] != row["text_hash"]


def test_a_day_without_texts_costs_a_look(home):
    write(home, DAY, None, None)
    write(home, NEXT, None, PRAISE)
    assert (has_text(home, DAY), has_text(home, NEXT)) == (False, True)
    program = (
        "import sys; from jobs import encode_text as job; job.main(job.arg_parser().parse_args(sys.argv[1:])); "
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-c", program, "--home", str(home.path), "--ds", str(DAY)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPOSITORY)
    heavy = {"torch", "transformers", "sentence_transformers", "pyspark", "pysail", "snownlp", "vaderSentiment"}
    assert set(done.stdout.split()) & heavy == set()
    assert scores(home, DAY) == []
    assert not (home.lake / TEXT_VECTORS.name).exists()


def test_a_day_that_is_not_there_is_named(home):
    with pytest.raises(DataError, match="events has no partition for 2024-03-04"):
        score(home, DAY)


def test_an_encoder_is_named_by_its_folder(home, encoded):
    write(home, DAY, PRAISE)
    before = score(home, DAY)
    model = home.path / "my model"
    model.symlink_to(encoder.encoder_folder("all-MiniLM-L6-v2"))
    (home.path / "settings.yaml").write_text(f'text: {{encoder: "{model}"}}')
    assert score(home, DAY) == before
    # Vectors of two encoders are not comparable and so lie apart; each encodes a text once.
    assert encoded == [PRAISE, PRAISE]
    assert len([*(home.lake / TEXT_VECTORS.name).iterdir()]) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/no such folder", "holds no sentence-transformers model"),
        ("some/model", "not on this machine, and nothing is downloaded"),
        ("a b c", "not on this machine, and nothing is downloaded"),
    ],
)
def test_an_encoder_that_is_not_there_is_told(home, name, message):
    write(home, DAY, PRAISE)
    (home.path / "settings.yaml").write_text(f'text: {{encoder: "{name}"}}')
    with pytest.raises(SetupError, match=message):
        score(home, DAY)


def scored(customer, on, sentiment, topic=None, arrived=None, line=1):
    row = event("", line=line, customer=customer, on=on, arrived=arrived)
    kept = {name: row[name] for name in TEXT_SCORES.column_names if name in row}
    return kept | {"text_hash": "h", "language": "en", "sentiment": sentiment, "topic": topic}


def test_a_customers_texts_of_a_day_add_up(spark):
    values = [("a", DAY, 0.1234), ("a", DAY, -0.9876), ("a", DAY, -0.05), ("a", DAY, -0.0501), ("a", DAY, None),
              ("b", DAY, None), ("a", NEXT, -1.0), ("c", DAY, 1.0)]  # fmt: skip
    topics = ["fit", "fit", None, "price", "fit", "refund", None, None]
    rows = [scored(*value, topic=topic, arrived=NEXT) for value, topic in zip(values, topics, strict=True)]
    expected = defaultdict(lambda: dict.fromkeys(TEXT_MEASURES, 0))
    for (customer, on, sentiment), topic in zip(values, topics, strict=True):
        sums = expected[customer, on]
        if sentiment is not None:
            sums["text_count"] += 1
            sums["negative_text_count"] += sentiment < -0.05
            sums["sentiment_sum"] += Decimal(str(sentiment)) + 1
        if topic:
            sums[f"{topic}_text_count"] += 1
    frame = text_sums(spark.createDataFrame(pa.Table.from_pylist(rows, schema=arrow_schema(TEXT_SCORES))))
    found = {
        (row["customer_key"], row["event_date"]): {name: row[name] for name in TEXT_MEASURES}
        for row in frame.toArrow().to_pylist()
    }
    assert found == expected
    kinds = {"int64": "bigint", "decimal": "decimal(18,4)"}
    assert {name: kinds[MEASURE[name].type] for name in TEXT_MEASURES} == {
        name: kind for name, kind in frame.dtypes if name in TEXT_MEASURES
    }


@pytest.mark.slow
def test_both_engines_score_alike(home):
    write(home, DAY, PRAISE, BLAME, LATE, CHINESE, "green tea", *(f"{LATE} {n}" for n in range(1500)))
    score(home, DAY)
    first = file_of(home, DAY).read_bytes()
    shutil.rmtree(home.lake / TEXT_VECTORS.name)
    # A process that has spoken to the embedded engine cannot start Apache Spark, and passes that on to its children.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    command = [sys.executable, "-m", "jobs", "encode_text", "--home", str(home.path), "--ds", str(DAY)]
    subprocess.run([*command, "--engine", "spark"], check=True, cwd=REPOSITORY, env=environment)
    assert file_of(home, DAY).read_bytes() == first
