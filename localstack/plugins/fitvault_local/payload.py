"""What the gateway takes of a request and hands to a function: sizes, and the form of the body."""

import base64
import json
from collections.abc import Mapping
from typing import Any

MAX_REQUEST = 10 * 2**20  # bytes of a body that the gateway takes
MAX_EVENT = 6 * 2**20  # bytes of the event, as JSON, that it hands to a function


def body_of_event(body: bytes, binary: bool) -> tuple[str | None, bool]:
    """A body as the event holds it. What is no binary media type is text to the gateway, whatever bytes it has."""
    if not body:
        return None, False
    if binary:
        return base64.b64encode(body).decode(), True
    return body.decode("utf-8", "replace"), False


def event_size(event: Mapping[str, Any]) -> int:
    """Bytes of an event as JSON. Not ASCII characters count as UTF-8."""
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass"))
