"""Visits of a day in the simulated shop: browsing, what comes before an order, campaign contacts."""

import numpy as np

from jobs.simulation import catalogue as sold
from jobs.simulation import rows as table
from jobs.simulation.orders import Orders, equipment, own_category, seconds_of_day, wares
from jobs.simulation.rows import KIND, Rows
from jobs.simulation.segments import lookup, per_segment
from jobs.simulation.world import PRE_VIEWS, World

MOST_STEPS = 60
PAUSE_SECONDS = 40.0
"""Mean time between two events of a visit, beyond the least of one second."""
# What a visit's event is: weights of the first event, of a later one, of one before an order.
STEP_KINDS = ("view", "search", "add_to_cart", "remove_from_cart", "favourite")
STEP_WEIGHTS = ((0.80, 0.20, 0, 0, 0), (0.66, 0.09, 0.13, 0.04, 0.08), (0.80, 0.20, 0, 0, 0))
_KIND_OF_STEP = np.array([KIND[name] for name in STEP_KINDS], np.int8)[lookup(np.array(STEP_WEIGHTS))]
_OPEN_RATE, _CLICK_RATE, _OPEN_RATE_LEFT = 0.35, 0.2, 0.01


def browsing(world: World, day: int, late: bool = False) -> Rows:
    """All events of the visits without an order that take place on the day; ``late``: those that arrive later.

    An event wants the product of the view before it: what is put into the cart has been looked at.
    """
    plan, who = world.plan, world.customers
    random = plan.random("late_visits" if late else "visits", day)
    customer = world.draw(day, who.visit_rate, random, plan.late_share if late else 1 - plan.late_share)
    count = _event_counts(world, customer, random)
    of, place = _expand(count)
    passed = _seconds_passed(count, random)
    # A visit ends on the day it began on.
    start = np.clip(seconds_of_day(world, customer, random), 0, 86_399 - passed[np.cumsum(count) - 1])
    number = (day + 1) * 100_000_000 + (40_000_000 if late else 20_000_000) + np.arange(len(customer))
    device, channel = equipment(world, customer, random)
    arrival = day + (random.integers(1, 4, len(customer)) if late else np.zeros(len(customer), np.int64))
    kind = _KIND_OF_STEP[(place > 0).astype(np.int8), random.integers(0, 4096, len(of))]
    category = own_category(world, customer, random)[of]
    kind, product = _wants(kind, place, wares(world, customer[of], category, random))
    return table.make(
        len(of), arrival=arrival[of], kind=kind, customer=customer[of], session=number[of], channel=channel[of],
        time=plan.first_second + 86_400 * day + start[of] + passed, device=device[of], product=product,
        country=who.country[customer][of], text=_searches(world, kind, customer[of], category, random),
    )  # fmt: skip


