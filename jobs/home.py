"""One home is one shop: where its landing, lake, warehouse, secrets and logs lie."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from expectations.errors import SetupError
from ml.home import home_folder


@dataclass(frozen=True)
class Home:
    """Paths under one LIFESTAGE_HOME. Creating the object touches nothing on disk."""

    path: Path

    @classmethod
    def from_environment(cls, path: str | None = None) -> "Home":
        """``path``, else LIFESTAGE_HOME, else ``.lifestage`` beside the code."""
        return cls(home_folder(path))

    @property
    def landing(self) -> Path:
        return self.path / "landing"

    @property
    def lake(self) -> Path:
        return self.path / "lake"

    @property
    def vault(self) -> Path:
        """Raw ids of customers, by delivery, on their way into the warehouse's vault."""
        return self.path / "vault"

    @property
    def secrets(self) -> Path:
        return self.path / "secrets"

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def mlflow(self) -> Path:
        return self.path / "mlflow"

    @property
    def airflow(self) -> Path:
        return self.path / "airflow"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def run(self) -> Path:
        """Process files of what was started here."""
        return self.path / "run"

    @property
    def validations(self) -> Path:
        """Great Expectations results and Data Docs."""
        return self.path / "validations"

    @property
    def _shop_file(self) -> Path:
        return self.path / "shop.json"

    @cached_property
    def sources(self) -> list[str]:
        """The shop's sources; SetupError if the home was never set up."""
        if not self._shop_file.exists():
            raise SetupError(f"{self.path} holds no shop yet: run `python -m jobs setup --source NAME` first")
        return json.loads(self._shop_file.read_text())["sources"]

    @property
    def shop_in_words(self) -> str:
        """The shop's name, and whether its data are simulated: what every page of them says."""
        shop = json.loads(self._shop_file.read_text())
        return f"{shop['shop']}{', simulated data' * shop['simulated']}"

    def landing_of(self, source: str) -> Path:
        """Where the source's files lie: the folder it was set up with, else landing/<source>."""
        known = json.loads(self._shop_file.read_text())["landing"] if self._shop_file.exists() else {}
        return Path(known.get(source, self.landing / source))

    def adopt(self, shop: str, source: str, landing: Path | None = None, simulated: bool = False) -> None:
        """Makes ``source`` one of this home's; refuses another shop's, since shops do not share customer ids.

        ``landing``: a folder outside the home in which the shop delivers. ``simulated``: what shows the data says so.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        fresh = {"shop": shop, "simulated": simulated, "sources": [], "landing": {}}
        known = json.loads(self._shop_file.read_text()) if self._shop_file.exists() else fresh
        if known["shop"] != shop:
            raise SetupError(
                f"{self.path} is the home of shop {known['shop']!r}; source {source!r} belongs to {shop!r}. "
                "Give it a home of its own: LIFESTAGE_HOME=<another folder>"
            )
        before = json.dumps(known)
        if source not in known["sources"]:
            known["sources"].append(source)
        if landing:
            known["landing"][source] = str(landing.resolve())
        if json.dumps(known) != before or not self._shop_file.exists():
            self._write_shop(known)
        self.__dict__.pop("sources", None)

    @property
    def key_id(self) -> str | None:
        """Which key the home's customers are keyed under; None where there are none yet."""
        return json.loads(self._shop_file.read_text()).get("key_id") if self._shop_file.exists() else None

    def change_key(self, key_id: str) -> None:
        """Notes that the home's customers are keyed under another key from now on."""
        self._write_shop(json.loads(self._shop_file.read_text()) | {"key_id": key_id})

    def hold_key(self, key_id: str) -> None:
        """Notes the customer key that the home's data are made with; SetupError for another."""
        known = json.loads(self._shop_file.read_text()) if self._shop_file.exists() else {}
        if not known:
            raise SetupError(f"{self.path} holds no shop yet: run `python -m jobs setup --source NAME` first")
        if known.setdefault("key_id", key_id) != key_id:
            raise SetupError(
                f"the customers of {self.path} are keyed under key {known['key_id']}, the key given is {key_id}: "
                "LIFESTAGE_CUSTOMER_KEY is another one than before, or missing"
            )
        self._write_shop(known)

    def _write_shop(self, known: dict) -> None:
        text, staged = json.dumps(known, indent=2) + "\n", self._shop_file.with_suffix(f".{os.getpid()}")
        if self._shop_file.exists() and self._shop_file.read_text() == text:
            return
        staged.write_text(text)
        os.replace(staged, self._shop_file)  # other processes read it at any time
