"""The Lambda Runtime API (version 2018-06-01) for one execution environment: one bootstrap, run as a plain process.

The bootstrap asks for its next event with GET …/invocation/next, which waits until there is one, and posts the answer
to …/invocation/ID/response or …/error. See "Using the Lambda runtime API for custom runtimes" in AWS's documentation.
"""

import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PREFIX = "/2018-06-01/runtime/"
MAX_RESPONSE = 6 * 2**20 + 100  # bytes, as AWS words it in its error
STOP_S = 2.0
# A bootstrap must die with LocalStack, even on kill -9. The signal follows the thread that spawned it, so that thread
# waits for the process: see Sandbox._run.
DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


@dataclass
class Event:
    """One invocation: what the bootstrap gets, and where its answer goes."""

    id: str
    payload: bytes
    arn: str
    trace: str
    timeout: float  # seconds
    answer: "Future[tuple[bytes, bool]]" = field(default_factory=Future)  # body, is it an error?


class InitError(Exception):
    """The bootstrap ended, or reported an error, before it asked for an event. The text is the error as JSON."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A bootstrap that was killed drops its connection: no news."""


class Sandbox:
    """One run of a bootstrap and the API server that it talks to. After its process ended it is of no more use."""

    def __init__(self, command: list[str], folder: Path, env: Mapping[str, str], log: Path) -> None:
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._current: Event | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._end = b""  # why the process ended, once it has
        self._ready: Future[None] = Future()
        self._server = Server(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self._process: subprocess.Popen[bytes] | None = None
        spawned = threading.Event()
        environ = dict(env) | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}"}
        arguments = (DIE_WITH_PARENT + command, folder, environ, log, spawned)
        threading.Thread(target=self._run, args=arguments, daemon=True).start()
        spawned.wait()

    def wait_ready(self) -> None:
        """Waits until the bootstrap asks for its first event. Raises InitError."""
        self._ready.result()

    def alive(self) -> bool:
        return not self._end

    def invoke(self, event: Event) -> tuple[bytes, bool]:
        """The answer's body, and whether it is an error."""
        self._current = event
        self._events.put(event)
        if self._end:
            self._answered(event.id, self._end, failed=True)
        try:
            body, failed = event.answer.result(event.timeout)
        except TimeoutError:
            self.stop(grace=0)
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            return error("Sandbox.Timedout", f"{now} {event.id} Task timed out after {event.timeout:.2f} seconds"), True
        if len(body) > MAX_RESPONSE:
            text = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE} bytes)."
            return error("Function.ResponseSizeTooLarge", text), True
        if failed and b'"stackTrace"' in body:
            # After a panic Go's runtime reports it and ends: await that, so that the next event finds a new process.
            self._ended.wait(0.5)
        return body, failed

    def stop(self, grace: float = STOP_S) -> None:
        if self._process is not None:
            if grace:
                self._process.terminate()
                self._ended.wait(grace)
            self._process.kill()
            self._ended.wait(STOP_S)

    def _run(self, command: list[str], folder: Path, env: dict[str, str], log: Path, spawned: threading.Event) -> None:
        status: int | str = "not started"
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                )
            spawned.set()
            status = self._process.wait()
        finally:
            spawned.set()
            text = f"RequestId: unknown Error: Runtime exited with error: exit status {status}"
            self._end = error("Runtime.ExitError", text)
            self._ended.set()
            self._events.put(None)  # frees the request thread that waits for an event on behalf of the dead process
            self._server.shutdown()
            self._server.server_close()
            if not self._ready.done():
                self._ready.set_exception(InitError(self._end.decode()))
            if self._current is not None:
                self._answered(self._current.id, self._end, failed=True)

    def _next(self) -> Event | None:
        if not self._ready.done():
            self._ready.set_result(None)
        return self._events.get()

    def _answered(self, id: str, body: bytes, failed: bool) -> None:
        with self._lock:
            event = self._current
            if event is not None and event.id == id and not event.answer.done():
                event.answer.set_result((body, failed))

    def _init_failed(self, body: bytes) -> None:
        if not self._ready.done():
            self._ready.set_exception(InitError(body.decode("utf-8", "replace")))

    def _handler(sandbox) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def log_message(self, *_: Any) -> None:
                pass

            def reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                if self.path != PREFIX + "invocation/next":
                    return self.reply(404, b"{}", {})
                event = sandbox._next()
                if event is None:
                    return self.reply(410, b"{}", {})
                self.reply(200, event.payload, {
                    "Content-Type": "application/json",
                    "Lambda-Runtime-Aws-Request-Id": event.id,
                    "Lambda-Runtime-Deadline-Ms": str(int((time.time() + event.timeout) * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": event.arn,
                    "Lambda-Runtime-Trace-Id": event.trace,
                })  # fmt: skip

            def do_POST(self) -> None:
                body = self.body()
                match self.path.removeprefix(PREFIX).split("/"):
                    case ["init", "error"]:
                        sandbox._init_failed(body)
                    case ["invocation", id, "response" | "error" as kind]:
                        sandbox._answered(id, body, kind == "error")
                    case _:
                        return self.reply(404, b"{}", {})
                self.reply(202, b'{"status":"OK"}', {})

            def body(self) -> bytes:
                if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                chunks = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)

        return Handler


def error(kind: str, message: str) -> bytes:
    """An error as Lambda words it."""
    return json.dumps({"errorMessage": message, "errorType": kind}).encode()


class Environment:
    """An execution environment: a sandbox that is made anew when its process has ended."""

    def __init__(self, folder: Path, env: Mapping[str, str], log: Path) -> None:
        self._folder, self._env, self._log = folder, env, log
        self._sandbox: Sandbox | None = None
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch(mode=0o600)

    def start(self) -> None:
        """Raises InitError."""
        bootstrap = self._folder / "bootstrap"
        os.chmod(bootstrap, 0o755)
        sandbox = Sandbox([str(bootstrap)], self._folder, self._env, self._log)
        try:
            sandbox.wait_ready()
        except InitError:
            sandbox.stop()
            raise
        self._sandbox = sandbox

    def invoke(self, event: Event) -> tuple[bytes, bool, str]:
        """The answer's body, whether it is an error, and what the function wrote while it ran."""
        offset = self._log.stat().st_size
        if self._sandbox is None or not self._sandbox.alive():
            try:
                self.start()
            except InitError as e:
                return str(e).encode(), True, self.logs(offset)
        assert self._sandbox is not None  # start raises InitError or sets it
        body, failed = self._sandbox.invoke(event)
        return body, failed, self.logs(offset)

    def logs(self, offset: int = 0) -> str:
        with self._log.open("rb") as file:
            file.seek(offset)
            return file.read().decode("utf-8", "replace")

    def stop(self) -> None:
        if self._sandbox is not None:
            self._sandbox.stop()
