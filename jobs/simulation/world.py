"""All that is fixed before a simulated shop's first day: its customers with their rates, wares, campaigns, frauds."""

from dataclasses import dataclass

import numpy as np

from jobs.simulation.campaigns import Campaigns
from jobs.simulation.catalogue import Catalogue, make_catalogue
from jobs.simulation.customers import Customers, draw_customers
from jobs.simulation.fraud import Episode, plan_frauds
from jobs.simulation.plan import Plan
from jobs.simulation.segments import department_weights, hour_weights, lookup, per_segment
from jobs.simulation.texts import Texts, make_texts

AHEAD_DAYS = 365
"""Days after the last one for which the truth foretells spend."""
CONTACTS_PER_YEAR = 11.0
"""Campaign events of a customer-year, roughly; the other events are scaled to reach the total."""
PRE_VIEWS = 2.5
"""Mean views before an order beyond those of what is bought."""
DISCOUNTS = (10, 20, 30)
"""Per cent off a discounted line, each as likely."""


@dataclass(frozen=True)
class World:
    """``order_amount``: expected amount of an order of each customer, in currency, outside campaigns.

    ``factor``: segments × (days + AHEAD_DAYS), season times weekly rhythm. ``factor_sum``: its running sum, from 0.
    ``hour``, ``department``: see ``segments.lookup``.
    """

    plan: Plan
    customers: Customers
    catalogue: Catalogue
    texts: Texts
    campaigns: Campaigns
    episodes: tuple[Episode, ...]
    order_amount: np.ndarray
    factor: np.ndarray
    factor_sum: np.ndarray
    hour: np.ndarray
    department: np.ndarray

    def rate(self, day: int, base: np.ndarray) -> np.ndarray:
        """``base`` (per day alive) on the day: 0 before acquisition and after drop-out."""
        who = self.customers
        rate = base * self.factor[:, day][who.segment]
        rate[(who.acquired > day) | (who.alive_until <= day)] = 0
        exposed = self.campaigns.exposed(day, who.acquired) >= 0
        rate[exposed] *= np.exp(who.effect[exposed])
        return rate

    def draw(self, day: int, base: np.ndarray, random: np.random.Generator, share: float = 1.0) -> np.ndarray:
        """Who acts on the day, once for each time: independent Poisson counts, drawn as one superposed process."""
        total = np.cumsum(self.rate(day, base))
        count = random.poisson(total[-1] * share)
        # Sorted by the gaps of one more exponential: uniform order statistics without sorting.
        gaps = np.cumsum(random.exponential(size=count + 1))
        return np.searchsorted(total, gaps[:-1] / gaps[-1] * total[-1], side="right").astype(np.int32)


def make_world(plan: Plan) -> World:
    """Everything that does not depend on the day; equal for equal plans."""
    customers, catalogue, texts = draw_customers(plan), make_catalogue(plan), make_texts()
    factor = day_factors(plan)
    factor_sum = np.concatenate([np.zeros((len(factor), 1)), np.cumsum(factor, axis=1)], axis=1)
    episodes = plan_frauds(plan, customers)
    calibrate(plan, customers, factor_sum)
    amount = line_amounts(customers, catalogue) * (1 + customers.extra_lines)
    return World(plan, customers, catalogue, texts, Campaigns(plan), episodes, amount, factor, factor_sum,
                 lookup(hour_weights()), lookup(department_weights()))  # fmt: skip


def day_factors(plan: Plan) -> np.ndarray:
    """Segments × days: a yearly wave with a peak late in November, times each segment's weekly rhythm; mean 1."""
    weekday = (plan.start.weekday() + np.arange(plan.days + AHEAD_DAYS)) % 7
    rhythm = per_segment("weekdays")
    rhythm = rhythm / rhythm.mean(axis=1, keepdims=True)
    year = np.arange(1, 366)
    season = 1 + 0.10 * np.cos(2 * np.pi * (year - 345) / 365) + 0.30 * np.exp(-(((year - 331) / 10) ** 2))
    day_of_year = np.array([plan.date_of(n).timetuple().tm_yday for n in range(plan.days + AHEAD_DAYS)])
    return rhythm[:, weekday] * (season / season.mean())[np.minimum(day_of_year, 365) - 1]


def days_at_work(customers: Customers, factor_sum: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Sum of each customer's day factors over the days first ≤ day < end on which the customer is alive."""
    last = factor_sum.shape[1] - 1
    first = np.clip(np.maximum(first, customers.acquired), 0, last).astype(np.int64)
    end = np.clip(np.minimum(end, np.ceil(customers.alive_until)), first, last).astype(np.int64)
    return factor_sum[customers.segment, end] - factor_sum[customers.segment, first]


def calibrate(plan: Plan, customers: Customers, factor_sum: np.ndarray) -> None:
    """Scales both rates so that the shop as a whole expects the plan's events per customer-year."""
    at_work = days_at_work(customers, factor_sum, np.zeros(len(customers)), np.full(len(customers), plan.days))
    of_order = PRE_VIEWS + 3.2 * (1 + customers.extra_lines) + 1
    of_visit = 1 + per_segment("steps")[customers.segment]
    expected = float((at_work * (customers.order_rate * of_order + customers.visit_rate * of_visit)).sum())
    wanted = plan.customers * plan.days / 365 * max(plan.events_per_customer_year - CONTACTS_PER_YEAR, 1)
    for rate in (customers.order_rate, customers.visit_rate):
        rate *= wanted / max(expected, 1e-9)


def line_amounts(who: Customers, catalogue: Catalogue) -> np.ndarray:
    """Expected amount of a purchase line of each customer, in currency, outside campaigns."""
    price = catalogue.mean_price() / 100
    # 0.7 of the lines are of the customer's own tier, half of the favourite category: see orders.wares.
    of_tier = 0.7 * price + 0.3 * price.mean(axis=1, keepdims=True)
    elsewhere = np.repeat(department_weights(), 3, axis=1) / 3 @ of_tier
    mean = 0.5 * of_tier[who.category, who.price_tier] + 0.5 * elsewhere[who.segment, who.price_tier]
    pieces = 1 + per_segment("pieces")[who.segment]
    return mean * pieces * (1 - who.discount * np.mean(DISCOUNTS) / 100)
