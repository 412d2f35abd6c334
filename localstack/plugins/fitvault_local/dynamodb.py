"""Starts DynamoDB Local from the jars that set-up fetched, on 127.0.0.1 only, and so that it dies with LocalStack.

LocalStack would download an archive of its own and a Java runtime, and DynamoDB Local would listen on all addresses.
"""

import os
from pathlib import Path

from localstack.runtime import hooks

from fitvault_local.report import report


def command(port: int) -> list[str]:
    folder = Path(os.environ["FITVAULT_DYNAMODB"])
    return [
        "setpriv", "--pdeathsig", "KILL",
        os.environ["FITVAULT_JAVA"], "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData",
        "-Djava.net.preferIPv4Stack=true",
        f"-Djava.io.tmpdir={os.environ['TMPDIR']}", f"-Djava.library.path={folder / 'lib'}",
        "-cp", f"{folder / 'classes'}:{folder / 'lib'}/*", "LoopbackServer",
        "-port", str(port), "-inMemory", "-sharedDb", "-disableTelemetry",
    ]  # fmt: skip


def of_the_image() -> bool:
    """compose.yaml: LocalStack's image has a DynamoDB Local, and a container around it."""
    return os.environ["FITVAULT_DYNAMODB"] == "image"


def endpoint() -> dict[str, str]:
    """Where functions find DynamoDB Local: LocalStack would only pass on what they ask, at five times the cost.

    The image's keeps tables by account, which LocalStack tells it.
    """
    if of_the_image():
        return {}
    from localstack.services.dynamodb.server import DynamodbServer

    return {"AWS_ENDPOINT_URL_DYNAMODB": DynamodbServer.get().url}


@hooks.on_infra_start(name="fitvault-dynamodb")
def install() -> None:
    if of_the_image():
        report("dynamodb")
        return

    from localstack.services.dynamodb import server
    from localstack.utils.run import ShellCommandThread

    def start(self: server.DynamodbServer) -> ShellCommandThread:
        thread = ShellCommandThread(
            command(self.port),
            strip_color=True,
            log_listener=server._log_listener,
            auto_restart=True,
            name="dynamodb-local",
            env_vars={"DDB_LOCAL_TELEMETRY": "0"},
        )
        server.TMP_THREADS.append(thread)
        thread.start()
        return thread

    server.DynamodbServer.do_start_thread = start
    report("dynamodb")
