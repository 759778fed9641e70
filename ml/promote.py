"""Makes NAME/VERSION the champion, which scores customers from the next day on, whatever it was judged.

The way back to the champion before it is `python -m ml rollback`.

Days that were scored keep their version: `python -m ml resolve` says which.
"""

import argparse

from expectations.commands import command_parser, model_version


def arg_parser() -> argparse.ArgumentParser:
    parser = command_parser("ml", "promote", __doc__)
    parser.add_argument("model", type=model_version, metavar="NAME/VERSION", help="a registered version")
    return parser


def main(args: argparse.Namespace) -> None:
    from ml.predict import require_scorable
    from ml.registry import promote

    name, version = args.model
    require_scorable(name, version, args.home)
    before = promote(name, version, args.home)
    print(f"champion: {f'{name}/{before}' if before else 'none'} → {name}/{version}")
