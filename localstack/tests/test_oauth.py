"""Real OAuth clients, and attacks on them, at the local user pools. Needs `make up`.

The client is authlib. What the pools do here is MiniStack's and our own `pools/`: docs/local.md says which is which.
"""

import base64
import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749.errors import MismatchingStateException
from botocore.exceptions import ClientError

from launcher import deployment, pools, roles, seed, signin, stackfile, totp
from launcher.layout import Layout
from launcher.progress import Trouble

CONSENT = "/users/me/consents/collection"
READINGS = "/users/me/readings"


@dataclass
class App:
    """A client application that uses authlib as its documentation says."""

    stack: dict[str, Any]
    name: str

    def __post_init__(self) -> None:
        self.about = self.stack["clients"][self.name]
        self.base, self.verifier = self.stack["endpoints"]["cognito"], signin.pkce()[0]
        self.session = OAuth2Session(
            self.about["id"], self.about["secret"], redirect_uri=self.about["callback"],
            scope=" ".join(self.about["scopes"]), code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self.about["secret"] else "none",
        )  # fmt: skip
        self.session.trust_env = False

    def address(self, **more: Any) -> str:
        url, self.state = self.session.create_authorization_url(
            f"{self.base}/oauth2/authorize", code_verifier=self.verifier, **more
        )
        return str(url)

    def returned(self, user: str = "ada") -> str:
        """The address to which the hosted pages send the user back."""
        person = self.stack["users"][user]
        answer = signin.Browser(person["totp"] or "").sign_in(self.address(), person["name"], person["password"])
        assert answer.status_code == 302
        return answer.headers["Location"]

    def exchange(self, returned: str, **changes: Any) -> dict[str, Any]:
        given = {"authorization_response": returned, "code_verifier": self.verifier, "state": self.state} | changes
        return dict(self.session.fetch_token(f"{self.base}/oauth2/token", **given))

    def refresh(self, token: str) -> dict[str, Any]:
        return dict(self.session.refresh_token(f"{self.base}/oauth2/token", refresh_token=token))

    def api(self, path: str, token: str, method: str = "GET") -> int:
        headers = {"Authorization": f"Bearer {token}", "x-api-key": self.about["api_key"]}
        return plain().request(method, self.stack["api"] + path, headers=headers, timeout=60).status_code


def plain() -> requests.Session:
    http = requests.Session()
    http.trust_env = False
    return http


@pytest.fixture
def app(stack: dict[str, Any]) -> App:
    return App(stack, "app")


@pytest.fixture
def thirdparty(stack: dict[str, Any]) -> App:
    return App(stack, "thirdparty")


# ---- what must work ---------------------------------------------------------


def test_code_and_pkce(app: App) -> None:
    tokens = app.exchange(app.returned())
    claims = stackfile.claims(tokens["access_token"])
    assert (claims["client_id"], claims["token_use"]) == (app.about["id"], "access")
    assert claims["origin_jti"] and claims["auth_time"] and claims["username"]
    assert claims["exp"] - claims["iat"] == tokens["expires_in"] == 3600
    assert app.api(CONSENT, tokens["access_token"]) == 200


def test_a_confidential_app_proves_its_secret(thirdparty: App) -> None:
    tokens = thirdparty.exchange(thirdparty.returned())
    assert stackfile.claims(tokens["access_token"])["scope"].split() == ["openid", "fitvault/readings.read"]
    stranger = App(thirdparty.stack, "thirdparty")
    stranger.session.client_secret = "wrong"
    with pytest.raises(OAuthError, match="invalid_client"):
        stranger.exchange(stranger.returned())


