"""Where things are, and how to reach them."""

import os
from dataclasses import dataclass
from pathlib import Path

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

    def python(self, venv: str) -> Path:
        return self.venvs / venv / "bin" / "python"


def default() -> Layout:
    """The checkout's own local AWS; LS_PORT and MS_PORT move its ports."""
    local = ROOT / ".local"
    return Layout(local, local / "venvs", int(os.environ.get("LS_PORT", 44566)), int(os.environ.get("MS_PORT", 44567)))


def base_environ(layout: Layout) -> dict[str, str]:
    """The environment of everything that is started here: byte code stays out of the tree, no proxy gets in between."""
    unwanted = ("http_proxy", "https_proxy", "all_proxy", "pythonpath", "key")
    environ = {k: v for k, v in os.environ.items() if k.lower() not in unwanted}
    return environ | {"PYTHONPYCACHEPREFIX": str(layout.local / "pycache"), "PYTHONWARNINGS": "ignore"}


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
