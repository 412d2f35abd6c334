"""Renders gateway responses as an API's definition asks for.

A template may name `$context` members only: API Gateway renders no Velocity in gateway responses.
"""

import re
from collections.abc import Mapping
from typing import Any

JSON = "application/json"
DEFINITION = "x-amazon-apigateway-gateway-responses"
HEADER = "gatewayresponse.header."


def render(response: Mapping[str, Any], context: Mapping[str, Any], accept: str | None) -> tuple[str, dict[str, str]]:
    """Body and headers of a gateway response. `context` is the request's `$context`."""
    templates = response.get("responseTemplates") or {JSON: '{"message":$context.error.messageString}'}
    wanted = [part.split(";")[0].strip() for part in (accept or "").split(",")]
    kind = next((t for t in [*wanted, JSON] if t in templates), next(iter(templates)))
    headers = {"Content-Type": kind}
    for name, value in (response.get("responseParameters") or {}).items():
        if name.startswith(HEADER):
            text = value[1:-1] if value.startswith("'") else _member(value, context)
            headers[name.removeprefix(HEADER)] = text
    body = re.sub(r"\$(context(?:\.\w+)+)", lambda found: _member(found[1], context), templates[kind])
    return body, headers


def _member(path: str, context: Mapping[str, Any]) -> str:
    """The text of a member such as context.requestId; empty where there is none."""
    value: Any = {"context": context}
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return "" if value is None else str(value)


def from_definition(definition: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The gateway responses of an OpenAPI definition, by type, as the API's model holds them."""
    return {
        kind: {
            "responseType": kind,
            "responseParameters": response.get("responseParameters") or {},
            "responseTemplates": response.get("responseTemplates") or {},
            "defaultResponse": False,
            **({"statusCode": str(response["statusCode"])} if response.get("statusCode") else {}),
        }
        for kind, response in (definition.get(DEFINITION) or {}).items()
    }
