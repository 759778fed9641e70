"""The home on its disk: whether it can be written, and whether its secrets are its owner's alone."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from expectations.errors import SetupError
from jobs.health.finding import Doubt
from jobs.home import Home
from jobs.reading.keys import given_keys
from ml.home import shared_home


def home_writable(home: Home) -> str:
    if not home.path.is_dir():
        raise SetupError(f"{home.path} is no folder: set LIFESTAGE_HOME, or run `python -m jobs setup --source NAME`")
    with shared_home(home.path):  # refuses what a restore or a change of the key has left half done
        sources = ", ".join(home.sources)
    for folder in (home.path, home.lake, home.run, home.logs, home.validations, home.mlflow):
        if folder.exists():
            try:
                tempfile.TemporaryFile(dir=folder).close()
            except OSError as error:
                raise SetupError(
                    f"{folder} cannot be written by this account ({error.strerror}): run as its owner, or "
                    f"`chown -R {os.geteuid()} '{home.path}'`"
                ) from error
    return f"{home.path}, sources {sources}"


def secret_files(home: Home) -> str:
    """Secrets, raw ids and the address with a password in it are for the owner alone."""
    paths = list(_private(home))
    wrong = [f"{path} ({stat.S_IMODE(path.stat().st_mode):o})" for path in paths if path.stat().st_mode & 0o077]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        mend = f"`chmod -R go= '{home.secrets}' '{home.vault}'`"
        raise SetupError(f"others may read {', '.join(wrong[:3])}{more}: {mend}, then change what they may have read")
    return f"{len(paths)} files and folders are their owner's alone"


def _private(home: Home) -> Iterator[Path]:
    for folder in (home.secrets, home.vault):
        if folder.is_dir():
            yield folder
            yield from (path for path in folder.iterdir() if path.is_file())
    if (home.mlflow / "tracking_uri").is_file():
        yield home.mlflow / "tracking_uri"


def customer_key(home: Home) -> str:
    """The key given is the one that the home's data are made with."""
    found, known = given_keys(home).key_id, home.key_id
    if known is None:
        return f"key {found}; nothing is ingested yet"
    if found != known:
        raise SetupError(
            f"the home's customers are keyed under key {known}, the key given is {found}: put the right one back "
            "(LIFESTAGE_CUSTOMER_KEY, secrets/customer_key, or a backup)"
        )
    if not os.environ.get("LIFESTAGE_CUSTOMER_KEY") and not any(home.vault.glob("*.parquet")):
        raise Doubt(f"key {found}; {home.vault} holds no ids: nothing can be exported or re-keyed")
    return f"key {found}, as in the home's data"
