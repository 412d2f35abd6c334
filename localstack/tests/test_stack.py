"""The local AWS as it runs: what the gateway enforces, what the stack listens on. Needs `make up`."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from launcher import deployment, processes, seed, services, signin, stackfile
from launcher.layout import HERE, Layout
from launcher.progress import Trouble

TCX = "application/vnd.garmin.tcx+xml"
CONSENT = "/users/me/consents/collection"


class Api:
    """Calls the API as ada with the app; None leaves a header out."""

    def __init__(self, stack: dict[str, Any]) -> None:
        self.base, self.http = stack["api"], requests.Session()
        self.http.trust_env = False
        self.headers = {
            "Authorization": f"Bearer {seed.tokens(stack, 'ada', 'app')['access_token']}",
            "x-api-key": stack["api_key"],
        }

    def __call__(self, path: str, method: str = "GET", body: bytes | None = None, **headers: Any) -> requests.Response:
        given = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, self.base + path, headers=given, data=body, timeout=60)


@pytest.fixture(scope="module")
def api(stack: dict[str, Any]) -> Api:
    return Api(stack)


def refused_by_gateway(answer: requests.Response, status: int) -> dict[str, Any]:
    """The problem of a gateway response, of which the request id is the instance."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.text
    assert "x-amzn-ErrorType" in answer.headers, "the function answered, not the gateway"
    assert answer.headers["Cache-Control"] == "no-store"
    problem = answer.json()
    assert (problem["status"], problem["instance"]) == (status, answer.headers["x-amzn-RequestId"])
    return problem


def passed(answer: requests.Response) -> bool:
    return "x-amzn-ErrorType" not in answer.headers


# ---- the stack itself -------------------------------------------------------


def test_every_listening_socket_is_on_the_loopback(here: Layout, stack: dict[str, Any]) -> None:
    found = processes.listening(processes.of_stack(here.local))
    assert {port for _, port in found} >= {here.ls_port, here.ms_port, here.pg_port}
    assert {host for host, _ in found} == {"127.0.0.1"}


def test_every_plugin_reported_itself(here: Layout, stack: dict[str, Any]) -> None:
    assert set(services.plugins_file(here).read_text().split()) == services.PLUGINS


def test_functions_find_the_database_again(here: Layout, stack: dict[str, Any]) -> None:
    operator = deployment.Local(here)
    assert deployment.migrate(operator, stack["outputs"]) == 0
    services.stop_one(here, "postgres")
    try:
        with pytest.raises(Trouble, match="unavailable: no answer from the database"):
            deployment.migrate(operator, stack["outputs"])
    finally:
        services.start(here)
    assert deployment.migrate(operator, stack["outputs"]) == 0, "the function's old connection is dead"


def test_secrets_are_for_their_owner_only(here: Layout, stack: dict[str, Any]) -> None:
    assert here.stack_json.stat().st_mode & 0o777 == 0o600
    assert services.state_folder(here).parent.stat().st_mode & 0o077 == 0


def test_functions_log_to_the_groups_of_the_template(here: Layout, stack: dict[str, Any], api: Api) -> None:
    assert passed(api(CONSENT))
    logs = deployment.Local(here).client("logs")
    for _ in range(100):
        if streams := logs.describe_log_streams(logGroupName="/fitvault/enrol")["logStreams"]:
            break
        time.sleep(0.1)
    assert streams


# ---- the front door ---------------------------------------------------------


def test_a_good_token_and_key_reach_the_function(api: Api) -> None:
    assert passed(api(CONSENT))
    bare = api.headers["Authorization"].removeprefix("Bearer ")
    assert passed(api(CONSENT, Authorization=bare)), "Bearer is optional on AWS"


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer a.b.c"])
def test_without_a_token_nobody_passes(api: Api, token: str | None) -> None:
    answer = api(CONSENT, Authorization=token)
    refused_by_gateway(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("key", [None, "", "x" * 43])
def test_without_a_key_nobody_passes(api: Api, key: str | None) -> None:
    refused_by_gateway(api(CONSENT, x_api_key=key), 403)


def test_a_token_of_another_pool_or_an_id_token_is_refused(api: Api, stack: dict[str, Any]) -> None:
    other = seed.tokens(stack, "ada", "app", "other")["access_token"]
    refused_by_gateway(api(CONSENT, Authorization=f"Bearer {other}"), 401)
    id_token = seed.tokens(stack, "ada", "app")["id_token"]
    refused_by_gateway(api(CONSENT, Authorization=f"Bearer {id_token}"), 401)


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        pytest.param([], True, id="control: the pool's own key"),
        pytest.param(["--claims", '{"exp": 1}'], False, id="expired"),
        pytest.param(["--claims", '{"scope": "openid"}'], False, id="no scope"),
        pytest.param(["--claims", '{"nbf": 4000000000}'], False, id="not yet valid"),
        pytest.param(["--claims", '{"iss": "https://evil.example/p"}'], False, id="issuer"),
        pytest.param(["--key", "random"], False, id="forged"),
        pytest.param(["--key", "none"], False, id="alg none"),
        pytest.param(["--key", "hs256-public"], False, id="HS256 with the public key"),
        pytest.param(["--header", '{"kid": "another"}'], False, id="unknown key"),
    ],
)
def test_forged_tokens(api: Api, options: list[str], passes: bool) -> None:
    made = subprocess.run([HERE / "stack", "forge", *options], capture_output=True, text=True, check=True)
    answer = api(CONSENT, Authorization=f"Bearer {made.stdout.strip()}")
    assert passed(answer) is passes, answer.text
    if not passes:
        refused_by_gateway(answer, 401)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nope"), ("PATCH", CONSENT), ("OPTIONS", "/health"), ("GET", "/")]
)
def test_an_unknown_path_or_method_is_a_404_problem(api: Api, method: str, path: str) -> None:
    refused_by_gateway(api(path, method), 404)


