"""What schemathesis must know to try the deployed API: who asks, and what a recording looks like.

It reads .local/stack.json, which `make up` writes. Each run is a person whom nobody has seen before, with consent.
"""

import gzip
import json
import os
import re
import secrets
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import strategies

ROOT = Path(__file__).resolve().parents[3]
STACK = json.loads((ROOT / ".local" / "stack.json").read_text())
DOCUMENTS = {
    "application/vnd.garmin.tcx+xml": (ROOT / "testdata" / "tcx" / "saf-pool_swim-activity_1.tcx").read_bytes(),
    "application/gpx+xml": b'<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="a"><trk><trkseg>'
    b'<trkpt lat="1" lon="1"><time>2026-05-04T05:25:00Z</time></trkpt></trkseg></trk></gpx>',
}
SERVED = {
    f"{namespace}:{name}"
    for namespace, name in re.findall(
        r'^\tschema\("([^"]+)", "([^"]+)"', (ROOT / "shared" / "openmhealth" / "types.go").read_text(), re.MULTILINE
    )
}
POINT = (
    '{"header": {"uuid": "%s", "schema_id": {"namespace": "omh", "name": "heart-rate", "version": "2.0"}, '
    '"source_creation_date_time": "2026-05-04T07:25:00Z"}, "body": {"heart_rate": {"value": 71, "unit": "beats/min"}, '
    '"effective_time_frame": {"date_time": "2026-05-04T07:25:00Z"}}}'
)


def newcomer() -> dict[str, str]:
    """The credentials of a newcomer, as headers."""
    forge = [ROOT / "localstack" / "stack", "forge", "--claims", json.dumps({"sub": secrets.token_hex(16)})]
    token = subprocess.run(forge, capture_output=True, text=True, check=True).stdout.strip()
    headers = {"Authorization": f"Bearer {token}", "x-api-key": STACK["api_key"]}
    with requests.Session() as http:
        http.trust_env = False
        url = f"{STACK['api']}/users/me/consents/collection"
        http.put(url, json={"version": "1", "given": True}, headers=headers, timeout=30).raise_for_status()
    return headers


# Who sends and reads is another than who does what would close that: withdraws consent, demands that uploads be signed
# or sealed, signs himself out. By what stands in the route's path.
OWNER = newcomer()
OTHERS = {part: newcomer() for part in ("/consents", "/settings", "/sessions")}
SIGNED_OUT = newcomer()  # everywhere, by the first request


class Newcomer:
    def get(self, case: schemathesis.Case, context: schemathesis.AuthContext) -> str:
        return "newcomer"  # what is kept for other requests; who it is depends on the request

    def set(self, case: schemathesis.Case, data: str, context: schemathesis.AuthContext) -> None:
        if case.operation.label == "DELETE /users/{user}/sessions":
            case.headers.update(SIGNED_OUT)
            return
        people = (person for part, person in OTHERS.items() if part in case.operation.path)
        case.headers.update(next(people, OWNER))


if "ANONYMOUS" not in os.environ:
    schemathesis.auth()(Newcomer)

# The contract says of a document only that it is bytes; these are one that is valid, with another comment each time.
for media, document in DOCUMENTS.items():
    numbered = strategies.integers(min_value=0).map(lambda n, document=document: document + f"<!-- {n} -->".encode())
    schemathesis.openapi.media_type(media, numbered)
    schemathesis.openapi.media_type(media + "+gzip", numbered.map(lambda body: gzip.compress(body, mtime=0)))
schemathesis.openapi.media_type(
    "application/json+gzip", strategies.uuids().map(lambda u: gzip.compress((POINT % u).encode(), mtime=0))
)
# What looks like a JWE; real ones are tried in e2e/sealed.
schemathesis.openapi.media_type(
    "application/jose",
    strategies.from_regex(r"[A-Za-z0-9_-]{1,40}(\.[A-Za-z0-9_-]{0,40}){4}", fullmatch=True).map(str.encode),
)


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext, failure: Any, case: schemathesis.Case, response: schemathesis.Response
) -> bool:
    """Whether a failure counts. README.md lists these exceptions with their reasons; each is as narrow as it can be."""
    problem = response.json().get("type", "").rsplit("/", 1)[-1] if response.status_code >= 400 else ""
    if type(failure).__name__ == "UnsupportedMethodResponse":
        return not (
            problem == "not-found" or (problem == "bad-request" and case.operation.path.endswith("/recordings/sealed"))
        )
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    query, route = case.query or {}, case.operation.label
    return not (
        (problem == "bad-page-token" and "page_token" in query)
        or (problem == "invalid" and route in MADE_UP_BODIES)
        or (problem == "bad-request" and route.endswith("/sealed"))
        or (problem == "bad-request" and route == "GET /users/{user}/days" and not (a_span(query) and counted(query)))
        or (problem == "bad-request" and route == "GET /users/{user}/readings" and not served(query))
        or (problem == "invalid" and route == "GET /authorize/request" and not asked_well(query))
        or (problem == "idempotency-key-reused" and "Idempotency-Key" in (case.headers or {}))
    )


# Routes whose bodies have rules that no schema says; README.md says which.
MADE_UP_BODIES = {
    "POST /users/{user}/readings",
    "POST /users/{user}/grants",
    "PUT /users/{user}/apps/{client}",
    "PUT /users/{user}/settings",
    "POST /pairings",
    "POST /pairings/{id}/confirm",
}


def a_span(query: dict[str, Any]) -> bool:
    """Whether from and to are a span of days that the description of `to` allows, which no schema can say."""
    return 0 <= (date.fromisoformat(query["to"]) - date.fromisoformat(query["from"])).days <= 366


def served(query: dict[str, Any], types: set[str] = SERVED) -> bool:
    """Whether all types asked for are types that there are."""
    asked = query.get("type", [])
    return types.issuperset([asked] if isinstance(asked, str) else asked)


def counted(query: dict[str, Any]) -> bool:
    """The same for days, which count trackpoints too."""
    return served(query, SERVED | {"fitvault:trackpoint"})


def asked_well(query: dict[str, Any]) -> bool:
    """Whether an app asks for types that there are, and for something of a person; each thing once."""
    types, scopes = query["types"].split(" "), query["scope"].split(" ")
    once = len(set(types)) == len(types) and len(set(scopes)) == len(scopes)
    return once and SERVED | {"fitvault:recording"} >= set(types) and scopes != ["fitvault/firmware.read"]
