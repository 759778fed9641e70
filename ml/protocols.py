"""Which cutoffs a model is trained, calibrated and tested on, and of whom: by time, with labels censored between parts.

Labels of training end where validation begins, labels of validation where the first test begins. A window that has not
matured by then is censored, not dropped: its first intervals still teach the hazard.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta

from expectations.errors import DataError, SetupError
from ml.horizons import Horizons

DEFAULT = Horizons()


@dataclass(frozen=True)
class Population:
    """Of whom something is predicted.

    min_purchase_days  days with a purchase by the cutoff; 0: everybody who was ever seen
    max_silent_days    the last purchase lies at most so many days back; None: however long
    """

    min_purchase_days: int = 1
    max_silent_days: int | None = None


@dataclass(frozen=True)
class Protocol:
    """Cutoffs in order of time. ``by_customer``: instead, others of the same cutoff are learned from, in folds.

    by_customer is easier than forecasting, since what the window brought is known of others; never used in production.
    """

    train: tuple[date, ...]
    valid: date
    tests: tuple[date, ...]
    horizons: Horizons = field(default_factory=Horizons)
    population: Population = field(default_factory=Population)
    by_customer: bool = False

    @property
    def cutoffs(self) -> tuple[date, ...]:
        """All, each once, in order."""
        return tuple(sorted({*self.train, self.valid, *self.tests}))


@dataclass(frozen=True)
class Rolling:
    """How cutoffs are laid out behind a test cutoff.

    min_history_days  days of the shop's history that must lie before a training cutoff
    step_days         from one training cutoff to the next
    max_train         training cutoffs, at most: older behaviour says less, and each costs a snapshot
    """

    min_history_days: int = 60
    step_days: int = 14
    max_train: int = 8


def rolling(
    cutoff: date, first_day: date, horizons: Horizons = DEFAULT, settings: Rolling = Rolling(), tests: int = 1
) -> Protocol:
    """Tests every judged_days up to ``cutoff``, validation as long before the first of them, training before that.

    DataError that says when there will be enough data if no training cutoff's churn window ends before validation.
    """
    apart = timedelta(days=horizons.judged_days)
    valid = cutoff - apart * tests
    # One whose churn window is cut short comes first, unless it is the only one: the newest behaviour says most.
    steps = range(-1 if settings.max_train > 1 else 0, settings.max_train)
    offsets = (horizons.judged_days + settings.step_days * n for n in steps)
    # Where steps are longer than the churn horizon it would lie after validation.
    train = [valid - timedelta(days=offset) for offset in offsets if offset > 0][: settings.max_train]
    train = [day for day in train if (day - first_day).days >= settings.min_history_days]
    if not any(day + apart <= valid for day in train):
        needed = settings.min_history_days + horizons.judged_days * (tests + 1)
        raise DataError(
            f"cutoff {cutoff} lies {(cutoff - first_day).days} days after the first day of data ({first_day}); "
            f"training needs {needed}: {settings.min_history_days} of history, a window of {horizons.judged_days} to "
            f"train and one to validate. Choose a cutoff on or after {first_day + timedelta(days=needed)}"
        )
    spread = tuple(cutoff - apart * n for n in reversed(range(tests)))
    return Protocol(tuple(sorted(train)), valid, spread, horizons)


def _days(first: date, *numbers: int) -> tuple[date, ...]:
    """The dates of day ``numbers``; the first day is day 1."""
    return tuple(first + timedelta(days=number - 1) for number in numbers)


_JOURNEY, _RETAIL, _TMALL = date(2017, 1, 1), date(2011, 11, 9), date(2014, 6, 16)
_CDNOW = date(1997, 9, 30)

STUDIES: dict[str, Protocol] = {
    "complete_journey": Protocol(
        train=_days(_JOURNEY, *range(112, 239, 14)),
        valid=_days(_JOURNEY, 252)[0],
        tests=_days(_JOURNEY, 280, 308, 336),
        horizons=Horizons((7, 14, 28, 56, 84), 28, (28, 84)),
    ),
    "online_retail": rolling(_RETAIL, date(2010, 12, 1), tests=3),
    # Eleven weeks without amounts: a short horizon, and everybody who was seen.
    "tmall": Protocol(
        train=tuple(_TMALL - timedelta(days=n) for n in (49, 42, 35)),
        valid=_TMALL - timedelta(days=28),
        tests=tuple(_TMALL - timedelta(days=n) for n in (14, 7, 0)),
        horizons=Horizons((3, 7, 14), 14, ()),
        population=Population(min_purchase_days=0),
    ),
    # Thirty-nine weeks to learn, thirty-nine to foretell: the published split. The last customers came in week 12, so
    # weeks 14 … 26 are learned from and weeks 27 … 39 calibrated on: the longest windows that two parts allow.
    "cdnow": Protocol(
        train=tuple(date(1997, 4, 1) + timedelta(days=14 * n) for n in range(5)),
        valid=date(1997, 7, 1),
        tests=(_CDNOW,),
        # 91 days mature before the test, 273 do not: what is learned of spend in the one is drawn out to the other.
        horizons=Horizons((28, 56, 91, 182, 273), 273, (91, 273)),
    ),
    "cdnow_customers": Protocol(
        train=(_CDNOW,),
        valid=_CDNOW,
        tests=(_CDNOW,),
        horizons=Horizons((28, 56, 91, 182, 273), 273, (273,)),
        by_customer=True,
    ),
}
"""Study → its protocol: public data, whose results others can repeat. CDNOW twice: as a forecast, and by customer."""


def study(name: str) -> Protocol:
    """The protocol of a study; SetupError with those there are."""
    if name not in STUDIES:
        raise SetupError(f"no study {name!r}; there are: {', '.join(STUDIES)}")
    return STUDIES[name]
