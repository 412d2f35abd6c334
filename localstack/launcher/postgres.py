"""PostgreSQL, which plays Aurora: its data, certificate and roles, and how it is started.

`.local/postgres/` holds the programs, made by `make setup`; `.local/database/` what is kept over `make down`.
The server listens on 127.0.0.1 by TLS only, and its roles sign in with random passwords.
"""

import hashlib
import json
import os
import pwd
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher import processes
from launcher.layout import HOST, Layout, base_environ
from launcher.progress import Trouble, step

DATABASE = "fitvault"
ADMINISTRATOR = "postgres"
MIGRATE = "fitvault_migrate"
# The migrations make these, and what they may; here they only get a password.
ROLES = ("fitvault_project", "fitvault_history")

SETTINGS = """\
# Written at each start of the local AWS.
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
max_connections = 160
shared_buffers = 32MB
dynamic_shared_memory_type = mmap  # below this folder, not in /dev/shm
wal_level = minimal
max_wal_senders = 0
jit = off
timezone = UTC
log_timezone = UTC
password_encryption = scram-sha-256
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
ssl_min_protocol_version = TLSv1.2
# As the template's DatabaseParameters: no statement, parameter or row in the log.
log_error_verbosity = terse
log_min_duration_statement = -1
log_min_error_statement = panic
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_statement = none
"""
WHO_MAY = f"hostssl all all {HOST}/32 scram-sha-256\n"  # and nobody else by any other way


def programs(layout: Layout) -> Path:
    return layout.postgres / "bin"


def folder(layout: Layout) -> Path:
    return layout.local / "database"


def data(layout: Layout) -> Path:
    return folder(layout) / "data"


def ca_file(layout: Layout) -> Path:
    return folder(layout) / "ca.pem"


# ---- what must not be root --------------------------------------------------


@dataclass(frozen=True)
class Someone:
    """Who runs the programs: a command's beginning, and whose the files must be."""

    prefix: list[str]
    uid: int
    gid: int


def someone(layout: Layout) -> Someone:
    """PostgreSQL refuses to run as root. Then another user runs it, who must reach the checkout; where a folder above
    it is root's alone, a user namespace in which root has another number."""
    if os.geteuid() != 0:
        return Someone([], os.geteuid(), os.getegid())
    user = _unprivileged()
    drop = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--no-new-privs", "--"]
    if _runs([*drop, "test", "-x", str(programs(layout) / "postgres")]):
        return Someone(drop, user.pw_uid, user.pw_gid)
    inside = ["unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}", "--"]
    if _runs([*inside, "true"]):
        return Someone(inside, 0, 0)
    raise Trouble(
        f"PostgreSQL does not run as root, and the user {user.pw_name} cannot reach {programs(layout)}.\n"
        f"  Let others pass through the folders above it (namei -m {layout.local} shows which: chmod o+x FOLDER),\n"
        "  or run this as another user than root."
    )


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Trouble("PostgreSQL does not run as root, and there is no user nobody to run it as.")


def _runs(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, cwd="/").returncode == 0


def _give(path: Path, who: Someone) -> None:
    """Makes a file, or a folder with all that is in it, someone's; nothing where it is already."""
    status = path.stat()
    if (status.st_uid, status.st_gid) == (who.uid, who.gid):
        return
    for found in [path, *path.rglob("*")]:
        os.chown(found, who.uid, who.gid, follow_symlinks=False)


# ---- before each start ------------------------------------------------------


def prepare(layout: Layout) -> list[str]:
    """Makes what a server needs and is not there yet; gives the command that starts it."""
    who, made = someone(layout), folder(layout) / "made"
    folder(layout).mkdir(mode=0o711, parents=True, exist_ok=True)
    folder(layout).chmod(0o711)  # for someone else to pass, not to look
    if not made.exists():  # never, or not to its end
        with step("PostgreSQL's data"):
            shutil.rmtree(data(layout), ignore_errors=True)
            ca_file(layout).unlink(missing_ok=True)  # its certificate's place was there
            data(layout).mkdir(mode=0o700)
            _give(data(layout), who)
            _make_data(layout, who)
    _give(data(layout), who)
    _forget_process(layout)
    if not ca_file(layout).exists():
        from launcher import certificates  # needs a package, which `make down` must do without

        ca, certificate, key = certificates.make(HOST)
        _write(data(layout) / "server.key", key, who)
        _write(data(layout) / "server.crt", certificate, who)
        ca_file(layout).write_text(ca)
    _write(data(layout) / "postgresql.conf", SETTINGS.format(host=HOST, port=layout.pg_port), who)
    _write(data(layout) / "pg_hba.conf", WHO_MAY, who)
    if not made.exists() or made.read_text() != _roles_digest(layout):
        _make_roles(layout, who, fresh=not made.exists())
        made.write_text(_roles_digest(layout))
    return [*who.prefix, str(programs(layout) / "postgres"), "-D", str(data(layout))]


