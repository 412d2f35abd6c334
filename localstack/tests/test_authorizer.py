"""The Cognito authorizer, on keys made here."""

import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from fitvault_local import authorizer

POOL = "eu-central-1_Test"
ISSUER = f"https://cognito-idp.eu-central-1.amazonaws.com/{POOL}"
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
SCOPE = "fitvault/readings.read"
JWKS = KeySet([KEY]).as_dict(private=False)


def keys() -> authorizer.PoolKeys:
    return authorizer.PoolKeys(lambda pool: JWKS)


def token(key: RSAKey = KEY, header: dict[str, Any] | None = None, **changes: Any) -> str:
    claims = {"iss": ISSUER, "exp": time.time() + 60, "token_use": "access", "scope": f"openid {SCOPE}", **changes}
    return jwt.encode({"alg": "RS256", "kid": "one", **(header or {})}, claims, key)


def test_a_good_access_token_passes() -> None:
    assert authorizer.verify(token(), [POOL], [SCOPE], keys())["scope"].split() == ["openid", SCOPE]


def test_each_authorizer_takes_its_own_pools_tokens() -> None:
    """Two pools whose keys have the same id: a key vouches for its own issuer only."""
    staff = "eu-central-1_Staff"
    of_staff = f"https://cognito-idp.eu-central-1.amazonaws.com/{staff}"
    both = authorizer.PoolKeys(lambda pool: JWKS if pool == POOL else KeySet([OTHER]).as_dict(private=False))
    assert authorizer.verify(token(), [POOL], [SCOPE], both)
    assert authorizer.verify(token(OTHER, iss=of_staff), [staff], [SCOPE], both)
    for text, pool in (
        (token(), staff),
        (token(OTHER, iss=of_staff), POOL),
        (token(iss=of_staff), staff),
        (token(OTHER), POOL),
    ):
        with pytest.raises(authorizer.TokenRefused):
            authorizer.verify(text, [pool], [SCOPE], both)


def test_a_method_without_scopes_asks_for_an_id_token() -> None:
    assert authorizer.verify(token(token_use="id"), [POOL], [], keys())
    with pytest.raises(authorizer.TokenRefused):
        authorizer.verify(token(), [POOL], [], keys())


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param("", id="empty"),
        pytest.param("abc", id="no token"),
        pytest.param("a.b.c", id="three parts of nothing"),
        pytest.param(token(OTHER), id="forged"),
        pytest.param(token(header={"kid": "two"}), id="unknown key"),
        pytest.param(token()[:-6] + "AAAAAA", id="tampered"),
        pytest.param(token(exp=time.time() - 1), id="expired"),
        pytest.param(token(nbf=time.time() + 60), id="not yet valid"),
        pytest.param(token(iss=f"https://evil.example/{POOL}"), id="issuer that ends like ours"),
        pytest.param(token(iss=ISSUER[:-4] + "Othr"), id="another pool"),
        pytest.param(token(token_use="id"), id="ID token"),
        pytest.param(token(scope="openid"), id="no scope of the method"),
        pytest.param("eyJhbGciOiJub25lIn0." + token().split(".")[1] + ".", id="alg none"),
    ],
)
def test_a_bad_token_is_refused(bad: str) -> None:
    with pytest.raises(authorizer.TokenRefused):
        authorizer.verify(bad, [POOL], [SCOPE], keys())


def test_unreadable_keys_are_no_refusal() -> None:
    def fetch(pool: str) -> dict[str, Any]:
        raise authorizer.KeysUnreadable

    with pytest.raises(authorizer.KeysUnreadable):
        authorizer.verify(token(), [POOL], [SCOPE], authorizer.PoolKeys(fetch))


def test_keys_are_fetched_once_and_again_for_an_unknown_key_or_after_a_while() -> None:
    fetched, now = [], [0.0]

    def fetch(pool: str) -> dict[str, Any]:
        fetched.append(pool)
        return JWKS

    kept = authorizer.PoolKeys(fetch, clock=lambda: now[0])
    for at, key_id, count in ((0.0, "one", 1), (5.0, "one", 1), (6.0, "two", 2), (6.5, "two", 2), (400.0, "one", 3)):
        now[0] = at
        kept.get(POOL, key_id)
        assert len(fetched) == count


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("exp", 0, "Thu Jan 01 00:00:00 UTC 1970"),
        ("cognito:groups", ["a", "b"], "a,b"),
        ("email_verified", True, "true"),
        ("version", 2, "2"),
        ("sub", "s", "s"),
    ],
)
def test_claims_reach_a_function_as_texts(name: str, value: Any, text: str) -> None:
    assert authorizer.as_text(name, value) == text
