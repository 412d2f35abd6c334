"""Runs a deployed function on a recorded event whose tokens, keys and ids are filled in."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any

from launcher import people, sealing
from launcher.progress import Trouble

PLACE = re.compile(r"\$\{(token|key|user|sealed)\.([a-z]+)(?:\.([a-z]+))?\}")


def fill(event: str, stack: dict[str, Any], seal: Callable[[dict[str, Any], str, str], str] = sealing.seal) -> str:
    """The event with ${token.USER}, ${key.CLIENT}, ${user.USER} and ${sealed.USER.ROUTE} replaced.

    The last is the body of the event events/ingest-post-ROUTE.json, sealed for the user by the client app.
    Raises Trouble where one is unknown.
    """

    def value(place: re.Match[str]) -> str:
        kind, name, route = place.groups()
        if kind == "sealed":
            return seal(stack, name, route)
        group, member = {"token": ("users", "access_token"), "key": ("clients", "api_key"), "user": ("users", "id")}[
            kind
        ]
        found = stack[group].get(name, {}).get(member)
        if found is None and kind == "user" and name in stack["users"]:
            raise Trouble(f"{place[0]}: {name} has no account yet; it comes with the first consent: make run")
        if found is None:
            raise Trouble(f"{place[0]}: there is no {name}; there are {', '.join(stack[group])}.")
        return json.dumps(found)[1:-1]

    return PLACE.sub(value, event)


def filled(event: str, stack: dict[str, Any]) -> str:
    """Fills an event after tokens were renewed and, where the event names them, ids looked up."""
    if "${" in event:
        people.refresh(stack)
    return fill(event, stack)


def function_name(name: str, outputs: dict[str, str]) -> str:
    """The deployed name of a function that is called by its folder or its logical id."""
    logical = name if name.endswith("Function") else f"{name.capitalize()}Function"
    if logical not in outputs:
        known = sorted(output.removesuffix("Function").lower() for output in outputs if output.endswith("Function"))
        raise Trouble(f"There is no function {name}; there are {', '.join(known)}.")
    return outputs[logical]


def call(client: Any, function: str, event: str) -> tuple[str, str, bool]:
    """The answer, the end of the log, and whether the function failed."""
    answer = client.invoke(FunctionName=function, Payload=event.encode(), LogType="Tail")
    text = answer["Payload"].read().decode()
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    return text, log, "FunctionError" in answer
