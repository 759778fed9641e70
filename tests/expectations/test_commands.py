"""How a command ends: a person reads one message where a folder or disk is wrong, a traceback where the code is."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from expectations import commands
from expectations.version import REPOSITORY

MODULE = """
import argparse

def arg_parser():
    return argparse.ArgumentParser()

def main(args):
    {code}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """``run(code)``: the exit code of a command that does this."""
    package = tmp_path / "shop_of_this_test"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def go(code: str) -> int:
        (package / "work.py").write_text(MODULE.format(code=code))
        return commands.run(package.name, {"work": "works"}, ["work"])

    yield go
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


def test_a_full_disk_may_be_tried_again(run, capsys):
    assert run("from pathlib import Path; Path('/dev/full').write_text('x')") == 75
    assert capsys.readouterr().err == f"work: [Errno {errno.ENOSPC}] No space left on device\n"


@pytest.mark.parametrize("code", ["mkdir()", "joinpath('lake').mkdir(parents=True)", "mkdir(exist_ok=True)"])
def test_a_folder_that_is_a_file_is_a_setting(run, capsys, tmp_path, code):
    (tmp_path / "home").touch()
    assert run(f"from pathlib import Path; Path({str(tmp_path / 'home')!r}).{code}") == 78
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(tmp_path / "home") in said


def test_a_defect_keeps_its_traceback(run, tmp_path):
    with pytest.raises(FileNotFoundError):
        run(f"open({str(tmp_path / 'never written')!r})")


def test_sigterm_ends_a_command_as_ctrl_c_does(run, capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert run("import os, signal, time; os.kill(os.getpid(), signal.SIGTERM); time.sleep(20)") == 130
    assert capsys.readouterr().err == "work: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_real_command_over_a_file(tmp_path):
    (tmp_path / "home").touch()
    done = subprocess.run(
        [sys.executable, "-m", "jobs", "setup", "--home", str(tmp_path / "home"), "--source", "complete_journey"],
        cwd=REPOSITORY, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 78, done.stderr
    assert "Traceback" not in done.stderr