def _forget_process(layout: Layout) -> None:
    """PostgreSQL would not start where another program has by now the number that its last process had."""
    file = data(layout) / "postmaster.pid"
    try:
        pid = file.read_text().split("\n")[0]
        if str(data(layout)) not in Path(f"/proc/{pid}/cmdline").read_text():
            file.unlink()
    except OSError:  # no file, or no such process, which PostgreSQL sees itself
        pass


def _write(path: Path, text: str, who: Someone) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    os.chown(path, who.uid, who.gid)


def environ(layout: Layout) -> dict[str, str]:
    kept = {k: v for k, v in base_environ(layout).items() if not k.startswith("PG")}
    return kept | {"HOME": str(folder(layout)), "LC_ALL": "C"}


def _make_data(layout: Layout, who: Someone) -> None:
    command = [*who.prefix, str(programs(layout) / "initdb"), "--pgdata", str(data(layout))]
    command += ["--username", ADMINISTRATOR, "--auth=reject", "--encoding=UTF8", "--no-locale", "--no-instructions"]
    result = subprocess.run(command, cwd="/", env=environ(layout), capture_output=True, text=True)
    if result.returncode:
        raise Trouble(f"PostgreSQL's data could not be made in {data(layout)}:\n{_tail(result.stdout + result.stderr)}")


def passwords(layout: Layout) -> dict[str, str]:
    """Of each role, made where one has none yet."""
    from launcher import stackfile

    path = folder(layout) / "passwords.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    wanted = {role: known.get(role) or secrets.token_urlsafe(24) for role in (ADMINISTRATOR, MIGRATE, *ROLES)}
    if wanted != known:
        stackfile.write_private(path, json.dumps(wanted))
    return wanted


def _roles_digest(layout: Layout) -> str:
    return hashlib.sha256(json.dumps(passwords(layout)).encode()).hexdigest()


def _make_roles(layout: Layout, who: Someone, fresh: bool) -> None:
    """What an administrator does on a cluster of his own, before the migrations: the role that runs them, and its
    database. The other roles are made here too, because only who makes a role may set its password."""
    lines = []
    for role, password in passwords(layout).items():
        exists = f"EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}')"
        lines.append(f"DO $$ BEGIN IF NOT {exists} THEN CREATE ROLE {role}; END IF; END $$")
        lines.append(f"ALTER ROLE {role} LOGIN PASSWORD '{password}'")
    lines.append(f"ALTER ROLE {MIGRATE} CREATEROLE CONNECTION LIMIT 8")
    lines += [f"GRANT {role} TO {MIGRATE} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE" for role in ROLES]
    if fresh:
        lines.append(f"CREATE DATABASE {DATABASE} OWNER {MIGRATE}")
    command = [*who.prefix, str(programs(layout) / "postgres"), "--single", "-D", str(data(layout)), ADMINISTRATOR]
    result = subprocess.run(
        command, cwd="/", env=environ(layout), input=";\n".join(lines) + ";\n", capture_output=True, text=True
    )
    if result.returncode or "ERROR:" in result.stderr:
        raise Trouble(f"PostgreSQL's roles could not be made:\n{_tail(result.stderr)}")


def _tail(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines()[-8:])


# ---- while it runs ----------------------------------------------------------


def ready(layout: Layout) -> bool:
    """Whether it takes connections, as it says itself, and has not died since."""
    try:
        lines = (data(layout) / "postmaster.pid").read_text().splitlines()
        return lines[7].strip() == "ready" and bool(processes.identity(int(lines[0])))
    except (OSError, IndexError, ValueError):
        return False


def parameters(layout: Layout, deployment: str) -> list[tuple[str, str, str]]:
    """Name, type and text of the SSM parameters that functions read, as the template names them."""
    secret = [
        (f"/{deployment}/database/{role}", "SecureString", password)
        for role, password in passwords(layout).items()
        if role != ADMINISTRATOR
    ]
    return [(f"/{deployment}/database-ca", "String", ca_file(layout).read_text()), *secret]


def for_tests(layout: Layout) -> dict[str, Any]:
    """What stack.json says of it."""
    return {
        "host": HOST,
        "port": layout.pg_port,
        "name": DATABASE,
        "ca_file": str(ca_file(layout)),
        "passwords": passwords(layout),
    }
