"""The table kept: as JSON rows, as CSV, as pages, and as a run in MLflow."""

import csv
import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ml.cohorts import Parts
from ml.comparing.rows import ALL, MEAN, Row
from ml.home import HomePath
from ml.models import SEQUENCE_MODELS
from ml.sequences import update_sequences

KIND = "compare"


@dataclass(frozen=True)
class Report:
    """A finished comparison.

    text      as printed
    settings  what each fit chose
    failed    model → why there is nothing of it
    """

    rows: list[Row]
    text: str
    champion: str
    tags: dict[str, str]
    params: dict[str, object]
    settings: dict[str, dict[str, object]]
    failed: dict[str, str]


def clean(row: Row) -> dict[str, object]:
    """As JSON knows it: no NaN, no infinity, but null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(row).items()
    }


def write_json(rows: list[Row], path: Path) -> None:
    """A list of objects, one a line."""
    lines = ",\n".join(json.dumps(clean(row), ensure_ascii=False) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def write_csv(rows: list[Row], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Row)])
        writer.writerows([None if value != value else value for value in astuple(row)] for row in rows)


def data_digest(parts: Parts, models: Iterable[str]) -> str:
    """SHA-256 over every key, feature and label that was fitted or judged on, and the sequences ``models`` read."""
    digest, every = hashlib.sha256(), (parts.train, parts.valid, *parts.tests)
    for part in every:
        part.update(digest)
    if set(models) & set(SEQUENCE_MODELS):
        for cutoff in np.unique(np.concatenate([part.inputs.cutoffs for part in every])):
            update_sequences(digest, parts.train.inputs.home, cutoff.item())
    return digest.hexdigest()


def log_report(report: Report, home: HomePath) -> str:
    """One run of the shop's experiment with the files; its id."""
    from ml.answering import store_errors
    from ml.tracking import initialise, mlflow_for

    with store_errors(home):
        mlflow, experiment = mlflow_for(home), initialise(home)
        name = f"{KIND} {report.tags['lifestage.source']}"
        with mlflow.start_run(experiment_id=experiment, run_name=name, tags=report.tags) as run:
            mlflow.log_params(report.params)
            mlflow.log_metrics(metrics_of(report.rows, report.champion))
            with TemporaryDirectory(prefix="lifestage-compare-") as folder:
                write_files(report, Path(folder))
                mlflow.log_artifacts(folder, KIND)
        return run.info.run_id


def write_files(report: Report, folder: Path) -> None:
    """compare.json, compare.csv, compare.md, compare.html and settings.json."""
    from ml.pages.compare_page import write_compare_page

    write_json(report.rows, folder / "compare.json")
    write_csv(report.rows, folder / "compare.csv")
    settings = json.dumps(report.settings, indent=2, ensure_ascii=False, default=str)
    (folder / "settings.json").write_text(settings, encoding="utf-8")
    title = f"{report.tags['lifestage.source']}: models compared"
    write_compare_page(folder / "compare.html", report.rows, title, report.champion)
    (folder / "compare.md").write_text(f"# {title}\n\n```\n{report.text}\n```\n", encoding="utf-8")


def metrics_of(rows: list[Row], champion: str) -> dict[str, float]:
    """The champion's means over the test cutoffs, every stratum together: task.metric → value."""
    mine = (row for row in rows if (row.model, row.cutoff, row.stratum) == (champion, MEAN, ALL))
    return {f"{row.task}.{row.metric}": row.value for row in mine if math.isfinite(row.value)}
