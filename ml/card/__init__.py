"""The model card: what a model was made from, for whom it speaks, how good it is for whom, and where not to trust it.

After Mitchell et al. (2019), Model Cards for Model Reporting. Every number is computed from the forecast at hand.
"""

from collections.abc import Iterator
from pathlib import Path

from ml.card.about import About, environment
from ml.card.document import Block, html, markdown
from ml.card.limits import limits
from ml.card.numbers import numbers, summary
from ml.cohorts import Parts
from ml.examples import Examples
from ml.forecast import Forecast
from ml.lifetime import Lifetime
from ml.protocols import Protocol

__all__ = ["About", "description", "write_card"]


def write_card(
    folder: Path,
    about: About,
    protocol: Protocol,
    parts: Parts,
    forecast: Forecast,
    lifetime: Lifetime | None = None,
) -> None:
    """Writes model_card.md and model_card.html; ``forecast`` is of the last test part, ``lifetime`` is the model's.

    ``description`` makes the Markdown short enough for a run's description.
    """
    blocks = [*_what(about, protocol, parts, forecast), *numbers(about, parts.tests[-1], forecast)]
    told = limits(parts, forecast, protocol, about.is_simulated, about.seed, lifetime)
    blocks += [Block.of("h2", "Limits"), Block.of("list", *told)] if told else []
    blocks += [*_settings(about), *_loading(parts.tests[-1])]
    title = f"Model card: {about.model} of {about.shop}"
    (folder / "model_card.md").write_text(markdown(blocks), encoding="utf-8")
    (folder / "model_card.html").write_text(html(title, blocks), encoding="utf-8")


def description(card: str) -> str:
    """What a run's description tells of ``card``, which is Markdown: all but its heading, settings and environment."""
    return card.partition("\n## Settings")[0].partition("\n\n")[2].strip()


def _what(about: About, protocol: Protocol, parts: Parts, forecast: Forecast) -> Iterator[Block]:
    horizons, population = protocol.horizons, protocol.population
    yield Block.of("h1", f"Model card: {about.model}")
    yield Block.of("p", summary(about, parts.tests[-1], forecast))
    yield Block.of(
        "p",
        f"Says of each customer of {about.shop} when they will buy next and how much they will spend. "
        f"Churn: no purchase within {horizons.churn_days} days after the cutoff.",
    )
    who = [f"days with a purchase by the cutoff: {population.min_purchase_days} or more"]
    who += [f"last purchase at most {population.max_silent_days} days back"] if population.max_silent_days else []
    yield Block.of("h2", "Data and population")
    yield Block.of(
        "table",
        ("", ""),
        ("shop", f"{about.shop}" + (": the data are simulated" if about.is_simulated else "")),
        ("customers", "; ".join(who)),
        ("training", f"{_rows(parts.train)} as of {', '.join(map(str, protocol.train))}"),
        ("validation", f"{_rows(parts.valid)} as of {protocol.valid}: settings, calibration, threshold"),
        ("test", f"{_rows(parts.tests[-1])} as of {protocol.tests[-1]}: every number below"),
        ("purchase", f"within {_listed(horizons.edges_days)} days: one discrete hazard, so the longer the likelier"),
        (
            "spend",
            f"within {_listed(horizons.spend_days)} days, shop's currency" if horizons.spend_days else "not told",
        ),
        ("data digest", about.data_digest),
        ("code", about.code_version),
    )


def _settings(about: About) -> Iterator[Block]:
    yield Block.of("h2", "Settings")
    shown = {"seed": about.seed, **{name: value for name, value in sorted(about.params.items()) if name != "seed"}}
    yield Block.of("table", ("setting", "value"), *((name, str(value)) for name, value in shown.items()))
    yield Block.of("h2", "Environment")
    yield Block.of("table", ("", ""), *environment().items())


def _loading(test: Examples) -> Iterator[Block]:
    cutoff = test.inputs.cutoffs.max().astype("datetime64[D]").item()
    yield Block.of("h2", "How to load it")
    yield Block.of(
        "p",
        "In the project's folder; VERSION is the number that the model registry shows. It is calibrated as the day was "
        "scored, or as it was trained where it did not score the day. Nothing is unpickled.",
    )
    yield Block.of(
        "code",
        "from datetime import date",
        "from ml.predict import load_frame, load_predictor",
        "from ml.recalibrate import as_scored",
        f"day = date({cutoff.year}, {cutoff.month}, {cutoff.day})",
        'predictor = as_scored(load_predictor("lifestage_behaviour", VERSION), day)',
        "forecast = predictor.predict(load_frame(day), day)",
    )


def _rows(examples: Examples) -> str:
    return f"{len(examples):,} rows of {len(set(examples.inputs.customer_keys)):,} customers"


def _listed(days: tuple[int, ...]) -> str:
    return ", ".join(map(str, days))
