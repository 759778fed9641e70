"""Fixtures that several rooms share. Heavy imports stay inside: both environments read this file."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jobs.home import Home


@pytest.fixture(scope="session")
def warehouse_home() -> "Iterator[Home]":
    """A set-up home with its server running, in a path with a space. Shared: publish days of your own in it.

    Outside pytest's own temporary folder, which every pytest of the user closes to others: if root runs the tests,
    the server is another user's and has to pass.
    """
    from jobs import setup
    from jobs.home import Home
    from jobs.local import postgres

    folder = Path(tempfile.mkdtemp(prefix="lifestage tests "))
    home = Home(folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LIFESTAGE_WAREHOUSE_URI", "MLFLOW_TRACKING_URI"):  # tests empty what they are given
            patch.delenv(name, raising=False)
        setup.main(setup.arg_parser().parse_args(["--home", str(home.path), "--source", "complete_journey"]))
        yield home
        postgres.stop(home)
    shutil.rmtree(folder)
