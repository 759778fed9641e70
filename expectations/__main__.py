"""python -m expectations: writes DICTIONARY.md from the contracts; ``--check`` only says whether it is stale."""

import argparse
import sys

from expectations.dictionary import FILE, dictionary, differences


def arg_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m expectations", description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 and name the lines if it is stale")
    return parser


def main(argv: list[str]) -> int:
    args = arg_parser().parse_args(argv)
    if not args.check:
        FILE.write_text(dictionary(), encoding="utf-8")
        print(f"wrote {FILE}")
        return 0
    stale = differences(FILE.read_text(encoding="utf-8") if FILE.exists() else "")
    if stale:
        print("\n".join(stale))
        print("DICTIONARY.md is stale: run `python -m expectations` and commit it", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
