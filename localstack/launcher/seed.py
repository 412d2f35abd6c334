"""Fills the local stack: people, apps and their keys; writes stack.json. Changes nothing that is right already."""

import secrets
from typing import Any

from launcher import apps, deployment, pools, postgres, signin, stackfile
from launcher.layout import CREDENTIALS, REGION, ROOT, Layout
from launcher.pools import Pool
from launcher.progress import step
from launcher.template import PoolSettings, load, pool_settings


def settings() -> PoolSettings:
    return pool_settings(load(ROOT / "template.yaml"))


def make_pools(layout: Layout) -> dict[str, Pool]:
    cognito, wanted = pools.client(layout), settings()
    with step("user pools"):
        return {name: pools.ensure(cognito, name, wanted) for name in pools.POOLS}


def app_scopes(wanted: PoolSettings) -> list[str]:
    """The scopes of the API that an app may ask for; not those about the user, such as openid."""
    return [scope for scope in wanted.client["AllowedOAuthScopes"] if "/" in scope]


def seed(layout: Layout, made: dict[str, Pool], outputs: dict[str, str], fresh: bool) -> dict[str, Any]:
    """Keeps the keys and passwords of an earlier stack.json. `fresh`: the database is new, so nobody has an account."""
    old = stackfile.read_if_there(layout) or {}
    people, wanted = made["people"], settings()
    keys = {name: _old(old, "clients", name, "api_key") or secrets.token_urlsafe(32) for name in pools.CLIENTS}
    passwords = {name: _old(old, "users", name, "password") or pools.random_password() for name in pools.USERS}
    with step("apps"):
        operator, scopes = deployment.Local(layout), app_scopes(wanted)
        apps.deploy_app(operator, outputs, people.clients["app"], keys["app"], "app", scopes)
        apps.deploy_app(operator, outputs, people.clients["partner"], keys["partner"], "partner", scopes)
        apps.add_key(operator, outputs, people.clients["unregistered"], keys["unregistered"], "app")
    with step("people"):
        cognito = pools.client(layout)
        for pool in made.values():
            for name, password in passwords.items():
                pools.ensure_user(cognito, pool.id, name, password)
    stack = {
        "api": deployment.api_url(layout, outputs["ApiId"]),
        "api_key": keys["app"],
        "user_pool": people.id,
        "clients": {name: {"id": people.clients[name], "api_key": keys[name]} for name in pools.CLIENTS},
        "users": {
            name: {
                "id": None if fresh else _old(old, "users", name, "id"),
                "name": pools.user_name(name),
                "password": passwords[name],
                "access_token": None,
            }
            for name in pools.USERS
        },
        "pools": {name: {"id": pool.id, "clients": pool.clients} for name, pool in made.items()},
        "oauth": {"callback": wanted.client["CallbackURLs"][0], "scopes": wanted.client["AllowedOAuthScopes"]},
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


def _old(stack: dict[str, Any], *path: str) -> Any:
    value: Any = stack
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def renew_tokens(stack: dict[str, Any]) -> bool:
    """Gives each user a token of `app` where his has less than ten minutes left. Says whether anything changed."""
    changed = False
    for name, user in stack["users"].items():
        if stackfile.ends_soon(user["access_token"]):
            user["access_token"] = tokens(stack, name, "app")["access_token"]
            changed = True
    return changed


def tokens(stack: dict[str, Any], user: str, client: str, pool: str = "people") -> dict[str, Any]:
    """Signs a user in with a client, both by the names that stack.json has for them."""
    return signin.sign_in(
        stack["endpoints"]["cognito"],
        stack["pools"][pool]["clients"][client],
        stack["oauth"]["callback"],
        stack["oauth"]["scopes"],
        stack["users"][user]["name"],
        stack["users"][user]["password"],
    )
