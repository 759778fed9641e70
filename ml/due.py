"""Says whether a training is due, and why: the champion or the settings, new labels, drift, or outcomes not foretold.

Reasons first, then a last line `due: yes` or `due: no`, for a DAG to branch on; --json prints one object instead. The
exit code says whether the question could be answered. Bounds are settings of section `due`.
"""

import argparse
import json
from datetime import date

from expectations.commands import command_parser


def arg_parser() -> argparse.ArgumentParser:
    parser = command_parser("ml", "due", __doc__)
    parser.add_argument(
        "--ds",
        type=date.fromisoformat,
        metavar="D",
        help="as of that day, at most the last aggregated (default: that)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    return parser


def main(args: argparse.Namespace) -> None:
    from ml.due_checks import findings
    from ml.ready import last_known
    from ml.registry import MODEL_NAME, champion

    day, version = last_known(args.ds, args.home), champion(args.home)
    found = findings(day, version, args.home)
    due = any(finding.is_due for finding in found)
    if args.json:
        told = {
            "due": due,
            "as_of": str(day),
            "champion": f"{MODEL_NAME}/{version}" if version else None,
            "findings": [vars(finding) for finding in found],
        }
        print(json.dumps(told))
        return
    for finding in found:
        print(f"{finding.name}: {'yes' if finding.is_due else 'no'}, {finding.why}")
    print(f"due: {'yes' if due else 'no'}")
