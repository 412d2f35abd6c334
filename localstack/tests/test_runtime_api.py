"""The Lambda Runtime API, driven by a bootstrap written here."""

import itertools
import json
import stat
import sys
import threading
from pathlib import Path

import pytest

from fitvault_local.runtime_api import Environment, Event, InitError

BOOTSTRAP = """#!{python}
import http.client, json, os, sys, time

def call(method, path, body=None):
    c = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    c.request(method, "/2018-06-01/runtime/" + path, body)
    r = c.getresponse()
    return r.headers, r.read()

if os.environ.get("FAIL") == "report":
    call("POST", "init/error", json.dumps({{"errorMessage": "bad config"}}))
    sys.exit(1)
if os.environ.get("FAIL") == "exit":
    sys.exit(3)
while True:
    headers, body = call("GET", "invocation/next")
    id, event = headers["Lambda-Runtime-Aws-Request-Id"], json.loads(body)
    print("event", event, flush=True)
    if event == "sleep":
        time.sleep(60)
    if event == "exit":
        os._exit(7)
    if event == "big":
        call("POST", f"invocation/{{id}}/response", b"x" * (6 * 2**20 + 101))
    elif event == "chunks":
        call("POST", f"invocation/{{id}}/response", iter([b'"ab', b'cd"']))
    elif event == "error":
        call("POST", f"invocation/{{id}}/error", json.dumps({{"errorMessage": "no"}}))
    elif event == "panic":
        call("POST", f"invocation/{{id}}/error", json.dumps({{"errorMessage": "p", "stackTrace": []}}))
        os._exit(2)
    else:
        answer = [event, os.getpid(), headers["Lambda-Runtime-Invoked-Function-Arn"]]
        call("POST", f"invocation/{{id}}/response", json.dumps(answer))
"""
IDS = itertools.count()


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest):
    bootstrap = tmp_path / "bootstrap"
    bootstrap.write_text(BOOTSTRAP.format(python=sys.executable))
    bootstrap.chmod(stat.S_IRUSR)  # zip files lose the bit; the environment sets it

    def environment(**env: str) -> Environment:
        made = Environment(tmp_path, env, tmp_path / "logs" / f"{next(IDS)}.log")
        request.addfinalizer(made.stop)
        return made

    return environment


def event(value: object, timeout: float = 20) -> Event:
    return Event(f"id-{next(IDS)}", json.dumps(value).encode(), "arn:x", "Root=1", timeout)


def test_an_answer_and_what_was_logged(make) -> None:
    environment = make()
    environment.start()
    body, failed, logs = environment.invoke(event(1))
    assert (json.loads(body)[0], json.loads(body)[2], failed, logs) == (1, "arn:x", False, "event 1\n")
    again, _, logs = environment.invoke(event(2))
    assert json.loads(again)[1] == json.loads(body)[1], "the same process serves the next event"
    assert logs == "event 2\n"
    assert environment.invoke(event("chunks"))[0] == b'"abcd"'


@pytest.mark.parametrize(
    ("value", "kind"),
    [("exit", "Runtime.ExitError"), ("big", "Function.ResponseSizeTooLarge"), ("sleep", "Sandbox.Timedout")],
)
def test_failures_are_worded_as_lambda_does_and_the_next_event_is_served(make, value: str, kind: str) -> None:
    environment = make()
    environment.start()
    body, failed, _ = environment.invoke(event(value, timeout=1))
    assert (json.loads(body)["errorType"], failed) == (kind, True)
    assert json.loads(environment.invoke(event("after"))[0])[0] == "after"


@pytest.mark.parametrize("value", ["error", "panic"])
def test_a_functions_error_is_passed_on(make, value: str) -> None:
    environment = make()
    body, failed, _ = environment.invoke(event(value))
    assert failed and "errorMessage" in json.loads(body)
    assert not environment.invoke(event("after"))[1]


@pytest.mark.parametrize(("fail", "text"), [("report", "bad config"), ("exit", "exit status 3")])
def test_a_bootstrap_that_does_not_come_up(make, fail: str, text: str) -> None:
    environment = make(FAIL=fail)
    with pytest.raises(InitError, match=text):
        environment.start()
    body, failed, _ = environment.invoke(event(1))
    assert failed and text in body.decode()


def test_environments_run_side_by_side(make) -> None:
    environments = [make() for _ in range(3)]
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda e=e: answers.append(json.loads(e.invoke(event(1))[0])[1])) for e in environments
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 3
