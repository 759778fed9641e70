"""Change the home's customer key, and with it every key that was made with the old one.

Lake and vault are made anew beside the old while jobs go on; the old key works until the switch, which waits until no
job works on the home. Readers of the marts see all of the old keys or all of the new. Killed at any time, run it again:
it goes on where it was. The new key is made, or given in hexadecimal by LIFESTAGE_NEW_CUSTOMER_KEY, which is needed
where LIFESTAGE_CUSTOMER_KEY gives the old one. docs/runbook.md says what changes for the shop.
"""

import argparse
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from expectations.errors import SetupError, UnavailableError
from jobs.arguments import job_parser
from jobs.home import Home
from jobs.home_lock import home_alone
from jobs.reading.keys import VARIABLE, CustomerKeys, secret_bytes
from ml.home import refuse_half_restored

if TYPE_CHECKING:
    from jobs.rekeying.switch import Change

log = logging.getLogger(__name__)

SHARES_HOME = False  # in the end it needs the home alone
NEW_VARIABLE = "LIFESTAGE_NEW_CUSTOMER_KEY"


def arg_parser() -> argparse.ArgumentParser:
    parser = job_parser("rekey", __doc__)
    parser.add_argument("--wait", type=float, default=600, metavar="S", help="for running jobs to end (default: 600 s)")
    return parser


def main(args: argparse.Namespace) -> None:
    from jobs.rekeying.switch import Change

    change = Change(Home.from_environment(args.home))
    change.home.sources  # noqa: B018 - a home without a shop has no customers
    refuse_half_restored(change.home.path)
    with _only_change(change.home):
        if change.has_ended:
            change.clean()
        else:
            rekey(change, args.wait)
    print(f"the customers of {change.home.path} are keyed under key {change.home.key_id}")
    if os.environ.get(VARIABLE):
        print(f"set {VARIABLE} to what {NEW_VARIABLE} says, wherever it is set: the old one is refused from now on")


def rekey(change: "Change", wait_s: float) -> None:
    """The whole of it, or what an earlier call left to do."""
    from jobs.marts.warehouse import administrator, is_external
    from jobs.rekeying.key_map import KeyMap
    from jobs.rekeying.lake_copy import copy_lake

    if is_external():
        administrator(change.home).close()  # refused now rather than in the switch, which can only be ended
    home, given = change.home, os.environ.get(VARIABLE)
    old, new = change.begin(*_texts(home, change.is_switching))
    if os.environ.get(NEW_VARIABLE) and _key_id(NEW_VARIABLE) != new.key_id:
        raise SetupError(
            f"a change to key {new.key_id} has begun, which {NEW_VARIABLE} is not: end it without that variable"
            + (f", or give it up by deleting {change.folder} and {change.lake}" if not change.is_switching else "")
        )
    if not change.is_switching:
        copied = copy_lake(home.lake, change.lake / "new", KeyMap.of(home, old, new, change.vaults))
        log.info("%d partitions are under the new key %s; waiting for running jobs to end", copied, new.key_id)
    with home_alone(home, wait_s):
        keys = KeyMap.of(home, old, new, change.vaults)
        if not change.is_switching:
            log.info("%d more partitions", copy_lake(home.lake, change.lake / "new", keys))
            change.copy_vault(keys)
        change.switch(keys, is_given=bool(given))


def _texts(home: Home, is_switching: bool) -> tuple[str, str | None]:
    """The old key, which must be the home's, and the new one if it is given."""
    given, new = os.environ.get(VARIABLE), os.environ.get(NEW_VARIABLE)
    if given and not new:
        raise SetupError(
            f"{VARIABLE} gives the old key, so give the new one by {NEW_VARIABLE} (`openssl rand -hex 32`)"
        )
    if not is_switching and CustomerKeys.of(home).key_id == (new and _key_id(NEW_VARIABLE)):
        raise SetupError(f"{NEW_VARIABLE} is the key that the home has")
    return given or (home.secrets / "customer_key").read_text(), new


def _key_id(variable: str) -> str:
    return CustomerKeys(secret_bytes(os.environ[variable], variable)).key_id


@contextmanager
def _only_change(home: Home) -> Iterator[None]:
    home.run.mkdir(parents=True, exist_ok=True)
    with open(home.run / "rekey.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnavailableError(f"another rekey of {home.path} is running") from error
        yield
