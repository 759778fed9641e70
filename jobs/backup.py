"""Copy the warehouse, the vault and MLflow into a new folder that `restore` reads: archives, files, a manifest.

The folder is for its owner alone: it holds raw ids. The home's secrets and its lake go along where asked for; keep the
customer key apart from the data, for without it no customer can be linked to earlier days.
"""

import argparse
import logging
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from expectations.errors import SetupError
from jobs.arguments import job_parser
from jobs.home import Home

if TYPE_CHECKING:
    from jobs.backups.manifest import Manifest

log = logging.getLogger(__name__)


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("backup", __doc__)
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="a folder that is new or empty")
    parser.add_argument("--secrets", action="store_true", help="the home's secrets too: the customer key, passwords")
    parser.add_argument("--lake", action="store_true", help="the lake too, which ingestion could make anew")
    return parser


def main(args: argparse.Namespace) -> None:
    from expectations.version import code_version
    from jobs.backups.manifest import Manifest

    home, target = Home.from_environment(args.home), args.to.resolve()
    home.sources  # noqa: B018 - a home without a shop holds nothing to keep
    if target.exists() and any(target.iterdir()):
        raise SetupError(f"{target} is not empty: give a new folder for each backup")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.chmod(0o700)
    manifest = Manifest(str(home.path), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", code_version(), home.key_id)
    _warehouse(home, target, manifest)
    _mlflow(home, target, manifest)
    _files(home, target, manifest, {"secrets": args.secrets, "lake": args.lake, "vault": True})
    manifest.write(target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{target}: {', '.join(manifest.parts)}; {len(manifest.files):,} files, {size / 2**20:,.1f} MB")


def _warehouse(home: Home, target: Path, manifest: "Manifest") -> None:
    """Both archives and the counts as of one moment."""
    from expectations.views import VIEWS
    from jobs.backups import dumps, stores
    from jobs.marts.warehouse import administrator, administrator_uri

    with administrator(home) as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        (snapshot,) = connection.execute("select pg_export_snapshot()").fetchone()
        server = connection.info.server_version // 10000
        for name, schemas in (("warehouse", stores.WAREHOUSE_SCHEMAS), ("vault", stores.VAULT_SCHEMAS)):
            file = f"{name}.dump"
            manifest.tools[file] = dumps.dump(administrator_uri(home), target / file, server, schemas, snapshot)
        for name in VIEWS:
            (manifest.rows[name],) = connection.execute(f"select count(*) from marts.{name}").fetchone()
    manifest.parts += ["warehouse", "vault"]


def _mlflow(home: Home, target: Path, manifest: "Manifest") -> None:
    from jobs.backups import dumps, stores
    from jobs.marts.warehouse import connect_to

    store, folder = stores.mlflow_store(home), stores.artifacts(home)
    if not store:
        log.warning("MLflow's database is its server's: give its address by MLFLOW_BACKEND_STORE_URI to keep it too")
    elif store.startswith("sqlite"):
        with (
            closing(sqlite3.connect(stores.sqlite_file(store))) as source,
            closing(sqlite3.connect(target / "mlflow.db")) as to,
        ):
            source.backup(to)
        (target / "mlflow.db").chmod(0o600)
        manifest.parts.append("mlflow")
    else:
        with connect_to(store, "mlflow", "of MLflow") as connection:
            server = connection.info.server_version // 10000
        manifest.tools["mlflow.dump"] = dumps.dump(store, target / "mlflow.dump", server)
        manifest.parts.append("mlflow")
    if folder.is_dir():
        shutil.copytree(folder, target / "artifacts")
        manifest.parts.append("artifacts")


def _files(home: Home, target: Path, manifest: "Manifest", folders: dict[str, bool]) -> None:
    from jobs.backups.stores import FILES

    for name in (name for name in FILES if (home.path / name).is_file()):
        shutil.copy2(home.path / name, target / name)
    for name, wanted in folders.items():
        if wanted and (home.path / name).is_dir():
            shutil.copytree(home.path / name, target / name, ignore=shutil.ignore_patterns("_work", "_rekey", ".*"))
            manifest.parts += [name] * (name not in manifest.parts)  # the vault's archive may be there already
