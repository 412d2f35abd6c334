"""The file .local/stack.json: how to reach the local stack, and who its people and apps are. Mode 0600, not in git."""

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

from launcher.layout import Layout
from launcher.progress import Trouble

RENEW_S = 600.0  # those of staff live 15 minutes in all


def read(layout: Layout) -> dict[str, Any]:
    """Raises Trouble where the stack is not up."""
    if (found := read_if_there(layout)) is None:
        raise Trouble("The local stack is not up: make up")
    return found


def read_if_there(layout: Layout) -> dict[str, Any] | None:
    try:
        return json.loads(layout.stack_json.read_text())
    except (OSError, ValueError):
        return None


def ends_soon(token: str | None) -> bool:
    """Whether there is no token, or it is good for less than ten minutes."""
    return token is None or claims(token)["exp"] - time.time() < RENEW_S


def claims(token: str) -> dict[str, Any]:
    """What a token says, unchecked."""
    text = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def write(layout: Layout, stack: dict[str, Any]) -> None:
    write_private(layout.stack_json, json.dumps(stack, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replaces a file as a whole, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
