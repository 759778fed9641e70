"""Check what daily production needs: connections, versions, disk, clock, permissions; say for each what to do.

Changes nothing, and takes seconds: a check that has not answered within 5 s counts as failed. Exit code: 0 if no check
fails, 78 if someone has to mend something, 75 if something did not answer.
"""

import argparse
import json
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

from jobs.arguments import job_parser
from jobs.home import Home

if TYPE_CHECKING:
    from jobs.health.finding import Check, Finding

SHARES_HOME = False  # it is asked when something else holds the home
WIDTH = 110


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("doctor", __doc__)
    parser.add_argument("--json", action="store_true", help="a list of objects: check, state, says, exit_code")
    return parser


def main(args: argparse.Namespace) -> int:
    from jobs.health.finding import exit_code, look_all

    findings = look_all(Home.from_environment(args.home), checks())
    print(json.dumps([asdict(finding) for finding in findings], indent=1) if args.json else as_table(findings))
    return exit_code(findings)


def checks() -> "list[Check]":
    from jobs.health import files, machine, services, warehouse
    from jobs.health.finding import Check

    entered, configured = "warehouse as lifestage_writer", "Airflow's database"
    return [
        Check("Python", machine.python),
        Check("packages", machine.packages),
        Check("Airflow's packages", machine.airflow_packages),
        Check("home", files.home_writable),
        Check("secrets", files.secret_files),
        Check("customer key", files.customer_key, needs="home"),
        Check("disk", machine.disk),
        Check("clock of the disk", machine.file_clock),
        Check("time zone", machine.time_zone),
        Check(entered, warehouse.as_writer),
        Check("warehouse as bi_reader", warehouse.as_reader),
        Check("warehouse as activation", warehouse.as_activation),
        Check("warehouse version", warehouse.version, needs=entered),
        Check("warehouse tables", warehouse.tables, needs=entered),
        Check("grants", warehouse.grants, needs=entered),
        Check("clock of the warehouse", warehouse.clock, needs=entered),
        Check("MLflow", services.mlflow),
        Check("engine", services.the_engine),
        Check(configured, services.airflow_database),
        Check("Airflow's parts", services.airflow_parts, needs=configured),
        Check("Airflow's DAGs", services.airflow_dags, needs=configured),
        Check("Airflow's connections", services.airflow_connections, needs=configured),
    ]


def as_table(findings: "list[Finding]") -> str:
    """A line each, longer ones folded, and the count."""
    width = max(len(finding.check) for finding in findings)
    lines = []
    for finding in findings:
        folded = [part for line in finding.says.splitlines() for part in textwrap.wrap(line, WIDTH) or [""]]
        head = f"{finding.state:<4}  {finding.check:<{width}}  "
        lines += [(head if n == 0 else " " * len(head)) + part for n, part in enumerate(folded)]
    count = {state: sum(f.state == state for f in findings) for state in ("ok", "warn", "fail")}
    return "\n".join([*lines, "", ", ".join(f"{n} {state}" for state, n in count.items())])
