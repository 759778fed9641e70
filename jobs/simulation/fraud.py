"""Injected fraud, each kind with what gives it away; the truth names every case."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jobs.simulation import catalogue as sold
from jobs.simulation import rows as table
from jobs.simulation.catalogue import TIERS
from jobs.simulation.categories import CATEGORY_NAMES
from jobs.simulation.customers import Customers
from jobs.simulation.plan import Plan
from jobs.simulation.rows import KIND, Rows

if TYPE_CHECKING:
    from jobs.simulation.world import World

CASES_PER_CUSTOMER_YEAR = 0.0004
"""Cases of each kind."""
FIRST_NUMBER = 60_000_000
"""Sessions and orders of fraud are numbered from here within a day."""
ABUSE_RETURN_RATE = 0.9


@dataclass(frozen=True)
class Episode:
    """One case. Return abuse has no day (-1): it lasts as long as the customer."""

    kind: str
    customer: int
    day: int


def plan_frauds(plan: Plan, customers: Customers) -> tuple[Episode, ...]:
    """Who commits or suffers which fraud on which day; makes the return abusers return nearly all, and buy more."""
    random = plan.random("fraud")
    cases = max(2, round(plan.customers * plan.days / 365 * CASES_PER_CUSTOMER_YEAR))
    episodes = [Episode("return_abuse", int(who), -1) for who in _choose(random, customers, plan, 0.3, 0.7, cases)]
    abusers = [episode.customer for episode in episodes]
    customers.return_rate[abusers] = ABUSE_RETURN_RATE
    customers.order_rate[abusers] = np.maximum(customers.order_rate[abusers], np.quantile(customers.order_rate, 0.9))
    for kind in MAKERS:
        for who in _choose(random, customers, plan, 0.4, 0.6, cases, abusers):
            end = min(plan.days, int(customers.alive_until[who]))
            # In the last part of the time seen, so that there is a history of one's own to differ from.
            episodes.append(Episode(kind, int(who), int(random.integers(plan.days // 2, max(end, plan.days // 2 + 1)))))
            abusers.append(int(who))
    return tuple(sorted(episodes, key=lambda case: (case.day, case.kind, case.customer)))


def _choose(
    random: np.random.Generator, customers: Customers, plan: Plan, begun: float, alive: float, cases: int,
    taken: list[int] | None = None,
) -> np.ndarray:  # fmt: skip
    """Frequent customers acquired in the first and alive in the last part of the time, none of them ``taken``."""
    fits = (customers.acquired <= begun * plan.days) & (customers.alive_until >= alive * plan.days + 1)
    fits &= customers.order_rate >= np.quantile(customers.order_rate, 0.6)
    fits[taken or []] = False
    able = np.flatnonzero(fits)
    return random.choice(able, min(cases, len(able)), replace=False)


def fraud_rows(world: "World", day: int) -> Rows:
    """The events of the day's cases."""
    cases = [episode for episode in world.episodes if episode.day == day]
    return table.concat([
        MAKERS[case.kind](world, case, _number(day, n), world.plan.random("fraud", day, n))
        for n, case in enumerate(cases)
    ])  # fmt: skip


def _number(day: int, case: int) -> int:
    return (day + 1) * 100_000_000 + FIRST_NUMBER + 1000 * case


def session_of(world: "World", episode: Episode) -> int | None:
    """The session in which the case happens; None where it is not one visit."""
    if episode.kind in ("return_abuse", "review_spam"):
        return None
    cases = [case for case in world.episodes if case.day == episode.day]
    return _number(episode.day, cases.index(episode))


def _at(world: "World", episode: Episode, second: np.ndarray) -> np.ndarray:
    return world.plan.first_second + 86_400 * episode.day + second


def _card_testing(world: "World", case: Episode, number: int, random: np.random.Generator) -> Rows:
    """Ten to thirty small orders within half an hour, each paid with another card."""
    size = int(random.integers(10, 31))
    cards = random.choice(np.arange(len(sold.WALLETS), len(sold.PAYMENTS)), size, replace=False)
    category = np.full(size, CATEGORY_NAMES.index("grocery.sweets"))
    product = world.catalogue.pick(category, np.zeros(size, np.int32), random.random(size))
    return table.make(
        size, arrival=case.day, kind=KIND["purchase"], customer=case.customer, session=number,
        time=_at(world, case, 7200 + np.sort(random.integers(0, 1800, size))), order=number + np.arange(size),
        product=product, quantity=1, amount=world.catalogue.price[product], discount=0, channel=sold.WEB,
        device=world.customers.device[case.customer], country=world.customers.country[case.customer], payment=cards,
    )  # fmt: skip


def _account_takeover(world: "World", case: Episode, number: int, random: np.random.Generator) -> Rows:
    """One order at night on a device never used before, from abroad, at ten times the usual amount or more."""
    who, size = world.customers, int(random.integers(2, 6))
    own = {int(who.device[case.customer]), int(who.second_device[case.customer])}
    device = random.choice([n for n in range(len(sold.DEVICES)) if n not in own])
    category = random.integers(0, len(CATEGORY_NAMES), size)
    product = world.catalogue.pick(category, np.full(size, TIERS - 1), random.random(size))
    price = world.catalogue.price[product]
    wanted = 100 * random.uniform(10, 20) * world.order_amount[case.customer]
    quantity = np.ceil(wanted / size / price).astype(np.int32)
    return table.make(
        size, arrival=case.day, kind=KIND["purchase"], customer=case.customer, session=number,
        time=_at(world, case, np.full(size, 3 * 3600 + random.integers(0, 3600))), order=number, product=product,
        quantity=quantity, amount=price * quantity, discount=0, channel=sold.WEB, device=device,
        country=(who.country[case.customer] + random.integers(1, len(sold.COUNTRIES))) % len(sold.COUNTRIES),
        payment=who.payment[case.customer],
    )  # fmt: skip


def _review_spam(world: "World", case: Episode, number: int, random: np.random.Generator) -> Rows:
    """Eight to twenty reviews of many products on one day, all of one text and five stars."""
    size = int(random.integers(8, 21))
    text = world.texts.pick(world.texts.spam, random.random(1))[0]
    return table.make(
        size, arrival=case.day, kind=KIND["review"], customer=case.customer,
        time=_at(world, case, np.sort(random.integers(0, 86_400, size))),
        product=random.integers(0, world.catalogue.size, size), text=text, stars=5,
        channel=sold.WEB, country=world.customers.country[case.customer],
    )  # fmt: skip


def _bot_browsing(world: "World", case: Episode, number: int, random: np.random.Generator) -> Rows:
    """One visit of 200 to 400 views, a second or two apart."""
    size = int(random.integers(200, 401))
    second = random.integers(0, 80_000) + np.cumsum(random.integers(1, 3, size))
    return table.make(
        size, arrival=case.day, kind=KIND["view"], customer=case.customer, session=number,
        time=_at(world, case, second), product=random.integers(0, world.catalogue.size, size), channel=sold.WEB,
        device=world.customers.device[case.customer], country=world.customers.country[case.customer],
    )  # fmt: skip


MAKERS = {
    "account_takeover": _account_takeover, "bot_browsing": _bot_browsing, "card_testing": _card_testing,
    "review_spam": _review_spam,
}  # fmt: skip
