"""The processes of a stack, known by a mark in their environment, and what they listen on. Linux only: reads /proc."""

import os
import re
import signal
import socket
import struct
import time
from pathlib import Path

MARK = "FITVAULT_STACK"  # an environment variable with the stack's folder; children inherit it


def of_stack(local: Path) -> list[int]:
    """The living processes that carry the stack's mark, whoever is their parent now."""
    mark = f"{MARK}={local}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0") and identity(int(folder.name)):
                found.append(int(folder.name))
        except OSError:  # another user's, or gone by now
            continue
    return sorted(found)


def identity(pid: int) -> str:
    """A text that no other process will have, even one that gets the same number later; empty where none lives."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{pid}@{fields[19]}"  # with the time at which it started


def stop(pids: list[int], patience: float, word: signal.Signals = signal.SIGTERM) -> None:
    """Asks processes to end, and ends those that have not after `patience` seconds; at once where that is 0."""
    if patience:
        _signal(pids, word)
        _await(pids, patience)
    _signal(pids, signal.SIGKILL)
    _await(pids, 5)


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def _await(pids: list[int], patience: float) -> None:
    deadline = time.monotonic() + patience
    while any(map(identity, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)


def listening(pids: list[int]) -> set[tuple[str, int]]:
    """Addresses and ports that the processes listen on, TCP, and UDP where bound."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                if found := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link)):
                    inodes.add(found[1])
            except OSError:
                continue
    found_sockets = set()
    for table, listen in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == listen and fields[9] in inodes:
                found_sockets.add(address(fields[1]))
    return found_sockets


def address(text: str) -> tuple[str, int]:
    """An address as /proc/net writes it, such as 0100007F:AE16."""
    host, port = text.split(":")
    words = [int(host[i : i + 8], 16) for i in range(0, len(host), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(family, packed), int(port, 16)


def port_in_use(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
