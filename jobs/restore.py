"""Bring back what `backup` kept: into a new home, or with --replace over one that is there.

Checks the backup first, and reads every view as bi_reader in the end: as many rows as were kept. Where the backup holds
no secrets, put <home>/secrets/customer_key there first; passwords of roles are made anew. Killed at any time, run it
again: until it has ended, no other command works on the home.
"""

import argparse
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from expectations.errors import DataError, SetupError
from jobs.arguments import job_parser
from jobs.home import Home
from ml.home import restoring_file

if TYPE_CHECKING:
    import psycopg

    from jobs.backups.manifest import Manifest

log = logging.getLogger(__name__)

SHARES_HOME = False  # it needs the home alone
WAIT_S = 60
LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
"""Where MLflow keeps the places of files, as whole addresses."""


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("restore", __doc__)
    parser.add_argument("--from", dest="folder", type=Path, required=True, metavar="DIR", help="what backup wrote")
    parser.add_argument("--replace", action="store_true", help="over what the home, warehouse and MLflow hold now")
    return parser


def main(args: argparse.Namespace) -> None:
    from jobs import setup
    from jobs.backups import manifest, refusals, stores
    from jobs.home_lock import home_alone
    from jobs.rekeying.switch import Change

    home, folder = Home.from_environment(args.home), args.folder.resolve()
    kept, change, mark = manifest.read(folder), Change(home), restoring_file(home.path)
    home.run.mkdir(parents=True, exist_ok=True)
    with home_alone(home, WAIT_S):
        refusals.other_key(home, folder, kept)
        if change.is_switching and "lake" not in kept.parts:
            raise SetupError(
                "a change of the customer key was cut short: end it by rekey, or restore a backup that holds the lake"
            )
        refusals.half_way(home, kept)
        replace = args.replace or mark.exists()  # what a restore that was cut short has left is nobody's
        if not replace:
            refusals.filled(home, kept)
        mark.touch(mode=0o600)
        if replace:
            _remove_files_not_kept(home, folder)
        _files(home, folder, kept)
        setup.set_up(home)
        _warehouse(home, folder, kept)
        _mlflow(home, folder, kept)
        setup.set_up(home)  # views and rights as today's code has them
        found = stores.rows_of_views(home)
        for given_up in filter(Path.exists, (change.lake, change.folder)):
            shutil.rmtree(given_up)
        mark.unlink()
    if less := {name: rows for name, rows in kept.rows.items() if found.get(name) != rows}:
        shown = ", ".join(f"{name}: {found.get(name)} rows, kept were {rows}" for name, rows in less.items())
        raise DataError(f"the views are not as they were: {shown}")
    print(f"{home.path}: {', '.join(kept.parts)} of {kept.made_at}; {sum(found.values()):,} rows in {len(found)} views")


def _remove_files_not_kept(home: Home, folder: Path) -> None:
    from jobs.backups.stores import FILES

    for name in (name for name in FILES if not (folder / name).is_file()):
        (home.path / name).unlink(missing_ok=True)


def _files(home: Home, folder: Path, kept: "Manifest") -> None:
    from jobs.backups.stores import FILES, artifacts

    places = {name: home.path / name for name in ("lake", "vault")} | {"artifacts": artifacts(home)}
    for name, place in places.items():
        if name in kept.parts and (folder / name).is_dir():  # the vault's archive is kept with or without its folder
            _empty(place)
            shutil.copytree(folder / name, place, dirs_exist_ok=True)
    home.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in (folder / "secrets").glob("*"):
        # A server that is there goes by the passwords that it has.
        if file.name == "customer_key" or not (home.secrets / file.name).exists():
            shutil.copy2(file, home.secrets / file.name)
    for name in (name for name in FILES if (folder / name).is_file()):
        shutil.copy2(folder / name, home.path / name)
    for private in (home.secrets, home.vault):
        if private.is_dir():
            private.chmod(0o700)


def _empty(place: Path) -> None:
    """The folder itself stays: it may be a volume's."""
    for each in place.iterdir() if place.is_dir() else ():
        shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()


def _warehouse(home: Home, folder: Path, kept: "Manifest") -> None:
    from jobs.backups import dumps, stores
    from jobs.marts.warehouse import WRITER, administrator, administrator_uri

    with administrator(home, autocommit=True) as connection:
        server = connection.info.server_version // 10000
        for schema in (*stores.WAREHOUSE_SCHEMAS, *stores.VAULT_SCHEMAS):
            connection.execute(f"drop schema {schema} cascade")
    for name, role in (("warehouse", WRITER), ("vault", "")):
        file = f"{name}.dump"
        dumps.restore(administrator_uri(home), folder / file, server, int(kept.tools[file]), role)
        log.info("%s is back", name)


def _mlflow(home: Home, folder: Path, kept: "Manifest") -> None:
    from jobs.backups import dumps, stores
    from jobs.marts.warehouse import connect_to

    store = stores.mlflow_store(home)
    if "mlflow" not in kept.parts:
        return
    if (folder / "mlflow.db").is_file() != store.startswith("sqlite"):
        raise SetupError("the backup's MLflow database is of another kind than MLFLOW_BACKEND_STORE_URI names")
    if store.startswith("sqlite"):
        shutil.copy2(folder / "mlflow.db", stores.sqlite_file(store))
        return
    with connect_to(store, "mlflow", "of MLflow", autocommit=True) as connection:
        connection.execute("drop owned by current_user cascade")
        connection.execute("create schema if not exists public")
        server = connection.info.server_version // 10000
    dumps.restore(store, folder / "mlflow.dump", server, int(kept.tools["mlflow.dump"]))
    with connect_to(store, "mlflow", "of MLflow") as connection:
        _move_artifacts(connection, Path(kept.home) / "mlflow" / "artifacts", stores.artifacts(home))
    log.info("mlflow is back")


def _move_artifacts(connection: "psycopg.Connection", old: Path, new: Path) -> None:
    """A home elsewhere keeps its models elsewhere."""
    if old == new:
        return
    for table, column in LOCATIONS:
        if connection.execute("select to_regclass(%s)", [table]).fetchone()[0]:
            connection.execute(
                f"update {table} set {column} = replace({column}, %s, %s) where starts_with({column}, %s)",
                [old.as_uri(), new.as_uri(), old.as_uri()],
            )
