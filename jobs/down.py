"""Stop exactly what `up` started: Airflow's parts, the MLflow UI, and PostgreSQL if `up` started it."""

import argparse

from jobs.arguments import job_parser
from jobs.home import Home
from jobs.local.services import recorded, stop_all


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("down", __doc__)
    parser.add_argument("--all", action="store_true", help="PostgreSQL too, whoever started it")
    return parser


def main(args: argparse.Namespace) -> None:
    from jobs.local import postgres

    home = Home.from_environment(args.home)
    stopped = False
    for name, was_running in stop_all(home, list(recorded(home))).items():
        print(f"stopped {name}" if was_running else f"{name} had ended by itself", flush=True)
        stopped = True
    if home.postgres.exists() and postgres.stop(home, started_by=None if args.all else "up"):
        print("stopped postgres")
    elif not stopped:
        print(f"nothing to stop: `up` started nothing over {home.path} that still runs")
