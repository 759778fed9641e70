"""Where each column of events comes from under a mapping, in words."""

from datetime import datetime

from jobs.reading.feed import Feed
from jobs.reading.mapping import Mapping
from jobs.reading.times import tells_hour


def origin_of(name: str, feed: Feed, mapping: Mapping) -> tuple[str, list[str]]:
    """Where a column of events comes from, in words, and the columns of the file that it is made of."""
    target = {"customer_key": "customer_id"}.get(name, name)
    columns = list(feed.columns.get(target, ()))
    if columns:
        joint = {"discount_amount": " + ", "category": " . "}.get(target, ", ")
        return joint.join(columns) + _how(target, feed), columns
    if target in feed.constants:
        return f"constant {value(feed.constants[target])}", []
    if name == "event_type":
        return _of_event_type(feed)
    if name in ("event_date", "event_hour"):
        return _of_day(name, feed, mapping)
    if name == "currency":
        return f"constant {mapping.currency}", []
    if name in ("category", "brand") and any(d.table == "products" and name in d.columns for d in mapping.dimensions):
        return "made at ingestion from the products", []
    if name == "session_id":
        gap = mapping.session_gap_minutes
        return (f"made at ingestion by {gap} minutes of silence", []) if gap and _tells_hours(feed) else ("", [])
    return _of_money(name, feed)


def _of_money(name: str, feed: Feed) -> tuple[str, list[str]]:
    priced = [c for t in ("unit_price", "quantity") for c in feed.columns.get(t, ())]
    if name == "amount" and "unit_price" in {*feed.columns, *feed.constants}:
        return "unit_price x quantity", priced
    if name == "price":
        if "unit_price" in {*feed.columns, *feed.constants}:
            return "unit_price", list(feed.columns.get("unit_price", ()))
        if {"amount", "quantity"} <= {*feed.columns, *feed.constants}:
            return "amount / quantity", [c for t in ("amount", "quantity") for c in feed.columns.get(t, ())]
    return "", []


def _of_day(name: str, feed: Feed, mapping: Mapping) -> tuple[str, list[str]]:
    what = name.removeprefix("event_")
    return (f"{what} of event_time in {mapping.timezone}", []) if what == "date" or _tells_hours(feed) else ("", [])


def _tells_hours(feed: Feed) -> bool:
    return not feed.time_formats or any(map(tells_hour, feed.time_formats))


def _how(target: str, feed: Feed) -> str:
    """What is done to the texts of the columns, in words."""
    if target in ("event_time", "arrival_time"):
        year = f" of {feed.assumed_year}" if feed.assumed_year else ""
        return " by " + " or ".join(feed.time_formats) + year
    rule, words = feed.ids.get(target), []
    if rule:
        words += [f"{what} {text!r} off" for what, text in (("suffix", rule.suffix), ("prefix", rule.prefix)) if text]
        words += ["leading zeros off"] * bool(rule.zeros) + [f"{rule.case} case"] * bool(rule.case)
    if target == "customer_id":
        words.append("keyed")
    if target == "rating":
        words.append(f"scale {feed.rating_scale[0]:g} … {feed.rating_scale[1]:g}")
    return f" ({', '.join(words)})" if words else ""


def _of_event_type(feed: Feed) -> tuple[str, list[str]]:
    rule = feed.event_type
    parts = [f"{rule.column}: " + ", ".join(f"{k}={v}" for k, v in rule.values.items())] if rule.column else []
    parts += [f"{when.column} {when.prefix}…={when.becomes or 'dropped as ' + when.drop}" for when in rule.when]
    parts += [f"else {rule.default}" if parts else f"always {rule.default}"] if rule.default else []
    columns = dict.fromkeys([*([rule.column] if rule.column else []), *(when.column for when in rule.when)])
    return "; ".join(parts), list(columns)


def value(of: object) -> str:
    """A value of events as a person writes it."""
    if of is None:
        return "∅"
    if isinstance(of, datetime):
        return f"{of:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(of, float):
        return f"{of:g}"
    text = f"{of.normalize():f}" if hasattr(of, "normalize") else str(of)
    return f"{text[:8]}…" if len(text) == 32 and text.isalnum() else text
