"""Which code made a thing."""

import subprocess
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def code_version() -> str:
    """The git commit, with ``-dirty`` if tracked files were changed since; without git, the package's version."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    return commit + ("-dirty" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str | None:
    """What git prints, or None where there is no git, or the code lies outside a repository of its own."""
    if not (REPOSITORY / ".git").exists():
        return None
    command = ["git", "-C", str(REPOSITORY), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
