"""Repairs of LocalStack 4.14 that a SAM project needs to deploy more than once, and its KMS to refuse as AWS does."""

import json
import os
from typing import Any

from localstack.runtime import hooks

from fitvault_local.report import report


def rest_api_updates() -> None:
    """An update of AWS::ApiGateway::RestApi is skipped: put the new definition."""
    from localstack.services.apigateway.resource_providers.aws_apigateway_restapi import ApiGatewayRestApiProvider
    from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent

    def update(self: Any, request: Any) -> ProgressEvent:
        model, old = request.desired_state, request.previous_state or {}
        for name in ("RestApiId", "RootResourceId"):
            model.setdefault(name, old.get(name))
        if model.get("Body"):
            body = json.dumps(model["Body"]).encode()
            api = request.aws_client_factory.apigateway
            api.put_rest_api(restApiId=model["RestApiId"], mode="overwrite", body=body)
        return ProgressEvent(OperationStatus.SUCCESS, resource_model=model, custom_context=request.custom_context)

    ApiGatewayRestApiProvider.update = update


def stage_updates() -> None:
    """An update of AWS::ApiGateway::Stage fails and leaves the stack in UPDATE_FAILED; MethodSettings are dropped."""
    from localstack.services.apigateway.resource_providers.aws_apigateway_stage import ApiGatewayStageProvider
    from localstack.services.cloudformation.engine.v2.change_set_model import ChangeSetModel
    from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent

    original = ApiGatewayStageProvider.create

    def throttles(model: dict[str, Any]) -> list[dict[str, str]]:
        return [
            {
                "op": "replace",
                "path": f"{settings['ResourcePath']}/{settings['HttpMethod']}/throttling/{name}",
                "value": str(settings[member]),
            }
            for settings in model.get("MethodSettings") or []
            for name, member in (("rateLimit", "ThrottlingRateLimit"), ("burstLimit", "ThrottlingBurstLimit"))
            if member in settings
        ]

    def patch(request: Any, operations: list[dict[str, str]]) -> ProgressEvent:
        model = request.desired_state
        if operations:
            request.aws_client_factory.apigateway.update_stage(
                restApiId=model["RestApiId"], stageName=model["StageName"], patchOperations=operations
            )
        return ProgressEvent(OperationStatus.SUCCESS, resource_model=model, custom_context=request.custom_context)

    def create(self: Any, request: Any) -> ProgressEvent:
        original(self, request)
        return patch(request, throttles(request.desired_state))

    def update(self: Any, request: Any) -> ProgressEvent:
        model = request.desired_state
        operations = [{"op": "replace", "path": "/deploymentId", "value": model["DeploymentId"]}]
        for name, value in (model.get("Variables") or {}).items():
            operations.append({"op": "replace", "path": f"/variables/{name}", "value": value})
        return patch(request, operations + throttles(model))

    ApiGatewayStageProvider.create, ApiGatewayStageProvider.update = create, update

    # The engine takes an unresolved `Ref: Api` for a changed create-only property and would make the stage once more.
    replaces = ChangeSetModel._resolve_requires_replacement

    def replaces_unless_stage(self: Any, node_properties: Any, resource_type: Any) -> bool:
        return resource_type.value != ApiGatewayStageProvider.TYPE and replaces(self, node_properties, resource_type)

    ChangeSetModel._resolve_requires_replacement = replaces_unless_stage


def log_groups() -> None:
    """Functions' logs go to /aws/lambda/NAME, whatever group their LoggingConfig names."""
    from localstack.services.lambda_.invocation.execution_environment import ExecutionEnvironment

    default = ExecutionEnvironment.get_log_group_name

    def log_group(self: Any) -> str:
        return (self.function_version.config.logging_config or {}).get("LogGroup") or default(self)

    ExecutionEnvironment.get_log_group_name = log_group


def object_store() -> None:
    """Objects of S3 lie in /tmp/localstack-s3-storage, which two LocalStacks would share: put them into S3_DIR."""
    from localstack.services.s3 import provider

    provider.DEFAULT_S3_TMP_DIR = os.environ["S3_DIR"]


def upload_keys() -> None:
    """What was not encrypted to an RSA key is answered with 500; AWS says InvalidCiphertextException."""
    from localstack.aws.api.kms import InvalidCiphertextException
    from localstack.services.kms.models import KmsKey

    original = KmsKey.decrypt_rsa

    def decrypt_rsa(self: Any, encrypted: bytes) -> bytes:
        try:
            decrypted: bytes = original(self, encrypted)
        except ValueError:
            raise InvalidCiphertextException() from None
        return decrypted

    KmsKey.decrypt_rsa = decrypt_rsa


def mock_answers() -> None:
    """The import of an API drops an answer's contentHandling; the template's mocks say CONVERT_TO_TEXT."""
    from localstack.services.apigateway.next_gen.execute_api.handlers.integration_response import (
        IntegrationResponseHandler,
    )

    convert = IntegrationResponseHandler.convert_body

    def convert_body(context: Any, body: bytes, content_handling: Any) -> bytes | str:
        if context.integration["type"] == "MOCK":
            content_handling = "CONVERT_TO_TEXT"
        return convert(context, body, content_handling)

    IntegrationResponseHandler.convert_body = staticmethod(convert_body)


def plain_answers() -> None:
    """A template without Velocity in it (our pages in base64) is searched for it all the same, in quadratic time."""
    from localstack.utils.aws.templating import VtlTemplate

    render = VtlTemplate.render_vtl

    def render_vtl(self: Any, template: str, variables: Any, as_json: bool = False) -> Any:
        if as_json or not template or "#" in template or "$" in template:
            return render(self, template, variables, as_json)
        return template

    VtlTemplate.render_vtl = render_vtl


def api_keys() -> None:
    """A deleted API key keeps its place in usage plans, and the next request with it is answered with 500."""
    from moto.apigateway.models import APIGatewayBackend

    original = APIGatewayBackend.delete_api_key

    def delete_api_key(self: Any, api_key_id: str) -> None:
        original(self, api_key_id)
        for keys in self.usage_plan_keys.values():
            keys.pop(api_key_id, None)

    APIGatewayBackend.delete_api_key = delete_api_key


def serving() -> None:
    """A fifth of what LocalStack spends on a request is parsing its Content-Type, and a log that nobody reads."""
    from functools import lru_cache

    from twisted.web import http

    http._parseContentType = lru_cache(maxsize=256)(http._parseContentType)
    http.HTTPFactory.log = lambda *_: None


@hooks.on_infra_start(name="fitvault-repairs")
def install() -> None:
    serving()
    mock_answers()
    plain_answers()
    object_store()
    log_groups()
    rest_api_updates()
    stage_updates()
    upload_keys()
    api_keys()
    report("repairs")
