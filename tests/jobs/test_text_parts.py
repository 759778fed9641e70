"""Language, sentiment, topics, vectors and their cache, each by itself, with the real encoder."""

import fcntl
import math
import threading

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.measures import TOPICS
from expectations.texts import LANGUAGES, TEXT_VECTORS
from jobs.text import vectors as vectors_module
from jobs.text.chinese import ChineseSentiment
from jobs.text.encode import Scorer, scorer_of
from jobs.text.encoder import Encoder, encoder_name, load_encoder
from jobs.text.language import language_of
from jobs.text.settings import DEFAULT_ENCODER, TextSettings
from jobs.text.topics import SEEDS, Topics
from jobs.text.vectors import VectorCache
from tests.jobs.text_probes import OFF_TOPIC, ON_TOPIC

TOLERANCE = 1e-6
"""How far a vector may be from itself in another batch, in each of its numbers."""


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return load_encoder(DEFAULT_ENCODER, encoder_name(DEFAULT_ENCODER))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("red dress", "en"),
        ("红色连衣裙", "zh"),
        ("iPhone 很好用", "zh"),  # a brand's name does not make it English
        ("I bought 红茶 for my mother and she loves it", "en"),
        ("この商品は良いです", "other"),  # Japanese holds Chinese characters
        ("Где моя посылка?", "other"),
        ("어디에 있나요", "other"),
        ("12345 !!", "none"),
        ("😡😡", "none"),
        ("", "none"),
    ],
)
def test_language_is_told_by_script(text, language):
    assert language_of(text) == language


def test_a_shop_says_what_its_latin_letters_mean():
    assert language_of("rotes Kleid", latin_language="de") == "other"
    assert language_of("红色连衣裙", latin_language="de") == "zh"


@given(st.text(max_size=50))
def test_every_text_has_a_language(text):
    assert language_of(text) in LANGUAGES


ODD = [
    "", " ", "a", "😀👍🏽", "\0", "\u202eright to left", "e\u0301" * 300, "word " * 50_000, "好" * 50_000, "x" * 9_999,
    "iPhone 手机 très bien 😀", "<script>alert(1)</script>", "[CLS] [SEP] [PAD]",
]  # fmt: skip


def test_any_text_has_a_vector_of_length_1(minilm):
    found = minilm.encode(ODD)
    assert found.shape == (len(ODD), minilm.dimension)
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    assert minilm.encode([]).shape == (0, minilm.dimension)


def test_a_vector_is_the_same_whatever_is_encoded_beside_it(minilm):
    texts = [text for probes in ON_TOPIC.values() for text in probes] + ODD
    together = minilm.encode(texts)
    shuffled = np.random.default_rng(1).permutation(len(texts))
    assert minilm.encode([texts[n] for n in shuffled]) == pytest.approx(together[shuffled], abs=TOLERANCE)
    alone = np.concatenate([minilm.encode([text]) for text in texts[::7]])
    assert alone == pytest.approx(together[::7], abs=TOLERANCE)


def test_threads_of_one_process_may_encode_at_once(minilm):
    texts = [f"{text} {n}" for n in range(2) for text in OFF_TOPIC]
    expected, found = minilm.encode(texts), {}

    def run(n):
        found[n] = minilm.encode(texts)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(vectors == pytest.approx(expected, abs=TOLERANCE) for vectors in found.values())
    assert len(found) == 3


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return scorer_of(TextSettings(), encoder_name(DEFAULT_ENCODER))


def scored(scorer, *texts):
    batch = pa.record_batch(
        [pa.array([str(n) for n in range(len(texts))]), pa.array(texts), pa.nulls(len(texts), pa.list_(pa.float32()))],
        names=["text_hash", "text", "vector"],
    )
    return scorer.score(batch).to_pylist()


def test_scores_keep_their_bounds_on_any_text(scorer):
    for row in scored(scorer, *ODD, "VERY VERY BAD!!! 😡 " * 500, "great " * 5000):
        assert row["language"] in LANGUAGES
        assert row["sentiment"] is None or -1 <= row["sentiment"] <= 1
        assert row["sentiment"] is None or round(row["sentiment"], 4) == row["sentiment"]
        assert row["topic"] in (None, *TOPICS)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("The dress is lovely", "The dress is awful"),
        ("not bad at all", "not good at all"),
        ("Friendly staff, quick reply, thank you", "Rude staff, nobody ever replied"),
        ("质量很好，很满意", "质量很差，很失望"),
        ("😍", "😢"),
    ],
)
def test_better_texts_score_higher(scorer, better, worse):
    one, other = scored(scorer, better, worse)
    assert one["sentiment"] > other["sentiment"]


