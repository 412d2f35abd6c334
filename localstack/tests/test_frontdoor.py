"""Throttles, sizes and gateway responses, without LocalStack."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import pytest

from fitvault_local import admission, limits, payload, rendering


def test_a_bucket_gives_its_burst_and_gains_its_rate() -> None:
    now = [0.0]
    bucket = limits.Limits(clock=lambda: now[0])
    assert [bucket.take("k", rate=2, burst=3) for _ in range(4)] == [True, True, True, False]
    now[0] = 0.5
    assert [bucket.take("k", rate=2, burst=3) for _ in range(2)] == [True, False]
    assert bucket.take("another", rate=2, burst=3)
    now[0] = 100.0
    assert [bucket.take("k", rate=2, burst=3) for _ in range(4)] == [True, True, True, False]


def test_a_quota_is_exact() -> None:
    counter = limits.Limits()
    assert [counter.count("k", 2) for _ in range(3)] == [True, True, False]
    assert counter.count("another", 2)


@pytest.mark.parametrize(
    ("period", "first"),
    [("DAY", date(2026, 11, 25)), ("WEEK", date(2026, 11, 22)), ("MONTH", date(2026, 11, 1))],
)
def test_quota_periods(period: str, first: date) -> None:
    assert limits.period_start(period, datetime(2026, 11, 25, 12, tzinfo=UTC)) == first


def test_a_method_throttle_goes_before_the_stage_throttle() -> None:
    own = {"throttlingRateLimit": 2.0, "throttlingBurstLimit": 3}
    stage = {"throttlingRateLimit": 50, "throttlingBurstLimit": 60}
    settings = {"~1users~1{user}/GET": own, "*/*": stage}
    assert limits.stage_throttle(settings, "/users/{user}", "GET") == ("~1users~1{user}/GET", 2.0, 3)
    assert limits.stage_throttle(settings, "/users/{user}", "POST") == ("*/*", 50.0, 60)
    assert limits.stage_throttle({"*/*": {"throttlingRateLimit": -1}}, "/users", "GET") is None


def test_the_size_of_an_event_is_that_of_its_json_in_utf8() -> None:
    assert payload.event_size({"body": "aé😀"}) == len('{"body":"aé😀"}'.encode())
    assert payload.event_size({"body": "\ud800"}) == len('{"body":""}') + 3
    assert payload.event_size({"body": '"'}) == len('{"body":"\\""}')


@pytest.mark.parametrize(
    ("body", "binary", "event"),
    [
        (b"", True, (None, False)),
        (b"\xff", True, ("/w==", True)),
        (b"<a/>", True, ("PGEvPg==", True)),
        (b"a\xff", False, ("a\ufffd", False)),
        ("é".encode(), False, ("é", False)),
    ],
)
def test_a_body_is_base64_where_its_type_is_binary(body: bytes, binary: bool, event: tuple[str, bool]) -> None:
    assert payload.body_of_event(body, binary) == event


CONTEXT = {"requestId": "r-1", "error": {"message": 'no "way"', "messageString": '"no \\"way\\""'}}


def test_a_gateway_response_has_its_template_and_headers() -> None:
    response = {
        "responseParameters": {
            "gatewayresponse.header.Retry-After": "'1'",
            "gatewayresponse.header.Content-Type": "'application/problem+json'",
            "gatewayresponse.header.X-Id": "context.requestId",
        },
        "responseTemplates": {"application/json": '{"instance":"$context.requestId","m":$context.error.messageString}'},
    }
    body, headers = rendering.render(response, CONTEXT, None)
    assert json.loads(body) == {"instance": "r-1", "m": 'no "way"'}
    assert headers == {"Content-Type": "application/problem+json", "Retry-After": "1", "X-Id": "r-1"}


def test_the_default_response_names_the_message() -> None:
    assert rendering.render({}, CONTEXT, "*/*") == ('{"message":"no \\"way\\""}', {"Content-Type": "application/json"})


def test_accept_chooses_among_templates() -> None:
    response = {"responseTemplates": {"application/json": "{}", "text/plain": "no $context.unknown.member."}}
    assert rendering.render(response, CONTEXT, "text/plain; q=1, */*") == ("no .", {"Content-Type": "text/plain"})
    assert rendering.render(response, CONTEXT, "image/png")[0] == "{}"


def test_gateway_responses_are_read_from_the_definition() -> None:
    definition: dict[str, Any] = {
        "x-amazon-apigateway-gateway-responses": {
            "THROTTLED": {"statusCode": 429, "responseTemplates": {"application/json": "{}"}},
            "DEFAULT_4XX": {},
        }
    }
    found = rendering.from_definition(definition)
    assert found["THROTTLED"]["statusCode"] == "429"
    assert "statusCode" not in found["DEFAULT_4XX"]
    assert rendering.from_definition({}) == {}


def test_who_finds_no_room_is_refused_at_once_and_only_at_the_api() -> None:
    inside, began, over = [], threading.Semaphore(0), threading.Event()

    def application(inner: Any, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        inside.append(environ["PATH_INFO"])
        began.release()
        over.wait(5)
        return [b"done"]

    said: list[tuple[str, dict[str, str]]] = []
    refuse = lambda api, stage: (f"{api} {stage}", {"Retry-After": "1"})  # noqa: E731
    guarded = admission.Admission(2).guard(application, refuse)
    call = lambda path: guarded(None, {"PATH_INFO": path}, lambda status, h: said.append((status, dict(h))))  # noqa: E731
    api = "/_aws/execute-api/abc/v1/users/me/readings"
    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(call, path) for path in (api, api, "/_aws/lambda", "/")]
        for _ in calls:
            assert began.acquire(timeout=5)
        assert call(api) == [b"abc v1"]
        assert said == [("429 Too Many Requests", {"Retry-After": "1", "Content-Length": "6"})]
        over.set()
        assert [c.result() for c in calls] == [[b"done"]] * 4
    assert call(api) == [b"done"]
    assert len(inside) == 5


def test_a_request_that_fails_makes_room_again() -> None:
    def application(*_: Any) -> list[bytes]:
        raise ZeroDivisionError

    guarded = admission.Admission(1).guard(application, lambda *_: ("", {}))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            guarded(None, {"PATH_INFO": "/_aws/execute-api/abc/v1/"}, None)
