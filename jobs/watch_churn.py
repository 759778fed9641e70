"""lake/customer_segments + the model version that scored the day → lake/churn_watchlist: whom to keep, and why."""

import argparse
import logging
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from expectations.behaviour import FEATURE_NAMES, FEATURES
from expectations.errors import DataError
from expectations.segments import CUSTOMER_SEGMENTS, SCORES
from expectations.watch import CHURN_WATCHLIST
from jobs.arguments import add_day, job_parser
from jobs.home import Home
from jobs.lake import LakeTable, recipe_of
from jobs.recipes import code_of, days_of
from jobs.settings import load_settings

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from ml.predict import Predictor

log = logging.getLogger(__name__)

WEEK = timedelta(days=7)
REASONS = 3


@dataclass(frozen=True)
class WatchSettings:
    """Who is listed. Meaning and unit of each field stand in ``DESCRIPTIONS``, which BI reads too."""

    probability_from: float = 0.5
    most_listed: int = 1000

    def __post_init__(self) -> None:
        if not 0 <= self.probability_from <= 1:
            raise ValueError(f"probability_from ({self.probability_from:g}) must lie in 0..1")


DESCRIPTIONS = {
    "probability_from": (
        "probability",
        "buyers whose churn probability is so high, or of band high, are watched",
    ),
    "most_listed": ("customers", "at most so many customers are on the watch list, by spend at risk"),
}


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("watch_churn", __doc__)
    add_day(parser)
    return parser


def listed(customers: "pa.Table", settings: WatchSettings) -> "pa.Table":
    """Who is watched, the most spend at risk first; equal ones in order of customer_key.

    ``customers``: rows of customer_segments. Who paid nothing within a year, or got all of it back, leaves nothing to
    lose, and who has churned by the rules of the lifecycle has left already.
    """
    import pyarrow.compute as pc

    risk = customers["churn_probability"]
    paid = pc.subtract(customers["purchase_amount_365d"], customers["return_amount_365d"])
    spend = pc.multiply(risk, pc.max_element_wise(paid, 0.0))
    likely = pc.or_(pc.greater_equal(risk, settings.probability_from), pc.equal(customers["churn_band"], "high"))
    kept = pc.and_(likely, pc.and_(customers["is_eligible"], pc.greater(spend, 0)))
    kept = pc.and_(kept, pc.not_equal(customers["lifecycle_stage"], "churned"))
    rows = customers.append_column("spend_at_risk", pc.round(spend, 4)).filter(kept)
    rows = rows.sort_by([("spend_at_risk", "descending"), ("customer_key", "ascending")])
    return rows.slice(0, settings.most_listed)


def comparable(home: Home, day: date, model: tuple[str, int]) -> date | None:
    """The newest scores of one to two weeks before, if ``model`` made them: two versions differ by more than customers.

    None without such a day.
    """
    import pyarrow.compute as pc

    scores = LakeTable(home, SCORES)
    earlier = [known for known in scores.days() if day - 2 * WEEK <= known <= day - WEEK]
    for known in reversed(earlier):
        made_by = scores.read_arrow([known], ["model_name", "model_version"])
        same = pc.and_(pc.equal(made_by["model_name"], model[0]), pc.equal(made_by["model_version"], model[1]))
        if len(made_by) and pc.all(same).as_py():
            return known
    return None


