"""The user pools `people`, `staff` and `other` in MiniStack, as template.yaml would make them."""

import secrets
import string
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config

from launcher.layout import CREDENTIALS, REGION, Layout
from launcher.template import PoolSettings

POOLS = ("people", "staff", "other")  # other: as people, and none of the API's
USERS = ("ada", "ben")  # of people and of other
STAFF = {  # → role
    "sam": "administrator",
    "ina": "auditor",
    "ann": "analyst",
    "fay": "firmware-manager",
    "max": "maker",
}


@dataclass(frozen=True)
class Client:
    """An app that may sign people in, and what of the template's client is otherwise."""

    pool: str = "people"
    kind: str = "own"  # of its app document
    plan: str = "app"
    document: bool = True
    differs: dict[str, Any] = field(default_factory=dict)


CLIENTS = {
    "app": Client(),
    "partner": Client(plan="partner"),
    "unregistered": Client(document=False),
    "thirdparty": Client(
        kind="third-party",
        plan="partner",
        differs={
            "GenerateSecret": True,
            "CallbackURLs": ["https://thirdparty.example/callback"],
            "AllowedOAuthScopes": ["openid", "fitvault/readings.read"],
        },
    ),
    "system": Client(
        kind="system",
        plan="partner",
        differs={
            "GenerateSecret": True,
            "CallbackURLs": [],
            "AllowedOAuthFlows": ["client_credentials"],
            "AllowedOAuthScopes": ["fitvault/readings.read", "fitvault/readings.write"],
        },
    ),
    "consent": Client(  # of the consent page; where it is is known when it is deployed
        differs={
            "AllowedOAuthScopes": ["openid", "email", "fitvault/sharing.manage"],
            "AccessTokenValidity": 15,
            "IdTokenValidity": 15,
            "RefreshTokenValidity": 60,
            "TokenValidityUnits": {"AccessToken": "minutes", "IdToken": "minutes", "RefreshToken": "minutes"},
        },
    ),
    "staff": Client(pool="staff", kind="staff"),
}


@dataclass(frozen=True)
class Pool:
    id: str
    arn: str
    clients: dict[str, str]  # name → id
    secrets: dict[str, str]  # of the clients that have one


def issuer(pool: Pool) -> str:
    return f"https://cognito-idp.{REGION}.amazonaws.com/{pool.id}"


def client(layout: Layout) -> Any:
    return boto3.client(
        "cognito-idp",
        endpoint_url=layout.cognito,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["access_key_id"],
        aws_secret_access_key=CREDENTIALS["secret_access_key"],
        config=Config(retries={"max_attempts": 1}, proxies={}),
    )


def clients_of(pool: str) -> dict[str, Client]:
    """The clients of a pool; `other` has those of people."""
    of = "staff" if pool == "staff" else "people"
    return {name: wanted for name, wanted in CLIENTS.items() if wanted.pool == of}


def users_of(pool: str) -> tuple[str, ...]:
    return tuple(STAFF) if pool == "staff" else USERS


def ensure(cognito: Any, name: str, settings: PoolSettings) -> Pool:
    """Makes the pool, or brings it to the settings, without touching its users."""
    listed = cognito.list_user_pools(MaxResults=60)["UserPools"]
    id = next((pool["Id"] for pool in listed if pool["Name"] == name), None)
    if id is None:
        id = cognito.create_user_pool(PoolName=name, **settings.pool)["UserPool"]["Id"]
    cognito.set_user_pool_mfa_config(
        UserPoolId=id,
        SoftwareTokenMfaConfiguration={"Enabled": True},
        MfaConfiguration=settings.pool.get("MfaConfiguration", "OFF"),
    )
    _ensure_server(cognito, id, settings.resource_server)
    made = {
        name: _ensure_client(cognito, id, name, settings.client | c.differs) for name, c in clients_of(name).items()
    }
    return Pool(
        id,
        cognito.describe_user_pool(UserPoolId=id)["UserPool"]["Arn"],
        {name: id for name, (id, _) in made.items()},
        {name: secret for name, (_, secret) in made.items() if secret},
    )


def set_callback(cognito: Any, pool: Pool, name: str, settings: dict[str, Any], callback: str) -> None:
    """Says where a client returns to, where that was not known when it was made."""
    _ensure_client(cognito, pool.id, name, settings | {"CallbackURLs": [callback]})


def _ensure_server(cognito: Any, pool: str, settings: dict[str, Any]) -> None:
    servers = cognito.list_resource_servers(UserPoolId=pool, MaxResults=50)["ResourceServers"]
    if any(server["Identifier"] == settings["Identifier"] for server in servers):
        cognito.update_resource_server(UserPoolId=pool, **settings)
    else:
        cognito.create_resource_server(UserPoolId=pool, **settings)


def _ensure_client(cognito: Any, pool: str, name: str, settings: dict[str, Any]) -> tuple[str, str]:
    """The client's id, and its secret where it has one."""
    listed = cognito.list_user_pool_clients(UserPoolId=pool, MaxResults=60)["UserPoolClients"]
    id = next((client["ClientId"] for client in listed if client["ClientName"] == name), None)
    if id is None:
        made = cognito.create_user_pool_client(UserPoolId=pool, ClientName=name, **settings)["UserPoolClient"]
    else:
        changes = {key: value for key, value in settings.items() if key != "GenerateSecret"}
        cognito.update_user_pool_client(UserPoolId=pool, ClientId=id, ClientName=name, **changes)
        made = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=id)["UserPoolClient"]
    return made["ClientId"], made.get("ClientSecret") or ""


def user_name(name: str) -> str:
    return f"{name}@example.com"


def ensure_user(cognito: Any, pool: str, name: str, password: str) -> None:
    """Makes a confirmed user with a permanent password, or gives an existing one this password."""
    user = user_name(name)
    attributes = [{"Name": "email", "Value": user}, {"Name": "email_verified", "Value": "true"}]
    try:
        cognito.admin_create_user(
            UserPoolId=pool, Username=user, UserAttributes=attributes, MessageAction="SUPPRESS",
            TemporaryPassword=password,  # Cognito's own might be too short for the pool
        )  # fmt: skip
    except cognito.exceptions.UsernameExistsException:
        pass
    cognito.admin_set_user_password(UserPoolId=pool, Username=user, Password=password, Permanent=True)


def forget_second_factor(cognito: Any, pool: str, name: str) -> None:
    cognito.admin_set_user_mfa_preference(
        UserPoolId=pool, Username=user_name(name), SoftwareTokenMfaSettings={"Enabled": False}
    )


def subject(cognito: Any, pool: str, user: str) -> str:
    """The `sub` of a user by his user name."""
    found = cognito.admin_get_user(UserPoolId=pool, Username=user)["UserAttributes"]
    return next(attribute["Value"] for attribute in found if attribute["Name"] == "sub")


def random_password() -> str:
    """32 characters of all kinds, for whatever policy the template has."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_.!+*")
    characters = [secrets.choice(kind) for kind in kinds]
    characters += [secrets.choice("".join(kinds)) for _ in range(28)]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)
