"""What was built and deployed last, and of which sources: .local/run/deployed.json."""

import hashlib
import json
from pathlib import Path

from launcher import services
from launcher.layout import ROOT, Layout


def sources(root: Path = ROOT) -> list[Path]:
    """What a build and a deployment depend on."""
    files = [root / name for name in ("template.yaml", "samconfig.toml", "go.mod", "go.sum")]
    files += sorted(root.glob("openapi*.yaml"))
    for folder in ("functions", "shared"):
        files += sorted(path for path in (root / folder).rglob("*") if path.is_file() and "testdata" not in path.parts)
    return [path for path in files if path.is_file() and not path.name.endswith("_test.go")]


def digest(root: Path = ROOT) -> str:
    total = hashlib.sha256()
    for path in sources(root):
        total.update(f"{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def current(layout: Layout) -> bool:
    """Whether these sources are deployed, and to the LocalStack that runs now: a new one knows nothing."""
    now = {"localstack": services.localstack_identity(layout), "deployed": digest()}
    return now.items() <= read(layout).items()


def read(layout: Layout) -> dict[str, str]:
    try:
        return json.loads((layout.run / "deployed.json").read_text())
    except (OSError, ValueError):
        return {}


def write(layout: Layout, **changes: str) -> None:
    (layout.run / "deployed.json").write_text(json.dumps(read(layout) | changes))
