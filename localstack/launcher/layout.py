"""Where things are, and how to reach them."""

import os
from dataclasses import dataclass
from pathlib import Path

from launcher.progress import Trouble

ROOT = Path(__file__).resolve().parents[2]  # the checkout
HERE = ROOT / "localstack"
HOST = "127.0.0.1"
REGION = "eu-central-1"
STACK = "fitvault"
# Dummies: LocalStack takes any. Under fips140=only Go signs with keys of at least 14 bytes.
CREDENTIALS = {"access_key_id": "local-operator", "secret_access_key": "local-operator-secret"}


@dataclass(frozen=True)
class Layout:
    """One local AWS: its folder and its ports. All that is written lies in `local`."""

    local: Path
    venvs: Path
    ls_port: int
    ms_port: int
    pg_port: int

    @property
    def aws(self) -> str:
        return f"http://{HOST}:{self.ls_port}"

    @property
    def cognito(self) -> str:
        return f"http://{HOST}:{self.ms_port}"

    @property
    def run(self) -> Path:
        return self.local / "run"

    @property
    def logs(self) -> Path:
        return self.local / "logs"

    @property
    def stack_json(self) -> Path:
        return self.local / "stack.json"

    @property
    def ddb(self) -> Path:
        return self.local / "dynamodb"

    @property
    def postgres(self) -> Path:
        return self.local / "postgres"

    def python(self, venv: str) -> Path:
        return self.venvs / venv / "bin" / "python"


def default() -> Layout:
    """The checkout's own local AWS; LS_PORT, MS_PORT and PG_PORT move its ports, until `make down`."""
    local = ROOT / ".local"
    ports = (("LS_PORT", "localstack", 24566), ("MS_PORT", "ministack", 24567), ("PG_PORT", "postgres", 24568))
    return Layout(local, local / "venvs", *(_port(local, *port) for port in ports))


def port_file(local: Path, service: str) -> Path:
    """Where a running service's port stands, so that the next command finds it, and not another checkout's."""
    return local / "run" / f"{service}.port"


def _port(local: Path, name: str, service: str, usual: int) -> int:
    """A port by its variable, else the one in use, else a usual one, below those that the kernel gives to anyone."""
    text = os.environ.get(name, "")
    if not text and port_file(local, service).exists():
        text = port_file(local, service).read_text()
    text = text or str(usual)
    if not text.isascii() or not text.isdigit() or not 1024 <= int(text) <= 65535:
        raise Trouble(f"{name} must be a port from 1024 to 65535.")
    return int(text)


def base_environ(layout: Layout) -> dict[str, str]:
    """The environment of everything that is started here: what is written stays in `local`, no proxy gets between."""
    unwanted = ("http_proxy", "https_proxy", "all_proxy", "pythonpath", "key")
    environ = {k: v for k, v in os.environ.items() if k.lower() not in unwanted}
    temporary = layout.local / "tmp"
    temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
    return environ | {
        "MAVEN_OPTS": "-XX:-UsePerfData",  # else it writes to /tmp
        "PYTHONPYCACHEPREFIX": str(layout.local / "pycache"),
        "PYTHONWARNINGS": "ignore",
        "TMPDIR": str(temporary),
    }


def aws_environ(layout: Layout) -> dict[str, str]:
    """The base environment with operator's credentials and the endpoint of the local AWS."""
    environ = {k: v for k, v in base_environ(layout).items() if not k.startswith("AWS_")}
    return environ | {
        "AWS_ENDPOINT_URL": layout.aws,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": CREDENTIALS["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS["secret_access_key"],
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
