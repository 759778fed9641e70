"""Secrets of a home: made on first use, kept in files that only the invoking user can read."""

import os
import secrets
from collections.abc import Callable

from jobs.home import Home


def secret(home: Home, name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(24)) -> str:
    """The secret of that name; ``make`` gives its text if there is none yet. Several may ask at once."""
    file = home.secrets / name
    if not file.exists():
        home.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.secrets.chmod(0o700)
        staged = home.secrets / f".{name}-{secrets.token_hex(4)}"
        with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(make() + "\n")
        try:
            os.link(staged, file)  # unlike a rename, this leaves what another process has made meanwhile
        except FileExistsError:
            pass
        finally:
            staged.unlink()
    return file.read_text().strip()
