"""Signs a user in as a browser would: authorization code with PKCE through the pool's hosted pages (RFC 6749, 7636)."""

import base64
import hashlib
import secrets
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

from launcher.progress import Trouble


class _Form(HTMLParser):
    """The first form of a page: where it goes, and its fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action, self.fields = "", {}  # type: str, dict[str, str]
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            self.action = values.get("action") or ""
        elif tag == "input" and values.get("name"):
            self.fields[str(values["name"])] = values.get("value") or ""


def sign_in(base: str, client: str, callback: str, scopes: list[str], user: str, password: str) -> dict[str, Any]:
    """The token endpoint's answer: access_token, id_token, refresh_token, expires_in. `base` is the pool's domain."""
    http = requests.Session()
    http.trust_env = False
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code", "client_id": client, "redirect_uri": callback, "scope": " ".join(scopes),
        "state": state, "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    page = http.get(f"{base}/oauth2/authorize", params=query, timeout=30)
    form = _Form(page.text)
    if not page.ok or not form.action:
        raise Trouble(f"The hosted sign-in page was not shown: status {page.status_code}.")
    fields = form.fields | {"username": user, "password": password}
    answer = http.post(urljoin(page.url, form.action), data=fields, allow_redirects=False, timeout=30)
    back = parse_qs(urlsplit(answer.headers.get("Location", "")).query)
    if answer.status_code != 302 or back.get("state") != [state] or "code" not in back:
        raise Trouble(f"The hosted pages did not sign {user} in: status {answer.status_code}.")
    grant = {
        "grant_type": "authorization_code", "client_id": client, "redirect_uri": callback,
        "code": back["code"][0], "code_verifier": verifier,
    }  # fmt: skip
    tokens = http.post(f"{base}/oauth2/token", data=grant, timeout=30)
    if not tokens.ok:
        raise Trouble(f"The token endpoint refused the code: status {tokens.status_code}.")
    return tokens.json()
