"""manifest.json: what a backup holds, with a digest of every file. Written last: without it there is no backup."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from expectations.errors import DataError

FILE = "manifest.json"


@dataclass
class Manifest:
    """home: path of the home that was backed up; rows: view of marts → its rows; tools: archive → pg_dump's version."""

    home: str
    made_at: str
    code_version: str
    key_id: str | None
    rows: dict[str, int] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        self.files = {name: _digest(folder / name) for name in _names(folder)}
        staged = folder / f".{FILE}"
        staged.touch(mode=0o600)
        staged.write_text(json.dumps(asdict(self), indent=1) + "\n")
        os.replace(staged, folder / FILE)


def read(folder: Path) -> Manifest:
    """The folder's manifest; DataError where there is none, or a file is not as it says."""
    if not (folder / FILE).is_file():
        raise DataError(f"{folder} holds no whole backup: {FILE} is missing, which backup writes last")
    manifest = Manifest(**json.loads((folder / FILE).read_text()))
    there = _names(folder)
    wrong = sorted(set(manifest.files) ^ set(there))
    wrong = wrong or [name for name in there if _digest(folder / name) != manifest.files[name]]
    if wrong:
        raise DataError(f"{folder} is damaged: {', '.join(wrong[:5])} missing, added or changed. Take another backup")
    return manifest


def _names(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if name not in (FILE, f".{FILE}"))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
