"""COGNITO_USER_POOLS authorizers of REST APIs, which LocalStack accepts and does not enforce.

With scopes on the method an access token is asked for, that has one of them; without, an ID token.
"""

import base64
import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet

CACHE_S = 300.0
REFETCH_S = 1.0  # a token that names an unknown key makes us look again, at most so often


class TokenRefused(Exception):
    """The token is not valid for this method. The text is for LocalStack's log; no caller sees it."""


class KeysUnreadable(Exception):
    """The user pool's keys cannot be fetched."""


class PoolKeys:
    """The token keys of user pools. `fetch` gives a pool's JWKS, or raises KeysUnreadable."""

    def __init__(self, fetch: Callable[[str], Mapping[str, Any]], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._known: dict[str, tuple[float, KeySet]] = {}

    def get(self, pool: str, key_id: str | None) -> KeySet:
        now = self._clock()
        at, keys = self._known.get(pool, (0.0, None))
        unknown = keys is None or all(key.kid != key_id for key in keys.keys)
        if keys is None or now - at > CACHE_S or (unknown and now - at > REFETCH_S):
            keys = KeySet.import_key_set(self._fetch(pool))  # type: ignore[arg-type]
            self._known[pool] = (now, keys)
        return keys


def verify(token: str, pools: Iterable[str], scopes: Iterable[str], keys: PoolKeys) -> dict[str, Any]:
    """The claims of a token that one of `pools` issued. Raises TokenRefused, KeysUnreadable."""
    scopes = set(scopes)
    try:
        header, claims = part(token, 0), part(token, 1)
        if header["alg"] != "RS256":
            raise TokenRefused("another algorithm than RS256")
        pool = str(claims["iss"]).rsplit("/", 1)[-1]
        if pool not in set(pools):
            raise TokenRefused("another issuer")
        claims = jwt.decode(token, keys.get(pool, header.get("kid")), algorithms=["RS256"]).claims
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": f"https://cognito-idp.{pool.split('_')[0]}.amazonaws.com/{pool}"},
            exp={"essential": True},
            token_use={"essential": True, "value": "access" if scopes else "id"},
        ).validate(claims)
    except (TokenRefused, KeysUnreadable):
        raise
    except Exception as e:  # whatever a forged token makes the parsers raise
        raise TokenRefused(type(e).__name__) from None
    if scopes and not scopes & set(str(claims.get("scope", "")).split()):
        raise TokenRefused("no scope of the method")
    return claims


def part(token: str, index: int) -> dict[str, Any]:
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def as_text(name: str, value: Any) -> str:
    """A claim as API Gateway passes it to a function: always a string, points in time as dates."""
    if name in ("exp", "iat"):
        return datetime.fromtimestamp(value, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)