def _event_counts(world: World, customer: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """How many events each visit has: geometric beyond the first, since that is an exponential rounded down."""
    mean_steps = per_segment("steps")[world.customers.segment[customer]]
    steps = random.exponential(size=len(customer)) / np.log1p(1 / mean_steps)
    return 1 + np.minimum(steps.astype(np.int32), MOST_STEPS)


def _pauses(size: int, random: np.random.Generator) -> np.ndarray:
    return 1 + random.exponential(PAUSE_SECONDS, size).astype(np.int64)


def _seconds_passed(count: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Seconds from the first event of each visit to each of its events, for visits of ``count`` events."""
    passed = np.cumsum(_pauses(int(count.sum()), random))
    return passed - np.repeat(passed[np.cumsum(count) - count], count)


def _expand(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(group, place within the group) of each row, for groups of ``count`` rows."""
    of = np.repeat(np.arange(len(count)), count)
    return of, np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)


def _wants(kind: np.ndarray, place: np.ndarray, product: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kinds and products that make sense in their order: cart and favourite take what was viewed last.

    Only what was put into the cart is taken out again; where nothing was, the event is a view.
    """
    is_view = kind == KIND["view"]
    added = np.cumsum(kind == KIND["add_to_cart"])
    first = np.maximum.accumulate(np.where(place == 0, np.arange(len(kind)), 0))
    empty = added == added[first]  # no visit begins with a cart
    kind = np.where((kind == KIND["remove_from_cart"]) & empty, KIND["view"], kind)
    from_row = np.maximum.accumulate(np.where(is_view | (place == 0), np.arange(len(kind)), 0))
    return kind, np.where(kind == KIND["search"], -1, product[from_row])


def _searches(
    world: World, kind: np.ndarray, customer: np.ndarray, category: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """The text of each search, -1 for other events."""
    text = np.full(len(kind), -1, np.int32)
    which = np.flatnonzero(kind == KIND["search"])
    run = world.texts.search[world.customers.language[customer[which]], category[which]]
    text[which] = world.texts.pick(run, random.random(len(which)))
    return text


def before_orders(world: World, day: int, orders: Orders) -> Rows:
    """What customers did before they ordered: looked around, then viewed and put into the cart all that they bought."""
    random = world.plan.random("visits", day, 1)
    online = np.flatnonzero(orders.channel != sold.STORE)
    around = random.poisson(PRE_VIEWS, len(online))
    count = around + 2 * orders.line_count[online]
    of, place = _expand(count)
    order, step = online[of], place - around[of]
    customer = orders.customer[order]
    kind = _KIND_OF_STEP[2, random.integers(0, 4096, len(of))]
    category = own_category(world, customer, random)
    looked_at = np.where(kind == KIND["search"], -1, wares(world, customer, category, random))
    kind = np.where(step < 0, kind, np.where(step % 2 == 0, KIND["view"], KIND["add_to_cart"]))
    # Nothing lies before the day's first second.
    time = np.maximum(orders.time[order] - _seconds_left(count, random), world.plan.first_second + 86_400 * day)
    return table.make(
        len(of), arrival=day, kind=kind, customer=customer, session=orders.session[order], time=time,
        channel=orders.channel[order], device=orders.device[order], country=world.customers.country[customer],
        product=np.where(step < 0, looked_at, _bought(orders, order, step)),
        text=_searches(world, kind, customer, category, random),
    )  # fmt: skip


def _bought(orders: Orders, order: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The product that a step leads to: two steps for each line of the order; anything for steps below 0."""
    first_line = np.cumsum(orders.line_count) - orders.line_count
    return orders.lines["product"][first_line[order] + np.maximum(step, 0) // 2]


def _seconds_left(count: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Seconds from each event of a visit to the order that ends it, for visits of ``count`` events."""
    left = np.cumsum(_pauses(int(count.sum()), random)[::-1])[::-1]
    return left - np.repeat(np.append(left, 0)[np.cumsum(count)], count)


def contacts(world: World, day: int) -> Rows:
    """Campaign messages sent on the day, and which were opened and followed on it."""
    random, who, parts = world.plan.random("contacts", day), world.customers, []
    begin = world.plan.first_second + 86_400 * day
    for campaign, customer in world.campaigns.contacted(day, who.acquired):
        sent = begin + 9 * 3600 + random.integers(0, 7200, len(customer))
        rate = np.where(who.alive_until[customer] > day, _OPEN_RATE, _OPEN_RATE_LEFT)
        opens = random.random(len(customer)) < rate
        opened = np.minimum(sent + random.exponential(7200, len(customer)).astype(np.int64), begin + 86_000)
        clicks = opens & (random.random(len(customer)) < _CLICK_RATE)
        clicked = opened + random.integers(5, 300, len(customer))
        everyone = np.ones(len(customer), bool)
        parts += [
            _contact(world, day, "campaign_send", campaign, customer, sent, everyone),
            _contact(world, day, "campaign_open", campaign, customer, opened, opens),
            _contact(world, day, "campaign_click", campaign, customer, clicked, clicks),
        ]
    return table.concat(parts)


def _contact(
    world: World, day: int, name: str, campaign: int, customer: np.ndarray, time: np.ndarray, which: np.ndarray
) -> Rows:
    customer = customer[which]
    return table.make(
        len(customer), arrival=day, kind=KIND[name], customer=customer, time=time[which], campaign=campaign,
        channel=sold.EMAIL, country=world.customers.country[customer],
    )  # fmt: skip
