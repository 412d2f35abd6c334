"""Gateway responses with the headers and templates of the API's definition, which LocalStack drops.

A template may name `$context` members only: API Gateway renders no Velocity in gateway responses.
"""

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from localstack.runtime import hooks

from fitvault_local.report import report

LOG = logging.getLogger(__name__)
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


@hooks.on_infra_start(name="fitvault-responses")
def install() -> None:
    from localstack.http import Response
    from localstack.services.apigateway.helpers import get_apigateway_store
    from localstack.services.apigateway.legacy import provider
    from localstack.services.apigateway.next_gen.execute_api.gateway_response import (
        BaseGatewayException,
        InternalServerError,
        get_gateway_response_or_default,
    )
    from localstack.services.apigateway.next_gen.execute_api.handlers.gateway_exception import GatewayExceptionHandler

    read_definition = provider.import_api_from_openapi_spec

    def read(rest_api: Any, context: Any, open_api_spec: dict, mode: str) -> Any:
        result = read_definition(rest_api, context=context, open_api_spec=open_api_spec, mode=mode)
        api = get_apigateway_store(context=context).rest_apis[rest_api.id]
        api.gateway_responses = from_definition(open_api_spec)  # type: ignore[assignment]
        return result

    def answer(
        self: GatewayExceptionHandler, chain: Any, exception: Exception, context: Any, response: Response
    ) -> None:
        if not isinstance(exception, BaseGatewayException):
            LOG.error("an API request failed inside LocalStack", exc_info=exception)
            exception = InternalServerError("Internal server error")
        self.set_error_context(exception, context)
        context.context_variables["error"]["messageString"] = json.dumps(exception.message)
        settings = get_gateway_response_or_default(exception.type, context.deployment.rest_api.gateway_responses)
        accept = (context.invocation_request or {}).get("headers", {}).get("Accept")
        body, headers = render(settings, context.context_variables, accept)
        status = settings.get("statusCode") or exception.status_code or 500
        response.update_from(
            Response(body, status=int(status), headers={"x-amzn-ErrorType": exception.code, **headers})
        )

    provider.import_api_from_openapi_spec = read
    GatewayExceptionHandler.__call__ = answer
    report("responses")
