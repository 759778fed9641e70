"""How far ahead is looked: the edges of the hazard's intervals, the default churn horizon, the windows of spend."""

from dataclasses import dataclass

from expectations.errors import SetupError


@dataclass(frozen=True)
class Horizons:
    """In days after the cutoff.

    edges_days  where the hazard's intervals end: interval k is (edges_days[k - 1], edges_days[k]]
    churn_days  a customer who buys nothing for so long has churned
    spend_days  windows over which spend is predicted, rising; each one of ``edges_days``

    SetupError where these contradict one another.
    """

    edges_days: tuple[int, ...] = (7, 14, 30, 60, 90)
    churn_days: int = 30
    spend_days: tuple[int, ...] = (30, 90)

    def __post_init__(self) -> None:
        if not self.edges_days or list(self.edges_days) != sorted({day for day in self.edges_days if day > 0}):
            raise SetupError(f"edges_days must rise from above 0, each once: {self.edges_days}")
        if not 0 < self.churn_days <= self.longest:
            raise SetupError(
                f"churn_days must lie within 1 … {self.longest}, the last of edges_days: {self.churn_days}"
            )
        if list(self.spend_days) != sorted(set(self.spend_days)):
            raise SetupError(f"spend_days must rise, each once: {self.spend_days}")
        if strange := set(self.spend_days) - set(self.edges_days):
            raise SetupError(f"spend_days must be among edges_days {self.edges_days}: {sorted(strange)} are not")

    @classmethod
    def of(cls, told: dict[str, object]) -> "Horizons":
        """From what ``asdict`` gave, kept as JSON."""
        return cls(tuple(told["edges_days"]), told["churn_days"], tuple(told["spend_days"]))

    @property
    def longest(self) -> int:
        return self.edges_days[-1]

    @property
    def shown_spend_days(self) -> int | None:
        """The window that pictures and reports show first: that of churn, else the shortest; None where none is."""
        return self.churn_days if self.churn_days in self.spend_days else min(self.spend_days, default=None)

    @property
    def judged_days(self) -> int:
        """Days after a cutoff until churn, and spend in the shortest window, are known: so far apart lie parts."""
        return max(self.churn_days, min(self.spend_days, default=0))

    @property
    def starts_days(self) -> tuple[int, ...]:
        """Where the intervals begin."""
        return (0, *self.edges_days[:-1])
