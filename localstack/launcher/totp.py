"""Codes of an authenticator app (RFC 6238: HMAC-SHA-1, 30 seconds, six digits)."""

import base64
import hmac
import struct
import time

STEP_S = 30


def step(at: float | None = None) -> int:
    return int((time.time() if at is None else at) // STEP_S)


def code(secret: str, step: int) -> str:
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.digest(key, struct.pack(">Q", step), "sha1")
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at : at + 4], 'big') & 0x7FFFFFFF) % 10**6:06d}"
