"""CloudTrail's event history, without LocalStack."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from fitvault_local.history import History, Refused, Use

KEY = "arn:aws:kms:eu-central-1:000000000000:key/1"
ROLE = "arn:aws:iam::000000000000:role/readings"


def use(at: int, **others: Any) -> Use:
    settings: dict[str, Any] = {
        "operation": "Decrypt", "key": KEY, "account": "000000000000", "region": "eu-central-1", "role": ROLE,
        "context": {"key": "k"}, "error": None,
    }  # fmt: skip
    return Use(at=at, **{**settings, **others})


def ask(history: History, start: int, end: int, **others: Any) -> dict[str, Any]:
    at = {"StartTime": datetime.fromtimestamp(start, UTC), "EndTime": datetime.fromtimestamp(end, UTC)}
    return history.lookup(
        {"LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": KEY}], **at, **others}
    )


def test_pages_have_the_newest_first_and_no_use_twice() -> None:
    history = History()
    for at in range(120):
        history.remember(use(at // 2))
        history.remember(use(at // 2, key="another"))
    times, token, pages = [], None, 0
    while pages == 0 or token:
        answer = ask(history, 10, 59, **({"NextToken": token} if token else {}))
        times += [event["EventTime"] for event in answer["Events"]]
        assert {event["Resources"][0]["ResourceName"] for event in answer["Events"]} == {KEY}
        token, pages = answer.get("NextToken"), pages + 1
        history.remember(use(60))  # what comes meanwhile moves nothing
    assert times == [at // 2 for at in range(119, 19, -1)]
    assert pages == 2


def test_a_record_is_as_kms_writes_it() -> None:
    history = History()
    history.remember(use(1_777_872_300))
    history.remember(use(1_777_872_300, role=None, error="AccessDeniedException", context=None))
    history.remember(use(1_777_872_300, operation="ReEncrypt", source=True))
    opened = [json.loads(event["CloudTrailEvent"]) for event in ask(history, 0, 2_000_000_000)["Events"]]
    reencrypted, refused, decrypted = opened
    assert decrypted["eventTime"] == "2026-05-04T05:25:00Z"
    assert decrypted["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == ROLE
    assert decrypted["requestParameters"] == {"keyId": KEY, "encryptionContext": {"key": "k"}}
    assert "errorCode" not in decrypted
    assert refused["userIdentity"]["type"] == "Root" and refused["errorCode"] == "AccessDeniedException"
    assert "encryptionContext" not in refused["requestParameters"]
    assert reencrypted["requestParameters"]["sourceEncryptionContext"] == {"key": "k"}
    assert len({record["eventID"] for record in opened}) == 3


def test_the_oldest_are_forgotten() -> None:
    history = History(most=3)
    for at in range(5):
        history.remember(use(at))
    assert [event["EventTime"] for event in ask(history, 0, 10)["Events"]] == [4, 3, 2]


@pytest.mark.parametrize(
    ("others", "why"),
    [
        ({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "x"}]}, "InvalidLookupAttributes"),
        ({"MaxResults": 51}, "InvalidMaxResults"),
        ({"NextToken": "canary"}, "InvalidNextToken"),
        ({"EndTime": datetime.fromtimestamp(-1, UTC)}, "InvalidTimeRange"),
    ],
)
def test_what_cloudtrail_refuses(others: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused, match=why):
        ask(History(), 0, 10, **others)
