"""What API Gateway does at a REST API and LocalStack does not: authorizers, throttles, quotas, sizes, binary bodies.

COGNITO_JWKS_URL is the address of a pool's JWKS, with `{pool}` in place of the pool's id.
"""

import logging
import os
import re
from typing import Any

import requests
from localstack.runtime import hooks

from fitvault_local import admission, authorizer, limits, payload
from fitvault_local.report import report

LOG = logging.getLogger(__name__)
LIMITS = limits.Limits()


def fetch_keys(pool: str) -> dict[str, Any]:
    try:
        answer = requests.get(os.environ["COGNITO_JWKS_URL"].format(pool=pool), timeout=5)
        answer.raise_for_status()
        return answer.json()
    except requests.RequestException as e:
        raise authorizer.KeysUnreadable(type(e).__name__) from None


KEYS = authorizer.PoolKeys(fetch_keys)


def authorize(context: Any, errors: Any) -> None:
    method = context.resource_method
    if method.get("authorizationType") != "COGNITO_USER_POOLS":
        return
    settings = context.deployment.rest_api.authorizers.get(method.get("authorizerId"))
    if not settings:
        raise errors.AuthorizerConfigurationError()
    header = settings.get("identitySource", "method.request.header.Authorization").rsplit(".", 1)[-1]
    token = re.sub(r"^Bearer +", "", context.invocation_request["headers"].get(header) or "", flags=re.IGNORECASE)
    pools = [arn.rsplit("/", 1)[-1] for arn in settings.get("providerARNs", [])]
    try:
        claims = authorizer.verify(token, pools, method.get("authorizationScopes") or [], KEYS)
    except authorizer.TokenRefused as e:
        LOG.info("token refused: %s", e)
        raise errors.UnauthorizedError("Unauthorized") from None
    except authorizer.KeysUnreadable as e:
        LOG.error("the user pool's keys cannot be read: %s", e)
        raise errors.AuthorizerFailureError("Internal server error") from None
    texts = {name: authorizer.as_text(name, value) for name, value in claims.items()}
    context.context_variables["authorizer"] = {"claims": texts}


def throttle(context: Any, errors: Any) -> None:
    path, method = context.resource["path"], context.resource_method["httpMethod"]
    stage = f"{context.api_id}:{context.stage}"
    settings = (context.stage_configuration or {}).get("methodSettings") or {}
    if found := limits.stage_throttle(settings, path, method):
        name, rate, burst = found
        if not LIMITS.take((stage, name), rate, burst):
            raise errors.ThrottledError("Too Many Requests")
    key = context.context_variables["identity"].get("apiKeyId")
    if not key or not context.resource_method.get("apiKeyRequired"):
        return
    from localstack.services.apigateway.next_gen.execute_api import moto_helpers as moto

    for plan in moto.get_usage_plans(context.account_id, context.region):
        at = next((s for s in plan.get("apiStages", []) if f"{s['apiId']}:{s['stage']}" == stage), None)
        keys = moto.get_usage_plan_keys(plan["id"], context.account_id, context.region)
        if not at or all(k["id"] != key for k in keys):
            continue
        own = (at.get("throttle") or {}).get(f"{path}/{method}")
        rates = own or plan.get("throttle") or {}
        bucket = (plan["id"], key, (path, method) if own else None)
        allowed = rates.get("rateLimit")  # a second
        if allowed is not None and not LIMITS.take(bucket, float(allowed), int(rates.get("burstLimit", 1))):
            raise errors.ThrottledError("Too Many Requests")
        quota = plan.get("quota") or {}
        if quota.get("limit"):
            counter = (plan["id"], key, limits.period_start(quota["period"]))
            if not LIMITS.count(counter, int(quota["limit"])):
                raise errors.QuotaExceededError("Limit Exceeded")


@hooks.on_infra_start(name="fitvault-frontdoor")
def install() -> None:
    from localstack.services.apigateway.next_gen.execute_api import gateway_response as errors
    from localstack.services.apigateway.next_gen.execute_api import handlers
    from localstack.services.apigateway.next_gen.execute_api.helpers import mime_type_matches_binary_media_types
    from localstack.services.apigateway.next_gen.execute_api.integrations.aws import RestApiAwsProxyIntegration

    def front_door(chain: Any, context: Any, response: Any) -> None:
        if len(context.invocation_request["body"] or b"") > payload.MAX_REQUEST:
            raise errors.RequestTooLargeError("Request Too Long")
        authorize(context, errors)
        handlers.api_key_validation_handler(chain, context, response)
        throttle(context, errors)

    make_event = RestApiAwsProxyIntegration.create_lambda_input_event

    def event_of(self: RestApiAwsProxyIntegration, context: Any) -> Any:
        event = make_event(self, context)
        types = context.deployment.rest_api.rest_api.get("binaryMediaTypes", [])
        binary = mime_type_matches_binary_media_types(context.invocation_request["headers"].get("Content-Type"), types)
        event["body"], event["isBase64Encoded"] = payload.body_of_event(context.integration_request["body"], binary)
        if payload.event_size(event) > payload.MAX_EVENT:
            raise errors.RequestTooLargeError("Request Too Long")
        return event

    handlers.preprocess_request.append(front_door)
    RestApiAwsProxyIntegration.create_lambda_input_event = event_of
    admission.install()
    report("frontdoor")