def test_topics_are_told_of_sentences_they_were_not_described_by(minilm):
    topics = Topics(minilm)
    assert not {phrase for phrases in SEEDS.values() for phrase in phrases} & {t for p in ON_TOPIC.values() for t in p}
    found = {topic: topics.of(minilm.encode(texts)) for topic, texts in ON_TOPIC.items()}
    right = sum(told == topic for topic, tellings in found.items() for told in tellings)
    wrong = sum(told not in (None, topic) for topic, tellings in found.items() for told in tellings)
    told_off_topic = sum(told is not None for told in topics.of(minilm.encode(OFF_TOPIC)))
    total = sum(map(len, ON_TOPIC.values()))
    assert (right / total > 0.75, wrong / total < 0.1, told_off_topic / len(OFF_TOPIC) < 0.15) == (True, True, True)


def test_naive_bayes_by_hand():
    """Characters and pairs seen twice or more, one added to each count."""
    model = ChineseSentiment(good=["好吃", "好吃"], bad=["难吃", "难吃", "难吃"])
    # Known: 好 吃 好吃 难 难吃. Good has 6 of them and 5 added, bad 9 and 5; texts count once for each they hold.
    odds = {gram: math.log((good + 1) / 11) - math.log((bad + 1) / 14)
            for gram, good, bad in [("好", 2, 0), ("吃", 2, 3), ("好吃", 2, 0)]}  # fmt: skip
    assert model.score("好吃 好吃") == pytest.approx(math.tanh(sum(odds.values()) / 4))
    assert model.score("牛") == 0


def rows(*hashes, vector=(0.6, 0.8), sentiment=0.5):
    columns = {"text_hash": list(hashes), "vector": [list(vector)] * len(hashes), "language": ["en"] * len(hashes),
               "sentiment": [sentiment] * len(hashes), "topic": [None] * len(hashes)}  # fmt: skip
    fields = [("text_hash", pa.string()), ("vector", pa.list_(pa.float32())), ("language", pa.string()),
              ("sentiment", pa.float64()), ("topic", pa.string())]  # fmt: skip
    return pa.table(columns, schema=pa.schema(fields))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=4), max_size=12))
def test_the_cache_holds_each_text_once(tmp_path_factory, added):
    from jobs.home import Home

    cache = VectorCache(Home(tmp_path_factory.mktemp("a home")), "e", "s")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors_module, "MOST_FILES", 3)  # so that files are merged on the way
        for hashes in added:
            cache.add(rows(*hashes))
    every = pa.array(list("abcdefgh"))
    assert sorted(cache.scores(every)["text_hash"].to_pylist()) == sorted({h for hashes in added for h in hashes})
    assert cache.vectors(every)["text_hash"].to_pylist() == sorted({h for hashes in added for h in hashes})
    assert len([*cache.folder.glob("*")]) <= 4


def test_scores_of_another_scoring_are_not_taken_its_vectors_are(home):
    old, new = VectorCache(home, "e", "old"), VectorCache(home, "e", "new")
    old.add(rows("a", sentiment=-1.0))
    assert new.scores(pa.array(["a"])).num_rows == 0
    assert new.vectors(pa.array(["a"]))["vector"].to_pylist() == [pytest.approx([0.6, 0.8])]
    new.add(rows("a", sentiment=1.0))
    assert new.scores(pa.array(["a"]))["sentiment"].to_pylist() == [1.0]
    assert new.vectors(pa.array(["a"])).num_rows == 1
    assert VectorCache(home, "another", "new").vectors(pa.array(["a"])).num_rows == 0


def test_what_a_killed_writer_left_is_cleared(home):
    cache = VectorCache(home, "e", "s")
    cache.add(rows("a"))
    work = home.lake / "_work" / TEXT_VECTORS.name
    (work / "staged-dead").write_bytes(b"half a file")
    cache.add(rows("b"))
    assert [file.name for file in work.iterdir()] == ["lock"]
    assert cache.scores(pa.array(["a", "b"])).num_rows == 2


def test_a_writer_waits_for_readers(home):
    cache = VectorCache(home, "e", "s")
    cache.add(rows("a"))
    with open(home.lake / "_work" / TEXT_VECTORS.name / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        writer = threading.Thread(target=cache.add, args=(rows("b"),))
        writer.start()
        writer.join(timeout=0.2)
        assert writer.is_alive()
        assert cache.scores(pa.array(["a", "b"])).num_rows == 1  # readers do not wait for each other
    writer.join(timeout=10)
    assert cache.scores(pa.array(["a", "b"])).num_rows == 2