def asked_anew(predictor: "Predictor", home: Home, known: date, keys: "pa.ChunkedArray") -> "pa.Table | None":
    """customer_key, churn_probability of those of ``keys`` who were known on ``known``, as ``predictor`` says today.

    The scores of that day would not do: each day has a calibration of its own, which moves every customer at once.
    None where the features of that day can be read no more.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from ml.cohorts import INPUT_COLUMNS

    try:
        features = LakeTable(home, FEATURES).read_arrow([known], list(INPUT_COLUMNS))
        then = features.filter(pc.is_in(features["customer_key"], value_set=keys.combine_chunks()))
        told = predictor.score(then, known, home.path)
    except DataError as error:
        log.warning("the watch list tells no changes since %s: %s", known, error)
        return None
    return pa.table({"customer_key": then["customer_key"], "churn_probability": told["churn_probability"]})


def changes(rows: "pa.Table", before: "pa.Table | None", day: date | None) -> "pa.Table":
    """``rows`` with churn_probability_change and compared_with; null for customers that ``before`` does not know."""
    import pyarrow as pa
    import pyarrow.compute as pc

    nothing = pa.nulls(len(rows), pa.float64())
    earlier = nothing
    if before is not None:
        earlier = before["churn_probability"].take(pc.index_in(rows["customer_key"], before["customer_key"]))
    change = pc.round(pc.subtract(rows["churn_probability"], earlier), 6)
    when = pc.if_else(pc.is_valid(change), pa.scalar(day, pa.date32()), pa.scalar(None, pa.date32()))
    return rows.append_column("churn_probability_change", change).append_column("compared_with", when)


def reasons(
    predictor: "Predictor", home: Home, day: date, keys: "pa.ChunkedArray", features: "pa.Table"
) -> list[list[str | None]]:
    """REASONS columns of words for customers ``keys``, in their order; a model that gives none says so in the first.

    ``features``: of all customers of the day: what is typical of them stands beside the customer's own numbers.
    """
    import numpy as np
    import pyarrow.compute as pc

    from ml.cohorts import inputs_of
    from ml.reasons import reasons as reasons_of_model

    mine = inputs_of(features.take(pc.index_in(keys, features["customer_key"])), day, home.path)
    found = reasons_of_model(predictor.model, mine, REASONS, typical=medians(features))
    if not (found.feature != "").any():
        log.warning("the watch list of %s stands without reasons: %s", day, found.words[0, 0])
    words = np.full((len(keys), REASONS), None, dtype=object)
    words[:, : found.words.shape[1]] = np.where(found.words != "", found.words, None)
    return words.T.tolist()


def medians(features: "pa.Table") -> "np.ndarray":
    """(FEATURE_NAMES,): of those who have a value; NaN where nobody has."""
    import numpy as np
    import pyarrow.compute as pc

    known = (pc.drop_null(features[name]).to_numpy() for name in FEATURE_NAMES)
    return np.array([np.median(values) if len(values) else np.nan for values in known])


def watched(home: Home, day: date, settings: WatchSettings) -> "pa.Table":
    """Rows of the churn_watchlist contract."""
    from ml.cohorts import INPUT_COLUMNS
    from ml.predict import load_predictor
    from ml.recalibrate import as_scored

    rows = listed(LakeTable(home, CUSTOMER_SEGMENTS).read_arrow([day]), settings)
    if not len(rows):
        return with_places(changes(rows, None, None), [[]] * REASONS)
    model = rows["model_name"][0].as_py(), rows["model_version"][0].as_py()
    predictor = as_scored(load_predictor(*model, home.path), day, home.path)
    known = comparable(home, day, model)
    before = asked_anew(predictor, home, known, rows["customer_key"]) if known else None
    features = LakeTable(home, FEATURES).read_arrow([day], list(INPUT_COLUMNS))
    words = reasons(predictor, home, day, rows["customer_key"], features)
    return with_places(changes(rows, before, known), words)


def with_places(rows: "pa.Table", words: list[list[str | None]]) -> "pa.Table":
    """Ranked ``rows`` with REASONS columns of ``words``, as the contract has them."""
    import pyarrow as pa

    added = {"rank": pa.array(range(1, len(rows) + 1), pa.int32())}
    added |= {f"reason_{n + 1}": pa.array(column, pa.string()) for n, column in enumerate(words)}
    for name, values in added.items():
        rows = rows.append_column(name, values)
    return rows.select(CHURN_WATCHLIST.column_names)


def recipe(home: Home) -> str:
    """What makes a day's watch list, beside the tables and the model version that its rows name."""
    return recipe_of(CHURN_WATCHLIST, code_of(__name__, "ml.reasons"), load_settings(home, "watch", WatchSettings))


def is_fresh(home: Home, day: date) -> bool:
    """Whether the day's list was made by today's code and settings, after all that it was read from."""
    inputs = [(LakeTable(home, table), day) for table in (CUSTOMER_SEGMENTS, FEATURES, SCORES)]
    for table in (SCORES, FEATURES):
        inputs += days_of(LakeTable(home, table), day - 2 * WEEK, day - WEEK)
    return LakeTable(home, CHURN_WATCHLIST).is_fresh(day, recipe(home), inputs)


def main(args: argparse.Namespace) -> None:
    home, day = Home.from_environment(args.home), args.ds
    settings = load_settings(home, "watch", WatchSettings)
    rows = watched(home, day, settings)
    LakeTable(home, CHURN_WATCHLIST).write_arrow(day, rows, recipe(home))
    log.info("watching %s customers as of %s", f"{len(rows):,}", day)
