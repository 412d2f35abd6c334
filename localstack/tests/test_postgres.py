"""PostgreSQL as the launcher runs it: who runs it, what it lets in, what stays. Needs no stack."""

import os
import pwd
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from launcher import certificates, environments, postgres, processes, services
from launcher.layout import HERE, HOST, Layout
from launcher.progress import Trouble

NOBODY = pwd.getpwnam("nobody")
SSL_REQUEST = struct.pack("!II", 8, 80877103)


def startup(user: str) -> bytes:
    body = struct.pack("!I", 196608) + f"user\0{user}\0database\0fitvault\0\0".encode()
    return struct.pack("!I", len(body) + 4) + body


@pytest.fixture
def server(here: Layout, tmp_path: Path) -> Iterator[Layout]:
    """A folder for PostgreSQL alone; pytest's folders are their user's only, so root needs a namespace here."""
    if not (here.postgres / "bin").exists():
        pytest.skip("nothing is set up: make setup")
    (tmp_path / "postgres").symlink_to(here.postgres)
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    made = Layout(tmp_path, here.venvs, 1, 2, port)
    yield made
    services.stop(made)


def start(layout: Layout) -> int:
    """Starts PostgreSQL only, and gives its process."""
    service = services._postgres(layout)
    services._launch(layout, service)
    services._await(layout, service)
    return services._pid(layout, service)


def secured(layout: Layout) -> ssl.SSLSocket:
    """A connection by TLS to a server that has proved its name."""
    connection = socket.create_connection((HOST, layout.pg_port), timeout=10)
    connection.sendall(SSL_REQUEST)
    assert connection.recv(1) == b"S"
    return ssl.create_default_context(cafile=postgres.ca_file(layout)).wrap_socket(connection, server_hostname=HOST)


def test_it_listens_here_only_speaks_tls_only_and_keeps_its_data(server: Layout) -> None:
    pid = start(server)
    assert services.up(server, services._postgres(server))
    assert processes.listening([pid]) == {(HOST, server.pg_port)}
    assert services.status(server)[1] == f"PostgreSQL   127.0.0.1:{server.pg_port}  up, process {pid}"
    with socket.create_connection((HOST, server.pg_port), timeout=10) as plain:
        plain.sendall(startup("postgres"))
        answer = plain.recv(1000)
    assert answer[:1] == b"E" and b"no pg_hba.conf entry" in answer
    with secured(server) as tls:
        assert tls.version() in ("TLSv1.2", "TLSv1.3")
        tls.sendall(startup(postgres.ROLES[0]))
        assert b"SCRAM-SHA-256" in tls.recv(1000)
    outside = [path for path in server.local.rglob("*") if path.is_symlink() and path.name != "postgres"]
    assert outside == [], "all of it is below the folder"

    system = (postgres.data(server) / "global" / "pg_control").read_bytes()[:8]
    ca, passwords = postgres.ca_file(server).read_text(), postgres.passwords(server)
    services.stop(server)
    assert processes.identity(pid) == ""
    assert "database system is shut down" in (server.logs / "postgres.log").read_text()
    assert start(server) != pid
    assert (postgres.data(server) / "global" / "pg_control").read_bytes()[:8] == system
    assert (postgres.ca_file(server).read_text(), postgres.passwords(server)) == (ca, passwords)
    assert secured(server).close() is None


def test_it_comes_back_after_a_crash(server: Layout) -> None:
    pid = start(server)
    processes.stop([pid], 0)
    assert start(server) != pid
    assert "not properly shut down" in (server.logs / "postgres.log").read_text()


def test_data_that_was_not_made_to_its_end_is_made_again(server: Layout) -> None:
    postgres.prepare(server)
    (postgres.folder(server) / "made").unlink()
    (postgres.data(server) / "half").mkdir()
    postgres.prepare(server)
    assert not (postgres.data(server) / "half").exists()


def test_another_programs_number_does_not_keep_it_from_starting(server: Layout) -> None:
    postgres.prepare(server)
    pid_file = postgres.data(server) / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{postgres.data(server)}\n")
    postgres.prepare(server)
    assert not pid_file.exists()
    pid_file.write_text("999999999\n")
    postgres.prepare(server)
    assert pid_file.exists(), "PostgreSQL sees itself that there is no such process"
    start(server)


def test_secrets_are_for_their_owner_only(server: Layout) -> None:
    postgres.prepare(server)
    for name in ("passwords.json", "data"):
        assert (postgres.folder(server) / name).stat().st_mode & 0o077 == 0, name
    for name in ("server.key", "pg_hba.conf"):
        assert (postgres.data(server) / name).stat().st_mode & 0o077 == 0, name
    assert len(set(postgres.passwords(server).values())) == 4
    names = [name for name, _, _ in postgres.parameters(server, "d")]
    kinds = {kind for _, kind, text in postgres.parameters(server, "d") if "CERTIFICATE" not in text}
    assert names[0] == "/d/database-ca" and "/d/database/fitvault_project" in names and kinds == {"SecureString"}
    assert not any(postgres.ADMINISTRATOR in name for name in names), "no function signs in as the administrator"


@pytest.mark.parametrize(
    ("reaches", "namespaces", "begins"),
    [(True, True, "setpriv"), (True, False, "setpriv"), (False, True, "unshare"), (False, False, None)],
)
def test_root_hands_over_to_somebody_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reaches: bool, namespaces: bool, begins: str | None
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(postgres, "_runs", lambda command: reaches if command[0] == "setpriv" else namespaces)
    layout = Layout(tmp_path, tmp_path, 1, 2, 3)
    if begins is None:
        with pytest.raises(Trouble, match=r"(?s)cannot reach .*chmod o\+x FOLDER.*another user than root"):
            postgres.someone(layout)
        return
    who = postgres.someone(layout)
    assert who.prefix[0] == begins
    assert (who.uid == 0) == (begins == "unshare"), "in a namespace the files stay root's"


def test_who_is_not_root_runs_it_himself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1234)
    assert postgres.someone(Layout(tmp_path, tmp_path, 1, 2, 3)).prefix == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_data_goes_with_who_runs_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "base").mkdir(parents=True)
    (folder / "link").symlink_to("/etc/passwd")
    postgres._give(folder, postgres.Someone([], NOBODY.pw_uid, NOBODY.pw_gid))
    assert {path.lstat().st_uid for path in [folder, *folder.rglob("*")]} == {NOBODY.pw_uid}
    assert Path("/etc/passwd").stat().st_uid == 0


def test_a_certificate_is_for_its_address_and_of_its_authority() -> None:
    ca, certificate, key = certificates.make(HOST)
    authority, server = (x509.load_pem_x509_certificate(text.encode()) for text in (ca, certificate))
    server.verify_directly_issued_by(authority)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == [HOST]
    assert "PRIVATE KEY" in key and certificates.make(HOST)[0] != ca


def test_every_machine_has_its_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = environments.sums(HERE / "pg" / "jars.sha256")
    wanted = {
        f"embedded-postgres-binaries-linux-{name}-{environments.POSTGRES}.jar"
        for name in environments.MACHINES.values()
    }
    assert set(listed) == wanted
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    with pytest.raises(Trouble, match="no PostgreSQL for pdp11"):
        environments._machine()
