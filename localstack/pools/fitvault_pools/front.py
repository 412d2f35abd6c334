"""What Cognito does and MiniStack 1.5 does not, played as we believe that AWS does it:

- The hosted pages ask for the second factor: of everybody in a pool with MFA `ON`, who sets it up at the first
  sign-in, and of those who have one in a pool with `OPTIONAL`. A code of RFC 6238 works once.
- Refreshing rotates the refresh token: the one that was used is dead. It works for its own client only, which
  proves its secret where it has one.
- `/oauth2/revoke` ends a refresh token.
- A function's role may do what its template says of clients: LocalStack knows the role and MiniStack does not, so the
  request goes on as the operator's. Whether the role may is tried elsewhere (`e2e/roles_test.go`).
- The API's sign-in operations are closed to a client without a flow for them, and sign-up to a pool in which an
  administrator makes users.
"""

import base64
import json
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from ministack.services import cognito

MAX_BODY = 1 << 20
STEP_S = 180.0  # for the second step of a sign-in
TRIES = 3
# ALLOW_CUSTOM_AUTH asks triggers, and no pool here has any.
FLOWS = {"ALLOW_USER_PASSWORD_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_USER_AUTH"}
SIGN_IN = {"InitiateAuth", "AdminInitiateAuth", "RespondToAuthChallenge", "AdminRespondToAuthChallenge"}
REFRESH = {"GetTokensFromRefreshToken"}
OF_FUNCTIONS = {"CreateUserPoolClient", "DeleteUserPoolClient"}
ROLES = "Credential=LSIA"  # how the access keys begin that LocalStack gives to functions

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
Inner = Callable[[bytes], Awaitable[Answer]]


@dataclass
class Step:
    """A sign-in whose password was right, and that waits for its second factor."""

    entry: dict[str, Any]  # of the authorization code, which is not good yet
    code: str
    location: str
    secret: str  # that is being set up; empty where there is one
    ends: float = field(default_factory=lambda: time.monotonic() + STEP_S)
    tries: int = TRIES


class Front:
    """An ASGI application in front of MiniStack's."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._steps: dict[str, Step] = {}
        self._spent: set[str] = set()  # refresh tokens that were exchanged

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        handler = self._handler(scope) if scope["type"] == "http" and scope["method"] == "POST" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
            if len(body) > MAX_BODY or event["type"] == "http.disconnect":
                return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if _operation(headers) in OF_FUNCTIONS and ROLES in headers.get("authorization", ""):
            scope = scope | {"headers": _signed_by_operator(headers, body)}

        async def inner(text: bytes) -> Answer:
            return await self._inner(scope, text)

        status, answered, text = await handler(headers, body, inner)
        await send({"type": "http.response.start", "status": status, "headers": answered})
        await send({"type": "http.response.body", "body": text})

    def _handler(self, scope: Any) -> Any:
        return {
            "/login": self._login, "/oauth2/login": self._login,
            "/oauth2/token": self._token, "/oauth2/revoke": self._revoke, "/": self._operation,
        }.get(scope["path"])  # fmt: skip

    async def _inner(self, scope: Any, body: bytes) -> Answer:
        """MiniStack's own answer."""
        sent, status, headers, text = False, 500, [], b""

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if sent:
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(event: dict[str, Any]) -> None:
            nonlocal status, headers, text
            if event["type"] == "http.response.start":
                status, headers = event["status"], list(event.get("headers", []))
            elif event["type"] == "http.response.body":
                text += event.get("body", b"")

        await self._app(scope, receive, send)
        return status, headers, text

    # ---- the hosted pages ----

    async def _login(self, _: dict[str, str], body: bytes, inner: Inner) -> Answer:
        form = _form(body)
        if "second_step" in form:
            return self._second_step(form)
        status, headers, text = await inner(body)
        location = next((value.decode() for name, value in headers if name.lower() == b"location"), "")
        code = (parse_qs(urlsplit(location).query).get("code") or [""])[0]
        entry = cognito._authorization_codes.get(code)
        if status != 302 or not entry:
            return status, headers, text
        pool = cognito._get_pool_unscoped(entry["pool_id"])
        user = pool["_users"][entry["username"]]
        enrolled = user.get("_totp_secret") and "SOFTWARE_TOKEN_MFA" in user.get("_mfa_enabled", [])
        wanted = pool.get("MfaConfiguration", "OFF")
        if wanted == "OFF" or (wanted == "OPTIONAL" and not enrolled):
            return status, headers, text
        del cognito._authorization_codes[code]
        self._steps = {name: step for name, step in self._steps.items() if step.ends > time.monotonic()}
        secret = "" if enrolled else base64.b32encode(secrets.token_bytes(20)).decode()
        name, step = secrets.token_urlsafe(24), Step(entry, code, location, secret)
        self._steps[name] = step
        return _page(name, step.secret)

    def _second_step(self, form: dict[str, str]) -> Answer:
        name = form["second_step"]
        step = self._steps.get(name)
        if step is None or step.ends < time.monotonic():
            return _text(400, "This sign-in is over. Begin again.")
        step.tries -= 1
        if step.tries <= 0:
            del self._steps[name]
        user = cognito._get_pool_unscoped(step.entry["pool_id"])["_users"][step.entry["username"]]
        secret = step.secret or user["_totp_secret"]
        at = _matching_step(secret, form.get("code", ""))
        if at is None or (at <= user.get("_totp_last_step", 0) and not step.secret):
            return _page(name, step.secret, "Invalid code.") if name in self._steps else _text(400, "Too many tries.")
        self._steps.pop(name, None)
        user["_totp_secret"], user["_totp_last_step"] = secret, at
        if "SOFTWARE_TOKEN_MFA" not in user.setdefault("_mfa_enabled", []):
            user["_mfa_enabled"].append("SOFTWARE_TOKEN_MFA")
        cognito._authorization_codes[step.code] = step.entry
        return 302, [(b"location", step.location.encode()), (b"cache-control", b"no-store")], b""

    # ---- the token endpoint ----

    async def _token(self, headers: dict[str, str], body: bytes, inner: Inner) -> Answer:
        form = _form(body)
        if form.get("grant_type") != "refresh_token":
            return await inner(body)
        old = form.get("refresh_token", "")
        client = _proved_client(headers, form)
        if client is None:
            return _json(400, {"error": "invalid_client"})
        claims = cognito._token_claims(old)
        if not old or claims.get("client_id") != client["ClientId"] or old in self._spent:
            return _json(400, {"error": "invalid_grant"})
        self._spent.add(old)  # before anything is awaited: of two at once one wins
        status, answered, text = await inner(body)
        if status != 200:
            self._spent.discard(old)
            return status, answered, text
        pool = client["UserPoolId"]
        fresh = cognito._fake_token(
            claims["sub"], pool, client["ClientId"], "refresh", origin_jti=claims["origin_jti"],
            scope=claims.get("scope"),
        )  # fmt: skip
        if entry := cognito._refresh_tokens.pop(old, None):
            cognito._refresh_tokens[fresh] = entry
        cognito._revoked_tokens.add(old)
        return _json(200, json.loads(text) | {"refresh_token": fresh})

    async def _revoke(self, headers: dict[str, str], body: bytes, _: Inner) -> Answer:
        form = _form(body)
        client, token = _proved_client(headers, form), form.get("token", "")
        claims = cognito._token_claims(token)
        if client is None or claims.get("client_id") != client["ClientId"]:
            return _json(400, {"error": "invalid_client"})
        if claims.get("token_use") != "refresh":
            return _json(400, {"error": "unsupported_token_type"})
        cognito._revoke_token({"Token": token})
        return 200, [], b""

    # ---- the API ----

    async def _operation(self, headers: dict[str, str], body: bytes, inner: Inner) -> Answer:
        name = _operation(headers)
        if name in SIGN_IN | REFRESH | {"SignUp"}:
            try:
                asked = json.loads(body)
            except ValueError:
                asked = {}
            _, pool, client = cognito._find_pool_by_client_id(str(asked.get("ClientId", "")))
            if client and name == "SignUp":
                if (pool.get("AdminCreateUserConfig") or {}).get("AllowAdminCreateUserOnly"):
                    return _refused("SignUp is not permitted for this user pool")
            elif client and (name in REFRESH or not FLOWS & set(client.get("ExplicitAuthFlows") or [])):
                return _refused("This flow is not enabled for this client")
        return await inner(body)


