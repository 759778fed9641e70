"""Campaigns of the simulated shop: randomised sends, so that their effect can be told from who was contacted.

Two groups of customers take turns: each has a campaign every 14 days, the second group's a week after the first's. A
campaign's contacts go out over its first week to a random share of its group and work for a week.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from jobs.simulation.plan import Plan

EVERY_DAYS, SEND_DAYS, EFFECT_DAYS = 14, 7, 7
TREATED_SHARE = 0.41015625
"""105 / 256 of a campaign's group are contacted; the rest are its control group."""
NEVER = 255


@dataclass(frozen=True)
class Campaigns:
    """Who is contacted when. A customer's group is the parity of the customer's number."""

    plan: Plan

    @property
    def count(self) -> int:
        """Campaigns that begin within the plan's days."""
        return sum(self.start(c) < self.plan.days for c in range(2 * (self.plan.days // EVERY_DAYS + 1)))

    def start(self, campaign: int) -> int:
        """First day of campaign 2 × round + group."""
        return EVERY_DAYS * (campaign // 2) + 7 * (campaign % 2)

    def id(self, campaign: int) -> str:
        return f"C{campaign + 1:04}"

    def name(self, campaign: int) -> str:
        return ("newsletter", "season sale", "new arrivals", "we miss you")[campaign % 4]

    def running(self, day: int) -> list[int]:
        """The campaigns, at most one of each group, whose fortnight holds the day."""
        return [2 * ((day - 7 * group) // EVERY_DAYS) + group for group in (0, 1) if day >= 7 * group]

    def sends(self, campaign: int) -> np.ndarray:
        """For each customer of the campaign's group: days from its start to the contact, or NEVER for the controls."""
        return _sends(self.plan, campaign)

    def contacted(self, day: int, acquired: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """(campaign, numbers of the customers it contacts on the day)."""
        found = []
        for campaign in self.running(day):
            chosen = np.flatnonzero(self.sends(campaign) == day - self.start(campaign)) * 2 + campaign % 2
            found.append((campaign, chosen[acquired[chosen] <= day]))
        return found

    def exposed(self, day: int, acquired: np.ndarray) -> np.ndarray:
        """Each customer's campaign that works on the day, or -1."""
        at_work = np.full(len(acquired), -1, np.int16)
        for campaign in self.running(day):
            since = (day - self.start(campaign)) - self.sends(campaign).astype(np.int16)
            of_group = slice(campaign % 2, None, 2)
            works = (since >= 0) & (since < EFFECT_DAYS) & (acquired[of_group] <= day - since)
            at_work[of_group][works] = campaign
        return at_work


@lru_cache(maxsize=6)
def _sends(plan: Plan, campaign: int) -> np.ndarray:
    size = (plan.customers + 1 - campaign % 2) // 2
    chance = plan.random("campaigns", campaign).integers(0, 256, size, dtype=np.uint8)
    return np.where(chance < 105, chance // 15, NEVER).astype(np.uint8)
