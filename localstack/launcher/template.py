"""Reads template.yaml: the pool's settings, so that the local pools are what the template would make."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from launcher.progress import Trouble


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, such as !Ref, kept as {"!Ref": value}."""


def _tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {f"!{suffix}": value}


_Loader.add_multi_constructor("!", _tag)


def load(path: Path) -> dict[str, Any]:
    try:
        return yaml.load(path.read_text(), _Loader)
    except (OSError, yaml.YAMLError) as e:
        raise Trouble(f"{path} cannot be read: {e}") from None


@dataclass(frozen=True)
class PoolSettings:
    """Arguments of Cognito's CreateUserPool, CreateResourceServer and CreateUserPoolClient, names and ids left out."""

    pool: dict[str, Any]
    resource_server: dict[str, Any]
    client: dict[str, Any]


# What CloudFormation and the API name alike, and what the local pools need of it. The API has no deletion protection
# of use here, and names and ids are the pools' own.
POOL = (
    "UsernameAttributes", "UsernameConfiguration", "AliasAttributes", "AutoVerifiedAttributes", "MfaConfiguration",
    "AdminCreateUserConfig", "Policies", "Schema",
)  # fmt: skip
SERVER = ("Identifier", "Name", "Scopes")
CLIENT = (
    "GenerateSecret", "SupportedIdentityProviders", "AllowedOAuthFlowsUserPoolClient", "AllowedOAuthFlows",
    "AllowedOAuthScopes", "ExplicitAuthFlows", "AccessTokenValidity", "IdTokenValidity", "RefreshTokenValidity",
    "TokenValidityUnits", "RefreshTokenRotation", "EnableTokenRevocation", "PreventUserExistenceErrors",
)  # fmt: skip


def pool_settings(template: dict[str, Any], prefix: str = "") -> PoolSettings:
    """Of the template's UserPool, UserPoolResourceServer and UserPoolClient, or of those with a prefix: Staff."""
    pool, server, client = (
        _properties(template, prefix + logical_id)
        for logical_id in ("UserPool", "UserPoolResourceServer", "UserPoolClient")
    )
    return PoolSettings(
        _pick(pool, POOL),
        _pick(server, SERVER),
        _pick(client, CLIENT) | {"CallbackURLs": [_text(template, url) for url in client["CallbackURLs"]]},
    )


def _properties(template: dict[str, Any], logical_id: str) -> dict[str, Any]:
    try:
        return template["Resources"][logical_id]["Properties"]
    except KeyError:
        raise Trouble(f"template.yaml has no resource {logical_id}; the local user pools are made like it.") from None


def _pick(properties: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: properties[name] for name in names if name in properties}


def _text(template: dict[str, Any], value: Any) -> str:
    """A text, or the default of the parameter that a !Ref names."""
    if isinstance(value, str):
        return value
    try:
        return template["Parameters"][value["!Ref"]]["Default"]
    except (KeyError, TypeError):
        raise Trouble(f"template.yaml: {value} is neither a text nor a !Ref to a parameter with a default.") from None
