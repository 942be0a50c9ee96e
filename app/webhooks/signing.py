"""Signatures after Standard Webhooks: HMAC-SHA256 over id, time and body, with the secrets of an endpoint."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

PREFIX = "whsec_"
_MIN_BYTES, _MAX_BYTES, _NEW_BYTES = 24, 64, 32


def new_secret() -> str:
    """Return a random secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_NEW_BYTES)).decode()


def is_secret(text: str) -> bool:
    """Return whether a text is a secret: `whsec_` and the base64 of 24 to 64 bytes."""
    if not text.startswith(PREFIX):
        return False
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return False
    return _MIN_BYTES <= len(key) <= _MAX_BYTES


def live_secrets(stored_secrets: Sequence[Mapping[str, Any]], now: datetime) -> list[str]:
    """Return the secrets of an endpoint that have not expired, the newest first."""
    return [
        own["secret"]
        for own in stored_secrets
        if own["expires_at"] is None or datetime.fromisoformat(own["expires_at"]) > now
    ]


def sign(secret_texts: Sequence[str], *, id: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that sign a message, with one signature for each secret.

    now: the time of the attempt, by which a receiver refuses what is old.
    """
    timestamp = str(int(now.timestamp()))
    content = f"{id}.{timestamp}.".encode() + body
    signatures = (_signature(secret, content) for secret in secret_texts)
    return {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return f"v1,{base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()}"
