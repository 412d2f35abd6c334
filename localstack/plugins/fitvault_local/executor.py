"""Runs functions as processes: LocalStack 4.14 brings only an executor that needs Docker."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from localstack import config
from localstack.runtime import hooks
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from fitvault_local import dynamodb
from fitvault_local.report import report
from fitvault_local.runtime_api import Environment, Event

MARK = "FITVAULT_STACK"  # says which stack a process belongs to: launcher/processes.py


class ProcessExecutor(RuntimeExecutor):
    """LocalStack makes one per execution environment, and as many environments as there are events at once."""

    environment: Environment

    def start(self, env_vars: dict[str, str]) -> None:
        code = Path(self.function_version.config.code.get_unzipped_code_location())
        env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "HOME": tempfile.gettempdir(),
            "TMPDIR": tempfile.gettempdir(),
            **dynamodb.endpoint(),
            **{name: str(value) for name, value in env_vars.items()},
            # The user pools are elsewhere.
            "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": os.environ["COGNITO_ENDPOINT"],
            "LAMBDA_TASK_ROOT": str(code),
            MARK: os.environ[MARK],
        }
        self.environment = Environment(code, env, Path(os.environ["LAMBDA_LOG_DIR"]) / f"{self.id}.log")
        self.environment.start()

    def stop(self) -> None:
        self.environment.stop()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        settings = self.function_version.config
        event = Event(
            id=payload["invoke-id"],
            payload=payload["payload"].encode(),
            arn=payload["invoked-function-arn"],
            trace=payload["trace-id"],
            timeout=settings.timeout,
        )
        began = time.monotonic()
        body, failed, output = self.environment.invoke(event)
        ms = (time.monotonic() - began) * 1000
        logs = (
            f"START RequestId: {event.id} Version: {self.function_version.id.qualifier}\n{output}"
            f"END RequestId: {event.id}\n"
            f"REPORT RequestId: {event.id}\tDuration: {ms:.2f} ms\tBilled Duration: {int(ms) + 1} ms"
            f"\tMemory Size: {settings.memory_size} MB\n"
        )
        return InvocationResult(event.id, body, is_error=failed, logs=logs)

    def get_logs(self) -> str:
        return self.environment.logs()

    def get_address(self) -> str:
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        return f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}/_localstack_lambda/{self.id}"

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        if function_version.config.code:
            function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        pass


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    name = "process"

    def load(self, *_: Any, **__: Any) -> type[ProcessExecutor]:
        return ProcessExecutor


@hooks.on_infra_start(name="fitvault-executor")
def install() -> None:
    from localstack.services.lambda_.invocation.runtime_executor import get_runtime_executor

    if get_runtime_executor() is not ProcessExecutor:
        raise RuntimeError("LocalStack would run functions with another executor")
    report("executor")
