"""compose.yaml says what launcher/services.py does. It is never run here, so its text is held to the launcher's."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from launcher import environments, postgres, processes, services
from launcher.layout import HERE, HOST, Layout, aws_environ

COMPOSE = yaml.safe_load((HERE / "compose.yaml").read_text())
# What a container has instead, or does without: its own folders, and a network that nobody else is in.
DIFFERENT = {
    "localstack": {
        "FITVAULT_DYNAMODB": "image",
        "FITVAULT_PLUGINS": "/fitvault/run/plugins",
        "GATEWAY_CONCURRENCY": "64",
        "GATEWAY_LISTEN": "0.0.0.0:24566",
        "LAMBDA_LOG_DIR": "/fitvault/run",
        "PYTHONPATH": "/fitvault/plugins",
        processes.MARK: "compose",
    },
    "ministack": {
        "BIND_HOST": "0.0.0.0",
        "PYTHONPATH": "/fitvault/pools",
        "S3_DATA_DIR": "/fitvault/state/s3",
        "STATE_DIR": "/fitvault/state",
    },
}
ABSENT = {
    "localstack": {"FILESYSTEM_ROOT", "FITVAULT_JAVA", "HOME", "OVERRIDE_IN_DOCKER", "S3_DIR", "TMPDIR"},
    "ministack": {"HOME", "TMPDIR"},
}


@pytest.fixture
def here(tmp_path: Path) -> Layout:
    return Layout(tmp_path, tmp_path / "venvs", 24566, 24567, 24568)


@pytest.mark.parametrize("name", ["localstack", "ministack"])
def test_a_container_has_the_environment_of_the_launcher(name: str, here: Layout) -> None:
    [service] = [service for service in services.services(here) if service.name == name]
    aws = {key for key in aws_environ(here) if key.startswith("AWS_")}
    outer = set(aws_environ(here)) - aws - {"HOME", "TMPDIR"}
    want = {key: value for key, value in service.environ.items() if key not in outer | ABSENT[name]}
    assert COMPOSE["services"][name]["environment"] == want | DIFFERENT[name]


def test_ports_are_the_launchers_on_loopback_only(here: Layout) -> None:
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert published == [f"{HOST}:{port}:{port}" for port in (here.ls_port, here.ms_port, here.pg_port)]
    for name in set(COMPOSE["services"]) - {"localstack"}:
        assert COMPOSE["services"][name]["network_mode"] == "service:localstack", name


def test_versions_are_those_that_are_run_here() -> None:
    images = {name: service["image"] for name, service in COMPOSE["services"].items()}
    [version] = re.findall(r"localstack-core\[runtime\]==(\S+)", (HERE / "requirements" / "ls.in").read_text())
    assert images == {
        "localstack": f"localstack/localstack:{version}",
        "ministack": "python:3.13-slim",
        "postgres": f"postgres:{environments.POSTGRES.split('.')[0]}",
    }
    assert "-r /fitvault/ms.txt" in COMPOSE["services"]["ministack"]["command"][2]


def test_mounts_are_there_and_cannot_be_written_but_the_databases(here: Layout) -> None:
    database = f"../.local/{postgres.data(here).relative_to(here.local)}"
    for service in COMPOSE["services"].values():
        for mount in service.get("volumes", []):
            source, _, mode = mount.split(":") if mount.count(":") == 2 else (*mount.split(":"), "")
            if source not in {*COMPOSE["volumes"], database}:
                assert mode == "ro" and (HERE / source).exists(), mount


def test_the_database_is_reached_as_the_launchers_from_more_addresses() -> None:
    service = COMPOSE["services"]["postgres"]
    assert COMPOSE["configs"]["who_may"]["content"] == postgres.WHO_MAY.replace(f"{HOST}/32", "all")
    for setting in ("port=24568", "listen_addresses=*", "hba_file=/fitvault/pg_hba.conf"):
        assert setting in service["command"]
    assert "environment" not in service


def test_nothing_gets_powers_over_this_machine() -> None:
    for name, service in COMPOSE["services"].items():
        assert not set(service) & {"privileged", "cap_add", "devices", "pid", "ipc", "security_opt"}, name
        assert "docker.sock" not in str(service)


def test_localstack_is_healthy_only_with_every_plugin() -> None:
    healthcheck: Any = COMPOSE["services"]["localstack"]["healthcheck"]["test"][1]
    assert f"'{' '.join(sorted(services.PLUGINS))} '" in healthcheck
