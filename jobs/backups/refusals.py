"""What a restore is refused for, before anything is written."""

import os
from pathlib import Path

from expectations.errors import SetupError
from jobs.backups import dumps, stores
from jobs.backups.manifest import Manifest
from jobs.home import Home
from jobs.local.postgres_cluster import is_made
from jobs.marts.warehouse import administrator, connect_to, is_external
from jobs.reading.keys import VARIABLE, CustomerKeys, secret_bytes


def other_key(home: Home, folder: Path, kept: Manifest) -> None:
    """Data without their key are lost to whoever links them."""
    files = (folder / "secrets" / "customer_key", home.secrets / "customer_key")
    text = os.environ.get(VARIABLE) or next((file.read_text().strip() for file in files if file.is_file()), "")
    found = CustomerKeys(secret_bytes(text, VARIABLE)).key_id if text else None
    if kept.key_id and found != kept.key_id:
        raise SetupError(
            f"the backup's customers are keyed under key {kept.key_id}, the key here is {found or 'missing'}: put it "
            f"into {VARIABLE if os.environ.get(VARIABLE) else files[1]} first"
        )


def half_way(home: Home, kept: Manifest) -> None:
    """On a server of the user's own: who may not make the vault, or tools that the server does not understand."""
    if not is_external():
        return
    with administrator(home) as connection:
        made_by = max(map(int, kept.tools.values()), default=0)
        dumps.tool("pg_restore", connection.info.server_version // 10000, made_by)


def filled(home: Home, kept: Manifest) -> None:
    """What home, warehouse and MLflow hold, where they are there, nobody has given up."""
    if (home.path / "shop.json").exists():
        raise SetupError(f"{home.path} is a shop's home: give another by --home, or --replace to put it aside for good")
    if is_external() or is_made(home):
        with administrator(home) as connection:
            log_is_there = connection.execute("select to_regclass('marts.publish_log')").fetchone()[0]
            if log_is_there and connection.execute("select from marts.publish_log limit 1").rowcount:
                raise SetupError("the warehouse holds published days: give --replace to put what was kept in place")
    store = stores.mlflow_store(home) if "mlflow" in kept.parts else ""
    if _holds_something(store):
        raise SetupError("MLflow's database is not empty: give --replace to put what was kept in its place")


def _holds_something(store: str) -> bool:
    if not store.startswith("postgresql"):
        return bool(store) and stores.sqlite_file(store).exists()
    with connect_to(store, "mlflow", "of MLflow") as connection:
        return bool(connection.execute("select from pg_tables where schemaname = 'public' limit 1").rowcount)
