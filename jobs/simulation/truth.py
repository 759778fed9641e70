"""What is true of the simulated shop, apart from all that a shop could know, so that tests can check what is found.

Each file says in its metadata that it is simulated and which plan made it.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.errors import SetupError
from expectations.measures import TOPICS
from jobs.reading.hashes import hash31
from jobs.simulation import catalogue as sold
from jobs.simulation.broken import BrokenRow
from jobs.simulation.campaigns import EFFECT_DAYS, EVERY_DAYS, NEVER, TREATED_SHARE
from jobs.simulation.categories import CATEGORY_NAMES
from jobs.simulation.fraud import session_of
from jobs.simulation.plan import Plan
from jobs.simulation.segments import SEGMENTS
from jobs.simulation.texts import LANGUAGES
from jobs.simulation.world import AHEAD_DAYS, World, days_at_work

HORIZONS_DAYS = (30, 90, AHEAD_DAYS)


def refuse_other_plan(plan: Plan, folder: Path) -> None:
    """SetupError if the truth of another simulated shop lies there: days of two shops would mix."""
    file = folder / "customers.parquet"
    made_by = pq.read_schema(file).metadata[b"plan"].decode() if file.exists() else repr(plan)
    if made_by != repr(plan):
        raise SetupError(
            f"{folder} is the truth of another simulated shop ({made_by}): give this one a home of its own"
        )


def write_truth(world: World, keys: pa.Array, folder: Path) -> None:
    """customers, fraud, texts and campaigns; ``keys``: every customer's."""
    _write("fraud", fraud_truth(world, keys), world, folder)
    _write("texts", text_truth(world), world, folder)
    _write("campaigns", campaign_truth(world), world, folder)
    _write("customers", customer_truth(world, keys), world, folder)


def write_broken(world: World, broken: list[BrokenRow], folder: Path) -> None:
    """broken_rows: those of the landing that no ingestion can keep."""
    _write("broken_rows", broken_truth(world, broken), world, folder)


