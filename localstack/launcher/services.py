"""Starts and stops LocalStack, MiniStack and PostgreSQL."""

import http.client
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from launcher import postgres, processes
from launcher.layout import HERE, HOST, REGION, Layout, aws_environ, port_file
from launcher.progress import Trouble, step

POOLS = HERE / "pools"
PLUGINS = {"cloudtrail", "dynamodb", "ed25519", "executor", "frontdoor", "loopback", "repairs", "responses"}
PROCESSORS = os.cpu_count() or 1
START_S = 60.0
DOWN_S = 20.0  # MiniStack writes its state while it ends, PostgreSQL what it holds in memory


@dataclass(frozen=True)
class Service:
    name: str
    title: str
    port: int
    variable: str  # that moves the port
    healthy: Callable[[], bool]
    command: Callable[[], list[str]]  # gives what to run, and sees that it can be run
    environ: dict[str, str]
    patience: float = 0.0  # LocalStack forgets everything anyway
    word: signal.Signals = signal.SIGTERM  # that asks it to end


def services(layout: Layout) -> list[Service]:
    return [_ministack(layout), _postgres(layout), _localstack(layout)]


def _ministack(layout: Layout) -> Service:
    folder = _folder(layout.local / "ministack")
    temporary = _folder(folder / "tmp")
    environ = aws_environ(layout) | {
        "AUTH": "true",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(layout.ms_port),
        "HOME": str(temporary),
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_HOST": "localhost",
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "PYTHONPATH": str(POOLS),
        "S3_DATA_DIR": str(folder / "s3"),
        "SERVICES": "cognito-idp",
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(state_folder(layout)),
        "TMPDIR": str(temporary),
    }
    command = [str(layout.python("ms")), "-m", "fitvault_pools"]
    healthy = partial(_answers, layout.ms_port, "/_ministack/health")
    return Service(
        "ministack", "MiniStack", layout.ms_port, "MS_PORT", healthy, lambda: command, environ, patience=DOWN_S
    )


def _postgres(layout: Layout) -> Service:
    return Service(
        "postgres", "PostgreSQL", layout.pg_port, "PG_PORT", partial(postgres.ready, layout),
        partial(postgres.prepare, layout), postgres.environ(layout),
        patience=DOWN_S, word=signal.SIGINT,  # SIGTERM would wait for every client to leave
    )  # fmt: skip


def state_folder(layout: Layout) -> Path:
    """Where MiniStack keeps users, and the private keys of its pools."""
    return layout.local / "ministack" / "state"


def _localstack(layout: Layout) -> Service:
    folder = _folder(layout.local / "localstack")
    temporary = _folder(folder / "tmp")
    listen = f"{HOST}:{layout.ls_port}"
    environ = aws_environ(layout) | {
        "COGNITO_ENDPOINT": layout.cognito,
        "COGNITO_JWKS_URL": keys_url(layout, "{pool}"),
        "DDB_LOCAL_TELEMETRY": "0",
        "DISABLE_CORS_HEADERS": "1",  # the API's answers have the headers that they have on AWS, and no more
        "DISABLE_CORS_CHECKS": "1",
        "DISABLE_EVENTS": "1",  # no telemetry
        "DNS_ADDRESS": "0",
        "DYNAMODB_IN_MEMORY": "1",
        "DYNAMODB_SHARE_DB": "1",
        "FILESYSTEM_ROOT": str(folder / "root"),
        "FITVAULT_DYNAMODB": str(layout.ddb),
        "FITVAULT_JAVA": shutil.which("java") or "java",
        "FITVAULT_PLUGINS": str(plugins_file(layout)),
        "GATEWAY_CONCURRENCY": str(32 * PROCESSORS),
        "GATEWAY_LISTEN": listen,
        "HOME": str(temporary),
        "LAMBDA_LOG_DIR": str(_folder(layout.logs / "functions")),
        "LAMBDA_RUNTIME_EXECUTOR": "process",
        "LOCALSTACK_HOST": listen,  # else functions get an endpoint by a public name
        "OVERRIDE_IN_DOCKER": "0",
        "PROVIDER_OVERRIDE_DYNAMODB": "v2",  # streams of DynamoDB Local itself
        "PROVIDER_OVERRIDE_DYNAMODBSTREAMS": "v2",
        "PYTHONPATH": str(HERE / "plugins"),
        "S3_DIR": str(folder / "s3"),
        "S3_SKIP_SIGNATURE_VALIDATION": "0",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "SQS_ENDPOINT_STRATEGY": "path",
        "TMPDIR": str(temporary),
    }
    del environ["AWS_ENDPOINT_URL"]  # LocalStack's own calls find their way
    command = [str(layout.python("ls")), "-m", "localstack.runtime.main"]
    healthy = partial(_answers, layout.ls_port, "/_localstack/health")
    return Service("localstack", "LocalStack", layout.ls_port, "LS_PORT", healthy, lambda: command, environ)


def keys_url(layout: Layout, pool: str) -> str:
    return f"{layout.cognito}/{pool}/.well-known/jwks.json"


