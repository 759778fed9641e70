"""The switch from the old key to the new, and what a change of the key keeps meanwhile.

``<home>/rekey`` holds both keys and the vault's new files, ``<home>/lake/_rekey`` the new tables. A file ``switching``
says that the switch has begun: from then on it can only be ended, and each of its steps may be taken again.
"""

import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.home import Home
from jobs.reading.keys import CustomerKeys, secret_bytes
from jobs.reading.vault_file import SCHEMA, keep_ids
from jobs.rekeying.key_map import KeyMap
from jobs.rekeying.warehouse_keys import rekey_warehouse
from ml.home import switching_file

log = logging.getLogger(__name__)

TEXTS = (".json", ".csv", ".html", ".md", ".txt")
"""Files beside the lake that may name customers: labels, reports, examples and reasons of models."""
_KEY = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


@dataclass(frozen=True)
class Change:
    """One change of the home's key, from its beginning to its end, over as many processes as it takes."""

    home: Home

    @property
    def folder(self) -> Path:
        return switching_file(self.home.path).parent

    @property
    def lake(self) -> Path:
        return self.home.lake / "_rekey"

    @property
    def vaults(self) -> list[Path]:
        """Wherever a file of the vault may lie now."""
        return [self.home.vault, self.folder / "vault", self.folder / "old-vault"]

    def begin(self, old: str, new: str | None) -> tuple[CustomerKeys, CustomerKeys]:
        """The old and the new key, as hexadecimal text; those of an earlier beginning that was not ended come first."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        texts = self._kept("old_key", old), self._kept("new_key", new or secrets.token_hex(32))
        return tuple(map(_keys, texts))

    def _kept(self, name: str, text: str) -> str:
        file = self.folder / name
        if not file.exists():
            _write(file, text)
        return file.read_text().strip()

    def switch(self, keys: KeyMap, is_given: bool) -> None:
        """Puts everything new in the place of the old. Needs the home alone. ``is_given``: the key is a variable's."""
        switching_file(self.home.path).touch(mode=0o600)
        rekey_warehouse(self.home, keys)
        self._swap_lake()
        self._swap_vault()
        named = dict(zip(keys.old_keys.to_pylist(), keys.new_keys.to_pylist(), strict=True))
        for file in self._texts():
            rekey_text(file, named)
        if not is_given:
            _write(self.home.secrets / "customer_key", (self.folder / "new_key").read_text())
        self.home.change_key(keys.new.key_id)
        self.clean()

    def clean(self) -> None:
        """Removes what the change kept. The new key goes last: it tells that this change has ended."""
        switching_file(self.home.path).unlink(missing_ok=True)
        shutil.rmtree(self.lake, ignore_errors=True)
        (self.folder / "old_key").unlink(missing_ok=True)
        for name in ("vault", "old-vault"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        shutil.rmtree(self.folder)

    @property
    def is_switching(self) -> bool:
        """Whether a switch has begun and not ended."""
        return switching_file(self.home.path).exists()

    @property
    def has_ended(self) -> bool:
        """Whether the home's customers are keyed under the new key of a change that is still kept."""
        file = self.folder / "new_key"
        return file.exists() and _keys(file.read_text()).key_id == self.home.key_id

    def _swap_lake(self) -> None:
        old = self.lake / "old"
        old.mkdir(exist_ok=True, parents=True)
        for new in sorted((self.lake / "new").glob("*")):
            there = self.home.lake / new.name
            if there.exists() and not (old / new.name).exists():
                os.rename(there, old / new.name)
            os.rename(new, there)

    def _swap_vault(self) -> None:
        new, old = self.folder / "vault", self.folder / "old-vault"
        if new.exists():
            if self.home.vault.exists() and not old.exists():
                os.rename(self.home.vault, old)
            os.rename(new, self.home.vault)

    def copy_vault(self, keys: KeyMap) -> None:
        """The vault's files under the new key, all of them anew."""
        shutil.rmtree(self.folder / "vault", ignore_errors=True)
        for file in sorted(self.home.vault.glob("*.parquet")):
            ids = pq.read_table(file)["customer_id"]
            made = pa.array(map(keys.new.key, ids.to_pylist()), pa.string())
            rows = pa.table([made, ids, pa.repeat(keys.new.key_id, len(ids))], schema=SCHEMA)
            keep_ids(Home(self.folder), file.stem, [rows])

    def _texts(self) -> Iterator[Path]:
        yield self.home.path / "risk_labels.csv"
        for folder in (self.home.path / "reports", self.home.mlflow / "artifacts"):
            yield from (file for file in sorted(folder.rglob("*")) if file.suffix in TEXTS)


def _keys(text: str) -> CustomerKeys:
    return CustomerKeys(secret_bytes(text.strip(), "the key given to rekey"))


def rekey_text(file: Path, named: dict[str, str]) -> bool:
    """Whether the file named customers: each is named by the new key, and all else stays."""
    if not file.is_file():
        return False
    before = file.read_bytes()
    after = _KEY.sub(lambda found: named.get(found[0].decode(), found[0].decode()).encode(), before)
    if after == before:
        return False
    staged = file.with_name(f".{file.name}.new")
    staged.write_bytes(after)
    shutil.copymode(file, staged)
    os.replace(staged, file)
    return True


def _write(file: Path, text: str) -> None:
    """For the owner alone, whole or not at all."""
    staged = file.with_name(f".{file.name}.new")
    staged.unlink(missing_ok=True)
    with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text.strip() + "\n")
        out.flush()
        os.fsync(out.fileno())
    os.replace(staged, file)
