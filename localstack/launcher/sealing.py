"""Encrypts the body of a recorded event for the service, as a client would: compact JWE, by joserfc."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import requests
from joserfc import jwe
from joserfc.jwk import RSAKey

from launcher.progress import Trouble

EVENTS = Path(__file__).parents[2] / "events"


def upload_key(stack: dict[str, Any]) -> dict[str, Any]:
    """The service's key for uploads, as it publishes it."""
    with requests.Session() as http:
        http.trust_env = False
        answer = http.get(f"{stack['api']}/.well-known/jwks.json", timeout=60)
    if not answer.ok:
        raise Trouble("The service does not answer with its keys.")
    found: list[dict[str, Any]] = [key for key in answer.json()["keys"] if key["use"] == "enc"]
    return found[0]


def seal(stack: dict[str, Any], user: str, route: str) -> str:
    """What ingest-post-ROUTE.json sends, sealed for a user's account by the client app."""
    owner = stack["users"].get(user, {}).get("id")
    if owner is None:
        raise Trouble(f"{user} has no account yet; it comes with the first consent: make run")
    event = json.loads((EVENTS / f"ingest-post-{route}.json").read_text())
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()
    now = int(time.time())
    return encrypt(
        upload_key(stack),
        {
            "cty": event["headers"]["Content-Type"],
            "aud": f"fitvault/{route}",
            "sub": owner,
            "client_id": stack["clients"]["app"]["id"],
            "iat": now,
            "exp": now + 300,
        },
        body,
    )


def encrypt(key: dict[str, Any], header: dict[str, Any], body: bytes) -> str:
    protected = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": key["kid"], **header}
    registry = jwe.JWERegistry(algorithms=["RSA-OAEP-256", "A256GCM"], strict_check_header=False)
    return jwe.encrypt_compact(protected, body, RSAKey.import_key(key), registry=registry)
