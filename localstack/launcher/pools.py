"""The user pools `people` and `other` in MiniStack, as template.yaml would make one."""

import secrets
import string
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from launcher.layout import CREDENTIALS, REGION, Layout
from launcher.template import PoolSettings

POOLS = ("people", "other")
CLIENTS = ("app", "partner", "unregistered")
USERS = ("ada", "ben")


@dataclass(frozen=True)
class Pool:
    id: str
    arn: str
    clients: dict[str, str]  # name → id


def client(layout: Layout) -> Any:
    return boto3.client(
        "cognito-idp",
        endpoint_url=layout.cognito,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["access_key_id"],
        aws_secret_access_key=CREDENTIALS["secret_access_key"],
        config=Config(retries={"max_attempts": 1}, proxies={}),
    )


def ensure(cognito: Any, name: str, settings: PoolSettings) -> Pool:
    """Makes the pool, or brings it to the settings, without touching its users."""
    listed = cognito.list_user_pools(MaxResults=60)["UserPools"]
    id = next((pool["Id"] for pool in listed if pool["Name"] == name), None)
    if id is None:
        id = cognito.create_user_pool(PoolName=name, **settings.pool)["UserPool"]["Id"]
    _ensure_server(cognito, id, settings.resource_server)
    return Pool(
        id,
        cognito.describe_user_pool(UserPoolId=id)["UserPool"]["Arn"],
        {name: _ensure_client(cognito, id, name, settings.client) for name in CLIENTS},
    )


def _ensure_server(cognito: Any, pool: str, settings: dict[str, Any]) -> None:
    servers = cognito.list_resource_servers(UserPoolId=pool, MaxResults=50)["ResourceServers"]
    if any(server["Identifier"] == settings["Identifier"] for server in servers):
        cognito.update_resource_server(UserPoolId=pool, **settings)
    else:
        cognito.create_resource_server(UserPoolId=pool, **settings)


def _ensure_client(cognito: Any, pool: str, name: str, settings: dict[str, Any]) -> str:
    listed = cognito.list_user_pool_clients(UserPoolId=pool, MaxResults=60)["UserPoolClients"]
    id = next((client["ClientId"] for client in listed if client["ClientName"] == name), None)
    if id is None:
        created = cognito.create_user_pool_client(UserPoolId=pool, ClientName=name, **settings)
        return created["UserPoolClient"]["ClientId"]
    changes = {key: value for key, value in settings.items() if key != "GenerateSecret"}
    cognito.update_user_pool_client(UserPoolId=pool, ClientId=id, ClientName=name, **changes)
    return id


def user_name(name: str) -> str:
    return f"{name}@example.com"


def ensure_user(cognito: Any, pool: str, name: str, password: str) -> None:
    """Makes a confirmed user with a permanent password, or gives an existing one this password."""
    user = user_name(name)
    attributes = [{"Name": "email", "Value": user}, {"Name": "email_verified", "Value": "true"}]
    try:
        cognito.admin_create_user(UserPoolId=pool, Username=user, UserAttributes=attributes, MessageAction="SUPPRESS")
    except cognito.exceptions.UsernameExistsException:
        pass
    cognito.admin_set_user_password(UserPoolId=pool, Username=user, Password=password, Permanent=True)


def random_password() -> str:
    """32 characters of all kinds, for whatever policy the template has."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_.!+*")
    characters = [secrets.choice(kind) for kind in kinds]
    characters += [secrets.choice("".join(kinds)) for _ in range(28)]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)