def plugins_file(layout: Layout) -> Path:
    return layout.run / "plugins"


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def start(layout: Layout) -> bool:
    """Starts what is not up; says whether that was anything. Refuses, and stops everything, without our plugins."""
    for service in services(layout):
        _refuse_move(layout, service)
    missing = [service for service in services(layout) if not up(layout, service)]
    for service in missing:
        if (pid := _pid(layout, service)) or processes.port_in_use(service.port):
            _clear(layout, service, pid)
    for service in missing:
        _launch(layout, service)
    for service in missing:
        with step(f"{service.title} starts"):
            _await(layout, service)
    check_plugins(layout)
    return bool(missing)


def up(layout: Layout, service: Service) -> bool:
    """Whether it answers, and it is ours."""
    return bool(_pid(layout, service)) and service.healthy()


def _refuse_move(layout: Layout, service: Service) -> None:
    """A service that is up stays where it is: what answers on the port now asked for is another's."""
    file = port_file(layout.local, service.name)
    if _pid(layout, service) and file.exists() and (port := file.read_text()) != str(service.port):
        raise Trouble(f"{service.title} is up on port {port}. To move it: make down, then make up with the new port.")


def _clear(layout: Layout, service: Service, pid: int) -> None:
    """Makes room for a service that is there but does not answer; another's process on its port is left alone."""
    ours = processes.of_stack(layout.local)
    holders = [p for p in ours if p == pid or service.port in {port for _, port in processes.listening([p])}]
    processes.stop(holders, service.patience, service.word)  # its children go with it
    for _ in range(100):  # a process that ends has its sockets until its last thread has ended
        if not processes.port_in_use(service.port):
            return
        time.sleep(0.02)
    raise Trouble(
        f"Port {service.port} is in use by another program, and {service.title} wants it.\n"
        f"  See who it is: ss -ltnp 'sport = :{service.port}'. Or choose another port: make up {service.variable}=…"
    )


def _launch(layout: Layout, service: Service) -> None:
    _folder(layout.run)
    _folder(layout.logs)
    if service.name == "localstack":
        plugins_file(layout).write_text("")
    command = service.command()
    with (layout.logs / f"{service.name}.log").open("wb") as log:
        environ = service.environ | {processes.MARK: str(layout.local)}
        process = subprocess.Popen(
            command, env=environ, cwd=layout.run, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, umask=0o077,
        )  # fmt: skip
    (layout.run / f"{service.name}.pid").write_text(processes.identity(process.pid))
    port_file(layout.local, service.name).write_text(str(service.port))


def _await(layout: Layout, service: Service) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and _pid(layout, service):
        if service.healthy():
            return
        time.sleep(0.05)
    log = layout.logs / f"{service.name}.log"
    tail = "\n    ".join(log.read_text(errors="replace").splitlines()[-8:])
    stop(layout)
    raise Trouble(f"{service.title} did not start; the end of {log}:\n    {tail}")


def check_plugins(layout: Layout) -> None:
    """LocalStack without the front door would let every request pass: never run open by accident."""
    if absent := PLUGINS - set(plugins_file(layout).read_text().split()):
        stop(layout)
        raise Trouble(
            f"LocalStack came up without our plugins: {', '.join(sorted(absent))}. It was stopped: without them it "
            f"would let requests through that AWS refuses.\n  The reason stands in {layout.logs / 'localstack.log'}"
        )


def stop(layout: Layout) -> None:
    """Stops the stack; no process of it is left."""
    for service in services(layout):
        if service.patience and (pid := _pid(layout, service)):
            processes.stop([pid], service.patience, service.word)
    processes.stop(processes.of_stack(layout.local), 0)
    for service in services(layout):
        (layout.run / f"{service.name}.pid").unlink(missing_ok=True)
        port_file(layout.local, service.name).unlink(missing_ok=True)


def stop_one(layout: Layout, name: str) -> None:
    """Stops one service, as tests of a failure do; `start` brings it back."""
    (service,) = (service for service in services(layout) if service.name == name)
    if pid := _pid(layout, service):
        processes.stop([pid], service.patience, service.word)


def restart_localstack(layout: Layout) -> None:
    """A LocalStack that has forgotten everything."""
    processes.stop([_pid(layout, _localstack(layout))], 0)
    start(layout)


def localstack_identity(layout: Layout) -> str:
    """Changes with each start of LocalStack, which forgets everything."""
    return processes.identity(_pid(layout, _localstack(layout)))


def _pid(layout: Layout, service: Service) -> int:
    """The number of the service's process; 0 where it has none."""
    try:
        identity = (layout.run / f"{service.name}.pid").read_text()
    except OSError:
        return 0
    pid = int(identity.partition("@")[0] or 0)
    return pid if pid and processes.identity(pid) == identity else 0


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def status(layout: Layout) -> list[str]:
    lines = []
    for service in services(layout):
        pid = _pid(layout, service)
        state = f"up, process {pid}" if pid and service.healthy() else "does not answer" if pid else "down"
        lines.append(f"{service.title:<12} 127.0.0.1:{service.port}  {state}")
    return lines
