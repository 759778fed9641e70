"""Orders of a day in the simulated shop, and what they bring later: returns, reviews, messages to support."""

from dataclasses import dataclass

import numpy as np

from jobs.simulation import catalogue as sold
from jobs.simulation import rows as table
from jobs.simulation.rows import KIND, Rows
from jobs.simulation.segments import per_segment
from jobs.simulation.world import DISCOUNTS, World

REVIEW_RATE, SUPPORT_RATE, LATE_ORDER_RATE = 0.09, 0.05, 0.01
TOPIC_WEIGHTS = (3.0, 4.0, 2.0, 2.0, 1.5, 1.0)
"""Of what is written, by TOPICS."""


@dataclass(frozen=True)
class Orders:
    """Arrays of one value an order; ``lines``: purchase rows; ``of``: each line's order; ``coupons``: redemptions."""

    customer: np.ndarray
    time: np.ndarray
    session: np.ndarray
    channel: np.ndarray
    device: np.ndarray
    line_count: np.ndarray
    of: np.ndarray
    lines: Rows
    coupons: Rows


def seconds_of_day(world: World, customer: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """When each visit takes place, by the day-parts of the customer's segment."""
    hour = world.hour[world.customers.segment[customer], random.integers(0, 4096, len(customer))]
    return hour.astype(np.int64) * 3600 + random.integers(0, 3600, len(customer))


def equipment(world: World, customer: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(device, channel) of each visit: mostly the customer's first device; apps run on mobile ones."""
    who = world.customers
    device = np.where(random.random(len(customer)) < 0.15, who.second_device[customer], who.device[customer])
    in_app = random.random(len(customer)) < per_segment("app")[who.segment[customer]]
    channel = np.where(in_app & (device < len(sold.MOBILE_DEVICES)), sold.APP, sold.WEB)
    return device, channel.astype(np.int8)


def own_category(world: World, customer: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Half of the time the customer's favourite category, else one that the segment shops in."""
    who, size = world.customers, len(customer)
    chance = random.integers(0, 4096, size)
    other = world.department[who.segment[customer], chance] * 3 + random.integers(0, 3, size)
    return np.where(random.random(size) < 0.5, who.category[customer], other)


def wares(world: World, customer: np.ndarray, category: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A product of the category for each row, seven in ten of the customer's own price tier."""
    size = len(customer)
    own, chance = random.random((2, size), np.float32)
    tier = np.where(own < 0.7, world.customers.price_tier[customer], random.integers(0, sold.TIERS, size))
    return world.catalogue.pick(category, tier, chance)


def draw_orders(world: World, day: int) -> Orders:
    """The orders placed on the day, by number of customer."""
    random, who = world.plan.random("orders", day), world.customers
    customer = world.draw(day, who.order_rate, random)
    size, number = len(customer), (day + 1) * 100_000_000 + np.arange(len(customer))
    time = world.plan.first_second + 86_400 * day + seconds_of_day(world, customer, random)
    device, channel = equipment(world, customer, random)
    in_store = random.random(size) < per_segment("store")[who.segment[customer]]
    device, channel = np.where(in_store, -1, device), np.where(in_store, sold.STORE, channel)
    campaign = world.campaigns.exposed(day, who.acquired)[customer]
    redeems = (campaign >= 0) & (random.random(size) < who.coupon[customer])
    payment = np.where(random.random(size) < 0.2, who.second_payment[customer], who.payment[customer])
    # What an app could not send is delivered one to three days late.
    is_late = (channel == sold.APP) & (random.random(size) < LATE_ORDER_RATE)
    arrival = day + is_late * random.integers(1, 4, size)
    line_count = 1 + random.poisson(who.extra_lines[customer])
    of = np.repeat(np.arange(size), line_count)
    shared = {"customer": customer, "time": time, "channel": channel, "country": who.country[customer]}
    on_line = shared | {"arrival": arrival, "session": number, "order": number, "device": device, "payment": payment}
    lines = table.make(len(of), kind=KIND["purchase"], **{name: values[of] for name, values in on_line.items()},
                       **_basket(world, customer[of], redeems[of], random))  # fmt: skip
    coupons = table.make(int(redeems.sum()), kind=KIND["coupon_redeem"], arrival=day, campaign=campaign[redeems],
                         **{name: values[redeems] for name, values in shared.items()})  # fmt: skip
    return Orders(customer, time, number, channel, device, line_count, of, lines, coupons)


def _basket(world: World, customer: np.ndarray, redeems: np.ndarray, random: np.random.Generator) -> Rows:
    """Product, quantity, amount and discount of each line; a coupon takes a fifth off what has no discount yet."""
    who, size = world.customers, len(customer)
    product = wares(world, customer, own_category(world, customer, random), random)
    quantity = 1 + random.poisson(per_segment("pieces")[who.segment[customer]])
    percent = np.where(random.random(size) < who.discount[customer], random.choice(DISCOUNTS, size), 0)
    percent = np.where((percent == 0) & redeems, 20, percent)
    full = world.catalogue.price[product] * quantity
    discount = full * percent // 100
    return {"product": product, "quantity": quantity, "amount": full - discount, "discount": discount}


def follow_ups(world: World, day: int, orders: Orders) -> Rows:
    """What the day's orders bring on later days: every return, review and message, with its day of arrival."""
    random = world.plan.random("orders", day, 1)
    made = (
        _returns(world, orders.lines, random),
        _reviews(world, orders.lines, random),
        _messages(world, orders, random),
    )
    return table.concat(list(made))


def _later(time: np.ndarray, first: int, last: int, random: np.random.Generator) -> np.ndarray:
    """A time by day, ``first`` … ``last`` days later."""
    days = random.integers(first, last + 1, len(time))
    return time // 86_400 * 86_400 + days * 86_400 + random.integers(8 * 3600, 22 * 3600, len(time))


def _day_of(world: World, time: np.ndarray) -> np.ndarray:
    return (time - world.plan.first_second) // 86_400


def _returns(world: World, lines: Rows, random: np.random.Generator) -> Rows:
    chosen = table.take(lines, random.random(table.size_of(lines)) < world.customers.return_rate[lines["customer"]])
    time = _later(chosen["time"], 2, 21, random)
    size = table.size_of(chosen)
    kept = {name: chosen[name] for name in ("customer", "order", "product", "quantity", "amount", "channel", "country")}
    return table.make(size, kind=KIND["return"], time=time, arrival=_day_of(world, time), **kept)


def _reviews(world: World, lines: Rows, random: np.random.Generator) -> Rows:
    """Sentiment follows the customer's satisfaction; stars follow the sentiment."""
    chosen = table.take(lines, random.random(table.size_of(lines)) < REVIEW_RATE)
    who, customer, size = world.customers, chosen["customer"], table.size_of(chosen)
    time = _later(chosen["time"], 3, 21, random)
    mood = 1.0 + 1.2 * who.satisfaction[customer] + random.logistic(size=size)
    sentiment = np.where(mood > 0.5, 2, np.where(mood < -0.5, 0, 1))
    topic = random.choice(len(TOPIC_WEIGHTS), size, p=np.array(TOPIC_WEIGHTS) / sum(TOPIC_WEIGHTS))
    run = world.texts.reviews[who.language[customer], sentiment, topic]
    return table.make(
        size, kind=KIND["review"], customer=customer, time=time, arrival=_day_of(world, time),
        product=chosen["product"], country=chosen["country"], channel=sold.WEB,
        text=world.texts.pick(run, random.random(size)),
        stars=np.array([1, 3, 4])[sentiment] + (random.random(size) < 0.6) * (sentiment != 1),
    )  # fmt: skip


def _messages(world: World, orders: Orders, random: np.random.Generator) -> Rows:
    """The dissatisfied write more often."""
    who = world.customers
    rate = SUPPORT_RATE * np.exp(-0.5 * who.satisfaction[orders.customer])
    chosen = np.flatnonzero(random.random(len(orders.customer)) < rate)
    customer, size = orders.customer[chosen], len(chosen)
    time = _later(orders.time[chosen], 1, 10, random)
    topic = random.choice(len(TOPIC_WEIGHTS), size, p=np.array(TOPIC_WEIGHTS) / sum(TOPIC_WEIGHTS))
    return table.make(
        size, kind=KIND["support"], customer=customer, time=time, arrival=_day_of(world, time), channel=sold.WEB,
        order=orders.session[chosen], country=who.country[customer],
        text=world.texts.pick(world.texts.support[who.language[customer], topic], random.random(size)),
    )  # fmt: skip
