"""What must be on the machine before anything is fetched or started."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from launcher.progress import Trouble


@dataclass(frozen=True)
class Tool:
    command: str
    version: tuple[str, ...]  # arguments that make it print its version
    least: tuple[int, ...]
    what: str
    how: str


TOOLS = (
    Tool(
        "java",
        ("-XX:-UsePerfData", "-version"),
        (17,),
        "a Java 17 runtime",
        "Debian, Ubuntu: apt-get install openjdk-17-jdk-headless",
    ),
    Tool(
        "javac",
        ("-J-XX:-UsePerfData", "-version"),
        (17,),
        "a JDK 17, not only a runtime",
        "apt-get install openjdk-17-jdk-headless",
    ),
    Tool("mvn", ("-v",), (3,), "Maven 3", "apt-get install maven"),
    Tool("go", ("version",), (1, 26), "Go 1.26", "https://go.dev/dl/"),
    Tool("make", ("--version",), (3,), "make", "apt-get install make"),
    Tool("setpriv", ("--version",), (2,), "setpriv of util-linux", "apt-get install util-linux"),
)


def output(command: list[str]) -> str:
    """What a command prints, or nothing where it fails."""
    try:
        environ = os.environ | {"MAVEN_OPTS": "-XX:-UsePerfData"}  # else it writes to /tmp
        result = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    text = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout + result.stderr)  # Maven's output has colours
    return text if result.returncode == 0 else ""


def missing(
    tools: tuple[Tool, ...] = TOOLS,
    find: Callable[[str], str | None] = shutil.which,
    ask: Callable[[list[str]], str] = output,
) -> list[str]:
    """One line for each tool that is missing, does not run, or is too old, with the way to get it."""
    lines = []
    if sys.version_info[:2] != (3, 13):
        lines.append("Python 3.13: run localstack/stack, which looks for one")
    for tool in tools:
        if tool.command == "mvn" and find("java") is None:
            continue  # it would not run, and that is not its fault
        if find(tool.command) is None:
            lines.append(f"{tool.what} ({tool.command} is not on the PATH): {tool.how}")
            continue
        found = version(ask([tool.command, *tool.version]))
        if found is None:
            lines.append(f"{tool.what} ({tool.command} is there but does not run): {tool.how}")
        elif found < tool.least:
            lines.append(f"{tool.what} ({tool.command} is {'.'.join(map(str, found))}): {tool.how}")
    return lines


def version(text: str) -> tuple[int, ...] | None:
    """The first version number in a text."""
    found = re.search(r"(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in found[1].split(".")) if found else None


def check(thorough: bool) -> None:
    """Raises Trouble where something is missing; whether it runs and is new enough is tried where `thorough`."""
    if lines := missing(ask=output if thorough else lambda _: "9999"):
        raise Trouble("These are missing; the way to get each stands beside it:\n  " + "\n  ".join(lines))
