"""CloudTrail's event history as far as the sequencer asks for it: who used which KMS key, by the key's ARN."""

import json
import threading
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MOST = 50_000  # uses that are remembered: the oldest are forgotten
PAGE = 50  # CloudTrail API Reference, LookupEvents: MaxResults


class Refused(Exception):
    """A question that CloudTrail refuses; its argument is CloudTrail's name for why."""


@dataclass(frozen=True)
class Use:
    """A use of a key: nothing of what it was used on."""

    at: int  # seconds since 1970
    operation: str
    key: str  # ARN
    account: str
    region: str
    role: str | None  # ARN
    context: dict[str, str] | None
    error: str | None
    source: bool = False  # the context is that of what ReEncrypt opens


def record(use: Use, name: str) -> dict[str, Any]:
    """A use as AWS KMS writes it (AWS KMS Developer Guide, "Examples of AWS KMS log entries")."""
    identity: dict[str, Any] = {"type": "Root", "arn": f"arn:aws:iam::{use.account}:root", "accountId": use.account}
    if use.role:
        issuer = {"type": "Role", "arn": use.role, "accountId": use.account, "userName": use.role.rsplit("/", 1)[-1]}
        identity |= {"type": "AssumedRole", "sessionContext": {"sessionIssuer": issuer}}
        identity["arn"] = f"arn:aws:sts::{use.account}:assumed-role/{issuer['userName']}/session"
    parameters: dict[str, Any] = {"keyId": use.key}
    if use.context is not None:
        parameters["sourceEncryptionContext" if use.source else "encryptionContext"] = use.context
    return {
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": datetime.fromtimestamp(use.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "kms.amazonaws.com",
        "eventName": use.operation,
        "awsRegion": use.region,
        **({"errorCode": use.error} if use.error else {}),
        "requestParameters": parameters,
        "responseElements": None,
        "eventID": name,
        "resources": [{"accountId": use.account, "type": "AWS::KMS::Key", "ARN": use.key}],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": use.account,
        "eventCategory": "Management",
    }


class History:
    def __init__(self, most: int = MOST) -> None:
        self.uses: deque[tuple[int, str, Use]] = deque(maxlen=most)  # number, name
        self.count = 0
        self.lock = threading.Lock()

    def remember(self, use: Use) -> None:
        with self.lock:
            self.count += 1
            self.uses.append((self.count, str(uuid.uuid4()), use))

    def lookup(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to LookupEvents, the newest first. A token is the number of the last use that was shown."""
        attributes, token = request.get("LookupAttributes") or [], request.get("NextToken")
        if any(a["AttributeKey"] != "ResourceName" for a in attributes) or len(attributes) > 1:
            raise Refused("InvalidLookupAttributesException")
        if not 1 <= (limit := request.get("MaxResults") or PAGE) <= PAGE:
            raise Refused("InvalidMaxResultsException")
        if token and not token.isdecimal():
            raise Refused("InvalidNextTokenException")
        start, end = (request.get(name) for name in ("StartTime", "EndTime"))
        if start and end and start > end:
            raise Refused("InvalidTimeRangeException")
        with self.lock:
            uses = list(self.uses)
        shown: list[tuple[int, str, Use]] = []
        for number, name, use in reversed(uses):
            if start and use.at < start.timestamp() - 1:  # they come in order, but for a second of threads
                break
            of_key = not attributes or use.key == attributes[0]["AttributeValue"]
            after, before = not start or use.at >= start.timestamp(), not end or use.at <= end.timestamp()
            if not (of_key and after and before and (not token or number < int(token))):
                continue
            if len(shown) == limit:
                return {"Events": [event(*s[1:]) for s in shown], "NextToken": str(shown[-1][0])}
            shown.append((number, name, use))
        return {"Events": [event(*s[1:]) for s in shown]}


def event(name: str, use: Use) -> dict[str, Any]:
    return {
        "EventId": name,
        "EventName": use.operation,
        "EventTime": use.at,
        "EventSource": "kms.amazonaws.com",
        "Resources": [{"ResourceType": "AWS::KMS::Key", "ResourceName": use.key}],
        "CloudTrailEvent": json.dumps(record(use, name)),
    }
