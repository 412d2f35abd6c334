"""LocalStack listens on all addresses, whatever GATEWAY_LISTEN says; here it listens where that says."""

from functools import partial
from types import SimpleNamespace

from localstack import config
from localstack.runtime import hooks

from fitvault_local.report import report


@hooks.on_infra_start(name="fitvault-loopback")
def install() -> None:
    from localstack.runtime.server import twisted

    [listen] = config.GATEWAY_LISTEN
    endpoint = partial(twisted.endpoints.TCP4ServerEndpoint, interface=listen.host)
    twisted.endpoints = SimpleNamespace(TCP4ServerEndpoint=endpoint)
    report("loopback")
