"""Prerequisites, the hashed requirements, and the search for an interpreter."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from launcher import cli, environments, prerequisites
from launcher.layout import HERE, ROOT, Layout
from launcher.prerequisites import Tool
from launcher.progress import Trouble

JAVAC = Tool("javac", ("-version",), (17,), "a JDK 17, not only a runtime", "apt-get install a-jdk")


@pytest.mark.parametrize(
    ("found", "printed", "line"),
    [
        (None, "", "a JDK 17, not only a runtime (javac is not on the PATH): apt-get install a-jdk"),
        ("/bin/javac", "", "a JDK 17, not only a runtime (javac is there but does not run): apt-get install a-jdk"),
        ("/bin/javac", "javac 11.0.2", "a JDK 17, not only a runtime (javac is 11.0.2): apt-get install a-jdk"),
        ("/bin/javac", "javac 17.0.15", None),
        ("/bin/javac", "javac 21", None),
    ],
)
def test_a_missing_tool_is_named_with_the_way_to_get_it(found: str | None, printed: str, line: str | None) -> None:
    lines = prerequisites.missing((JAVAC,), find=lambda _: found, ask=lambda _: printed)
    assert lines == ([line] if line else [])


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', (17, 0, 15)),
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("Apache Maven 3.8.7", (3, 8, 7)),
        ("setpriv from util-linux 2.38.1", (2, 38, 1)),
        ("no number", None),
    ],
)
def test_versions_are_read_as_the_tools_print_them(text: str, version: tuple[int, ...] | None) -> None:
    assert prerequisites.version(text) == version


def test_maven_is_not_blamed_for_a_missing_java() -> None:
    lines = prerequisites.missing(find=lambda tool: None if tool == "java" else f"/bin/{tool}", ask=lambda _: "99")
    assert [line.partition(" (")[0] for line in lines] == ["a Java 17 runtime"]


def test_a_command_that_fails_printed_nothing() -> None:
    assert prerequisites.output(["false"]) == ""
    assert prerequisites.output(["no-such-command"]) == ""


@pytest.mark.parametrize("venv", environments.VENVS)
def test_requirements_are_exact_and_hashed_and_name_no_index(venv: str) -> None:
    lines = environments.requirements(venv).read_text().splitlines()[1:]
    assert len(lines) > 10
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==[\w.+!]+ --hash=sha256:[0-9a-f]{64}", line), line


@pytest.mark.parametrize("venv", environments.VENVS)
def test_what_is_asked_for_is_locked(venv: str) -> None:
    locked = {
        line.split("==")[0].replace("_", "-")
        for line in environments.requirements(venv).read_text().lower().splitlines()
    }
    for line in (HERE / "requirements" / f"{venv}.in").read_text().lower().splitlines():
        if name := re.match(r"[\w-]+", line):
            assert name[0].replace("_", "-") in locked, line


def test_jars_must_be_those_that_the_list_names(tmp_path: Path) -> None:
    lib, listed = tmp_path / "lib", tmp_path / "sums"
    lib.mkdir()
    (lib / "a.jar").write_text("a")
    listed.write_text("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a.jar\n")
    sums = environments.sums(listed)
    environments.verify_jars(lib, sums)
    (lib / "b.jar").write_text("b")
    with pytest.raises(Trouble, match=r"b\.jar"):
        environments.verify_jars(lib, sums)
    (lib / "b.jar").unlink()
    (lib / "a.jar").write_text("another")
    with pytest.raises(Trouble, match=r"a\.jar"):
        environments.verify_jars(lib, sums)


def test_what_only_make_check_or_make_attack_needs_is_not_made_for_the_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[list[str]] = []
    monkeypatch.setattr(environments, "stale", lambda _: ["checkov", "attack", "ms"])
    monkeypatch.setattr(environments, "set_up", lambda _, only: made.append(only))
    monkeypatch.setattr(prerequisites, "check", lambda thorough: None)
    here = Layout(tmp_path, tmp_path, 1, 2, 3)
    cli._set_up_stack(here)
    cli.setup(here, cli.parse(["setup"]))
    cli.setup(here, cli.parse(["setup", "--attacks"]))
    assert made == [["ms"], ["checkov", "ms"], ["checkov", "attack", "ms"]]


def shim(**environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HERE / "stack", "--help"], env={"PATH": os.environ["PATH"], **environ}, capture_output=True, text=True
    )


def test_an_interpreter_that_cannot_be_used_is_named() -> None:
    result = shim(PY="/bin/false")
    assert result.returncode == 1
    assert "PY=/bin/false is not a Python 3.13" in result.stderr


def test_a_shim_that_refuses_to_run_is_passed_over(tmp_path: Path) -> None:
    tree, pyenv = tmp_path / "a tree", tmp_path / "pyenv"
    binaries = pyenv / "versions" / "3.13.9" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python3.13").symlink_to(environments.base_python())
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "python3.13").write_text("#!/bin/sh\nexit 127\n")
    (shims / "python3.13").chmod(0o755)
    (tree / "localstack").mkdir(parents=True)
    (tree / "localstack" / "stack").write_bytes((HERE / "stack").read_bytes())
    (tree / "localstack" / "launcher").mkdir()
    (tree / "localstack" / "launcher" / "__main__.py").write_text("import sys; print(sys.version_info[:2])")
    command = ["/bin/sh", tree / "localstack" / "stack"]
    environ = {"PATH": f"{shims}:/usr/bin:/bin", "PYENV_ROOT": str(pyenv), "HOME": str(tmp_path)}
    found = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert found.stdout == "(3, 13)\n", found.stderr
    none = subprocess.run(command, env=environ | {"PYENV_ROOT": "/nowhere"}, capture_output=True, text=True)
    assert none.returncode == 1
    assert "pyenv install 3.13" in none.stderr


def test_nothing_written_is_tracked_by_git() -> None:
    assert "/.local/" in (ROOT / ".gitignore").read_text().split()
