"""Writes NAME.txt, one hashed requirements file per Python environment, from NAME.in.

    python3.13 localstack/requirements/lock.py [NAME ...]

Run it with CPython 3.13 on x86-64 Linux: pip resolves for the interpreter that runs it, and the files name the one
archive per package that this platform installs. The versions of today are taken; nothing is installed.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def lock(name: str) -> None:
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
             "--report", report.name, "-r", HERE / f"{name}.in"],
            check=True,
        )  # fmt: skip
        installs = json.load(report)["install"]
    lines = sorted(requirement(install) for install in installs)
    head = f"# Written by lock.py from {name}.in: CPython 3.13, x86-64 Linux.\n"
    (HERE / f"{name}.txt").write_text(head + "".join(lines))
    print(f"{name}.txt: {len(lines)} packages")


def requirement(install: dict) -> str:
    data, archive = install["metadata"], install["download_info"]["archive_info"]
    return f"{data['name'].lower()}=={data['version']} --hash=sha256:{archive['hashes']['sha256']}\n"


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.stem for path in HERE.glob("*.in")):
        lock(name)
