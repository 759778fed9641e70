"""Makes the version that was champion before the champion again; once more brings the other one back.

Days that were scored keep their version: `python -m ml resolve` says which.
"""

import argparse

from expectations.commands import command_parser


def arg_parser() -> argparse.ArgumentParser:
    return command_parser("ml", "rollback", __doc__)


def main(args: argparse.Namespace) -> None:
    from ml.predict import require_scorable
    from ml.registry import MODEL_NAME, previous, promote

    version = previous(args.home)
    require_scorable(MODEL_NAME, version, args.home)
    before = promote(MODEL_NAME, version, args.home)
    print(f"champion: {MODEL_NAME}/{before} → {MODEL_NAME}/{version}")