def test_path_parameters_arrive_as_they_were_sent(api: Api) -> None:
    """As on AWS, percent-encoded: one path segment, which the function decodes and then does not know."""
    answer = api("/users/a%2Fb%20c/readings")
    assert passed(answer)
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param(TCX, b"x" * 4_720_000, id="base64 over 6 MB"),
        pytest.param("text/plain", b'"' * 3_200_000, id="escapes over 6 MB"),  # text, unlike JSON here
        pytest.param("application/json", b"x" * 6_300_000, id="over 6 MB"),
        pytest.param("application/json", b"x" * 10_500_000, id="over 10 MB"),
    ],
)
def test_an_event_over_6_mb_is_413(api: Api, kind: str, body: bytes) -> None:
    refused_by_gateway(api("/users/me/recordings", "POST", body, Content_Type=kind), 413)


def test_an_event_under_6_mb_passes(api: Api) -> None:
    assert passed(api("/users/me/recordings", "POST", b"x" * 4_600_000, Content_Type=TCX))


def test_public_routes_need_nothing(api: Api) -> None:
    answer = api("/health", Authorization=None, x_api_key=None)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "openapi" in api("/openapi.json", Authorization=None, x_api_key=None).json()
    for accept in ("application/json", TCX, "*/*"):
        assert api("/health", Authorization=None, x_api_key=None, Accept=accept).json() == {"status": "ok"}, accept


@pytest.fixture
def slow_key(here: Layout, stack: dict[str, Any]) -> Iterator[str]:
    """A key in a usage plan of its own: 1 a second, burst 3."""
    gateway, key = deployment.Local(here).client("apigateway"), os.urandom(20).hex()
    stage = {"apiId": stack["outputs"]["ApiId"], "stage": "v1"}
    throttle = {"rateLimit": 1.0, "burstLimit": 3}
    plan = gateway.create_usage_plan(name="slow", apiStages=[stage], throttle=throttle)["id"]
    id = gateway.create_api_key(name="slow", value=key, enabled=True)["id"]
    gateway.create_usage_plan_key(usagePlanId=plan, keyId=id, keyType="API_KEY")
    yield key
    gateway.delete_usage_plan_key(usagePlanId=plan, keyId=id)
    gateway.delete_api_key(apiKey=id)
    gateway.delete_usage_plan(usagePlanId=plan)


def test_a_usage_plan_throttles_its_key_and_no_other(api: Api, slow_key: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api(CONSENT, x_api_key=slow_key), range(12)))
    throttled = [answer for answer in answers if not passed(answer)]
    assert 7 <= len(throttled) <= 9
    for answer in throttled:
        refused_by_gateway(answer, 429)
        assert answer.headers["Retry-After"] == "1"
    assert passed(api(CONSENT))


def test_parallel_requests_are_seen_by_several_processes(here: Layout, api: Api) -> None:
    began = time.time()
    with ThreadPoolExecutor(16) as pool:
        assert all(passed(answer) for answer in pool.map(lambda _: api(CONSENT), range(16)))
    logs = (here.logs / "functions").glob("*.log")
    assert sum(log.stat().st_mtime >= began for log in logs) >= 2


# ---- people and their tokens ------------------------------------------------


def test_a_wrong_password_signs_nobody_in(stack: dict[str, Any]) -> None:
    people = stack["pools"]["people"]["clients"]
    oauth, ada = stack["oauth"], stack["users"]["ada"]
    base = stack["endpoints"]["cognito"]
    with pytest.raises(Trouble, match="did not sign"):
        signin.sign_in(base, people["app"], oauth["callback"], oauth["scopes"], ada["name"], "wrong")
    with pytest.raises(Trouble, match="was not shown"):
        signin.sign_in(base, "unknown", oauth["callback"], oauth["scopes"], ada["name"], ada["password"])


def test_the_token_command(stack: dict[str, Any]) -> None:
    made = subprocess.run([HERE / "stack", "token", "ben", "partner"], capture_output=True, text=True, check=True)
    claims = stackfile.claims(made.stdout.strip())
    assert claims["client_id"] == stack["clients"]["partner"]["id"]
    assert claims["token_use"] == "access"
    assert set(claims["scope"].split()) == set(stack["oauth"]["scopes"])
    unknown = subprocess.run([HERE / "stack", "token", "eve", "app"], capture_output=True, text=True)
    assert (unknown.returncode, unknown.stderr) == (
        1,
        "fitvault: There is no user eve; there are ada, ben, sam, ina, ann, fay, max.\n",
    )


