"""The pages for who runs Lifestage: its own parser takes every command in them, every link leads somewhere."""

import importlib
import re
import shlex

import pytest

from expectations.errors import DataError, SetupError, UnavailableError
from expectations.version import REPOSITORY
from jobs import doctor

DOCS = REPOSITORY / "docs"
PAGES = sorted(
    {DOCS / name for name in ("runbook.md", "lineage.md", "orchestration.md", "connections.md", "compose.md")}
)
RUNBOOK = (DOCS / "runbook.md").read_text()
OURS = re.compile(r"python -m (jobs|ml) (\w+)((?: [^`\n#]*)?)")
FILLED = {"S": "complete_journey", "N": "3", "D": "2017-12-30"}
"""Words that stand for a value in a page's running text."""


def commands(text):
    """(package, command, arguments) of each command that is written out; names alone are not."""
    for package, command, rest in OURS.findall(text):
        yield package, command, shlex.split(rest.split("  ")[0])


def test_pages_hold_commands():
    assert len(list(commands(RUNBOOK))) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_is_parsed_by_its_job(page):
    for package, command, argv in commands(page.read_text()):
        assert command in importlib.import_module(f"{package}.__main__").COMMANDS, command
        parser = importlib.import_module(f"{package}.{command}").arg_parser()
        known = set(parser._option_string_actions)
        assert {word for word in argv if word.startswith("--")} <= known, (command, argv)
        if argv:  # a name alone speaks of the command
            parser.parse_args([FILLED.get(word, word) for word in argv])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_to_a_page(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_exit_code_and_every_task_of_the_daily_run_is_explained():
    for error in (DataError, UnavailableError, SetupError):
        assert f"| {error.exit_code} |" in RUNBOOK
    table = RUNBOOK[RUNBOOK.index("| task |") : RUNBOOK.index("## Re-run")]
    tasks = {path.stem.partition(".")[2] for path in (REPOSITORY / "tests/dags/golden").glob("lifestage_daily.*.txt")}
    spanned = {"portray", "assess_risk", "watch_churn", "recommend", "choose_actions"}  # tag … measure_outcomes
    assert {task for task in tasks - spanned if f"`{task}`" not in table} == set()


def test_make_targets_named_in_the_pages_are_there():
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"`make ([a-z-]+)", page.read_text())) <= targets, page


def test_what_the_code_tells_people_to_read_is_there():
    rooms = (REPOSITORY / room for room in ("jobs", "ml", "expectations", "plugins", "dags"))
    for path in (path for room in rooms for path in room.rglob("*.py")):
        for named in re.findall(r"docs/[\w/]+\.md", path.read_text()):
            assert (REPOSITORY / named).is_file(), (path, named)


def test_the_doctor_comes_first():
    assert RUNBOOK.index("python -m jobs doctor") < RUNBOOK.index("## What an alert means")
    assert doctor.checks()
