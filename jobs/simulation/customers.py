"""The customers of the simulated shop: the latent truth about each, as one array per trait."""

from dataclasses import dataclass

import numpy as np

from jobs.simulation import catalogue as sold
from jobs.simulation.plan import Plan
from jobs.simulation.segments import SEGMENTS, department_weights, lookup, per_segment

FIRST_ID = 10_000_001
RATE_SHAPE = 0.8
"""Shape of the gamma distribution of order rates within a segment (Pareto/NBD: Schmittlein, Morrison, Colombo 1987)."""
DROPOUT_SHAPE = 2.0
"""Shape of the gamma distribution of drop-out rates within a segment."""


@dataclass
class Customers:
    """Arrays of one value a customer.

    acquired       day number of the first possible event; 0 for those who were customers before
    tenure         days of membership before day 0
    alive_until    moment of drop-out in days since day 0, exponential with dropout_rate: no events on or after it
    dropout_rate   per day, gamma; a dissatisfied customer's is higher
    order_rate     orders per day alive, gamma; times the factors of day and campaign. visit_rate: visits without one
    satisfaction   standard normal; moves sentiment of texts and drop-out
    extra_lines    mean lines of an order beyond the first, gamma: the spend level together with price_tier
    effect         log multiplier of both rates for a week after a campaign contact; negative: contacts annoy
    """

    segment: np.ndarray
    acquired: np.ndarray
    tenure: np.ndarray
    satisfaction: np.ndarray
    dropout_rate: np.ndarray
    alive_until: np.ndarray
    order_rate: np.ndarray
    visit_rate: np.ndarray
    extra_lines: np.ndarray
    price_tier: np.ndarray
    category: np.ndarray
    effect: np.ndarray
    discount: np.ndarray
    coupon: np.ndarray
    return_rate: np.ndarray
    device: np.ndarray
    second_device: np.ndarray
    payment: np.ndarray
    second_payment: np.ndarray
    country: np.ndarray
    language: np.ndarray
    age: np.ndarray
    gender: np.ndarray
    income: np.ndarray
    household_size: np.ndarray

    def __len__(self) -> int:
        return len(self.segment)

    def ids(self) -> list[str]:
        """The shop's customer ids."""
        return [str(FIRST_ID + n) for n in range(len(self))]


def draw_customers(plan: Plan) -> Customers:
    """All customers; order and visit rates are still relative (see ``world.calibrate``)."""
    random, size = plan.random("customers"), plan.customers
    segment = random.choice(len(SEGMENTS), size, p=per_segment("share")).astype(np.int8)

    def of_segment(field: str) -> np.ndarray:
        return per_segment(field)[segment]

    is_new = random.random(size) < 0.45
    acquired = np.where(is_new, random.integers(0, plan.days, size), 0).astype(np.int32)
    satisfaction = random.normal(size=size).astype(np.float32)
    dropout = random.gamma(DROPOUT_SHAPE, 1 / DROPOUT_SHAPE, size) / of_segment("lifetime_days")
    dropout *= np.exp(-0.4 * satisfaction)
    order_rate = of_segment("order_rate") * random.gamma(RATE_SHAPE, 1 / RATE_SHAPE, size)
    income = np.round(np.exp(random.normal(10.4, 0.45, size)), -2)
    first, second = _devices(random, segment)
    payment = _payments(random, size)
    country = random.choice(len(sold.COUNTRIES), size, p=sold.COUNTRY_SHARES).astype(np.int8)
    return Customers(
        segment=segment, acquired=acquired, satisfaction=satisfaction, dropout_rate=dropout,
        tenure=np.where(is_new, 0, random.exponential(400, size)).astype(np.int32),
        alive_until=acquired + random.exponential(1, size) / dropout,
        order_rate=order_rate,
        visit_rate=order_rate * of_segment("browse_per_order") * random.gamma(4, 1 / 4, size),
        extra_lines=of_segment("lines") * random.gamma(3, 1 / 3, size),
        price_tier=_price_tiers(random, segment, income),
        category=_categories(random, segment),
        effect=random.normal(of_segment("campaign_effect"), 0.25).astype(np.float32),
        discount=_share(random, of_segment("discount")), coupon=_share(random, of_segment("coupon")),
        return_rate=_share(random, of_segment("return_rate"), 30),
        device=first, second_device=second,
        payment=payment, second_payment=np.where(random.random(size) < 0.3, _payments(random, size), payment),
        country=country,
        language=((country == sold.COUNTRIES.index("CN")) | (random.random(size) < 0.02)).astype(np.int8),
        age=np.clip(random.normal(44, 14, size), 18, 92).astype(np.int8),
        gender=random.choice(3, size, p=(0.5, 0.46, 0.04)).astype(np.int8),
        income=income,
        household_size=(1 + random.poisson(1.3, size)).astype(np.int8),
    )  # fmt: skip


def _share(random: np.random.Generator, mean: np.ndarray, likeness: float = 8) -> np.ndarray:
    """Beta-distributed shares about their segment's mean; the greater the likeness, the closer to it."""
    return random.beta(likeness * mean, likeness * (1 - mean)).astype(np.float32)


def _devices(random: np.random.Generator, segment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The device used most and the other one, as numbers of DEVICES: mostly one mobile, one not."""
    size = len(segment)
    mobile = random.integers(0, len(sold.MOBILE_DEVICES), size)
    desktop = random.integers(len(sold.MOBILE_DEVICES), len(sold.DEVICES), size)
    is_mobile = random.random(size) < per_segment("mobile")[segment]
    return np.where(is_mobile, mobile, desktop).astype(np.int8), np.where(is_mobile, desktop, mobile).astype(np.int8)


def _payments(random: np.random.Generator, size: int) -> np.ndarray:
    wallets = len(sold.WALLETS)
    card = random.integers(wallets, len(sold.PAYMENTS), size)
    return np.where(random.random(size) < 0.4, random.integers(0, wallets, size), card).astype(np.int16)


def _price_tiers(random: np.random.Generator, segment: np.ndarray, income: np.ndarray) -> np.ndarray:
    """By segment; the rich move up one tier now and then, the poor down."""
    tier = lookup(per_segment("price_tiers"))[segment, random.integers(0, 4096, len(segment))]
    rank = (np.log(income) - 10.4) / 0.45
    return np.clip(tier + np.sign(rank) * (random.random(len(segment)) < np.abs(rank) / 6), 0, 4).astype(np.int8)


def _categories(random: np.random.Generator, segment: np.ndarray) -> np.ndarray:
    """The favourite category: one of three in a department of the segment."""
    department = lookup(department_weights())[segment, random.integers(0, 4096, len(segment))]
    return (department * 3 + random.integers(0, 3, len(segment))).astype(np.int8)