def test_a_system_signs_in_by_itself(stack: dict[str, Any]) -> None:
    system = App(stack, "system")
    token = system.session.fetch_token(f"{system.base}/oauth2/token", grant_type="client_credentials")
    claims = stackfile.claims(token["access_token"])
    assert claims["sub"] == claims["client_id"] == system.about["id"]
    assert "username" not in claims and "refresh_token" not in token and "id_token" not in token
    for scope in ("fitvault/admin", "fitvault/sharing.manage", "openid", "aws.cognito.signin.user.admin"):
        with pytest.raises(OAuthError, match=r"invalid_(grant|scope)"):
            system.session.fetch_token(f"{system.base}/oauth2/token", grant_type="client_credentials", scope=scope)
    system.session.client_secret = "wrong"
    with pytest.raises(OAuthError, match="invalid_client"):
        system.session.fetch_token(f"{system.base}/oauth2/token", grant_type="client_credentials")


@pytest.mark.parametrize("name", ["app", "thirdparty", "staff"])
def test_an_app_for_people_cannot_be_a_system(stack: dict[str, Any], name: str) -> None:
    one = App(stack, name)
    with pytest.raises(OAuthError):
        one.session.fetch_token(f"{one.base}/oauth2/token", grant_type="client_credentials")


def test_a_system_cannot_sign_people_in(stack: dict[str, Any]) -> None:
    system = App(stack, "system")
    system.session.redirect_uri = "https://localhost:8443/callback"
    assert plain().get(system.address(), timeout=30, allow_redirects=False).status_code == 400


# ---- attacks on the code ----------------------------------------------------


@pytest.mark.parametrize("verifier", [None, "", "x" * 64])
def test_a_missing_or_wrong_verifier(app: App, verifier: str | None) -> None:
    returned = app.returned()
    with pytest.raises(OAuthError, match="invalid_grant"):
        app.exchange(returned, code_verifier=verifier)


def test_the_challenge_is_no_verifier(app: App) -> None:
    returned = app.returned()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(app.verifier.encode()).digest()).rstrip(b"=").decode()
    with pytest.raises(OAuthError, match="invalid_grant"):
        app.exchange(returned, code_verifier=challenge)


def test_plain_challenges_are_refused(app: App) -> None:
    url = app.address().replace("code_challenge_method=S256", "code_challenge_method=plain")
    answer = plain().get(url, timeout=30, allow_redirects=False)
    assert (answer.status_code, parse_qs(urlsplit(answer.headers["Location"]).query)["error"]) == (
        302,
        ["invalid_request"],
    )


def test_a_code_works_once(app: App) -> None:
    returned = app.returned()
    app.exchange(returned)
    with pytest.raises(OAuthError, match="invalid_grant"):
        app.exchange(returned)


def test_of_many_at_once_one_gets_the_tokens(app: App) -> None:
    code = parse_qs(urlsplit(app.returned()).query)["code"][0]
    grant = {
        "grant_type": "authorization_code", "client_id": app.about["id"], "code": code,
        "redirect_uri": app.about["callback"], "code_verifier": app.verifier,
    }  # fmt: skip
    with ThreadPoolExecutor(8) as threads:
        statuses = list(
            threads.map(lambda _: plain().post(f"{app.base}/oauth2/token", data=grant).status_code, range(8))
        )
    assert sorted(statuses) == [200] + [400] * 7


def test_a_code_is_for_its_own_client(app: App, stack: dict[str, Any]) -> None:
    returned, partner = app.returned(), App(stack, "partner")
    partner.state, partner.verifier = app.state, app.verifier
    with pytest.raises(OAuthError, match="invalid_grant"):
        partner.exchange(returned)


def test_an_answer_to_another_sign_in_is_noticed(app: App) -> None:
    """Log-in CSRF: authlib compares the state, if it is told to."""
    returned = app.returned()
    with pytest.raises(MismatchingStateException):
        app.exchange(returned, state="another")


