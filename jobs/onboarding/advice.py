"""What to change in a mapping, by what was refused under it."""

import re
from collections import Counter

import pyarrow as pa

from expectations.errors import SetupError
from jobs.onboarding.hints import (
    close_names,
    delimiter_for,
    epoch_unit,
    event_type_for,
    looks_like_data,
    time_formats_for,
)
from jobs.onboarding.trial import Refusal
from jobs.reading.dimension import Dimension
from jobs.reading.feed import Feed
from jobs.reading.times import SINCE_1970, times

ENCODINGS = ("cp1252", "gb18030", "cp1251")


def fits(texts: list[str], form: str, assumed_year: int = 0) -> int:
    """How many of the texts the project's own reader takes by that format."""
    year = 0 if re.search("%[Yy]", form) or form in SINCE_1970 else assumed_year or 2000
    return len(texts) - times(pa.array(texts, pa.string()), (form,), year)[0].null_count


def advice(rule: str, refusal: Refusal, feed: Feed) -> str:
    """What may mend the rows that ``rule`` refused; empty where nothing can be said."""
    if rule.endswith("_not_a_time"):
        return _of_times(refusal.texts, feed)
    if rule == "event_type_unknown":
        return _of_types(refusal.texts)
    if rule.endswith("_not_a_number"):
        return _of_numbers(refusal.texts)
    if rule == "not_text":
        return _of_bytes(refusal.raw, feed)
    return next((text for pattern, text in _PLAIN if re.fullmatch(pattern, rule)), "")


_PLAIN = (
    ("customer_key_missing", "a row without a customer: `drop_without_customer: true` leaves such rows out, counted"),
    ("amount_missing", "a purchase or return needs an amount; a shop that tells no money: `constants: {amount: 0}`"),
    (r"(amount|quantity|price)_below_0", "negative: are these returns? `event_type: when:` or `values:` makes them "
     "`return`, and `negative_returns: true` turns their sign"),
    (r"discount_amount_below_0", "a discount is what was taken off: a positive number"),
    (r"rating_(below|above)_.*", "`rating_scale: [lowest, highest]` says between what bounds ratings lie"),
    ("field_count", "another number of fields than the header: an unquoted `delimiter` in a text, or a line cut short"),
    ("bad_quotes", "a quote that does not close on its line: a line break within quotes is not supported"),
    ("stray_return", "a carriage return within the line"),
    ("not_json", "not one JSON object on one line"),
    (r".*_not_one_value", "the key holds a list or an object: name a key within it by a dot, as in user.id"),
    ("event_date_too_early", "dated before 1990: a clock that was never set, a year of two digits, or seconds that "
     "`unix_ms` takes for milliseconds"),
    ("event_date_after_arrival", "dated after the day of its file: is `timezone` the one of the file's times?"),
    ("event_type_missing", "the column is empty: `default:` under event_type says what such rows are"),
    ("event_time_missing", "a row without a time says nothing of any day"),
)  # fmt: skip


def _of_times(texts: Counter[str], feed: Feed) -> str:
    found = [text.strip() for text in texts]
    if not found:
        return ""
    forms = time_formats_for(found, lambda some, form: fits(some, form, feed.assumed_year))
    if not forms:
        return (
            f"no usual format fits {found[0]!r}; one is made of %Y %y %m %d %b %B %-d %-m %H %M %S %f %z, or %I with %p"
        )
    hint = f"add {forms[0]!r} to time_formats"
    if forms[1:]:
        hint += f" (or, if that is how the shop writes it, {' or '.join(map(repr, forms[1:]))})"
    if unit := epoch_unit(found):
        return f"{hint}: these look like {unit} since 1970"
    if not re.search("%[Yy]", forms[0]) and not feed.assumed_year:
        hint += ", and `assumed_year:` the year, which they lack"
    if forms[0].endswith("UTC"):
        hint += ", and `timezone: UTC`, which they state"
    return hint


def _of_types(texts: Counter[str]) -> str:
    """The lines to add under ``values``; a word that no list knows is left to who knows the shop."""
    pairs = [f'"{word}": {event_type_for(word) or "?"}' for word in sorted(texts)[:20]]
    return f"add to event_type.values: {{{', '.join(pairs)}}}"


def _of_bytes(raw: bytes, feed: Feed) -> str:
    """Encodings that read the line, with what they read: who knows the language sees which is right."""
    readings = []
    for encoding in ENCODINGS:
        try:
            readings.append(f"`encoding: {encoding}` reads {raw.decode(encoding).strip()[:80]!r}")
        except UnicodeDecodeError:
            continue
    return f"no {feed.encoding}; " + (", ".join(readings[:3]) or "none of the usual encodings reads it either")


def _of_numbers(texts: Counter[str]) -> str:
    found = next(iter(texts), "")
    if re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})*,\d+|[+-]?\d+,\d+", found):
        why = "a decimal comma"
    elif re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", found):
        why = "commas between thousands"
    elif re.search(r"[€$£¥₽]|[A-Za-z]{2,}", found):
        why = "a currency or unit beside the number"
    else:
        why = "no number"
    return f"{found!r} has {why}: numbers must be written as 1234.50"


def refuse_missing_columns(names: list[str], feed: Feed | Dimension, place: str) -> None:
    """SetupError where the mapping names columns that the file lacks: with those it has, and which may be meant."""
    if not (missing := [name for name in feed.source_columns if name not in names]):
        return
    said = [f"{place}: the mapping names {', '.join(map(repr, missing))}, and the file has no such column"]
    for name in missing:
        if close := close_names(name, names):
            said.append(f"  for {name!r}: did you mean {' or '.join(map(repr, close))}?")
    said.append(f"  the file has: {', '.join(names)}")
    if (
        feed.format == "csv"
        and feed.header
        and len(names) == 1
        and (better := delimiter_for(names[0])) != feed.delimiter
    ):
        said.append(f"  its first line looks parted by {better!r}: set `delimiter: {better!r}`")
    elif feed.format == "csv" and feed.header and looks_like_data(names):
        said.append(
            "  its first line looks like a row: set `header: false` and name the columns by `column_names: [...]`"
        )
    raise SetupError("\n".join(said))
