"""Learns from cases that the shop has marked as fraud, and says how good that is on newer ones; or on a public table.

--labels: one line a case, customer_key,event_date,known_date; assess_risk reads the same from <home>/risk_labels.csv
and lists the kind `labelled`. Learned from features of the first snapshot after each case, tested on the newest cases.
--study: any CSV file of numbers and words with a column `label` of 0 and 1, without times: five folds instead.
"""

import argparse
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from expectations.commands import command_parser

if TYPE_CHECKING:
    from ml.risk.labelled import Judged


def arg_parser() -> argparse.ArgumentParser:
    parser = command_parser("ml", "risk", __doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--labels", type=Path, metavar="FILE", help="default: <home>/risk_labels.csv")
    what.add_argument("--study", type=Path, metavar="FILE", help="a labelled table of its own instead")
    parser.add_argument("--without", action="append", default=[], metavar="COLUMN", help="of the study, not read")
    parser.add_argument("--ds", type=date.fromisoformat, metavar="D", help="what was known on that day, YYYY-MM-DD")
    return parser


def main(args: argparse.Namespace) -> None:
    from expectations.errors import SetupError
    from ml.risk.study import judge_table

    if not (args.study or args.ds):
        raise SetupError("--labels needs --ds D: the day up to which cases are known")
    study = args.study and judge_table(args.study, tuple(args.without))
    print(report(study or judge_labels(args.labels, args.ds, args.home)))


def judge_labels(path: Path | None, day: date, home: str | None = None) -> "Judged":
    """Learned from older cases, judged on the newest among all customers of their snapshots."""
    import numpy as np

    from ml.risk.labelled import fit_cases, judge, probability, split_by_time
    from ml.risk.labels import labels_file, load_cases, read_labels

    labels = read_labels(path or labels_file(home), day)
    learned, _ = split_by_time(load_cases(labels, day, home))
    _, tested = split_by_time(load_cases(labels, day, home, most_others=None))
    model = fit_cases(learned)
    return judge(
        np.concatenate([one.is_case for one in tested]),
        np.concatenate([probability(model, one.features) for one in tested]),
    )


def report(judged: "Judged") -> str:
    """What a person reads."""
    lines = [f"{judged.rows:,} rows tested, {judged.cases:,} cases ({judged.random:.2%}: what a random list holds)"]
    for name, of in (("PR-AUC", judged.average_precision), ("precision@100", judged.precision_at_100)):
        lines.append(f"{name:14} {of[0]:.3f}  (95 % interval {of[1]:.3f} to {of[2]:.3f})")
    return "\n".join(lines)
