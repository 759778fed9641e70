"""What was backed up comes back: rows, rights, raw ids, models; and nothing is overwritten that nobody gave up."""

import json
import os
import shutil
import stat
from pathlib import Path

import pyarrow as pa
import pytest

from expectations.errors import DataError, SetupError
from expectations.segments import CUSTOMER_SEGMENTS, SEGMENT_SETTINGS
from jobs import backup, publish, rekey, restore
from jobs.backups import dumps, manifest, stores
from jobs.health import warehouse as health
from jobs.home import Home
from jobs.local import postgres
from jobs.marts.warehouse import connect, uri
from jobs.reading.keys import given_keys
from jobs.reading.vault_file import keep_ids
from jobs.rekeying.switch import Change
from ml.home import restoring_file, shared_home, switching_file
from tests.jobs.published import DAY, ROWS, empty_warehouse, only, segments, write

IDS = {row["customer_key"]: f"shop-{n}" for n, row in enumerate(ROWS)}


def run(module, home, *arguments):
    module.main(module.arg_parser().parse_args(["--home", str(home.path), *map(str, arguments)]))


# -- the manifest ------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    folder = tmp_path / "kept"
    (folder / "vault").mkdir(parents=True)
    (folder / "vault" / "a").write_text("one")
    (folder / "shop.json").write_text("{}")
    manifest.Manifest("/a", "now", "1", None).write(folder)
    return folder


