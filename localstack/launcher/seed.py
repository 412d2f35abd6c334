"""Fills the local stack: people, staff, apps, keys; writes stack.json. Changes nothing that is right already."""

import secrets
from typing import Any

from launcher import apps, deployment, pools, postgres, roles, signin, stackfile
from launcher.layout import CREDENTIALS, REGION, ROOT, STACK, Layout
from launcher.pools import Pool
from launcher.progress import step
from launcher.template import PoolSettings, load, pool_settings


def settings(pool: str = "people") -> PoolSettings:
    return pool_settings(load(ROOT / "template.yaml"), "Staff" if pool == "staff" else "")


def make_pools(layout: Layout) -> dict[str, Pool]:
    cognito = pools.client(layout)
    with step("user pools"):
        return {name: pools.ensure(cognito, name, settings(name)) for name in pools.POOLS}


def app_scopes(wanted: PoolSettings) -> list[str]:
    """The scopes of the API that an app may ask for; not those about the user, such as openid."""
    return api_scopes(wanted.client["AllowedOAuthScopes"])


def api_scopes(scopes: list[str]) -> list[str]:
    return [scope for scope in scopes if "/" in scope]


def seed(layout: Layout, made: dict[str, Pool], outputs: dict[str, str], fresh: bool) -> dict[str, Any]:
    """Keeps the keys and passwords of an earlier stack.json. `fresh`: the database is new, so nobody has an account."""
    old = stackfile.read_if_there(layout) or {}
    operator, cognito = deployment.Local(layout), pools.client(layout)
    page = deployment.api_url(layout, outputs["ApiId"]) + "/authorize"
    with step("apps"):
        consent = settings().client | pools.CLIENTS["consent"].differs
        pools.set_callback(cognito, made["people"], "consent", consent, page)
        clients = {name: _app(operator, outputs, made, old, name) for name in pools.CLIENTS}
        clients["consent"]["callback"] = page
    with step("people and staff"):
        users = {
            name: _user(cognito, made, old, name, pool, fresh)
            for pool in ("people", "staff")
            for name in pools.users_of(pool)
        }
        for name in pools.USERS:  # with the same password, as another organisation's user might
            pools.ensure_user(cognito, made["other"].id, name, users[name]["password"])
        for name, role in pools.STAFF.items():
            roles.set_role(operator, outputs, users[name]["subject"], role)
    stack = {
        "api": deployment.api_url(layout, outputs["ApiId"]),
        "api_key": clients["app"]["api_key"],
        "user_pool": made["people"].id,
        "clients": clients,
        "users": users,
        "pools": {
            name: {"id": pool.id, "issuer": pools.issuer(pool), "clients": pool.clients} for name, pool in made.items()
        },
        "oauth": {"callback": clients["app"]["callback"], "scopes": clients["app"]["scopes"]},
        "pairing_root": str(deployment.pairing_root(layout) / "root.pem"),
        "endpoints": {"aws": layout.aws, "cognito": layout.cognito},
        "database": postgres.for_tests(layout),
        "region": REGION,
        "credentials": CREDENTIALS,
        "outputs": outputs,
    }
    with step("sign-in"):
        renew_tokens(stack)
    stackfile.write(layout, stack)
    return stack


def _app(operator: Any, outputs: dict[str, str], made: dict[str, Pool], old: dict[str, Any], name: str) -> Any:
    """Lets an app in, and says what there is to know about it."""
    app = pools.CLIENTS[name]
    pool, wanted = made[app.pool], settings(app.pool).client | app.differs
    id, key = pool.clients[name], _old(old, "clients", name, "api_key") or secrets.token_urlsafe(32)
    scopes = wanted["AllowedOAuthScopes"]
    if name == "consent":
        key = apps.deploy_page(operator, outputs, STACK)
    elif app.document:
        apps.deploy_app(operator, outputs, id, key, app.plan, api_scopes(scopes), app.kind)
    else:
        apps.add_key(operator, outputs, id, key, app.plan)
    return {
        "id": id, "api_key": key, "pool": app.pool, "kind": app.kind, "secret": pool.secrets.get(name),
        "callback": next(iter(wanted["CallbackURLs"]), None), "scopes": scopes,
    }  # fmt: skip


def _user(cognito: Any, made: dict[str, Pool], old: dict[str, Any], name: str, pool: str, fresh: bool) -> Any:
    password = _old(old, "users", name, "password") or pools.random_password()
    totp = _old(old, "users", name, "totp")
    pools.ensure_user(cognito, made[pool].id, name, password)
    if totp is None:  # an authenticator that nobody here knows would keep him out
        pools.forget_second_factor(cognito, made[pool].id, name)
    return {
        "id": None if fresh else _old(old, "users", name, "id"),
        "name": pools.user_name(name),
        "pool": pool,
        "subject": pools.subject(cognito, made[pool].id, pools.user_name(name)),
        "password": password,
        "totp": totp,  # the authenticator's secret, set up at the first sign-in
        "access_token": None,
    }


def _old(stack: dict[str, Any], *path: str) -> Any:
    value: Any = stack
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def renew_tokens(stack: dict[str, Any]) -> bool:
    """Gives each user a token of his pool's own app where his ends soon. Says whether anything changed."""
    changed = False
    for name, user in stack["users"].items():
        if stackfile.ends_soon(user["access_token"]):
            client = "staff" if user["pool"] == "staff" else "app"
            user["access_token"] = tokens(stack, name, client, user["pool"])["access_token"]
            changed = True
    return changed


def tokens(stack: dict[str, Any], user: str, client: str, pool: str = "people") -> dict[str, Any]:
    """Signs a user in with a client, both by the names that stack.json has for them; a system by itself.

    An authenticator that is set up on the way is noted in `stack`.
    """
    app, person = stack["clients"][client], stack["users"][user]
    base, id = stack["endpoints"]["cognito"], stack["pools"][pool]["clients"][client]
    if app["kind"] == "system":
        return signin.client_credentials(base, id, app["secret"], app["scopes"])
    browser = signin.Browser(person["totp"] or "")
    made = signin.sign_in(
        base, id, app["callback"], app["scopes"], person["name"], person["password"], app["secret"] or "", browser
    )
    person["totp"] = browser.totp or None
    return made