def _operation(headers: dict[str, str]) -> str:
    return headers.get("x-amz-target", "").rpartition(".")[2]


def _signed_by_operator(headers: dict[str, str], body: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of the same request, signed anew."""
    kept = {name: headers[name] for name in ("host", "content-type", "x-amz-target") if name in headers}
    request = AWSRequest("POST", f"http://{headers.get('host', '')}/", kept, body)
    operator = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(operator, "cognito-idp", os.environ["AWS_REGION"]).add_auth(request)
    length = (b"content-length", str(len(body)).encode())
    return [(name.lower().encode(), str(value).encode()) for name, value in request.headers.items()] + [length]


def _form(body: bytes) -> dict[str, str]:
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def _proved_client(headers: dict[str, str], form: dict[str, str]) -> dict[str, Any] | None:
    """The client that asks: a public one by its name, another one by its secret."""
    id, secret = cognito._authenticate_client(headers, form)
    client = cognito._find_pool_by_client_id(id)[2]
    known = client and secrets.compare_digest(str(client.get("ClientSecret") or ""), secret or "")
    return client if known else None


def _matching_step(secret: str, code: str) -> int | None:
    """The time step whose code this is, among now and one on either side."""
    now = int(time.time() // 30)
    found = None
    for offset in (-1, 0, 1):
        if secrets.compare_digest(cognito._totp_code(secret, offset).encode(), code.encode()):
            found = now + offset
    return found


def _page(step: str, secret: str, error: str = "") -> Answer:
    """The page that asks for a code; while it is set up, with the secret for the authenticator app."""
    shown = f'<p>Set up your authenticator app: <input name="secret" readonly value="{secret}"></p>' if secret else ""
    text = (
        "<!doctype html><title>Second factor</title><h1>Second factor</h1>"
        f'<p role="alert">{escape(error)}</p><form method="post" action="/login">'
        f'<input type="hidden" name="second_step" value="{escape(step)}">{shown}'
        '<label>Code <input name="code" inputmode="numeric" autocomplete="one-time-code"></label>'
        "<button>Sign in</button></form>"
    )
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
    return 200, headers, text.encode()


def _text(status: int, text: str) -> Answer:
    return status, [(b"content-type", b"text/plain; charset=utf-8")], text.encode()


def _json(status: int, value: dict[str, Any]) -> Answer:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    return status, headers, json.dumps(value).encode()


def _refused(message: str) -> Answer:
    text = json.dumps({"__type": "NotAuthorizedException", "message": message}).encode()
    return 400, [(b"content-type", b"application/x-amz-json-1.1")], text
