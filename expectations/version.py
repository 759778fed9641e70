"""Which code made a thing."""

import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def code_version() -> str:
    """The git commit, with ``-dirty`` if tracked files were changed since; without git, the package's version."""
    project = REPOSITORY / "pyproject.toml"
    if not project.exists():  # installed from the wheel
        return metadata.version("lifestage")
    package = tomllib.loads(project.read_text())["project"]["version"]
    if not (REPOSITORY / ".git").exists():
        return package
    # No tag is looked at, so that a commit has one version for ever.
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):  # no git, or a checkout that git does not trust
        return package
    return done.stdout.strip() or package
