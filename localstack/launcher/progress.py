"""Says what is being done and how long it took; and Trouble, an error that says what to do next."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

COLOUR = sys.stderr.isatty() and "NO_COLOR" not in os.environ
_lock = threading.Lock()


class Trouble(Exception):
    """What went wrong, and what to do about it. The launcher prints it and ends with status 1."""


@contextmanager
def step(name: str) -> Iterator[None]:
    """A line for a step that took longer than a second; on a terminal its name stands there while it goes on."""
    began = time.monotonic()
    if COLOUR:
        _write(f"\r\x1b[K  … {name}")
    try:
        yield
    except BaseException:
        _line("\x1b[31m✗\x1b[0m" if COLOUR else "-", name, time.monotonic() - began)
        raise
    seconds = time.monotonic() - began
    if seconds >= 1:
        _line("\x1b[32m✓\x1b[0m" if COLOUR else "+", name, seconds)
    elif COLOUR:
        _write("\r\x1b[K")


def say(text: str) -> None:
    _write(("\r\x1b[K" if COLOUR else "") + text + "\n")


def _line(sign: str, name: str, seconds: float) -> None:
    say(f"  {sign} {name:<52} {seconds:6.1f} s")


def _write(text: str) -> None:
    with _lock:
        sys.stderr.write(text)
        sys.stderr.flush()