def _write(name: str, table: pa.Table, world: World, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = {"simulated": "true", "plan": repr(world.plan)}
    pq.write_table(table.replace_schema_metadata(told), folder / f"{name}.parquet", compression="zstd")


def broken_truth(world: World, broken: list[BrokenRow]) -> pa.Table:
    """One row for each that no ingestion can keep: where it stands and the rule it breaks."""
    return pa.table({
        "source_file": pa.array([row.file for row in broken], pa.string()),
        "source_line": pa.array([row.line for row in broken], pa.int64()),
        "rule": pa.array([row.rule for row in broken], pa.string()),
        "arrival_date": pa.array([world.plan.date_of(row.day) for row in broken], pa.date32()),
    })  # fmt: skip


def expected_orders(world: World) -> np.ndarray:
    """Expected orders of each customer over the plan's days, given all latent values and contacts; no fraud."""
    who, plan, totals = world.customers, world.plan, world.factor_sum
    none, end = np.zeros(len(who)), np.full(len(who), plan.days)
    days = days_at_work(who, totals, none, end)
    for campaign in range(world.campaigns.count):
        sends = np.full(len(who), NEVER, np.int32)
        sends[campaign % 2 :: 2] = world.campaigns.sends(campaign)
        day = world.campaigns.start(campaign) + sends
        contacted = (sends != NEVER) & (day < plan.days) & (who.acquired <= day)
        since = np.where(contacted, day, plan.days)
        extra = days_at_work(who, totals, since, np.minimum(since + EFFECT_DAYS, plan.days))
        days += extra * np.expm1(who.effect)
    return who.order_rate * days


def expected_spend(world: World) -> dict[int, np.ndarray]:
    """Horizon in days → expected money paid from the last day to then, in currency, without campaigns; 0 for the lost.

    The sum over days of rate x factor of the day x chance to be alive still x expected amount of an order.
    """
    who, last = world.customers, world.plan.days
    alive, survival = (who.alive_until > last).astype(float), np.exp(-who.dropout_rate)
    days, spend = np.zeros(len(who)), {}
    for ahead in range(max(HORIZONS_DAYS)):
        days += world.factor[:, last + ahead][who.segment] * alive
        alive *= survival
        if ahead + 1 in HORIZONS_DAYS:
            spend[ahead + 1] = who.order_rate * world.order_amount * days
    return spend


def customer_truth(world: World, keys: pa.Array) -> pa.Table:
    """One row a customer: key and raw id, latent rates (per day), lifetime, spend level, segment, uplift."""
    who, start = world.customers, np.datetime64(world.plan.start)
    # Beyond what a date can say, a lifetime is as good as endless.
    alive_days = np.minimum(np.ceil(who.alive_until), 200_000).astype(np.int64)
    fraud = np.zeros(len(who), bool)
    fraud[[case.customer for case in world.episodes]] = True
    expected = {f"expected_spend_{days}d": spend for days, spend in expected_spend(world).items()}
    return pa.table({
        "customer_key": keys,
        "customer_id": who.ids(),
        "segment": pa.array([segment.name for segment in SEGMENTS]).take(pa.array(who.segment)),
        "acquired_date": (start + who.acquired).astype("datetime64[D]"),
        "alive_until": (start + alive_days).astype("datetime64[D]"),
        "is_alive": who.alive_until > world.plan.days,
        "order_rate": who.order_rate,
        "visit_rate": who.visit_rate,
        "dropout_rate": who.dropout_rate,
        "expected_orders": expected_orders(world),
        "expected_order_amount": world.order_amount,
        **expected,
        "campaign_effect": who.effect,
        "satisfaction": who.satisfaction,
        "return_rate": who.return_rate,
        "discount_share": who.discount,
        "coupon_share": who.coupon,
        "price_tier": who.price_tier,
        "favourite_category": pa.array(CATEGORY_NAMES).take(pa.array(who.category)),
        "device": pa.array(sold.DEVICES).take(pa.array(who.device)),
        "language": pa.array(LANGUAGES).take(pa.array(who.language)),
        "age": who.age,
        "income": who.income,
        "is_fraud": fraud,
    })  # fmt: skip


def fraud_truth(world: World, keys: pa.Array) -> pa.Table:
    """One row a case. ``event_date`` and ``session_id`` are null where it is not one day's, or not one visit's."""
    cases = world.episodes
    sessions = [session_of(world, case) for case in cases]
    dates = [world.plan.date_of(case.day) if case.day >= 0 else None for case in cases]
    return pa.table({
        "kind": pa.array([case.kind for case in cases], pa.string()),
        "customer_key": keys.take(pa.array([case.customer for case in cases], pa.int64())),
        "event_date": pa.array(dates, pa.date32()),
        "session_id": pa.array([None if number is None else str(number) for number in sessions], pa.string()),
    })  # fmt: skip


def text_truth(world: World) -> pa.Table:
    """One row a text: event type it is written as, language, sentiment (-1, 0, 1), topic (null for searches)."""
    texts = world.texts
    assert {*texts.topic} == {*TOPICS, ""}
    return pa.table({
        "text": texts.text, "text_hash": pa.array(map(hash31, texts.text), pa.int32()), "event_type": texts.kind,
        "language": texts.language, "sentiment": pa.array(texts.sentiment, pa.int8()),
        "topic": [topic or None for topic in texts.topic],
    })  # fmt: skip


def campaign_truth(world: World) -> pa.Table:
    """One row a campaign: its group, share of it contacted at random, days each contact works, mean log multiplier."""
    all_of, plan, numbers = world.campaigns, world.plan, range(world.campaigns.count)
    sends = [all_of.sends(n) for n in numbers]
    first = [all_of.start(n) for n in numbers]
    effect = [world.customers.effect[n % 2 :: 2][send != NEVER].mean() for n, send in zip(numbers, sends, strict=True)]
    return pa.table({
        "campaign_id": [all_of.id(n) for n in numbers], "group": [n % 2 for n in numbers],
        "start_date": pa.array([plan.date_of(day) for day in first], pa.date32()),
        "end_date": pa.array([plan.date_of(day + EVERY_DAYS - 1) for day in first], pa.date32()),
        "contacted_share": [float((send != NEVER).mean()) for send in sends],
        "intended_share": [TREATED_SHARE] * len(numbers), "effect_days": [EFFECT_DAYS] * len(numbers),
        "mean_effect": pa.array(effect, pa.float64()),
    })  # fmt: skip
