"""What the launcher does without a running stack."""

import base64
import hashlib
import hmac
import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwe
from joserfc.jwk import RSAKey

from launcher import (
    apps,
    cli,
    deployment,
    forge,
    invoke,
    pools,
    processes,
    roles,
    sealing,
    seed,
    services,
    stackfile,
    state,
    template,
    totp,
)
from launcher.layout import HERE, ROOT, Layout, default, port_file
from launcher.progress import Trouble

TEMPLATE = """
Parameters: {AppCallbackUrl: {Type: String, Default: https://app.example/back}}
Resources:
  UserPool: {Properties: {UserPoolName: !Sub '${D}-people', UsernameAttributes: [email], MfaConfiguration: OPTIONAL,
    DeletionProtection: ACTIVE, Policies: {PasswordPolicy: {MinimumLength: 12}}}}
  UserPoolResourceServer: {Properties: {UserPoolId: !Ref UserPool, Identifier: fitvault, Name: fitvault,
    Scopes: [{ScopeName: readings.read, ScopeDescription: read}]}}
  UserPoolClient: {Properties: {UserPoolId: !Ref UserPool, ClientName: app, AllowedOAuthFlows: [code],
    AllowedOAuthScopes: [openid, fitvault/readings.read], CallbackURLs: [!Ref AppCallbackUrl], AccessTokenValidity: 60,
    TokenValidityUnits: {AccessToken: minutes}}}
"""


def layout(tmp_path: Path, **ports: int) -> Layout:
    return Layout(tmp_path, tmp_path / "venvs", ports.get("ls", 1), ports.get("ms", 2), ports.get("pg", 3))


# ---- the template -----------------------------------------------------------


def test_the_local_pools_are_what_the_template_would_make(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    settings = template.pool_settings(template.load(path))
    policies = {"PasswordPolicy": {"MinimumLength": 12}}
    assert settings.pool == {"UsernameAttributes": ["email"], "MfaConfiguration": "OPTIONAL", "Policies": policies}
    assert settings.resource_server["Scopes"] == [{"ScopeName": "readings.read", "ScopeDescription": "read"}]
    assert settings.client["CallbackURLs"] == ["https://app.example/back"]
    assert settings.client["TokenValidityUnits"] == {"AccessToken": "minutes"}
    assert "ClientName" not in settings.client and "UserPoolId" not in settings.client
    assert seed.app_scopes(settings) == ["fitvault/readings.read"]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("UserPoolClient:", "Another:", "no resource UserPoolClient"),
        ("!Ref AppCallbackUrl", "!Ref Unknown", "neither a text nor"),
        ("Resources:", "Resources: [", "cannot be read"),
    ],
)
def test_a_template_without_them_is_named(tmp_path: Path, old: str, new: str, text: str) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE.replace(old, new))
    with pytest.raises(Trouble, match=text):
        template.pool_settings(template.load(path))


@pytest.mark.parametrize(("pool", "factor"), [("people", "OPTIONAL"), ("staff", "ON")])
def test_our_own_template_has_them(pool: str, factor: str) -> None:
    settings = seed.settings(pool)
    assert settings.client["AllowedOAuthFlows"] == ["code"]
    assert settings.pool["MfaConfiguration"] == factor
    assert seed.app_scopes(settings)


# ---- apps -------------------------------------------------------------------


