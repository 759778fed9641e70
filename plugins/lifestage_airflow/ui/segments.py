"""The page of segments: how many customers stand where, worth what, and who has moved. Counts alone, no customer."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from html import escape
from pathlib import Path
from zoneinfo import ZoneInfo

from lifestage_airflow.schedule import ZONE
from lifestage_airflow.ui.checks import links
from lifestage_airflow.ui.html import NotThere, Raw, bar, section, table, tile
from lifestage_airflow.ui.warehouse import Query, broken, flows, published_days, sizes, whose

STAGES = ("prospect", "new", "active", "loyal", "dormant", "reactivated", "churned")
TIERS = ("top", "high", "medium", "low")
ENDS = {"unseen": "not known the time before", "gone": "known no more"}
"""What is no stage, in flows."""
LATE = timedelta(hours=48)
"""After the end of the newest published day; by then the next one has been due."""
SHOWN_DAYS = 8


def page(query: Query, day: date | None, home: Path) -> str:
    """NotThere if nothing was published, or not that day."""
    known = {row["snapshot_date"]: row for row in published_days(query)}
    if not known:
        raise NotThere("Nothing has been published yet: the first run of lifestage_daily does.", 404)
    newest = max(known)
    day = day or newest
    if day not in known:
        raise NotThere(f"{day} has not been published; the newest day is {newest}.", 404)
    ways = flows(query, day)
    return (
        f"<h1>Segments of {day}</h1><p class='note'>{escape(whose(query))}</p>"
        f"{_days(sorted(known), day)}{_tiles(known[day], known[newest])}"
        f"<div class='columns'>{_stages(sizes(query, day, 'lifecycle_stage'), ways)}"
        f"{_tiers(sizes(query, day, 'value_tier'))}</div>"
        f"{_flows(ways)}{_checks(broken(query, day))}{links(home, day)}"
    )


def _days(known: list[date], day: date) -> str:
    """Links to the days about this one, and to the newest."""
    at = known.index(day)
    near = known[max(0, at - SHOWN_DAYS // 2) :][:SHOWN_DAYS]
    shown = dict.fromkeys([*near, known[-1]])
    links = "".join(f"<b>{d}</b>" if d == day else f"<a href='?ds={d}'>{d}</a>" for d in shown)
    return f"<nav class='days' aria-label='Published days'>{links}</nav>"


def _tiles(row: dict, newest: dict, now: datetime | None = None) -> str:
    end = datetime.combine(newest["snapshot_date"] + timedelta(days=1), datetime.min.time(), ZoneInfo(ZONE))
    age = (now or datetime.now(UTC)) - end
    is_late = age > LATE
    return (
        "<div class='tiles'>"
        + tile("Newest published day", str(newest["snapshot_date"]), f"ended {_words(age)} ago",
               "warn" if is_late else "")
        + tile("This day was published", f"{row['published_at']:%Y-%m-%d}", f"at {row['published_at']:%H:%M} UTC")
        + tile("Customers", f"{row['customers']:,}")
        + tile("Scored by", f"version {row['model_version']}", escape(row["model_name"]))
        + tile("Checks of the publish", f"{row['checks_passed']:,} held", f"{row['checks_warned']:,} warned",
               "warn" if row["checks_warned"] else "")
        + "</div>"
    )  # fmt: skip


def _words(age: timedelta) -> str:
    hours = int(age.total_seconds() // 3600)
    return f"{hours // 24:,} days" if hours >= 48 else f"{hours} hours"


def _signed(n: int) -> str:
    return f"{n:+,}" if n else "0"


def _ordered(found: dict[str, dict], order: tuple[str, ...]) -> list[dict]:
    return [found[name] for name in (*order, *sorted(found.keys() - set(order))) if name in found]


def _stages(found: dict[str, dict], ways: list[dict]) -> str:
    total, net = sum(row["customers"] for row in found.values()), Counter()
    for way in ways:
        net[way["to_stage"]] += way["customers"]
        net[way["from_stage"]] -= way["customers"]
    has_before = any(way["previous_snapshot_date"] for way in ways)
    rows = [
        (row["name"], row["customers"], _signed(net[row["name"]]) if has_before else "",
         bar(row["customers"] / total), f"{row['customers'] / total:.1%}")
        for row in _ordered(found, STAGES)
    ]  # fmt: skip
    note = "Where customers stand in their lifecycle; net: how many more than on the snapshot before."
    return section("Stages", table(("stage", "#customers", "#net", "", "#share"), rows), note)


def _tiers(found: dict[str, dict]) -> str:
    total = sum(row["customers"] for row in found.values())
    spend = sum(row["spend"] for row in found.values()) or 1
    rows = [
        (row["name"], row["customers"], f"{row['spend']:,.0f}", bar(float(row["spend"] / spend)),
         f"{row['spend'] / spend:.1%}")
        for row in _ordered(found, TIERS)
    ]  # fmt: skip
    note = f"What {total:,} customers are expected to spend in the next 30 days, before refunds; share: of that."
    return section("Tiers", table(("tier", "#customers", "#expected spend", "", "#share"), rows), note)


def _flows(ways: list[dict]) -> str:
    if not ways:
        return section("Flows", "<p class='empty'>No flows were published for this day.</p>")
    before = ways[0]["previous_snapshot_date"]
    if before is None:
        return section("Flows", "<p class='empty'>The first snapshot: everybody is seen for the first time.</p>")
    moves = [way for way in ways if way["from_stage"] != way["to_stage"]]
    stayed = sum(way["customers"] for way in ways) - sum(way["customers"] for way in moves)
    if not moves:
        return section("Flows", f"<p class='empty'>All {stayed:,} customers stand where they stood on {before}.</p>")
    most = moves[0]["customers"]
    rows = [
        (way["from_stage"], way["to_stage"], way["customers"], bar(way["customers"] / most),
         "" if way["is_expected"] else Raw("<span class='warn'>not expected</span>"))
        for way in moves
    ]  # fmt: skip
    note = f"From {before}: {sum(way['customers'] for way in moves):,} customers moved, {stayed:,} stayed."
    seen = {way["from_stage"] for way in moves} | {way["to_stage"] for way in moves}
    note += "".join(f" {stage}: {words}." for stage, words in ENDS.items() if stage in seen)
    if not all(way["is_expected"] for way in moves):
        note += " Not expected: no way leads there in so many days, unless late or corrected data, or other settings."
    return section("Flows", table(("from", "to", "#customers", "", "note"), rows), note)


def _checks(found: list[dict]) -> str:
    if not found:
        return section("Quality", "<p class='empty'>Every check of the day's data held, as far as it was judged.</p>")
    kinds = {"fail": "bad", "warn": "warn"}
    rows = [
        (
            row["table_name"],
            Raw(f"<span class='{kinds.get(row['severity'], '')}'>{escape(row['severity'])}</span>"),
            row["words"],
        )
        for row in found
    ]
    return section("Quality", table(("table", "means", "what did not hold"), rows))
