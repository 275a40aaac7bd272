"""API keys, and which tenant a request belongs to.

A tenant is a key. Tenants share the engine and nothing else: none can cancel another's request, and none
finds another's prompt in the prefix cache, so that the time to a first token tells nobody what others asked.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

MIN_KEY_CHARS = 8
NOBODY = "nobody"  # the tenant of a server without keys


class ApiKeys:
    def __init__(self, keys: Sequence[str] = ()):
        for key in keys:
            if len(key) < MIN_KEY_CHARS or not (key.isascii() and key.isprintable()) or " " in key:
                raise ValueError(
                    f"an API key must have at least {MIN_KEY_CHARS} visible ASCII characters and no space"
                )
        self._digests = [_digest(key) for key in keys]
        self._secret = secrets.token_bytes(32)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def tenant(self, authorization: str | None) -> str | None:
        """Whose request it is, by its Authorization header; None: nobody's who may ask.

        Bearer is what API clients send. Basic, with the key as the password, is what a browser asks its user
        for. Every key is compared whole, so the time taken does not depend on how much of one was right.
        """
        if not self._digests:
            return NOBODY
        given = _digest(_key_of(authorization or ""))
        found = None
        for number, digest in enumerate(self._digests):
            if hmac.compare_digest(given, digest):
                found = f"key{number}"
        return found

    def salt(self, tenant: str, user: str) -> str:
        """What separates the prefixes of this tenant's user from all others', known to this process alone."""
        return hmac.new(self._secret, f"{tenant}\0{user}".encode(), "sha256").hexdigest()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _key_of(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