@pytest.mark.parametrize(
    "redirect",
    [
        "https://evil.example/", "https://localhost:8443/callback/", "https://localhost:8443/callback?x=1",
        "https://localhost:8443@evil.example/callback", "//evil.example", "javascript:alert(1)",
        "https://thirdparty.example/callback", "https://LOCALHOST:8443/callback", "",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_an_unregistered_address(app: App, redirect: str) -> None:
    app.session.redirect_uri = redirect
    answer = plain().get(app.address(), timeout=30, allow_redirects=False)
    assert (answer.status_code, answer.headers.get("Location")) == (400, None)


def test_nor_by_a_changed_form(app: App) -> None:
    """The page's own hidden fields are the browser's to change."""
    person, http = app.stack["users"]["ada"], plain()
    form = signin._Form(http.get(app.address(), timeout=30).text)
    fields = form.fields | {"username": person["name"], "password": person["password"]}
    changed = fields | {"redirect_uri": "https://evil.example/"}
    answer = http.post(app.base + form.action, data=changed, allow_redirects=False, timeout=30)
    assert (answer.status_code, answer.headers.get("Location")) == (400, None)
    wider = fields | {"scope": "openid fitvault/admin aws.cognito.signin.user.admin fitvault/readings.read"}
    answer = http.post(app.base + form.action, data=wider, allow_redirects=False, timeout=30)
    claims = stackfile.claims(app.exchange(answer.headers["Location"])["access_token"])
    assert set(claims["scope"].split()) == {"openid", "fitvault/readings.read"}


@pytest.mark.parametrize("scope", ["fitvault/readings.write", "fitvault/admin", "aws.cognito.signin.user.admin", "x"])
def test_no_scope_beyond_the_registration(thirdparty: App, scope: str) -> None:
    thirdparty.session.scope = f"openid {scope}"
    answer = plain().get(thirdparty.address(), timeout=30, allow_redirects=False)
    assert answer.status_code == 302
    back = urlsplit(answer.headers["Location"])
    said = parse_qs(back.query)
    assert (back.netloc, said["error"]) == ("thirdparty.example", ["invalid_request"]) and "code" not in said


@pytest.mark.parametrize("kind", ["token", "id_token", "code token", ""])
def test_only_the_code_flow(app: App, kind: str) -> None:
    url = app.address().replace("response_type=code", f"response_type={kind}")
    assert plain().get(url, timeout=30, allow_redirects=False).status_code == 400


# ---- refreshing -------------------------------------------------------------


def test_refreshing_rotates_and_keeps_the_session(app: App) -> None:
    first = app.exchange(app.returned())
    second = app.refresh(first["refresh_token"])
    third = app.refresh(second["refresh_token"])
    assert len({tokens["refresh_token"] for tokens in (first, second, third)}) == 3
    sessions = {stackfile.claims(tokens["access_token"])["origin_jti"] for tokens in (first, second, third)}
    assert len(sessions) == 1
    assert app.api(CONSENT, third["access_token"]) == 200


def test_a_stolen_refresh_token_used_twice(app: App) -> None:
    stolen = app.exchange(app.returned())["refresh_token"]
    app.refresh(stolen)
    for _ in range(2):
        with pytest.raises(OAuthError, match="invalid_grant"):
            app.refresh(stolen)


def test_of_many_who_refresh_at_once_one_wins(app: App) -> None:
    token = app.exchange(app.returned())["refresh_token"]
    grant = {"grant_type": "refresh_token", "client_id": app.about["id"], "refresh_token": token}
    with ThreadPoolExecutor(8) as threads:
        statuses = list(
            threads.map(lambda _: plain().post(f"{app.base}/oauth2/token", data=grant).status_code, range(8))
        )
    assert sorted(statuses) == [200] + [400] * 7


def test_a_refresh_token_is_for_its_own_client(app: App, thirdparty: App, stack: dict[str, Any]) -> None:
    token = app.exchange(app.returned())["refresh_token"]
    for other in (App(stack, "partner"), thirdparty):
        with pytest.raises(OAuthError, match="invalid_grant"):
            other.refresh(token)
    assert app.refresh(token)["access_token"], "and the owner still has it"
    secret = thirdparty.exchange(thirdparty.returned())["refresh_token"]
    data = {"grant_type": "refresh_token", "client_id": thirdparty.about["id"], "refresh_token": secret}
    assert plain().post(f"{app.base}/oauth2/token", data=data, timeout=30).json() == {"error": "invalid_client"}


def test_a_revoked_refresh_token(app: App) -> None:
    token = app.exchange(app.returned())["refresh_token"]
    answer = app.session.revoke_token(f"{app.base}/oauth2/revoke", token=token, token_type_hint="refresh_token")
    assert answer.status_code == 200
    with pytest.raises(OAuthError, match="invalid_grant"):
        app.refresh(token)


# ---- pools ------------------------------------------------------------------


def test_a_token_opens_its_own_pools_routes_only(app: App, stack: dict[str, Any]) -> None:
    staff = stack["users"]["sam"]["access_token"]
    assert stackfile.claims(staff)["iss"] == stack["pools"]["staff"]["issuer"]
    assert app.api(CONSENT, staff) == 401
    assert app.api(CONSENT, seed.tokens(stack, "ada", "app", "other")["access_token"]) == 401
    made = app.exchange(app.returned())
    assert app.api(CONSENT, made["id_token"]) == 401
    assert app.api(CONSENT, made["refresh_token"]) == 401


def test_a_user_of_one_pool_is_nobody_in_another(stack: dict[str, Any]) -> None:
    ada, sam = stack["users"]["ada"], stack["users"]["sam"]
    staff, app = App(stack, "staff"), App(stack, "app")
    for one, person in ((staff, ada), (app, sam)):
        answer = signin.Browser(sam["totp"]).sign_in(one.address(), person["name"], person["password"])
        assert (answer.status_code, "Incorrect" in answer.text) == (200, True)


@pytest.mark.parametrize("client", list(pools.CLIENTS))
@pytest.mark.parametrize("flow", ["USER_PASSWORD_AUTH", "USER_SRP_AUTH", "USER_AUTH", "CUSTOM_AUTH"])
def test_no_client_signs_in_past_the_pages(here: Layout, stack: dict[str, Any], client: str, flow: str) -> None:
    about = stack["clients"][client]
    person = stack["users"]["sam" if about["pool"] == "staff" else "ada"]
    cognito = pools.client(here)
    given = {"USERNAME": person["name"], "PASSWORD": person["password"], "SRP_A": "ff" * 384}
    with pytest.raises(ClientError):
        cognito.initiate_auth(ClientId=about["id"], AuthFlow=flow, AuthParameters=given)


@pytest.mark.parametrize("challenge", ["SOFTWARE_TOKEN_MFA", "MFA_SETUP", "NEW_PASSWORD_REQUIRED", "SMS_MFA"])
def test_nor_by_a_challenge_that_nobody_put(here: Layout, stack: dict[str, Any], challenge: str) -> None:
    sam = stack["users"]["sam"]
    given = {"USERNAME": sam["name"], "SOFTWARE_TOKEN_MFA_CODE": "000000", "NEW_PASSWORD": sam["password"]}
    for id in (stack["clients"]["staff"]["id"], stack["clients"]["app"]["id"]):
        with pytest.raises(ClientError):
            pools.client(here).respond_to_auth_challenge(
                ClientId=id, ChallengeName=challenge, Session="x" * 32, ChallengeResponses=given
            )


def test_refreshing_goes_by_the_token_endpoint_only(app: App, here: Layout) -> None:
    token, cognito = app.exchange(app.returned())["refresh_token"], pools.client(here)
    with pytest.raises(ClientError):
        cognito.get_tokens_from_refresh_token(ClientId=app.about["id"], RefreshToken=token)
    with pytest.raises(ClientError):
        cognito.initiate_auth(
            ClientId=app.about["id"], AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters={"REFRESH_TOKEN": token}
        )


def test_nobody_signs_up_as_staff(here: Layout, stack: dict[str, Any]) -> None:
    cognito, given = pools.client(here), {"Password": pools.random_password()}
    mail = [{"Name": "email", "Value": "eve@example.com"}]
    with pytest.raises(ClientError, match="SignUp is not permitted"):
        cognito.sign_up(
            ClientId=stack["clients"]["staff"]["id"], Username="eve@example.com", UserAttributes=mail, **given
        )


def test_people_sign_up_with_a_verified_address_and_a_strong_password(here: Layout, stack: dict[str, Any]) -> None:
    cognito, id, pool = pools.client(here), stack["clients"]["app"]["id"], stack["pools"]["people"]["id"]
    name, password = f"new-{time.time_ns()}@example.com", pools.random_password()
    mail = [{"Name": "email", "Value": name}]
    for weak in ("short", "a" * 20, "alllowercase123", "NOLOWERCASE123"):
        with pytest.raises(ClientError):
            cognito.sign_up(ClientId=id, Username=name, Password=weak, UserAttributes=mail)
    cognito.sign_up(ClientId=id, Username=name, Password=password, UserAttributes=mail)
    try:
        app = App(stack, "app")
        answer = signin.Browser().sign_in(app.address(), name, password)
        assert answer.status_code == 200, "not before the address is verified"
    finally:
        cognito.admin_delete_user(UserPoolId=pool, Username=name)


# ---- the second factor ------------------------------------------------------


@dataclass
class Member:
    """A user of the staff's pool, at the pages."""

    app: App
    name: str
    password: str

    def begin(self) -> tuple[requests.Session, requests.Response]:
        http = plain()
        page = http.get(self.app.address(), timeout=30)
        form = signin._Form(page.text)
        fields = form.fields | {"username": self.name, "password": self.password}
        return http, http.post(self.app.base + form.action, data=fields, allow_redirects=False, timeout=30)

    def answer(self, http: requests.Session, page: requests.Response, code: str, **more: str) -> requests.Response:
        fields = signin._Form(page.text).fields | {"code": code} | more
        return http.post(f"{self.app.base}/login", data=fields, allow_redirects=False, timeout=30)


@pytest.fixture
def member(here: Layout, stack: dict[str, Any]) -> Iterator[Member]:
    """One who has never signed in."""
    cognito, pool = pools.client(here), stack["pools"]["staff"]["id"]
    name, password = f"member-{time.time_ns()}", pools.random_password()
    pools.ensure_user(cognito, pool, name, password)
    yield Member(App(stack, "staff"), pools.user_name(name), password)
    cognito.admin_delete_user(UserPoolId=pool, Username=pools.user_name(name))


def test_staff_sign_in_with_a_second_factor_only(member: Member) -> None:
    http, page = member.begin()
    assert page.status_code == 200 and "Location" not in page.headers
    secret = signin._Form(page.text).fields["secret"]
    assert len(base64.b32decode(secret)) == 20
    wrong = f"{(int(totp.code(secret, totp.step())) + 1) % 10**6:06d}"
    page = member.answer(http, page, wrong)
    assert page.status_code == 200 and "Invalid code" in page.text
    now = totp.step()
    enrolled = member.answer(http, page, totp.code(secret, now))
    assert enrolled.status_code == 302
    claims = stackfile.claims(member.app.exchange(enrolled.headers["Location"])["access_token"])
    assert claims["iss"] == member.app.stack["pools"]["staff"]["issuer"]
    assert claims["exp"] - claims["iat"] == 900

    http, page = member.begin()
    assert "secret" not in signin._Form(page.text).fields, "it is shown once"
    page = member.answer(http, page, totp.code(secret, now))
    assert page.status_code == 200, "a code that was used before"
    good = member.answer(http, page, totp.code(secret, now + 1))
    assert good.status_code == 302
    late = member.answer(http, page, totp.code(secret, now + 1))
    assert late.status_code == 400, "and the step is over"


def test_a_skipped_step_gets_no_code(member: Member) -> None:
    http, page = member.begin()
    fields = signin._Form(page.text).fields
    for changed in ({"second_step": "x"}, {"second_step": ""}, {"code": ""}, {"code": "000000", "secret": ""}):
        answer = http.post(f"{member.app.base}/login", data=fields | changed, allow_redirects=False, timeout=30)
        assert "Location" not in answer.headers
    again = http.get(member.app.address(), timeout=30, allow_redirects=False)
    assert again.status_code == 200, "a password alone leaves nothing behind that would sign in"


def test_a_secret_of_ones_own_choice_is_not_taken(member: Member) -> None:
    http, page = member.begin()
    mine = base64.b32encode(b"attacker's own secret").decode().rstrip("=")
    answer = member.answer(http, page, totp.code(mine, totp.step()), secret=mine)
    assert answer.status_code == 200 and "Location" not in answer.headers


def test_guessing_ends_after_three_tries(member: Member) -> None:
    http, page = member.begin()
    secret = signin._Form(page.text).fields["secret"]
    wrong = f"{(int(totp.code(secret, totp.step())) + 7) % 10**6:06d}"
    assert [member.answer(http, page, wrong).status_code for _ in range(3)] == [200, 200, 400]
    assert member.answer(http, page, totp.code(secret, totp.step())).status_code == 400


def test_who_has_a_second_factor_is_asked_where_it_is_optional(here: Layout, stack: dict[str, Any]) -> None:
    """In the pool `other`, which is made like that of people."""
    cognito, pool = pools.client(here), stack["pools"]["other"]
    name, password = f"person-{time.time_ns()}", pools.random_password()
    pools.ensure_user(cognito, pool["id"], name, password)
    try:
        app = App(stack, "app")
        app.session.client_id = pool["clients"]["app"]
        answer = signin.Browser().sign_in(app.address(), pools.user_name(name), password)
        assert answer.status_code == 302, "nobody has to"
        token = app.exchange(answer.headers["Location"])["access_token"]
        with pytest.raises(ClientError, match="required scopes"):  # of an app of ours
            cognito.associate_software_token(AccessToken=token)
        with pytest.raises(ClientError, match="required scopes"):
            cognito.get_user(AccessToken=token)
        settings = seed.settings().client | {"AllowedOAuthScopes": ["aws.cognito.signin.user.admin"]}
        account = cognito.create_user_pool_client(UserPoolId=pool["id"], ClientName="account", **settings)
        settings_page = App(stack, "app")
        settings_page.session.client_id = account["UserPoolClient"]["ClientId"]
        settings_page.session.scope = "aws.cognito.signin.user.admin"
        answer = signin.Browser().sign_in(settings_page.address(), pools.user_name(name), password)
        token = settings_page.exchange(answer.headers["Location"])["access_token"]
        secret = cognito.associate_software_token(AccessToken=token)["SecretCode"]
        cognito.verify_software_token(AccessToken=token, UserCode=totp.code(secret, totp.step()))
        page = signin.Browser().sign_in(app.address(), pools.user_name(name), password)
        assert page.status_code == 200 and "second_step" in page.text
        assert signin.Browser(secret).sign_in(app.address(), pools.user_name(name), password).status_code == 302
        cognito.delete_user_pool_client(UserPoolId=pool["id"], ClientId=settings_page.session.client_id)
    finally:
        cognito.admin_delete_user(UserPoolId=pool["id"], Username=pools.user_name(name))


# ---- roles ------------------------------------------------------------------


def test_roles_are_in_our_records_and_apart(here: Layout, stack: dict[str, Any]) -> None:
    operator, outputs = deployment.Local(here), stack["outputs"]
    issuer, subject = stack["pools"]["staff"]["issuer"], f"test-{time.time_ns()}"
    assert outputs["StaffTokenIssuer"] == issuer

    def held() -> set[str]:
        key = {"id": {"S": roles.identity_key(issuer, subject)}, "document": {"S": "caller"}}
        found = operator.client("dynamodb").get_item(TableName=outputs["AccountsTable"], Key=key, ConsistentRead=True)
        return set(found.get("Item", {}).get("roles", {}).get("SS", []))

    try:
        for first, others in roles.APART.items():
            roles.set_role(operator, outputs, subject, first)
            for other in others:
                with pytest.raises(Trouble, match="must not hold both"):
                    roles.set_role(operator, outputs, subject, other)
            roles.set_role(operator, outputs, subject, "maker")
            assert held() == {first, "maker"}
            roles.set_role(operator, outputs, subject, first, remove=True)
            roles.set_role(operator, outputs, subject, "maker", remove=True)
            assert held() == set()
        found = operator.client("dynamodb").get_item(
            TableName=outputs["AccountsTable"],
            Key={"id": {"S": roles.identity_key(issuer, subject)}, "document": {"S": "caller"}},
            ConsistentRead=True,
        )
        assert abs(int(found["Item"]["sessions_from"]["N"]) - time.time()) < 60  # who loses a role loses his sessions

        def race(role: str) -> bool:
            try:
                roles.set_role(operator, outputs, subject, role)
            except Trouble:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(race, ["auditor", "administrator"] * 8))
        assert len(held()) == 1
    finally:
        operator.client("dynamodb").delete_item(
            TableName=outputs["AccountsTable"],
            Key={"id": {"S": roles.identity_key(issuer, subject)}, "document": {"S": "caller"}},
        )
    with pytest.raises(Trouble, match="ROLE must be one of"):
        roles.set_role(operator, outputs, subject, "owner")


# ---- browsers ---------------------------------------------------------------


@pytest.mark.parametrize("origin", deployment.WEB_ORIGINS)
def test_a_registered_origin_may_call(app: App, origin: str) -> None:
    asked = plain().options(app.stack["api"] + READINGS, headers={"Origin": origin}, timeout=60)
    assert (asked.status_code, asked.headers["Access-Control-Allow-Origin"], asked.headers["Vary"]) == (
        200,
        origin,
        "Origin",
    )
    allowed = asked.headers["Access-Control-Allow-Headers"].lower().split(",")
    assert set(allowed) >= {"authorization", "x-api-key", "content-type", "idempotency-key", "tracker-signature"}
    assert "Access-Control-Allow-Credentials" not in asked.headers
    token = app.stack["users"]["ada"]["access_token"]
    headers = {"Origin": origin, "Authorization": f"Bearer {token}", "x-api-key": app.about["api_key"]}
    answer = plain().get(app.stack["api"] + CONSENT, headers=headers, timeout=60)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, origin)


@pytest.mark.parametrize(
    "origin",
    [
        None, "", "null", "*", "https://evil.example", "https://web.fitvault.example.evil.example",
        "https://web.fitvault.example,http://localhost:8080", "https://web.fitvault.example/", "http://localhost",
        "https://web.fitvault.exampl", "WEB.fitvault.example", "'", "$origin", "#if", ",",
    ],
)  # fmt: skip
def test_any_other_origin_may_not(app: App, origin: str | None) -> None:
    token = app.stack["users"]["ada"]["access_token"]
    headers = {"Authorization": f"Bearer {token}", "x-api-key": app.about["api_key"], "Origin": origin}
    for method, path in (("OPTIONS", READINGS), ("GET", CONSENT)):
        answer = plain().request(method, app.stack["api"] + path, headers=headers, timeout=60)
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_a_web_app_can_read_that_its_token_is_refused(app: App) -> None:
    answer = plain().get(app.stack["api"] + CONSENT, headers={"Origin": deployment.WEB_ORIGINS[0]}, timeout=60)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, "*")
