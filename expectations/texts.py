"""What customers wrote, as numbers: the text itself stays in events."""

from expectations.contract import Column, Table
from expectations.events import ARRIVAL_DATE, CUSTOMER_KEY, EVENTS, SOURCE, SOURCE_FILE, SOURCE_LINE
from expectations.measures import TOPICS

LANGUAGES = ("en", "zh", "other", "none")
"""Languages told apart: by script, so that other languages in Latin letters count as the one that the settings name."""

TEXT_HASH = Column(
    name="text_hash", type="string",
    description="First 32 hex digits of the HMAC-SHA-256 of the text under the shop's secret key.",
)  # fmt: skip
_LANGUAGE = Column(
    name="language", type="string", values=LANGUAGES,
    description="en English, zh Chinese, other another language, none no letters at all.",
)  # fmt: skip
_SENTIMENT = Column(
    name="sentiment", type="double", nullable=True, minimum=-1, maximum=1, unit="sentiment",
    description="From -1 (bad) to 1 (good), to four decimals; null in languages that cannot be scored.",
)  # fmt: skip
_TOPIC = Column(
    name="topic", type="string", nullable=True, values=TOPICS,
    description="The declared topic that the text is nearest to; null where none is near.",
)  # fmt: skip

TEXT_SCORES = Table(
    name="text_scores",
    description="Sentiment and topic of each event with a text. The text itself stands in events alone.",
    grain="one row per event with a text",
    key=("source", "source_file", "source_line"),
    partition="arrival_date",
    columns=(
        SOURCE,
        SOURCE_FILE,
        SOURCE_LINE,
        CUSTOMER_KEY,
        EVENTS.column("event_date"),
        EVENTS.column("event_type"),
        TEXT_HASH,
        _LANGUAGE,
        _SENTIMENT,
        _TOPIC,
        ARRIVAL_DATE,
    ),
)

TEXT_VECTORS = Table(
    name="text_vectors",
    description="What the encoder made of each text, kept so that a text is encoded once in its life, on whatever day "
    "it comes. A row is found by the text's hash alone: it tells neither who wrote it nor what it says.",
    grain="one row per text and encoder",
    key=("text_hash",),
    partition="encoder",
    columns=(
        Column(name="encoder", type="string", description="Name of the encoder and digest of its files."),
        TEXT_HASH,
        Column(name="vector", type="floats", description="The text's embedding, of length 1; 384 numbers by default."),
        _LANGUAGE,
        _SENTIMENT,
        _TOPIC,
    ),
)  # fmt: skip