@pytest.mark.parametrize(
    ("words", "pool", "client"),
    [
        (["sam", "staff"], "staff", "staff"),
        (["ada", "system"], "people", "system"),
        (["ada", "app", "--pool", "other"], "other", "app"),
    ],
)
def test_tokens_of_other_pools_and_systems(stack: dict[str, Any], words: list[str], pool: str, client: str) -> None:
    made = subprocess.run([HERE / "stack", "token", *words], capture_output=True, text=True, check=True)
    claims = stackfile.claims(made.stdout.strip())
    assert claims["iss"] == stack["pools"][pool]["issuer"]
    assert claims["client_id"] == stack["pools"][pool]["clients"][client]
    wrong = subprocess.run([HERE / "stack", "token", "sam", "app"], capture_output=True, text=True)
    assert (wrong.returncode, wrong.stderr) == (1, "fitvault: app is no client of the pool staff.\n")


def test_a_forged_token_of_a_member_of_the_staff_is_of_its_pool(stack: dict[str, Any]) -> None:
    made = subprocess.run([HERE / "stack", "forge", "--user", "ina"], capture_output=True, text=True, check=True)
    assert stackfile.claims(made.stdout.strip())["iss"] == stack["pools"]["staff"]["issuer"]


def test_an_event_can_be_filled_for_sam(tmp_path: Path, stack: dict[str, Any]) -> None:
    event, target = tmp_path / "event.json", tmp_path / "filled.json"
    event.write_text('{"t": "${token.ada}", "k": "${key.app}"}')
    command = [HERE / "stack", "invoke", "", event]
    subprocess.run(command, env=os.environ | {"FILLED": str(target)}, check=True, capture_output=True)
    assert json.loads(target.read_text())["k"] == stack["api_key"]
    assert target.stat().st_mode & 0o777 == 0o600


# ---- starting and stopping, on a stack of its own ---------------------------


@pytest.fixture
def another(here: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Layout]:
    """A stack beside the one that runs: its own folder, ports and plugins."""
    if not here.ddb.exists() or not here.python("ls").exists():
        pytest.skip("nothing is set up: make setup")
    (tmp_path / "dynamodb").symlink_to(here.ddb)
    (tmp_path / "postgres").symlink_to(here.postgres)
    plugins = tmp_path / "plugins"
    subprocess.run(["cp", "-r", HERE / "plugins", plugins], check=True)
    monkeypatch.setattr(services, "HERE", tmp_path)
    made = Layout(tmp_path, here.venvs, here.ls_port + 10, here.ms_port + 10, here.pg_port + 10)
    yield made
    services.stop(made)


def test_a_stack_starts_recovers_and_leaves_nothing_behind(another: Layout) -> None:
    assert services.start(another)
    assert not services.start(another), "a second start starts nothing"
    database = deployment.Local(another).client("dynamodb")
    assert database.list_tables()["TableNames"] == []
    found = processes.listening(processes.of_stack(another.local))
    assert len(found) == 4 and {host for host, _ in found} == {"127.0.0.1"}, "and DynamoDB Local"
    pids = processes.of_stack(another.local)
    localstack = services.localstack_identity(another)
    processes.stop([int(localstack.partition("@")[0])], 0)
    assert services.start(another)
    assert services.localstack_identity(another) != localstack
    assert not set(processes.of_stack(another.local)) >= set(pids), "the JVM went with its LocalStack"
    services.stop(another)
    assert processes.of_stack(another.local) == []
    assert services.status(another)[0].endswith("down")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("fitvault-frontdoor = fitvault_local.frontdoor:install\n", "", id="left out"),
        pytest.param("fitvault_local.frontdoor:install", "fitvault_local.no_such:install", id="not found"),
    ],
)
def test_a_stack_without_the_front_door_does_not_stay_up(another: Layout, old: str, new: str) -> None:
    points = another.local / "plugins" / "fitvault_local-1.0.dist-info" / "entry_points.txt"
    assert old in points.read_text()
    points.write_text(points.read_text().replace(old, new))
    with pytest.raises(Trouble, match="without our plugins: frontdoor"):
        services.start(another)
    assert processes.of_stack(another.local) == []


def test_hooks_of_one_name_are_noticed(another: Layout) -> None:
    """LocalStack keeps one of them and drops the other without a word."""
    repairs = another.local / "plugins" / "fitvault_local" / "repairs.py"
    repairs.write_text(repairs.read_text().replace('name="fitvault-repairs"', 'name="fitvault-frontdoor"'))
    points = another.local / "plugins" / "fitvault_local-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text().replace("fitvault-repairs =", "fitvault-frontdoor ="))
    with pytest.raises(Trouble, match="without our plugins"):
        services.start(another)
    assert processes.of_stack(another.local) == []
