"""The feature report as files: features.csv, and features.html, which MLflow's artifact view shows."""

from html import escape
from pathlib import Path

import pandas as pd

from ml.feature_report import DRIFT_ABOVE, SAME_ABOVE, Columns

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #1f2937; margin: 24px; max-width: 1180px; }
h1 { font-size: 20px; margin: 0 0 4px; } h2 { font-size: 16px; margin: 28px 0 6px; } p { margin: 4px 0 10px; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; border-bottom: 2px solid #9ca3af; padding: 4px 10px 4px 0; }
td { border-bottom: 1px solid #e5e7eb; padding: 3px 10px 3px 0; vertical-align: top; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
small { color: #6b7280; display: block; } code { font-size: 13px; }
.bar { background: #1f6feb; height: 9px; display: inline-block; } .bar.minus { background: #7c8ba1; }
.bad { color: #b42318; font-weight: 600; } .copy { color: #6b7280; }
"""


def write_feature_report(folder: Path, title: str, report: pd.DataFrame, rows: tuple[int, int]) -> None:
    """features.csv and features.html. ``rows``: how many training and test rows it was made from."""
    report.to_csv(folder / "features.csv", index=False, float_format="%.6g")
    (folder / "features.html").write_text(page(title, report, rows))


def page(title: str, report: pd.DataFrame, rows: tuple[int, int]) -> str:
    """One self-contained page; whatever comes from outside is escaped."""
    constant = report[report["verdict"] == "constant"]
    varying = report[report["verdict"] != "constant"]
    body = [
        f"<h1>Features: {escape(title)}</h1>",
        f"<p>{_summary(report, constant, rows)}</p>",
        "<h2>What each is worth alone</h2>",
        "<p>AUC: of a purchase within the churn horizon by the feature alone, on training rows; blue: the more, the "
        f"likelier; grey: the less. PSI: how far the test cutoff lies from the training cutoffs, a major shift above "
        f"{DRIFT_ABOVE}. Missing: share of rows without a value, training → test.</p>",
        _table(varying),
        "<h2>Copies</h2>",
        f"<p>Linked by a correlation of logarithms above {SAME_ABOVE}; the strongest first. One of each will do.</p>",
        _copies(varying),
        "<h2>Constant in training</h2>",
        f"<p>{_listed(constant['feature']) or 'None.'}</p>",
        "<h2>Columns of features.csv</h2><table>",
        *(f"<tr><td><code>{f.name}</code></td><td>{escape(f.default)}</td></tr>" for f in _fields()),
        "</table>",
    ]
    head = f"<meta charset='utf-8'><title>Features: {escape(title)}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(body)}</body></html>\n"


def _fields() -> list:
    return list(Columns.__dataclass_fields__.values())


def _summary(report: pd.DataFrame, constant: pd.DataFrame, rows: tuple[int, int]) -> str:
    copies, drifting = report["verdict"].str.contains("copy of"), report["verdict"].str.contains("drifts")
    return (
        f"{len(report)} model inputs on {rows[0]:,} training and {rows[1]:,} test rows: {len(constant)} constant, "
        f"{copies.sum()} copies of a stronger one, {drifting.sum()} drifting, "
        f"{(report['missing_train'] > 0.5).sum()} missing in more than half of the rows."
    )


def _table(report: pd.DataFrame) -> str:
    head = (
        "<tr><th>feature</th><th class='n'>AUC</th><th></th><th class='n'>PSI</th><th class='n'>missing</th>"
        "<th class='n'>mean ± deviation</th><th>verdict</th></tr>"
    )
    return f"<table>{head}{''.join(map(_row, report.itertuples()))}</table>"


def _row(row: object) -> str:
    width = round(240 * (row.auc - 0.5))
    bar = f"<span class='bar{' minus' * (row.direction == '-')}' style='width:{width}px'></span>"
    drift = " bad" * (row.psi > DRIFT_ABOVE)
    verdict = "copy" if row.verdict.startswith("copy") else "bad"
    return (
        f"<tr><td><code>{escape(row.feature)}</code><small>{escape(row.description)}</small></td>"
        f"<td class='n'>{row.auc:.3f}</td><td style='min-width:120px'>{bar}</td>"
        f"<td class='n{drift}'>{row.psi:.3f}</td>"
        f"<td class='n'>{_missing(row.missing_train, row.missing_test)}</td>"
        f"<td class='n'>{row.mean:.4g} ± {row.deviation:.3g}<small>{escape(row.unit)}</small></td>"
        f"<td class='{verdict}'>{escape(row.verdict)}</td></tr>"
    )


def _missing(train: float, test: float) -> str:
    return "" if train == test == 0 else f"{train:.0%} → {test:.0%}"


def _copies(report: pd.DataFrame) -> str:
    groups = report[report["cluster"] > 0].groupby("cluster")["feature"]
    return "<ul>" + "".join(f"<li>{_listed(names)}</li>" for _, names in groups) + "</ul>" if len(groups) else "None."


def _listed(names: pd.Series) -> str:
    return ", ".join(f"<code>{escape(name)}</code>" for name in names)
