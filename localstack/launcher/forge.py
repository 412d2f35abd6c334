"""Tokens that no pool would issue, for tests: expired ones of the pool's own key, forged ones, other algorithms."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KEYS = ("pool", "random", "none", "hs256-public")
ALGORITHMS = {"pool": "RS256", "random": "RS256", "none": "none", "hs256-public": "HS256"}


def forge(token: str, claims: dict[str, Any], header: dict[str, Any], key: str, pool_key: Path) -> str:
    """A token like `token` with other claims and header members; null removes one. Signed as `key` says.

    `pool` signs with the pool's own private key, `random` with a new one, `none` not at all, and `hs256-public` by
    HMAC with the pool's public key, for verifiers that let a token choose its algorithm.
    """
    head, body = (_decode(part) for part in token.split(".")[:2])
    head = _changed(head | {"alg": ALGORITHMS[key]}, header)
    signed = f"{_encode(head)}.{_encode(_changed(body, claims))}"
    return f"{signed}.{_base64(_sign(signed.encode(), key, pool_key))}"


def _sign(text: bytes, key: str, pool_key: Path) -> bytes:
    if key == "none":
        return b""
    if key == "random":
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        loaded = serialization.load_pem_private_key(pool_key.read_bytes(), None)
        assert isinstance(loaded, rsa.RSAPrivateKey)
        private = loaded
    if key == "hs256-public":
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hmac.digest(public, text, hashlib.sha256)
    return private.sign(text, padding.PKCS1v15(), hashes.SHA256())


def _changed(members: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (members | changes).items() if value is not None}


def _decode(part: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _encode(members: dict[str, Any]) -> str:
    return _base64(json.dumps(members, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
