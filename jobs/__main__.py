"""python -m jobs COMMAND: one command a job."""

import importlib
import logging
import os
import sys
import time

from jobs.errors import LifestageError

# Command → module of the same name and one line of help. The module is imported only when its command is called.
COMMANDS = {
    "setup": "create the home, its warehouse, roles, tables and views; safe to repeat",
    "land_sample": "land the sample shop (Complete Journey, simulated from real patterns) as daily files",
    "ingest": "landing files → lake/events; bad rows → quarantine",
    "validate": "Great Expectations gate on one table and day",
    "aggregate": "events → customer-day rows",
    "build_features": "customer-day rows → features as of a date",
    "score": "features + a model version → lake/scores",
    "segment": "scores → value tier, lifecycle stage, churn band",
    "publish": "segments → warehouse: stage, audit, one transaction",
    "sql": "run one SQL statement on the warehouse as bi_reader and print a table",
    "warehouse_uri": "print the warehouse's libpq URI",
    "summary": "print what the marts say: rows, tiers, stages, moves, model metrics",
    "run_shop": "the whole line: land, bootstrap, train, daily DAG runs, summary (what `make run` calls)",
    "up": "start Airflow and the MLflow UI over the home",
    "down": "stop what `up` started",
}


class _Clock(logging.Formatter):
    """Wall time and seconds since start before each line, so that a log says where the time went."""

    def format(self, record: logging.LogRecord) -> str:
        if os.environ.get("LIFESTAGE_STAGE"):  # whoever called this command tells the time
            return record.getMessage()
        head = f"{time.strftime('%H:%M:%S')} {record.relativeCreated / 1000:7.1f}s"
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        return f"{head}  {level}{record.getMessage()}"


def configure_logging() -> None:
    """Progress to standard error; standard output is for results."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Clock())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in ("jobs", "ml", "__main__"):
        logging.getLogger(name).setLevel(logging.INFO)


def help_text() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{text}" for name, text in COMMANDS.items()]
    return "usage: python -m jobs COMMAND [--help] …\n\n" + "\n".join(lines)


def main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(help_text())
        return 0 if argv else 2
    name, *rest = argv
    if name not in COMMANDS:
        print(f"no command {name!r}\n\n{help_text()}", file=sys.stderr)
        return 2
    configure_logging()
    module = importlib.import_module(f"jobs.{name}")
    try:
        return module.main(module.arg_parser().parse_args(rest)) or 0
    except LifestageError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
