"""Which code is running."""

import subprocess
import tomllib

from jobs.home import REPOSITORY


def code_version() -> str:
    """``git describe`` of the checkout (``-dirty`` if it was edited), else the package's version."""
    package = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    if not (REPOSITORY / ".git").exists():
        return package
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--tags"],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):  # no git, or a checkout that git does not trust
        return package
    return done.stdout.strip() or package
