"""What is asked of a simulated shop, and where its randomness comes from."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np

SOURCE = "simulated_shop"
# One stream of random numbers for each thing drawn: a change in one leaves the others as they are.
STREAMS = ("catalogue", "customers", "campaigns", "orders", "visits", "late_visits", "contacts", "fraud", "broken_rows")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A shop of ``customers`` over ``days`` from ``start``.

    events_per_customer_year: expected events per customer and 365 days, averaged over all customers.
    broken_share: rows added to the landing's order files that no ingestion can keep, as a share of their rows.
    late_share: visits whose events arrive one to three days late.
    """

    customers: int
    days: int
    seed: int
    start: date = date(2024, 1, 1)
    events_per_customer_year: float = 100.0
    broken_share: float = 0.002
    late_share: float = 0.004

    @cached_property
    def first_second(self) -> int:
        """Midnight of the first day, in seconds since 1970 (UTC)."""
        return (self.start - date(1970, 1, 1)).days * 86_400

    def date_of(self, day: int) -> date:
        """The date of day number ``day``; the first is 0."""
        return self.start + timedelta(days=day)

    def random(self, stream: str, *index: int) -> np.random.Generator:
        """The generator of a stream, or of its part ``index`` (a day, a campaign).

        Each part has a seed sequence of its own, so that parts may be drawn in any order and by any process.
        """
        return np.random.default_rng(np.random.SeedSequence([self.seed, STREAMS.index(stream), *index]))
