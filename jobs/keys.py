"""The shop's customer ids end here: customer_key is HMAC-SHA-256 of the cleaned id under a key of the home's own."""

import hashlib
import hmac
import os
import secrets

from expectations.errors import SetupError
from jobs.home import Home
from jobs.home_secrets import secret


def ensure_key(home: Home) -> None:
    """Makes the home's key if it has none. Losing the key orphans every customer_key made with it."""
    secret(home, "customer_key", make=lambda: secrets.token_hex(32))


class CustomerKeys:
    """Keys customer ids under one secret; ``key_id`` names the secret without revealing it."""

    def __init__(self, secret: bytes):
        self._secret = secret
        self.key_id = hashlib.sha256(b"key_id:" + secret).hexdigest()[:12]

    @classmethod
    def of(cls, home: Home) -> "CustomerKeys":
        """The home's keys: $LIFESTAGE_CUSTOMER_KEY (hex), else the file in its secrets."""
        text = os.environ.get("LIFESTAGE_CUSTOMER_KEY")
        path = home.secrets / "customer_key"
        if not text and not path.exists():
            raise SetupError(f"no customer key in {home.secrets}: run `python -m jobs setup --source NAME` first")
        try:
            return cls(bytes.fromhex(text or path.read_text()))
        except ValueError as error:
            raise SetupError(
                "the customer key is not hexadecimal: LIFESTAGE_CUSTOMER_KEY or secrets/customer_key"
            ) from error

    def key(self, customer_id: str) -> str:
        """The key of a cleaned id: 32 hexadecimal digits (128 bits of the HMAC; 2^64 customers before a collision)."""
        return hmac.new(self._secret, customer_id.encode(), hashlib.sha256).hexdigest()[:32]
