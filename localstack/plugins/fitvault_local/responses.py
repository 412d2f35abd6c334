"""Gateway responses with the headers and templates of the API's definition, which LocalStack drops."""

import json
import logging
from typing import Any

from localstack.runtime import hooks

from fitvault_local.rendering import from_definition, render
from fitvault_local.report import report

LOG = logging.getLogger(__name__)


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
        refusal = exception
        if not isinstance(refusal, BaseGatewayException):
            LOG.error("an API request failed inside LocalStack", exc_info=exception)
            refusal = InternalServerError("Internal server error")
        self.set_error_context(refusal, context)
        context.context_variables["error"]["messageString"] = json.dumps(refusal.message)
        settings = get_gateway_response_or_default(refusal.type, context.deployment.rest_api.gateway_responses)
        accept = (context.invocation_request or {}).get("headers", {}).get("Accept")
        body, headers = render(settings, context.context_variables, accept)
        status = settings.get("statusCode") or refusal.status_code or 500
        response.update_from(Response(body, status=int(status), headers={"x-amzn-ErrorType": refusal.code, **headers}))

    provider.import_api_from_openapi_spec = read
    GatewayExceptionHandler.__call__ = answer
    report("responses")
