"""Whether MLflow answers: asked first, since MLflow itself asks a dead server or database again for minutes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from expectations.errors import UnavailableError
from ml.home import HomePath, home_folder, tracking_uri

if TYPE_CHECKING:
    from sqlalchemy import Connection

ANSWER_SECONDS = 10


def is_server(uri: str) -> bool:
    """Whether MLflow is reached through a server of its own, and not in its database."""
    return uri.startswith(("http://", "https://"))


def require_answer(home: HomePath = None) -> None:
    """UnavailableError unless the home's MLflow answers. A process that was answered asks that address no more."""
    _ask(tracking_uri(home), home_folder(home))


@cache
def _ask(uri: str, home: Path) -> None:
    if is_server(uri):
        _ask_server(uri, home)
    elif not uri.startswith("sqlite:"):  # a file, which MLflow makes if it is missing
        with connected(home):
            pass


def _ask_server(uri: str, home: Path) -> None:
    from http.client import HTTPException
    from ssl import SSLError
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        # Without the address's password: MLflow's health is everybody's to know, and a refusal is an answer too.
        urlopen(f"{_plain(uri)}/health", timeout=ANSWER_SECONDS).close()
    except HTTPError as error:
        if error.code in (502, 503, 504):  # a gateway speaks for a server that does not
            raise silent(home, error) from error
    except (OSError, HTTPException) as error:
        # Whom to trust is MLflow's own to say: MLFLOW_TRACKING_INSECURE_TLS, MLFLOW_TRACKING_SERVER_CERT_PATH.
        if not (isinstance(error, URLError) and isinstance(error.reason, SSLError)):
            raise silent(home, getattr(error, "reason", error)) from error


def _plain(uri: str) -> str:
    """A server's address without user and password."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")


@contextmanager
def connected(home: HomePath = None) -> "Iterator[Connection]":
    """A connection to MLflow's database; UnavailableError if it does not answer."""
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.pool import NullPool

    uri = make_url(tracking_uri(home))
    if uri.get_backend_name() == "postgresql" and "connect_timeout" not in uri.query:
        uri = uri.update_query_dict({"connect_timeout": str(ANSWER_SECONDS)})
    try:
        with create_engine(uri, poolclass=NullPool).connect() as connection:
            yield connection
    except OperationalError as error:
        raise silent(home, error.orig) from error


def silent(home: HomePath, cause: object) -> UnavailableError:
    """That the home's MLflow does not answer, where, and what to do."""
    uri, why = tracking_uri(home), (str(cause).strip().splitlines() or [repr(cause)])[0]
    if is_server(uri):
        what, address = "MLflow", _plain(uri)
    else:
        from sqlalchemy.engine import make_url

        what, address = "MLflow's database", make_url(uri).render_as_string(hide_password=True)
    if os.environ.get("MLFLOW_TRACKING_URI"):
        mend = "Start it, or correct MLFLOW_TRACKING_URI, which names it"
    else:
        mend = f"The home's own server is started by `python -m jobs setup --home '{home_folder(home)}' --source NAME`"
    return UnavailableError(f"{what} does not answer at {address}: {why}. {mend}")


@contextmanager
def store_errors(home: HomePath = None) -> Iterator[None]:
    """UnavailableError where MLflow does not answer, or stops answering within the block; other errors as they are."""
    require_answer(home)
    try:
        yield
    except Exception as error:
        if cause := _silence(error):
            raise silent(home, cause) from error
        raise


def _silence(error: Exception) -> object:
    """What says that the server or database did not answer: the error, or what it was raised for; None if nothing."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import OperationalError

    if not isinstance(error, MlflowException | RequestException | OperationalError):
        return None
    for one in (error, error.__cause__ or error.__context__):
        if isinstance(one, OperationalError):
            return one.orig
        if isinstance(one, RequestException):
            return one
    return error if getattr(error, "error_code", "") == "TEMPORARILY_UNAVAILABLE" else None
