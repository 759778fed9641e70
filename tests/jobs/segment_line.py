"""A small simulated home, and every job behind its features, run for some days: by hand-made scores of a fitted rule.

``python -m tests.jobs.segment_line HOME`` runs the jobs in a process of its own.
"""

import sys
from datetime import date
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from expectations.behaviour import FEATURES
from expectations.segments import PROBABILITY_DAYS, SCORES
from jobs import aggregate, build_features, encode_text, simulate
from jobs.home import Home
from jobs.lake import LakeTable
from jobs.schemas import arrow_schema
from jobs.stale import JOBS
from ml.calibrate import Calibrated
from ml.models import make
from ml.predict import Predictor
from tests.ml.told_rows import told_examples

DAYS = (date(2024, 4, 22), date(2024, 4, 29))
"""A week apart: who moved, whose probability changed within it, and what has matured."""


def prepare(home: Home) -> None:
    """Features and scores of DAYS for 500 busy customers."""
    run(
        simulate,
        home,
        "--customers",
        "500",
        "--days",
        "120",
        "--seed",
        "3",
        "--to",
        "lake",
        "--processes",
        "1",
        "--events-per-customer-year",
        "400",
    )
    for job in (encode_text, aggregate):
        run(job, home, "--from", "2024-01-01", "--to", str(DAYS[-1]))
    run(build_features, home, "--ds", *map(str, DAYS))
    for day in DAYS:
        write_scores(home, day)


def run(job: object, home: Home, *arguments: str) -> None:
    job.main(job.arg_parser().parse_args(["--home", str(home.path), *arguments]))


def write_scores(home: Home, day: date) -> None:
    """Probabilities that fall with silence; spend as in the past."""
    rows = LakeTable(home, FEATURES).read_arrow([day], ["customer_key", "recency_days", "monetary_value"]).to_pandas()
    silence = rows["recency_days"].astype(float).fillna(300)
    columns = {f"purchase_probability_{n}d": 1 - np.exp(-n / (10 + silence)) for n in PROBABILITY_DAYS}
    likely, spend = columns["purchase_probability_30d"], rows["monetary_value"].astype(float).fillna(0)
    columns |= {
        "customer_key": rows["customer_key"], "snapshot_date": day, "is_eligible": rows["recency_days"].notna(),
        "churn_probability_30d": 1 - likely, "churn_probability": 1 - likely, "churn_days": 30,
        "spend_if_purchase_30d": spend, "expected_spend_30d": likely * spend, "model_name": "rule", "model_version": 1,
        "model_cutoff_date": date(2024, 1, 1),
    }  # fmt: skip
    schema = arrow_schema(SCORES)
    told = pd.DataFrame({f.name: columns.get(f.name, 0.0 if not f.nullable else None) for f in schema})
    LakeTable(home, SCORES).write_arrow(day, pa.Table.from_pandas(told, schema).replace_schema_metadata(None))


def run_all(home: Home) -> None:
    """Every job of JOBS for DAYS, in order; the rule stands in the place of a registered model."""
    rule = Calibrated(make("recency_rule"))
    rule.fit(told_examples(), told_examples(seed=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ml.predict.load_predictor", lambda *names: Predictor("rule/1", rule, about=None))
        for day in DAYS:
            for name in JOBS:
                run(import_module(f"jobs.{name}"), home, "--ds", str(day))


if __name__ == "__main__":
    run_all(Home(Path(sys.argv[1])))
