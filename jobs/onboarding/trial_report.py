"""A trial in words: what maps to what, rows before and after, refusals with a first example, and the verdict."""

from collections.abc import Iterator

from expectations.events import EVENTS, INGEST_REPORT
from jobs.onboarding.advice import advice
from jobs.onboarding.odd_days import odd_days
from jobs.onboarding.origins import origin_of, value
from jobs.onboarding.streams import compression_of
from jobs.onboarding.trial import Example, Trial
from jobs.reading.mapping import Mapping

BEFORE_WIDTH, AFTER_WIDTH, FROM_WIDTH = 32, 32, 60
NOT_SHOWN = {"source", "key_id", "arrival_date", "source_file", "source_line", "session_step_seconds", "is_bounce",
             "is_session_start"}  # fmt: skip
"""Columns that say nothing of the mapping."""


def report(mapping: Mapping, trial: Trial) -> Iterator[str]:
    """The whole report but its verdict, line by line."""
    feed, paths = trial.feed, [each.path for each in trial.inputs]
    packed = compression_of(paths[0])
    yield f"source {mapping.source}, feed {feed.name}: {paths[0]}" + (
        f" and {len(paths) - 1:,} more" if paths[1:] else ""
    )
    yield (
        f"{feed.format}{f', {packed}' if packed else ''}, times of {mapping.timezone}; "
        f"{trial.rows['read']:,} rows read{'' if trial.is_whole else ', a sample: --all reads every row'}"
    )
    yield ""
    yield from _mapping_table(mapping, trial)
    yield ""
    yield from _rows(trial)
    yield ""
    yield from _counts(mapping, trial)


def _mapping_table(mapping: Mapping, trial: Trial) -> Iterator[str]:
    feed, examples = trial.feed, trial.some_examples()
    yield _line("column of events", "from", "before", "after", "filled")
    empty = []
    for column in EVENTS.columns:
        name = column.name
        if name in NOT_SHOWN or name.endswith("_hash"):
            continue
        origin, columns = origin_of(name, feed, mapping)
        if not origin:
            empty.append(name)
            continue
        example = next((each for each in examples if each.event[name] is not None), None)
        before = " ".join((example.fields.get(c) or "∅") for c in columns) if example else ""
        after = value(example.event[name]) if example else ""
        share = trial.filled[name] / trial.rows["kept"] if trial.rows["kept"] else 0
        yield _line(name, origin, before, after, "" if origin.startswith("made") else f"{share:.0%}")
    yield f"not filled: {', '.join(empty)}"
    # A key that holds a key which is read is read.
    used = feed.source_columns
    unread = [n for n in trial.names if n not in used and not any(each.startswith(f"{n}.") for each in used)]
    yield f"columns of the file that nobody reads: {', '.join(unread) or 'none'}"


def _rows(trial: Trial) -> Iterator[str]:
    examples = trial.some_examples()
    yield f"{len(examples)} rows before and after (customers under a key of this run alone)"
    for example in examples:
        yield f"  {example.place:<24} {example.line}"
        yield f"  {'→':>24} {after(example)}"


def after(example: Example) -> str:
    """The event on one line: what it is, when, whose, then every other column that is filled."""
    event = example.event
    rest = [
        f"{name}={value(event[name])}"
        for name in EVENTS.column_names
        if name not in NOT_SHOWN | {"event_type", "event_time", "event_date", "event_hour"}
        and not name.endswith("_hash")
        and event[name] is not None
    ]
    time = f" ({value(event['event_time'])})" if event["event_hour"] is not None else ""
    return f"{event['event_type']} on {event['event_date']}{time} {' '.join(rest)}"


def _counts(mapping: Mapping, trial: Trial) -> Iterator[str]:
    rows, total = trial.rows, trial.rows["read"] or 1
    yield (
        f"{rows['read']:,} rows read = {rows['kept']:,} kept + {rows['dropped']:,} dropped + "
        f"{rows['quarantined']:,} quarantined"
    )
    yield f"  event types: {', '.join(f'{kind} {n:,}' for kind, n in trial.types.most_common()) or 'none'}"
    if trial.days:
        yield f"  event dates: {min(trial.days)} … {max(trial.days)}, {len(trial.days):,} days"
        if trial.is_whole:
            yield from (f"  {line}" for line in odd_days(mapping.expected, sorted(trial.days), trial.feed.optional))
    for name, count in trial.policies.most_common():
        yield f"  dropped by policy {name}: {count:,} ({count / total:.2%})"
    for rule, refusal in sorted(trial.refusals.items(), key=lambda item: -item[1].count):
        yield f"  quarantined by {rule}: {refusal.count:,} ({refusal.count / total:.2%})"
        yield f"    first: {refusal.place}  {refusal.line}"
        if text := advice(rule, refusal, trial.feed):
            yield f"    hint:  {text}"


def verdict(mapping: Mapping, trial: Trial) -> tuple[bool, str]:
    """Whether the feed would pass the gate of ingest_report, and what that means for who wrote the mapping."""
    bounds = {c.severity: c.maximum for c in INGEST_REPORT.checks if c.columns == ("quarantine_share",)}
    share, sample = trial.refused_share, "" if trial.is_whole else " of the sample"
    if not trial.rows["read"]:
        return False, "stop: no row was read"
    if share > bounds["fail"]:
        return (
            False,
            f"stop: {share:.1%}{sample} would be quarantined; the gate stops the line above {bounds['fail']:.0%}",
        )
    if not trial.rows["kept"]:
        return False, "stop: no row would be kept"
    words = f"ready: {trial.rows['kept'] / trial.rows['read']:.1%}{sample} kept, {share:.2%} quarantined"
    if share > bounds["warn"]:
        words = f"look again: {share:.1%}{sample} would be quarantined; the gate warns above {bounds['warn']:.0%}"
    words += f"; next: {next_step(mapping, trial)}"
    if "purchase" not in trial.types and "purchase" in trial.feed.event_type.possible:
        words += "; no purchase was found"
    return True, words


def next_step(mapping: Mapping, trial: Trial) -> str:
    """The command that takes the files in: split first where they are a history, else where they lie."""
    if any(each.day is None for each in trial.inputs):
        several = f" --feed {trial.feed.name}" if len(mapping.feeds) > 1 else ""
        return f"python -m jobs land --source {mapping.source}{several} --path …"
    return f"python -m jobs setup --source {mapping.source} --landing …"


def _line(name: str, origin: str, before: str, after: str, filled: str) -> str:
    cells = ((name, 16), (origin, FROM_WIDTH), (before, BEFORE_WIDTH), (after, AFTER_WIDTH))
    return "  ".join(_cut(text, width).ljust(width) for text, width in cells) + f"  {filled}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