def test_a_whole_backup_reads_as_it_was_written(kept):
    assert sorted(manifest.read(kept).files) == ["shop.json", "vault/a"]
    assert stat.S_IMODE((kept / manifest.FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("harm", ["changed", "missing", "added", "unfinished"])
def test_a_damaged_backup_is_refused_before_anything_is_touched(kept, tmp_path, harm):
    if harm == "changed":
        (kept / "vault" / "a").write_text("two")
    elif harm == "missing":
        (kept / "vault" / "a").unlink()
    elif harm == "added":
        (kept / "vault" / "b").write_text("")
    else:
        (kept / manifest.FILE).unlink()
    with pytest.raises(DataError, match="no whole backup" if harm == "unfinished" else r"is damaged: vault/[ab]"):
        run(restore, Home(tmp_path / "new"), "--from", kept)
    assert not (tmp_path / "new").exists()


def test_a_backup_needs_an_empty_folder_and_a_restore_a_new_home(home, kept):
    with pytest.raises(SetupError, match="not empty"):
        run(backup, home, "--to", kept)
    with pytest.raises(SetupError, match="--replace"):
        run(restore, home, "--from", kept)


def test_a_restore_without_the_backups_key_is_refused(home, kept, tmp_path, monkeypatch):
    text = (home.secrets / "customer_key").read_text()
    about = json.loads((kept / manifest.FILE).read_text())
    (kept / manifest.FILE).write_text(json.dumps(about | {"key_id": given_keys(home).key_id}))
    new = Home(tmp_path / "new")
    with pytest.raises(SetupError, match=r"is missing: put it into .*customer_key"):
        run(restore, new, "--from", kept)
    new.secrets.mkdir(parents=True)
    (new.secrets / "customer_key").write_text("ab" * 32)
    with pytest.raises(SetupError, match=given_keys(new).key_id):
        run(restore, new, "--from", kept)
    monkeypatch.setenv("LIFESTAGE_CUSTOMER_KEY", "ab" * 32)  # it wins over the file
    with pytest.raises(SetupError, match="put it into LIFESTAGE_CUSTOMER_KEY first"):
        run(restore, new, "--from", kept)
    assert text


def test_a_restore_refuses_what_mlflow_holds_before_anything_is_written(kept, tmp_path, monkeypatch):
    store = tmp_path / "mlflow.db"
    store.write_text("runs")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    about = json.loads((kept / manifest.FILE).read_text())
    (kept / manifest.FILE).write_text(json.dumps(about | {"parts": ["warehouse", "vault", "mlflow"]}))
    new = Home(tmp_path / "new")
    with pytest.raises(SetupError, match="MLflow's database is not empty: give --replace"):
        run(restore, new, "--from", kept)
    assert [path.relative_to(new.path).as_posix() for path in new.path.rglob("*")] == ["run", "run/home.lock"]


def test_a_restore_refuses_published_days_before_anything_is_written(published, kept, tmp_path, monkeypatch):
    home, _ = published
    monkeypatch.setenv("LIFESTAGE_WAREHOUSE_URI", uri(home, "postgres", "warehouse"))
    with pytest.raises(SetupError, match="the warehouse holds published days: give --replace"):
        run(restore, Home(tmp_path / "new"), "--from", kept)
    assert not (tmp_path / "new" / "shop.json").exists()


def test_a_user_who_may_not_touch_the_vault_is_refused_before_anything_is_written(
    published, kept, tmp_path, monkeypatch
):
    home, _ = published
    monkeypatch.setenv("LIFESTAGE_WAREHOUSE_URI", uri(home, "lifestage_writer"))
    refused = pytest.raises(SetupError, match=r"lifestage_writer may not touch the vault: .* of the administrator")
    with refused:
        run(backup, home, "--to", tmp_path / "new")
    with refused:
        run(restore, home, "--from", kept, "--replace")
    with refused:
        run(rekey, home)
    assert not restoring_file(home.path).exists()
    assert not Change(home).folder.exists()
    assert not list((tmp_path / "new").iterdir())


def test_what_a_restore_that_was_cut_short_left_is_nobodys_until_it_is_run_again(home, kept, tmp_path, monkeypatch):
    (kept / "artifacts").mkdir()
    about = json.loads((kept / manifest.FILE).read_text())
    (kept / manifest.FILE).write_text(json.dumps(about | {"parts": ["warehouse", "vault", "artifacts"]}))
    (tmp_path / "a file").write_text("")  # in which no models can be put
    monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", (tmp_path / "a file" / "models").as_uri())
    (home.path / "settings.yaml").write_text("a: 1")
    for more in (["--replace"], []):
        with pytest.raises(OSError, match="a file"):
            run(restore, home, "--from", kept, *more)
        assert not (home.path / "settings.yaml").exists()  # the backup has none
        assert (home.vault / "a").read_text() == "one"
        with pytest.raises(SetupError, match=r"a restore of .* was cut short: run it again"), shared_home(home.path):
            pass


def test_a_key_change_that_was_cut_short_is_put_aside_with_its_lake_alone(home, kept):
    Change(home).folder.mkdir()
    switching_file(home.path).touch()
    with pytest.raises(SetupError, match="end it by rekey, or restore a backup that holds the lake"):
        run(restore, home, "--from", kept, "--replace")
    assert Change(home).is_switching
    assert not restoring_file(home.path).exists()


def test_a_home_whose_vault_is_an_archive_alone_is_kept_and_comes_back(home, tmp_path):
    """Its folder comes with the first delivery; the archive of the warehouse's schema has the same name."""
    about, target = manifest.Manifest("/a", "now", "1", None, parts=["warehouse", "vault"]), tmp_path / "kept"
    target.mkdir()
    shutil.rmtree(home.vault, ignore_errors=True)
    backup._files(home, target, about, {"vault": True})
    restore._files(Home(tmp_path / "new"), target, about)
    assert not (tmp_path / "new" / "vault").exists()
    home.vault.mkdir()
    (home.vault / "ids").write_text("raw")
    shutil.rmtree(target)
    target.mkdir()
    backup._files(home, target, about, {"vault": True})
    assert about.parts == ["warehouse", "vault"]
    restore._files(Home(tmp_path / "new"), target, about)
    assert (tmp_path / "new" / "vault" / "ids").read_text() == "raw"


def test_tools_fit_the_server(monkeypatch):
    """One before 17 refuses what newer tools say, and its own read no archive of theirs."""
    monkeypatch.setattr(dumps.shutil, "which", lambda name: None)
    assert dumps.tool("pg_dump", 17, 17).name == "pg_dump"
    for server in (15, 16):
        with pytest.raises(SetupError, match=f"no pg_dump of PostgreSQL {server} for a server of {server}: install"):
            dumps.tool("pg_dump", server, server)
    with pytest.raises(SetupError, match="no pg_dump of PostgreSQL 19 or newer"):
        dumps.tool("pg_dump", 19, 19)


def test_a_folder_that_is_a_volumes_is_emptied_and_not_removed(home, kept, tmp_path, monkeypatch):
    volume = tmp_path / "volume"
    (volume / "old" / "run").mkdir(parents=True)
    (volume / "old.txt").touch()
    (kept / "artifacts").mkdir()
    (kept / "artifacts" / "model").write_text("kept")
    monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", volume.as_uri())
    held = os.open(volume, os.O_RDONLY)  # or a new folder might get its number
    try:
        restore._files(home, kept, manifest.Manifest("/a", "now", "1", None, parts=["artifacts"]))
        assert os.path.samestat(os.fstat(held), volume.stat())
    finally:
        os.close(held)
    assert [one.name for one in volume.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("variables", "store"),
    [
        ({"MLFLOW_TRACKING_URI": "http://mlflow:5000"}, ""),
        ({"MLFLOW_TRACKING_URI": "http://m:5000", "MLFLOW_BACKEND_STORE_URI": "postgresql+psycopg2://u:p@h/mlflow"},
         "postgresql://u:p@h/mlflow"),
        ({"MLFLOW_TRACKING_URI": "sqlite:////data/mlflow.db"}, "sqlite:////data/mlflow.db"),
    ],
)  # fmt: skip
def test_where_mlflow_keeps_its_runs(home, monkeypatch, variables, store):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert stores.mlflow_store(home) == store
    monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", "file:///data/a%20b")
    assert stores.artifacts(home) == Path("/data/a b")


# -- there and back ----------------------------------------------------------------------------------------------------


@pytest.fixture
def published(warehouse_home, tmp_path_factory):
    """A published day whose customers the vault knows, and a run of MLflow with a file."""
    from ml.tracking import initialise, mlflow_for

    home = empty_warehouse(warehouse_home, tmp_path_factory.mktemp("before"))
    rows = [{"customer_key": key, "customer_id": raw, "key_id": "k"} for key, raw in IDS.items()]
    keep_ids(home, DAY, [pa.Table.from_pylist(rows)])
    with only(CUSTOMER_SEGMENTS, SEGMENT_SETTINGS):
        write(home, segments())
        publish.publish(home, DAY)
    mlflow = mlflow_for(home.path)
    with mlflow.start_run(experiment_id=initialise(home.path), run_name="a run") as run:
        mlflow.log_text("learnt", "words.txt")
    return home, run.info.run_id


@pytest.mark.slow
def test_what_was_kept_comes_back_with_its_rights_in_another_home(published, tmp_path_factory):
    import tempfile

    from ml.tracking import mlflow_for

    home, run_id = published
    folder = Path(tempfile.mkdtemp(prefix="lifestage back ups "))  # where another account's server may pass
    try:
        run(backup, home, "--to", folder / "kept", "--secrets", "--lake")
        assert stat.S_IMODE((folder / "kept").stat().st_mode) == 0o700
        other = Home(folder / "other")
        run(restore, other, "--from", folder / "kept")
        query = "select * from customer_segments_history order by customer_key"
        with connect(home, "bi_reader") as one, connect(other, "bi_reader") as two:
            assert one.execute(query).fetchall() == two.execute(query).fetchall() != []
        assert "nothing else" in health.grants(other)
        assert "tables" in health.tables(other)
        with connect(other, "activation") as activation:
            assert dict(activation.execute("select customer_key, customer_id from vault.customer_ids")) == IDS
        found = mlflow_for(other.path).MlflowClient().get_run(run_id)
        assert found.info.artifact_uri.startswith(other.mlflow.as_uri())
        assert mlflow_for(other.path).artifacts.load_text(f"{found.info.artifact_uri}/words.txt") == "learnt"
        # The restored home goes on: the day is published again, and once more put back.
        with only(CUSTOMER_SEGMENTS, SEGMENT_SETTINGS):
            publish.publish(other, DAY)
        with pytest.raises(SetupError, match="--replace"):
            run(restore, other, "--from", folder / "kept")
        # Over a change of the key that was cut short; then as after a kill between two archives.
        change = Change(other)
        for one in (change.lake, change.folder):
            one.mkdir()
        switching_file(other.path).touch()
        run(restore, other, "--from", folder / "kept", "--replace")
        assert [one for one in (change.lake, change.folder, restoring_file(other.path)) if one.exists()] == []
        restoring_file(other.path).touch()
        with connect(other, "postgres", autocommit=True) as admin:
            admin.execute("drop schema vault cascade; drop schema marts cascade")
        run(restore, other, "--from", folder / "kept")
        assert not restoring_file(other.path).exists()
        with connect(other, "bi_reader") as two:
            assert two.execute("select count(*) from publish_log").fetchone() == (1,)
    finally:
        postgres.stop(Home(folder / "other"))
        shutil.rmtree(folder)