class Cloud:
    """An operator's session that keeps what it is told."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        self.plans: dict[str, set[str]] = {"plan-a": set(), "plan-p": set()}
        self.items: list[dict[str, Any]] = []
        self.parameters: dict[str, str] = {}

    class exceptions:
        class ParameterNotFound(Exception):
            pass

    def get_parameter(self, Name: str) -> dict[str, Any]:
        if Name not in self.parameters:
            raise self.exceptions.ParameterNotFound
        return {"Parameter": {"Value": self.parameters[Name]}}

    def put_parameter(self, Name: str, Type: str, Value: str, Overwrite: bool) -> None:
        self.parameters[Name] = Value

    def client(self, _: str) -> "Cloud":
        return self

    def get_paginator(self, operation: str) -> Any:
        cloud = self

        class Pages:
            def paginate(self, **arguments: Any) -> list[dict[str, Any]]:
                if operation == "get_api_keys":
                    return [{"items": [{"id": id, "value": value}]} for id, value in cloud.keys.items()]
                return [{"items": [{"id": id} for id in cloud.plans[arguments["usagePlanId"]]]}]

        return Pages()

    def create_api_key(self, name: str, value: str, enabled: bool) -> dict[str, str]:
        id = f"key-{len(self.keys)}"
        self.keys[id] = value
        return {"id": id}

    def create_usage_plan_key(self, usagePlanId: str, keyId: str, keyType: str) -> None:
        self.plans[usagePlanId].add(keyId)

    def put_item(self, TableName: str, Item: dict[str, Any]) -> None:
        self.items.append(Item)


OUTPUTS = {"AppPlan": "plan-a", "PartnerPlan": "plan-p", "AccountsTable": "accounts"}
KEY = "k" * 32


def test_an_app_gets_a_key_in_its_plan_and_a_document_with_the_keys_hash() -> None:
    cloud = Cloud()
    for _ in range(2):  # again changes nothing
        apps.deploy_app(cloud, OUTPUTS, "client-1", KEY, "partner", ["fitvault/b", "fitvault/a"], "third-party")
    assert cloud.keys == {"key-0": KEY}
    assert cloud.plans == {"plan-a": set(), "plan-p": {"key-0"}}
    assert (
        cloud.items[0]
        == cloud.items[1]
        == {
            "id": {"S": "app#client-1"},
            "document": {"S": "app"},
            "kind": {"S": "third-party"},
            "state": {"S": "active"},
            "scopes": {"SS": ["fitvault/a", "fitvault/b"]},
            "api_keys": {"SS": [hashlib.sha256(KEY.encode()).hexdigest()]},
        }
    )


@pytest.mark.parametrize(
    ("key", "plan", "kind", "text"),
    [
        (KEY[1:], "app", "own", "at least 32"),
        (KEY, "gold", "own", "PLAN must be one"),
        (KEY, "app", "friend", "KIND must be one"),
    ],
)
def test_a_short_key_or_an_unknown_plan_or_kind_is_refused(key: str, plan: str, kind: str, text: str) -> None:
    cloud = Cloud()
    with pytest.raises(Trouble, match=text):
        apps.deploy_app(cloud, OUTPUTS, "client-1", key, plan, [], kind)
    assert not cloud.keys and not cloud.items


def test_the_consent_page_gets_a_key_that_stays_and_may_only_share() -> None:
    cloud, outputs = Cloud(), OUTPUTS | {"ConsentClient": "client-2"}
    key = apps.deploy_page(cloud, outputs, "fitvault")
    assert apps.deploy_page(cloud, outputs, "fitvault") == key
    assert cloud.parameters == {"/fitvault/consent-page-key": key}
    assert cloud.plans == {"plan-a": set(), "plan-p": {"key-0"}}
    assert cloud.items[-1] == apps.document("client-2", key, ["fitvault/sharing.manage"], "own")


def test_without_its_client_there_is_no_consent_page() -> None:
    cloud = Cloud()
    with pytest.raises(Trouble, match="ConsentClientId"):
        apps.deploy_page(cloud, OUTPUTS | {"ConsentClient": ""}, "fitvault")
    assert not cloud.keys and not cloud.items and not cloud.parameters


def test_an_identity_has_the_key_that_functions_look_for() -> None:
    """As access.IdentityKey makes it: its own test holds the same value."""
    assert roles.identity_key("issuer", "subject") == "identity#xDqK74N14nzYw5i8T1b-KpPXWfmZ1UxSLEmltlcODHU"


def test_codes_are_those_of_rfc_6238() -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()
    for at, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert totp.code(secret, totp.step(at)) == code


@pytest.mark.parametrize("changed", [{"ROLE": ""}, {"USER_NAME": ""}, {"POOL": "people"}])
def test_grant_role_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: dict[str, str]
) -> None:
    monkeypatch.setattr(cli, "with_packages", lambda _: None)
    for name, value in ({"USER_NAME": "sam@example.com", "ROLE": "auditor", "POOL": "staff"} | changed).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Trouble, match="staff only"):
        cli.grant_role(layout(tmp_path), cli.parse(["grant-role"]))


def test_passwords_are_long_and_of_all_kinds() -> None:
    for _ in range(20):
        password = pools.random_password()
        assert len(password) == 32
        assert any(c.islower() for c in password) and any(c.isupper() for c in password)
        assert any(c.isdigit() for c in password) and not password.isalnum()


def test_the_consent_page_signs_people_in_as_the_template_says() -> None:
    wanted = template.load(ROOT / "template.yaml")["Resources"]["ConsentClient"]["Properties"]
    made = seed.settings().client | pools.CLIENTS["consent"].differs
    assert {name: made[name] for name in template.CLIENT if name in made} == {
        name: wanted[name] for name in template.CLIENT if name in wanted
    }


# ---- events -----------------------------------------------------------------

STACK: dict[str, Any] = {
    "users": {"ada": {"access_token": 'to"ken', "id": "abc"}, "ben": {"access_token": "t", "id": None}},
    "clients": {"app": {"api_key": "key"}},
}


def test_an_event_is_filled() -> None:
    event = '{"a": "Bearer ${token.ada}", "k": "${key.app}", "p": "/users/${user.ada}", "x": "${other}"}'
    filled = json.loads(invoke.fill(event, STACK))
    assert filled == {"a": 'Bearer to"ken', "k": "key", "p": "/users/abc", "x": "${other}"}


@pytest.mark.parametrize(
    ("place", "text"),
    [("${token.eve}", "there is no eve"), ("${key.eve}", "there is no eve"), ("${user.ben}", "ben has no account")],
)
def test_what_cannot_be_filled_in_is_named(place: str, text: str) -> None:
    with pytest.raises(Trouble, match=text):
        invoke.fill(place, STACK)


def test_recorded_events_name_only_what_can_be_filled_in() -> None:
    stack = {
        "users": {name: {"access_token": "t", "id": "i"} for name in (*pools.USERS, *pools.STAFF)},
        "clients": {name: {"api_key": "k"} for name in pools.CLIENTS},
    }
    for path in (ROOT / "events").glob("*.json"):
        filled = invoke.fill(path.read_text(), stack, lambda _, user, route: f"{user}.{route}")
        assert "${" not in filled, path.name
        json.loads(filled)


def test_a_body_is_sealed_for_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    private = RSAKey.generate_key(3072, {"use": "enc", "kid": "k"})
    monkeypatch.setattr(sealing, "upload_key", lambda _: private.as_dict(private=False))
    stack = {"users": {"ada": {"id": "abc"}, "ben": {"id": None}}, "clients": {"app": {"id": "c"}}, "outputs": {}}
    registry = jwe.JWERegistry(algorithms=["RSA-OAEP-256", "A256GCM"], strict_check_header=False)
    for route, media in ("readings", "application/json"), ("recordings", "application/vnd.garmin.tcx+xml"):
        opened = jwe.decrypt_compact(sealing.seal(stack, "ada", route), private, registry=registry)
        header = opened.protected
        assert header.pop("exp") - header.pop("iat") == 300
        assert header == {
            "alg": "RSA-OAEP-256",
            "enc": "A256GCM",
            "kid": "k",
            "cty": media,
            "aud": f"fitvault/{route}",
            "sub": "abc",
            "client_id": "c",
        }
        assert opened.plaintext
    with pytest.raises(Trouble, match="ben has no account"):
        sealing.seal(stack, "ben", "readings")


@pytest.mark.parametrize("name", ["ingest", "IngestFunction"])
def test_a_function_is_called_by_its_folder_or_its_logical_id(name: str) -> None:
    assert invoke.function_name(name, {"IngestFunction": "f-1", "ApiId": "a"}) == "f-1"


def test_an_unknown_function_is_named() -> None:
    with pytest.raises(Trouble, match="there are ingest"):
        invoke.function_name("digest", {"IngestFunction": "f-1", "ApiId": "a"})


# ---- tokens and stack.json --------------------------------------------------


def unsigned(**claims: Any) -> str:
    parts = ({"alg": "RS256", "kid": "k"}, {"sub": "s", "exp": 2e9, **claims})
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + ".AA"


@pytest.mark.parametrize(("left", "soon"), [(601, False), (599, True), (-1, True)])
def test_tokens_with_less_than_ten_minutes_left_end_soon(left: float, soon: bool) -> None:
    assert stackfile.ends_soon(unsigned(exp=time.time() + left)) is soon
    assert stackfile.ends_soon(None)


def test_stack_json_is_for_its_owner_only(tmp_path: Path) -> None:
    here = layout(tmp_path)
    os.umask(0o022)
    stackfile.write(here, {"a": 1})
    stackfile.write(here, {"a": 2})
    assert stackfile.read(here) == {"a": 2}
    assert stat.S_IMODE(here.stack_json.stat().st_mode) == 0o600


def test_a_stack_that_is_not_up_is_said(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="make up"):
        stackfile.read(layout(tmp_path))


@pytest.fixture(scope="module")
def pool_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "pool.pem"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    no_encryption = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_encryption)
    path.write_bytes(pem)
    return path


@pytest.mark.parametrize("key", forge.KEYS)
def test_forged_tokens_say_what_was_asked_for(pool_key: Path, key: str) -> None:
    token = forge.forge(unsigned(), {"exp": 1, "sub": None, "x": "y"}, {"kid": None}, key, pool_key)
    header, claims, signature = token.split(".")
    assert forge._decode(header) == {"alg": forge.ALGORITHMS[key]}
    assert forge._decode(claims) == {"exp": 1, "x": "y"}
    assert bool(signature) is (key != "none")


def test_hs256_is_keyed_with_the_public_key(pool_key: Path) -> None:
    token = forge.forge(unsigned(), {}, {}, "hs256-public", pool_key)
    private = serialization.load_pem_private_key(pool_key.read_bytes(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed, _, signature = token.rpartition(".")
    assert forge._base64(hmac.digest(public, signed.encode(), "sha256")) == signature


# ---- sources ----------------------------------------------------------------


def test_a_build_depends_on_what_goes_into_it(tmp_path: Path) -> None:
    (tmp_path / "functions" / "ingest").mkdir(parents=True)
    (tmp_path / "shared" / "a" / "testdata").mkdir(parents=True)
    before = state.digest(tmp_path)
    (tmp_path / "shared" / "a" / "a_test.go").write_text("x")
    (tmp_path / "shared" / "a" / "testdata" / "x.json").write_text("x")
    assert state.digest(tmp_path) == before
    for name in ("template.yaml", "go.sum", "functions/ingest/main.go", "shared/a/policy.cedar"):
        (tmp_path / name).write_text("x")
        after = state.digest(tmp_path)
        assert after != before, name
        before = after


# ---- processes --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F:AE16", ("127.0.0.1", 44566)),
        ("00000000:0050", ("0.0.0.0", 80)),
        ("00000000000000000000000001000000:0050", ("::1", 80)),
        ("0000000000000000FFFF00000100007F:0050", ("::ffff:127.0.0.1", 80)),
    ],
)
def test_addresses_are_read_as_the_kernel_writes_them(text: str, address: tuple[str, int]) -> None:
    assert processes.address(text) == address


def test_processes_are_found_by_their_mark_with_what_they_listen_on(tmp_path: Path) -> None:
    program = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
    command = [sys.executable, "-c", program + "; time.sleep(60)"]
    environ = os.environ | {processes.MARK: str(tmp_path)}
    child = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    port = int(child.stdout.readline())
    assert processes.of_stack(tmp_path) == [child.pid]
    assert processes.listening([child.pid]) == {("127.0.0.1", port)}
    assert processes.port_in_use(port)
    assert processes.identity(child.pid).startswith(f"{child.pid}@")
    processes.stop([child.pid], 5)
    assert processes.of_stack(tmp_path) == []
    assert processes.identity(child.pid) == ""
    child.wait()
    child.stdout.close()


@pytest.mark.parametrize("text", ["80", "70000", "x", "²"])
def test_a_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    monkeypatch.setattr("launcher.layout.ROOT", tmp_path)  # where no stack runs
    monkeypatch.setenv("LS_PORT", text)
    with pytest.raises(Trouble, match="LS_PORT must be a port"):
        default()
    monkeypatch.setenv("LS_PORT", "")
    assert default().ls_port == 24566


def test_a_running_stacks_ports_are_remembered_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("launcher.layout.ROOT", tmp_path)
    monkeypatch.delenv("LS_PORT", raising=False)
    remembered = port_file(tmp_path / ".local", "localstack")
    remembered.parent.mkdir(parents=True)
    remembered.write_text("25566")
    assert default().ls_port == 25566

    (remembered.parent / "localstack.pid").write_text(processes.identity(os.getpid()))
    monkeypatch.setenv("LS_PORT", "25999")
    with pytest.raises(Trouble, match="LocalStack is up on port 25566"):
        services.start(default())


def test_another_programs_port_is_left_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        here = layout(tmp_path, ms=other.getsockname()[1])
        with pytest.raises(Trouble, match=r"in use by another program.*\n.*MS_PORT="):
            services.start(here)


def test_a_missing_plugin_stops_the_stack(tmp_path: Path) -> None:
    here = layout(tmp_path)
    here.run.mkdir()
    services.plugins_file(here).write_text("\n".join(services.PLUGINS - {"frontdoor"}))
    with pytest.raises(Trouble, match="without our plugins: frontdoor"):
        services.check_plugins(here)
    services.plugins_file(here).write_text("\n".join(services.PLUGINS))
    services.check_plugins(here)


def test_every_hook_has_a_name_of_its_own_and_reports_itself() -> None:
    folder = HERE / "plugins"
    points = (folder / "fitvault_local-1.0.dist-info" / "entry_points.txt").read_text().split("on_infra_start]")[1]
    modules = {line.split("fitvault_local.")[1].split(":")[0] for line in points.strip().splitlines()}
    assert modules == services.PLUGINS
    for name in modules:
        text = (folder / "fitvault_local" / f"{name}.py").read_text()
        assert f'@hooks.on_infra_start(name="fitvault-{name}")' in text
        assert f'    report("{name}")\n' in text
        assert f"fitvault-{name} = fitvault_local.{name}:install" in points


# ---- commands ---------------------------------------------------------------


def test_deploy_app_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cli, "with_packages", lambda _: None)
    monkeypatch.setenv("CLIENT", "c")
    monkeypatch.delenv("KEY", raising=False)
    with pytest.raises(Trouble, match="CLIENT=… KEY=…"):
        cli.deploy_app(layout(tmp_path), cli.parse(["deploy-app"]))


@pytest.fixture
def sam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Layout]:
    """A layout whose SAM is a shell script."""
    monkeypatch.setattr(deployment, "POLL_S", 0.05)

    def make(script: str) -> Layout:
        here = layout(tmp_path)
        here.logs.mkdir()
        here.python("sam").parent.mkdir(parents=True)
        here.python("sam").write_text(f"#!/bin/sh\n{script}\n")
        here.python("sam").chmod(0o755)
        return here

    return make


def test_a_sam_that_succeeds_needs_no_words(sam: Callable[[str], Layout]) -> None:
    assert deployment._sam(sam("echo all is well"), ["deploy"]) == ""


def test_a_sam_that_fails_has_said_why(sam: Callable[[str], Layout]) -> None:
    assert deployment._sam(sam("echo no such thing; exit 1"), ["deploy"]) == "    no such thing\n"


def test_a_sam_that_waits_for_ever_is_ended(sam: Callable[[str], Layout]) -> None:
    here = sam("echo waiting; exec sleep 600")
    assert deployment._sam(here, ["deploy"], give_up=lambda: True) == "    waiting\n"
