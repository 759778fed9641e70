"""Where a home's databases and files are: the addresses, by who may dump and restore them."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from expectations.views import VIEWS
from jobs.home import Home
from jobs.local.postgres_cluster import is_made
from jobs.marts.warehouse import READER, connect, uri

WAREHOUSE_SCHEMAS = ("warehouse", "marts")
VAULT_SCHEMAS = ("vault",)
FILES = ("shop.json", "settings.yaml", "strategies.yaml", "risk_labels.csv")
"""What the home holds besides folders; what is not there is left out."""


def mlflow_store(home: Home) -> str:
    """MLflow's database: MLFLOW_BACKEND_STORE_URI, as its server is given it, else where the home's runs go.

    Empty where that is a server, which alone knows its database.
    """
    given = os.environ.get("MLFLOW_BACKEND_STORE_URI") or os.environ.get("MLFLOW_TRACKING_URI")
    if not given:
        return uri(home, "mlflow", "mlflow") if is_made(home) else ""
    scheme, _, rest = given.partition("://")
    if scheme.startswith("postgresql"):
        return f"postgresql://{rest}"
    return given if scheme == "sqlite" else ""


def artifacts(home: Home) -> Path:
    """Where models and plots lie: MLFLOW_ARTIFACTS_DESTINATION, as a server is given it, else the home's."""
    given = os.environ.get("MLFLOW_ARTIFACTS_DESTINATION", "")
    parts = urlsplit(given)
    return Path(unquote(parts.path)) if given and parts.scheme in ("", "file") else home.mlflow / "artifacts"


def sqlite_file(store: str) -> Path:
    return Path(store.removeprefix("sqlite:///"))


def rows_of_views(home: Home) -> dict[str, int]:
    """As bi_reader sees them."""
    with connect(home, READER) as connection:
        return {name: connection.execute(f"select count(*) from marts.{name}").fetchone()[0] for name in VIEWS}
