"""How many API requests the gateway takes in at once, as an AWS account has a burst that all its APIs share.

LocalStack takes in whatever comes, and a thousand threads of one interpreter would be at everything and done with
nothing. On AWS a request that is refused costs the functions nothing; here all is one process. So it is refused before
anything else, by the API's own THROTTLED response. GATEWAY_CONCURRENCY is how many are taken in.
"""

import os
import re
import threading
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from fitvault_local.rendering import render

PATH = re.compile(r"^/_aws/execute-api/([^/]+)/([^/]+)/")
Application = Callable[..., Iterable[bytes]]


class Admission:
    """Lets `most` requests be at work at once."""

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)

    def guard(self, application: Application, refuse: Callable[[str, str], tuple[str, dict[str, str]]]) -> Application:
        """A WSGI application that asks `refuse` for body and headers where there is no room; it gets API and stage."""

        def admitted(inner: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            found = PATH.match(environ.get("PATH_INFO", ""))
            if not found:
                return application(inner, environ, start_response)
            if not self._free.acquire(blocking=False):
                body, headers = refuse(found[1], found[2])
                content = body.encode()
                start_response("429 Too Many Requests", [*headers.items(), ("Content-Length", str(len(content)))])
                return [content]
            try:
                return application(inner, environ, start_response)
            finally:
                self._free.release()

        return admitted


def refuse(api: str, stage: str) -> tuple[str, dict[str, str]]:
    from localstack.constants import AWS_REGION_US_EAST_1, DEFAULT_AWS_ACCOUNT_ID
    from localstack.services.apigateway.models import apigateway_stores
    from localstack.services.apigateway.next_gen.execute_api.gateway_response import (
        ThrottledError,
        get_gateway_response_or_default,
    )

    store = apigateway_stores[DEFAULT_AWS_ACCOUNT_ID][AWS_REGION_US_EAST_1]  # its active deployments are of all regions
    responses: dict[str, Any] = {}
    if deployment := store.active_deployments.get(api.lower(), {}).get(stage):
        responses = store.internal_deployments[api.lower()][deployment].rest_api.gateway_responses
    settings = get_gateway_response_or_default(ThrottledError.type, responses)
    context = {"requestId": str(uuid.uuid4()), "error": {"messageString": '"Too Many Requests"'}}
    return render(settings, context, None)


def install() -> None:
    from rolo.gateway.wsgi import WsgiGateway

    admission = Admission(int(os.environ["GATEWAY_CONCURRENCY"]))
    WsgiGateway.__call__ = admission.guard(WsgiGateway.__call__, refuse)  # type: ignore[method-assign]
