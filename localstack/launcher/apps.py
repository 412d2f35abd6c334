"""Lets an app in: its API key in a usage plan, and its app document. With operator's credentials, here and on AWS."""

import hashlib
import secrets
from typing import Any

from launcher.progress import Trouble

PLANS = {"app": "AppPlan", "partner": "PartnerPlan"}  # → the stack's outputs
KEY_LENGTH = 32
KINDS = ("own", "third-party", "system", "staff")


def outputs(session: Any, stack: str) -> dict[str, str]:
    """The outputs of a deployed stack."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except (BotoCoreError, ClientError) as e:
        raise Trouble(
            f"Stack {stack} cannot be read ({type(e).__name__}). Is it deployed, are these its credentials?"
        ) from None
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def deploy_app(
    session: Any, stack: dict[str, str], client: str, key: str, plan: str, scopes: list[str], kind: str = "own"
) -> None:
    """Gives a client its API key and its app document; any number of times. `stack` is the stack's outputs."""
    if kind not in KINDS:
        raise Trouble(f"KIND must be one of {', '.join(KINDS)}.")
    add_key(session, stack, client, key, plan)
    session.client("dynamodb").put_item(TableName=stack["AccountsTable"], Item=document(client, key, scopes, kind))


def deploy_page(session: Any, outputs: dict[str, str], stack: str) -> str:
    """Lets the consent page in, by a key that whoever opens it can read; any number of times. Gives the key.

    The plan bounds each key by itself, so who misuses this one takes nothing from other clients.
    """
    if not outputs.get("ConsentClient"):
        raise Trouble("The stack has no client for the consent page: ConsentClientId and SignInUrl bring one.")
    ssm, name = session.client("ssm"), f"/{stack}/consent-page-key"
    try:
        key = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        key = secrets.token_urlsafe(32)
    deploy_app(session, outputs, outputs["ConsentClient"], key, "partner", ["fitvault/sharing.manage"])
    ssm.put_parameter(Name=name, Type="String", Value=key, Overwrite=True)
    return key


def add_key(session: Any, stack: dict[str, str], client: str, key: str, plan: str) -> None:
    """Puts an API key into a usage plan. The same key again changes nothing."""
    if len(key) < KEY_LENGTH:
        raise Trouble(f"KEY must have at least {KEY_LENGTH} characters: openssl rand -hex 32")
    if plan not in PLANS:
        raise Trouble(f"PLAN must be one of {', '.join(PLANS)}.")
    gateway = session.client("apigateway")
    id = next((k["id"] for k in _all(gateway, "get_api_keys", includeValues=True) if k["value"] == key), None)
    if id is None:
        id = gateway.create_api_key(name=f"{plan}-{client}", value=key, enabled=True)["id"]
    plan_id = stack[PLANS[plan]]
    if all(k["id"] != id for k in _all(gateway, "get_usage_plan_keys", usagePlanId=plan_id)):
        gateway.create_usage_plan_key(usagePlanId=plan_id, keyId=id, keyType="API_KEY")


def _all(gateway: Any, operation: str, **arguments: Any) -> list[dict[str, Any]]:
    pages = gateway.get_paginator(operation).paginate(**arguments)
    return [item for page in pages for item in page.get("items", [])]


def document(client: str, key: str, scopes: list[str], kind: str) -> dict[str, Any]:
    """The item that functions read: it holds the key's SHA-256 only."""
    return {
        "id": {"S": f"app#{client}"},
        "document": {"S": "app"},
        "kind": {"S": kind},
        "state": {"S": "active"},
        "scopes": {"SS": sorted(scopes)},
        "api_keys": {"SS": [hashlib.sha256(key.encode()).hexdigest()]},
    }
