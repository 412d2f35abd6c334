"""Signs a user in as a browser would: authorization code with PKCE through the pool's hosted pages (RFC 6749, 7636)."""

import base64
import hashlib
import secrets
import time
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

from launcher import totp
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


class Browser:
    """What a user does at the hosted pages; it keeps to the pages' own forms. `totp` is his authenticator's secret."""

    def __init__(self, totp: str = "") -> None:
        self.http = requests.Session()
        self.http.trust_env = False
        self.totp = totp

    def sign_in(self, url: str, user: str, password: str) -> requests.Response:
        """The last answer: where all went well, the redirect to the app, which is not followed."""
        page = self.http.get(url, timeout=30)
        form = _Form(page.text)
        if not page.ok or not form.action:
            raise Trouble(f"The hosted sign-in page was not shown: status {page.status_code}.")
        return self._factor(self._send(page, form, username=user, password=password))

    def _factor(self, page: requests.Response) -> requests.Response:
        """Answers the page that asks for a code, if it does. A code works once, so the next one may be needed."""
        for step in (totp.step(), totp.step() + 1, None):
            form = _Form(page.text if page.status_code == 200 else "")
            if "second_step" not in form.fields:
                return page
            self.totp = form.fields.get("secret") or self.totp
            if not self.totp:
                return page
            if step is None:
                time.sleep(totp.STEP_S - time.time() % totp.STEP_S)
                step = totp.step() + 1
            page = self._send(page, form, code=totp.code(self.totp, step))
        return page

    def _send(self, page: requests.Response, form: _Form, **fields: str) -> requests.Response:
        url = urljoin(page.url, form.action)
        return self.http.post(url, data=form.fields | fields, allow_redirects=False, timeout=30)


def pkce() -> tuple[str, str]:
    """A verifier and its challenge."""
    verifier = secrets.token_urlsafe(48)
    return verifier, base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def sign_in(
    base: str, client: str, callback: str, scopes: list[str], user: str, password: str, secret: str = "",
    browser: Browser | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The token endpoint's answer: access_token, id_token, refresh_token, expires_in. `base` is the pool's domain."""
    browser = browser or Browser()
    (verifier, challenge), state = pkce(), secrets.token_urlsafe(16)
    query = {
        "response_type": "code", "client_id": client, "redirect_uri": callback, "scope": " ".join(scopes),
        "state": state, "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    url = requests.Request("GET", f"{base}/oauth2/authorize", params=query).prepare().url
    answer = browser.sign_in(str(url), user, password)
    back = parse_qs(urlsplit(answer.headers.get("Location", "")).query)
    if answer.status_code != 302 or back.get("state") != [state] or "code" not in back:
        raise Trouble(f"The hosted pages did not sign {user} in: status {answer.status_code}.")
    grant = {
        "grant_type": "authorization_code", "client_id": client, "redirect_uri": callback,
        "code": back["code"][0], "code_verifier": verifier,
    }  # fmt: skip
    return _tokens(browser.http, base, grant | ({"client_secret": secret} if secret else {}))


def client_credentials(base: str, client: str, secret: str, scopes: list[str]) -> dict[str, Any]:
    """The token of a system, which is nobody's."""
    grant = {
        "grant_type": "client_credentials", "client_id": client, "client_secret": secret, "scope": " ".join(scopes),
    }  # fmt: skip
    return _tokens(Browser().http, base, grant)


def _tokens(http: requests.Session, base: str, grant: dict[str, str]) -> dict[str, Any]:
    tokens = http.post(f"{base}/oauth2/token", data=grant, timeout=30)
    if not tokens.ok:
        raise Trouble(f"The token endpoint refused the {grant['grant_type']}: status {tokens.status_code}.")
    return tokens.json()
