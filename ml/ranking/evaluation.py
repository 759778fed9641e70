"""Rankings side by side, on the next baskets after a cutoff: the shipped one, boosting, and those without learning."""

from dataclasses import dataclass

import numpy as np

from ml.ranking.baskets import Baskets, Targets, next_baskets
from ml.ranking.candidates import Candidates, candidates
from ml.ranking.facts import item_facts
from ml.ranking.frequency import personal_frequency, popularity, tifu_knn
from ml.ranking.judging import METRICS, Judged, judge, mean_interval, top
from ml.ranking.ranker import Ranker

POPULARITY, FREQUENCY, DECAYED, TIFU, SHIPPED = (
    "popularity", "personal_frequency", "personal_frequency_decayed", "tifu_knn", "shipped",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One number of the table. value, low, high: of the metric; gain: of the metric over personal_frequency_decayed."""

    ranking: str
    metric: str
    value: tuple[float, float, float]
    gain: tuple[float, float, float]


@dataclass(frozen=True)
class Evaluation:
    """rows of the table; customers judged at each cutoff; the rest: means of Tested over cutoffs."""

    rows: list[Row]
    customers: list[int]
    repeat_share: float
    listed: float
    held: float


@dataclass(frozen=True)
class Tested:
    """One cutoff.

    judged        ranking → how it did
    repeat_share  of a basket, bought before
    listed, held  of what the shipped ranking writes: mean probability foretold, and share that was in the basket
    """

    judged: dict[str, Judged]
    repeat_share: float
    listed: float
    held: float


def at_cutoff(ranker: Ranker, baskets: Baskets, cutoff: int, n: int) -> Tested:
    """How rankings do on the next baskets after ``cutoff`` of all who had bought by then."""
    seen = baskets.as_of(cutoff)
    facts = item_facts(seen, cutoff)
    as_of = np.full(len(baskets.customer_keys), cutoff)
    found = candidates(seen, facts, as_of, ranker.settings.own, ranker.settings.popular)
    targets = next_baskets(baskets, cutoff, ranker.settings.horizon_days)
    targets = targets.of_customers(np.unique(found.customer))
    found = found.of(targets.sizes[found.customer] > 0)
    scores = rankings(ranker, found) | {TIFU: tifu_knn(seen, found)}
    return tested(ranker, found, scores, targets, np.unique(seen.purchases().pair), len(facts.popular), n)


def rankings(ranker: Ranker, found: Candidates) -> dict[str, np.ndarray]:
    """Ranking → (rows,) scores."""
    return {
        POPULARITY: popularity(found),
        FREQUENCY: personal_frequency(found, "share"),
        DECAYED: personal_frequency(found, ranker.frequency),
        SHIPPED: ranker.score(found),
    }


def tested(
    ranker: Ranker, found: Candidates, scores: dict[str, np.ndarray], targets: Targets, owned: np.ndarray,
    on_offer: int, n: int,
) -> Tested:  # fmt: skip
    """``owned``: sorted pairs bought before; on_offer: items bought lately, for coverage."""
    pairs, judged = found.pairs(targets.items), {}
    for name, score in scores.items():
        best = top(found.customer, score, n)
        judged[name] = judge(pairs[best], targets, owned, targets.customers, on_offer, n)
    written = top(found.customer, scores[SHIPPED], ranker.settings.written)
    owner = targets.pairs // targets.items
    known = np.bincount(owner, np.isin(targets.pairs, owned), len(targets.sizes))[targets.customers]
    return Tested(
        judged,
        float((known / targets.sizes[targets.customers]).mean()),
        float(ranker.probability(found.of(written)).mean()),
        float(targets.holds(pairs[written]).mean()),
    )


def summed_up(parts: list[Tested], seed: int) -> Evaluation:
    """Means over cutoffs, with intervals over customers; gains are paired."""
    rows = []
    customers = [part.judged[DECAYED].customers for part in parts]
    for name in parts[0].judged:
        for metric in METRICS:
            ours, theirs = ([part.judged[one].values[metric] for part in parts] for one in (name, DECAYED))
            gains = [a - b for a, b in zip(ours, theirs, strict=True)]
            rows.append(Row(name, metric, mean_interval(ours, customers, seed), mean_interval(gains, customers, seed)))
        covered = float(np.mean([part.judged[name].coverage for part in parts]))
        rows.append(Row(name, "coverage", (covered, np.nan, np.nan), (np.nan,) * 3))
    means = (float(np.mean([getattr(part, name) for part in parts])) for name in ("repeat_share", "listed", "held"))
    return Evaluation(rows, [len(who) for who in customers], *means)


def table(found: Evaluation, n: int) -> str:
    """Aligned, one line a ranking."""
    names = list(dict.fromkeys(row.ranking for row in found.rows))
    by_name = {(row.ranking, row.metric): row for row in found.rows}
    lines = [
        f"{'ranking':<27} {f'recall@{n} [95 %]':<23} {'gain over decayed frequency':<28} "
        f"{f'NDCG@{n}':>8} {'hit rate':>8} {'repeat':>7} {'explore':>7} {'coverage':>8}"
    ]
    for name in names:
        recall = by_name[name, "recall"]
        value = "{:.4f} [{:.4f}, {:.4f}]".format(*recall.value)
        gain = "–" if name == DECAYED else "{:+.4f} [{:+.4f}, {:+.4f}]".format(*recall.gain)
        rest = [by_name[name, metric].value[0] for metric in ("ndcg", "hit_rate", "recall_repeat", "recall_explore")]
        lines.append(
            f"{name:<27} {value:<23} {gain:<28} {rest[0]:>8.4f} {rest[1]:>8.4f} {rest[2]:>7.4f} {rest[3]:>7.4f} "
            f"{by_name[name, 'coverage'].value[0]:>8.4f}"
        )
    return "\n".join(lines)
