"""Set-up into .local/, once: Python environments, DynamoDB Local, PostgreSQL. Again only where their needs changed."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from launcher.layout import HERE, Layout, base_environ
from launcher.progress import Trouble, step

VENVS = {
    "ls": "LocalStack",
    "ms": "MiniStack",
    "sam": "SAM and cfn-lint",
    "test": "the launcher and the tests",
    "checkov": "checkov",
    "attack": "schemathesis",
}
CHECKS = {"checkov"}  # of no use to the local AWS itself: `make check` needs them
ATTACKS = {"attack"}  # only where they are asked for: `make attack`
COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
COPY_JAR = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
POSTGRES = "17.5.0"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64v8"}


def base_python() -> str:
    """The interpreter that environments are made from; this one, or the one that this environment was made from."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def requirements(venv: str) -> Path:
    return HERE / "requirements" / f"{venv}.txt"


def stale(layout: Layout) -> list[str]:
    """What is not set up, or was set up for something else than is asked for now."""
    names = [venv for venv in VENVS if not _stamped(layout.venvs / venv, _venv_digest(venv))]
    names += [] if _stamped(layout.ddb, _ddb_digest()) else ["dynamodb"]
    return names + ([] if _stamped(layout.postgres, _postgres_digest()) else ["postgres"])


def set_up(layout: Layout, only: Sequence[str] = ()) -> None:
    """Sets up what is stale, or of that only the parts that are named."""
    names = [name for name in stale(layout) if not only or name in only]
    layout.local.mkdir(exist_ok=True)
    if "test" in names:  # first and alone: its pip serves the others
        _named(layout, "test")
    with ThreadPoolExecutor(max_workers=3) as pool:
        jobs = [pool.submit(_named, layout, name) for name in names if name in VENVS and name != "test"]
        for name, make in (("dynamodb", _make_dynamodb), ("postgres", _make_postgres)):
            if name in names:
                jobs.append(pool.submit(make, layout))
        for job in jobs:
            job.result()


def _named(layout: Layout, venv: str) -> None:
    with step(f"Python environment of {VENVS[venv]}"):
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
        verify_jars(lib, sums(HERE / "ddb" / "jars.sha256"))
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


def _make_postgres(layout: Layout) -> None:
    with step("PostgreSQL"):
        shutil.rmtree(layout.postgres, ignore_errors=True)
        jars = layout.postgres / "jar"
        name = f"embedded-postgres-binaries-linux-{_machine()}"
        fetch = ["mvn", "-q", "-B", COPY_JAR, f"-Dartifact=io.zonky.test.postgres:{name}:{POSTGRES}"]
        _run(layout, [*fetch, f"-DoutputDirectory={jars}"], "fetching PostgreSQL with Maven")
        jar = f"{name}-{POSTGRES}.jar"
        verify_jars(jars, {jar: sums(HERE / "pg" / "jars.sha256")[jar]})
        with zipfile.ZipFile(jars / jar) as archive:
            inner = next(found for found in archive.namelist() if found.endswith(".txz"))
            with archive.open(inner) as packed, tarfile.open(fileobj=packed, mode="r|xz") as files:
                files.extractall(layout.postgres, filter="data")
        for parent, _, _ in os.walk(layout.postgres):  # it may have to run as another user
            os.chmod(parent, 0o755)
        shutil.rmtree(jars)
        _stamp(layout.postgres, _postgres_digest())


def _machine() -> str:
    """This machine as PostgreSQL's packages name it."""
    try:
        return MACHINES[platform.machine()]
    except KeyError:
        raise Trouble(f"There is no PostgreSQL for {platform.machine()}, only for {', '.join(MACHINES)}.") from None


def sums(path: Path) -> dict[str, str]:
    """The SHA-256 of each file that a list names."""
    return {name: digest for digest, name in (line.split("  ", 1) for line in path.read_text().splitlines())}


def verify_jars(lib: Path, want: dict[str, str]) -> None:
    """Raises Trouble unless the folder holds exactly these files, with their SHA-256."""
    have = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in lib.iterdir()}
    if wrong := sorted(name for name in want.keys() | have.keys() if want.get(name) != have.get(name)):
        raise Trouble(f"{len(wrong)} jars are not what jars.sha256 says, first {wrong[0]}.")


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


def _postgres_digest() -> str:
    return _digest((HERE / "pg" / "jars.sha256").read_bytes(), _machine().encode())


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _stamp(folder: Path, digest: str) -> None:
    (folder / ".fitvault").write_text(digest)


def _stamped(folder: Path, digest: str) -> bool:
    try:
        return (folder / ".fitvault").read_text() == digest
    except OSError:
        return False
