"""Which code made a thing."""

import hashlib
import subprocess
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ROOMS = ("expectations", "ml", "jobs", "plugins", "dags")


def code_version() -> str:
    """The git commit, with ``-dirty`` if tracked files were changed since; without git, the package's version
    and a digest of its files (``0.1.0+5f0c2a9be1d4``)."""
    project = REPOSITORY / "pyproject.toml"
    if not project.exists():  # installed from the wheel
        return metadata.version("lifestage")
    package = tomllib.loads(project.read_text())["project"]["version"]
    return _commit() or f"{package}+{digest_of_files(ROOMS)[:12]}"


def _commit() -> str:
    """Empty without git, as in an image, and in a checkout that git does not trust."""
    if not (REPOSITORY / ".git").exists():
        return ""
    # No tag is looked at, so that a commit has one version for ever.
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def digest_of_files(rooms: Iterable[str], pattern: str = "*") -> str:
    """SHA-256 over name and content of every file of these rooms whose name fits, but for what Python leaves there."""
    digest = hashlib.sha256()
    for file in sorted(file for room in rooms for file in (REPOSITORY / room).rglob(pattern) if file.is_file()):
        if "__pycache__" not in file.parts:
            digest.update(str(file.relative_to(REPOSITORY)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
