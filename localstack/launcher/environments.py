"""Set-up into .local/, once: the Python environments and DynamoDB Local. Again only where their needs changed."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from launcher.layout import HERE, Layout, base_environ
from launcher.progress import Trouble, step

VENVS = {"ls": "LocalStack", "ms": "MiniStack", "sam": "SAM and cfn-lint", "test": "the launcher and the tests"}
# Set up only where it is asked for: `make attack`.
EXTRA = {"attack": "schemathesis"}
COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def base_python() -> str:
    """The interpreter that environments are made from; this one, or the one that this environment was made from."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def requirements(venv: str) -> Path:
    return HERE / "requirements" / f"{venv}.txt"


def stale(layout: Layout, also: Sequence[str] = ()) -> list[str]:
    """What is not set up, or was set up for something else than is asked for now; of the extras, those that are named."""
    names = [venv for venv in (*VENVS, *also) if not _stamped(layout.venvs / venv, _venv_digest(venv))]
    return names + ([] if _stamped(layout.ddb, _ddb_digest()) else ["dynamodb"])


def set_up(layout: Layout, only: Sequence[str] = (), also: Sequence[str] = ()) -> None:
    """Sets up what is stale, or of that only the parts that are named; `also` names extras."""
    names = [name for name in stale(layout, also) if not only or name in only]
    layout.local.mkdir(exist_ok=True)
    if "test" in names:  # first and alone: its pip serves the others
        _named(layout, "test")
    with ThreadPoolExecutor(max_workers=3) as pool:
        jobs = [pool.submit(_named, layout, name) for name in names if name not in ("test", "dynamodb")]
        if "dynamodb" in names:
            jobs.append(pool.submit(_make_dynamodb, layout))
        for job in jobs:
            job.result()


def _named(layout: Layout, venv: str) -> None:
    with step(f"Python environment of {(VENVS | EXTRA)[venv]}"):
        _make_venv(layout, venv)


def _make_venv(layout: Layout, venv: str) -> None:
    folder, pip = layout.venvs / venv, layout.python("test")
    shutil.rmtree(folder, ignore_errors=True)
    without = [] if venv == "test" else ["--without-pip"]
    _run(layout, [base_python(), "-m", "venv", *without, folder], f"making {folder}")
    install: list[str | Path] = [pip, "-m", "pip", "--python", layout.python(venv), "install", "--quiet"]
    install += ["--disable-pip-version-check", "--no-deps", "--no-compile", "--require-hashes"]
    # Packages that come as source are built with the setuptools of this file, not with one that pip would fetch.
    if builder := [line for line in requirements(venv).read_text().splitlines() if line.startswith("setuptools==")]:
        pinned = layout.venvs / f"{venv}-builder.txt"
        pinned.write_text("\n".join(builder) + "\n")
        _run(layout, [*install, "-r", pinned], f"installing setuptools into {folder}")
        pinned.unlink()
    _run(layout, [*install, "--no-build-isolation", "-r", requirements(venv)], f"installing into {folder}")
    _stamp(folder, _venv_digest(venv))


def _make_dynamodb(layout: Layout) -> None:
    with step("DynamoDB Local"):
        shutil.rmtree(layout.ddb, ignore_errors=True)
        lib, classes = layout.ddb / "lib", layout.ddb / "classes"
        classes.mkdir(parents=True)
        maven: list[str | Path] = [
            "mvn",
            "-q",
            "-B",
            "-f",
            HERE / "ddb" / "pom.xml",
            COPY_JARS,
            "-DincludeScope=runtime",
        ]
        _run(layout, [*maven, f"-DoutputDirectory={lib}"], "fetching DynamoDB Local's jars with Maven")
        verify_jars(lib, HERE / "ddb" / "jars.sha256")
        compile: list[str | Path] = [
            "javac",
            "-J-XX:-UsePerfData",
            "-d",
            classes,
            "-cp",
            f"{lib}/*",
            HERE / "ddb" / "LoopbackServer.java",
        ]
        _run(layout, compile, "compiling LoopbackServer.java")
        _stamp(layout.ddb, _ddb_digest())


def verify_jars(lib: Path, sums: Path) -> None:
    """Raises Trouble unless the folder holds exactly the files that `sums` lists, with their SHA-256."""
    want = {name: digest for digest, name in (line.split("  ", 1) for line in sums.read_text().splitlines())}
    have = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in lib.iterdir()}
    if wrong := sorted(name for name in want.keys() | have.keys() if want.get(name) != have.get(name)):
        raise Trouble(f"{len(wrong)} jars are not what {sums.name} says, first {wrong[0]}.")


def _run(layout: Layout, command: Sequence[str | Path], what: str) -> None:
    result = subprocess.run(command, env=base_environ(layout), capture_output=True, text=True)
    if result.returncode:
        tail = "\n    ".join((result.stdout + result.stderr).strip().splitlines()[-12:])
        raise Trouble(
            f"{what} failed:\n    {tail}\n  Run it again; if it fails again, remove {layout.local} and retry."
        )


def _venv_digest(venv: str) -> str:
    return _digest(base_python().encode(), requirements(venv).read_bytes())


def _ddb_digest() -> str:
    return _digest(*(path.read_bytes() for path in sorted((HERE / "ddb").iterdir())))


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _stamp(folder: Path, digest: str) -> None:
    (folder / ".fitvault").write_text(digest)


def _stamped(folder: Path, digest: str) -> bool:
    try:
        return (folder / ".fitvault").read_text() == digest
    except OSError:
        return False
