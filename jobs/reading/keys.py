"""The shop's customer ids end here: customer_key is HMAC-SHA-256 of the cleaned id under a key of the home's own."""

import hashlib
import os
import secrets
from functools import lru_cache

import pyarrow as pa

from expectations.errors import SetupError
from jobs.home import Home
from jobs.home_secrets import secret
from jobs.reading.coded import Coded

VARIABLE = "LIFESTAGE_CUSTOMER_KEY"
LEAST_BYTES = 16
MOST_KNOWN = 1 << 18
"""Keys that are held in memory, about 60 MB."""


def ensure_key(home: Home) -> None:
    """Makes the home's key if it has none and none is given. Losing the key orphans every customer_key made with it."""
    if not os.environ.get(VARIABLE):
        secret(home, "customer_key", make=lambda: secrets.token_hex(32))


class CustomerKeys:
    """Keys customer ids under one secret; ``key_id`` names the secret without revealing it."""

    def __init__(self, secret: bytes):
        # HMAC is a hash of a hash, each begun with the secret: begun once, they are copied for every id.
        padded = (secret if len(secret) <= 64 else hashlib.sha256(secret).digest()).ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
        self.key = lru_cache(MOST_KNOWN)(self._key)  # customers come again, day after day
        self.key_id = hashlib.sha256(b"key_id:" + secret).hexdigest()[:12]

    @classmethod
    def of(cls, home: Home) -> "CustomerKeys":
        """The home's keys: see ``given_keys``.

        The first key used is the home's until it is changed by `rekey`; SetupError for another, which would make every
        customer a new one.
        """
        keys = given_keys(home)
        home.hold_key(keys.key_id)
        return keys

    def _key(self, customer_id: str) -> str:
        """The key of a cleaned id: 32 hexadecimal digits (128 bits of the HMAC; 2^64 customers before a collision)."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(customer_id.encode())
        outer.update(inner.digest())
        return outer.hexdigest()[:32]

    def of_ids(self, ids: Coded) -> Coded:
        """Every distinct id keyed once. Null stays null."""
        return Coded(ids.codes, pa.array(map(self.key, ids.values.to_pylist()), pa.string()))


def given_keys(home: Home) -> CustomerKeys:
    """Under $LIFESTAGE_CUSTOMER_KEY (hex), else the file in the home's secrets; whether or not it is the home's."""
    text = os.environ.get(VARIABLE)
    path = home.secrets / "customer_key"
    if not text and not path.exists():
        raise SetupError(f"no customer key in {home.secrets}: run `python -m jobs setup --source NAME` first")
    return CustomerKeys(secret_bytes(text or path.read_text(), VARIABLE if text else str(path)))


def secret_bytes(text: str, where: str) -> bytes:
    """The secret that ``text`` spells in hexadecimal; ``where`` it stands is what errors speak of."""
    try:
        raw = bytes.fromhex(text)
    except ValueError as error:
        raise SetupError(f"the customer key is not hexadecimal: {where}") from error
    if len(raw) < LEAST_BYTES:
        raise SetupError(f"the customer key has {len(raw)} bytes, at least {LEAST_BYTES} are needed: {where}")
    return raw
