"""The commands. `../stack` finds a Python 3.13 for them; those that need packages go on in the environment `test`."""

import argparse
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from launcher import environments, prerequisites, processes, services, stackfile, state
from launcher.layout import STACK, Layout, default
from launcher.progress import Trouble, say


def main() -> None:
    arguments = parse(sys.argv[1:])
    try:
        sys.exit(arguments.run(default(), arguments))
    except Trouble as e:
        say(f"fitvault: {e}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:
        # Those of requests and of botocore, which not every command has at hand.
        if type(e).__name__ not in ("ConnectionError", "EndpointConnectionError"):
            raise
        say("fitvault: The local AWS does not answer: make up")
        sys.exit(1)


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="localstack/stack", description="The local AWS of fitvault.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help)
        added.set_defaults(run=run)
        return added

    made = command(
        "setup", setup, "makes the Python environments, also those of make check, DynamoDB Local and PostgreSQL"
    )
    made.add_argument("--attacks", action="store_true", help="as well those of make attack")
    command("up", up, "set-up, start, build, deploy and seed, each only where it is needed")
    command("down", down, "stops everything; users and the database stay, the rest of the local AWS is forgotten")
    stopped = command("stop", stop, "stops one part, for tests of its failure; `start` brings it back")
    stopped.add_argument("part", choices=["ministack", "postgres", "localstack"])
    command("start", start, "starts what is not up, and deploys nothing")
    command("status", status, "says what is up")
    command("deploy", deploy, "builds and deploys, also where nothing has changed")
    command("seed", seed_again, "deploys what has changed, and makes pools, apps and people where they differ")
    command("refresh", refresh, "renews tokens and fills in the users' ids")
    token = command("token", print_token, "prints a new access token; of a client that is a system, its own")
    token.add_argument("user")
    token.add_argument("client")
    token.add_argument("--pool", help="where it is not the user's own")
    token.add_argument("--kind", default="access_token", choices=["access_token", "id_token"])
    forged = command("forge", print_forged, "prints a token that no pool would issue")
    forged.add_argument("--user", default="ada", help="whose token it is made from")
    forged.add_argument("--claims", type=json.loads, default={}, help="JSON; null removes a claim")
    forged.add_argument("--header", type=json.loads, default={}, help="JSON; null removes a member")
    forged.add_argument("--key", default="pool", choices=["pool", "random", "none", "hs256-public"])
    command("deploy-app", deploy_app, "lets an app in: CLIENT, KEY, PLAN, STACK from the environment; LOCAL=1 for here")
    command("consent-page", consent_page, "lets the consent page in: STACK from the environment; LOCAL=1 for here")
    command("grant-role", grant_role, "gives a member of the staff a role, as `make grant-role` says")
    command("pairing-root", pairing_root, "makes the root that trackers are made with: ROOT from the environment")
    command(
        "pairing-certificate",
        pairing_certificate,
        "vouches for the key that signs towards trackers: ROOT, STACK from the environment, or PUBLIC, OUT",
    )
    command("migrate", migrate, "brings the database's tables up to date: STACK from the environment; LOCAL=1 for here")
    invoked = command("invoke", invoke_function, "calls a deployed function")
    invoked.add_argument("function", nargs="?", default="", help="without it the event is only filled: FILLED=file")
    invoked.add_argument("event", type=Path)
    return parser.parse_args(words)


@contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """Two launchers at once would start, build and deploy the same things: the second one waits."""
    layout.local.mkdir(parents=True, exist_ok=True)
    with (layout.local / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("fitvault: another command is at work on the local AWS; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def with_packages(layout: Layout) -> None:
    """Goes on in the environment `test`, which has the packages that the rest needs."""
    python = layout.python("test")
    if Path(sys.prefix) == python.parent.parent:
        return
    if "test" in environments.stale(layout):
        environments.set_up(layout, ["test"])
    os.execve(python, [str(python), "-m", "launcher", *sys.argv[1:]], os.environ)


def setup(layout: Layout, arguments: argparse.Namespace) -> int:
    left_out = set() if arguments.attacks else environments.ATTACKS
    _set_up(layout, [name for name in environments.stale(layout) if name not in left_out])
    return 0


def _set_up(layout: Layout, stale: list[str]) -> None:
    prerequisites.check(thorough=bool(stale))
    if stale:
        with alone(layout):
            environments.set_up(layout, stale)


def _set_up_stack(layout: Layout) -> None:
    _set_up(
        layout, [name for name in environments.stale(layout) if name not in environments.CHECKS | environments.ATTACKS]
    )


def up(layout: Layout, _: argparse.Namespace) -> int:
    os.environ.setdefault("FITVAULT_BEGAN", str(time.time()))
    _set_up_stack(layout)
    with_packages(layout)
    with alone(layout):
        started = services.start(layout)
        stack = stackfile.read_if_there(layout)
        if started or not stack or not state.current(layout):
            stack = _deploy_and_seed(layout, force=False)
        elif any(stackfile.ends_soon(user["access_token"]) for user in stack["users"].values()):
            _renew(layout, stack)
    say(f"fitvault is up at {stack['api']} ({time.time() - float(os.environ['FITVAULT_BEGAN']):.1f} s)")
    return 0


def _renew(layout: Layout, stack: dict[str, Any]) -> None:
    if any(stackfile.ends_soon(user["access_token"]) for user in stack["users"].values()):
        from launcher import seed  # a second of imports, which tests that forge tokens would pay each time

        if seed.renew_tokens(stack):
            stackfile.write(layout, stack)


def _deploy_and_seed(layout: Layout, force: bool) -> dict[str, Any]:
    from launcher import deployment, seed

    made = seed.make_pools(layout)
    before = state.read(layout).get("localstack")
    deployment.tell_database(layout)
    outputs = deployment.deploy(layout, made, force)
    deployment.migrate(deployment.Local(layout), outputs)
    deployment.certify_pairing(layout, outputs)
    return seed.seed(layout, made, outputs, fresh=before != services.localstack_identity(layout))


def deploy(layout: Layout, _: argparse.Namespace) -> int:
    _set_up_stack(layout)
    with_packages(layout)
    with alone(layout):
        services.start(layout)
        _deploy_and_seed(layout, force=True)
    return 0


def seed_again(layout: Layout, _: argparse.Namespace) -> int:
    with_packages(layout)
    with alone(layout):
        _deploy_and_seed(layout, force=False)
    return 0


def down(layout: Layout, _: argparse.Namespace) -> int:
    with alone(layout):
        services.stop(layout)
    return 0


def stop(layout: Layout, arguments: argparse.Namespace) -> int:
    with alone(layout):
        services.stop_one(layout, arguments.part)
    return 0


def start(layout: Layout, _: argparse.Namespace) -> int:
    with_packages(layout)
    with alone(layout):
        services.start(layout)
    return 0


def status(layout: Layout, _: argparse.Namespace) -> int:
    print("\n".join(services.status(layout)))
    if addresses := processes.listening(processes.of_stack(layout.local)):
        print("listening on", ", ".join(f"{host}:{port}" for host, port in sorted(addresses)))
    return 0


def refresh(layout: Layout, _: argparse.Namespace) -> int:
    with_packages(layout)
    from launcher import people

    stack = stackfile.read(layout)
    if people.refresh(stack):
        stackfile.write(layout, stack)
    return 0


def print_token(layout: Layout, arguments: argparse.Namespace) -> int:
    with_packages(layout)
    from launcher import seed

    stack = stackfile.read(layout)
    for kind, name, known in (
        ("user", arguments.user, stack["users"]),
        ("client", arguments.client, stack["clients"]),
        ("pool", arguments.pool, stack["pools"]),
    ):
        if name is not None and name not in known:
            raise Trouble(f"There is no {kind} {name}; there are {', '.join(known)}.")
    pool = arguments.pool or stack["users"][arguments.user]["pool"]
    if arguments.client not in stack["pools"][pool]["clients"]:
        raise Trouble(f"{arguments.client} is no client of the pool {pool}.")
    print(seed.tokens(stack, arguments.user, arguments.client, pool)[arguments.kind])
    return 0


def print_forged(layout: Layout, arguments: argparse.Namespace) -> int:
    with_packages(layout)
    from launcher import forge

    stack = stackfile.read(layout)
    _renew(layout, stack)
    if arguments.user not in stack["users"]:
        raise Trouble(f"There is no user {arguments.user}; there are {', '.join(stack['users'])}.")
    user = stack["users"][arguments.user]
    pool_key = services.state_folder(layout) / "cognito-pool-keys" / f"{stack['pools'][user['pool']]['id']}-access.pem"
    print(forge.forge(user["access_token"], arguments.claims, arguments.header, arguments.key, pool_key))
    return 0


def deploy_app(layout: Layout, _: argparse.Namespace) -> int:
    with_packages(layout)
    import boto3

    from launcher import apps, deployment, seed

    client, key = os.environ.get("CLIENT", ""), os.environ.pop("KEY", "")
    if not client or not key:
        raise Trouble("make deploy-app CLIENT=… KEY=… [PLAN=app|partner] [KIND=own|…] [STACK=fitvault] [LOCAL=1]")
    operator: Any = deployment.Local(layout) if os.environ.get("LOCAL") else boto3.Session()
    outputs = apps.outputs(operator, os.environ.get("STACK") or STACK)
    plan = os.environ.get("PLAN") or "app"
    kind = os.environ.get("KIND") or "own"
    scopes = seed.app_scopes(seed.settings("staff" if kind == "staff" else "people"))
    apps.deploy_app(operator, outputs, client, key, plan, scopes, kind)
    say(f"{client} may use the API, in the plan of {plan}s.")
    return 0


def consent_page(layout: Layout, _: argparse.Namespace) -> int:
    with_packages(layout)
    import boto3

    from launcher import apps, deployment

    stack = os.environ.get("STACK") or STACK
    operator: Any = deployment.Local(layout) if os.environ.get("LOCAL") else boto3.Session()
    apps.deploy_page(operator, apps.outputs(operator, stack), stack)
    say("The consent page may use the API.")
    return 0


def grant_role(layout: Layout, _: argparse.Namespace) -> int:
    with_packages(layout)
    import boto3

    from launcher import apps, deployment, pools, roles

    user, role = os.environ.get("USER_NAME", ""), os.environ.get("ROLE", "")
    if not user or not role or (os.environ.get("POOL") or "staff") != "staff":
        raise Trouble("make grant-role USER=… ROLE=… [POOL=staff] [REMOVE=1] [STACK=fitvault] [LOCAL=1]: staff only")
    local, remove = os.environ.get("LOCAL"), bool(os.environ.get("REMOVE"))
    operator: Any = deployment.Local(layout) if local else boto3.Session()
    outputs = apps.outputs(operator, os.environ.get("STACK") or STACK)
    cognito: Any = pools.client(layout) if local else operator.client("cognito-idp")
    try:
        subject = pools.subject(cognito, roles.pool_of(outputs), user)
    except cognito.exceptions.UserNotFoundException:
        raise Trouble(f"The staff's pool has no user {user}.") from None
    roles.set_role(operator, outputs, subject, role, remove)
    say(f"{user} is {'no' if remove else 'now'} {role}.")
    return 0


def _root_folder() -> Path:
    folder = os.environ.get("ROOT", "")
    if not folder:
        raise Trouble("ROOT names the folder of the root's key: one that is kept offline.")
    return Path(folder)


def pairing_root(layout: Layout, _: argparse.Namespace) -> int:
    with_packages(layout)
    from launcher import pairing

    pairing.make_root(_root_folder())
    say(f"{_root_folder()}/root.pem goes into every tracker; root.key stays offline, with a copy elsewhere.")
    return 0


def pairing_certificate(layout: Layout, _: argparse.Namespace) -> int:
    with_packages(layout)
    import boto3

    from launcher import apps, deployment, pairing

    stack = os.environ.get("STACK") or STACK
    if public := os.environ.get("PUBLIC"):  # on the root's own machine, which reaches nothing
        out = os.environ.get("OUT") or "pairing-certificate.pem"
        Path(out).write_text(pairing.issue(_root_folder(), Path(public).read_bytes(), stack))
        say(f"{out} goes into the SSM parameter /{stack}/pairing-certificate.")
        return 0
    operator: Any = deployment.Local(layout) if os.environ.get("LOCAL") else boto3.Session()
    made = pairing.certify(operator, apps.outputs(operator, stack), _root_folder(), stack)
    say("The certificate was made." if made else "The certificate is good still.")
    return 0


def migrate(layout: Layout, _: argparse.Namespace) -> int:
    with_packages(layout)
    import boto3

    from launcher import apps, deployment

    operator: Any = deployment.Local(layout) if os.environ.get("LOCAL") else boto3.Session()
    applied = deployment.migrate(operator, apps.outputs(operator, os.environ.get("STACK") or STACK))
    say(f"The database is up to date; {applied} migrations were missing.")
    return 0


def invoke_function(layout: Layout, arguments: argparse.Namespace) -> int:
    with_packages(layout)
    from launcher import deployment, invoke

    stack = stackfile.read(layout)
    try:
        recorded = arguments.event.read_text()
    except OSError:
        raise Trouble("There is no such event file; ls events/ shows what there is.") from None
    event = invoke.filled(recorded, stack)
    stackfile.write(layout, stack)
    if target := os.environ.get("FILLED"):
        stackfile.write_private(Path(target), event)
        say(f"{target} holds the event; it holds a token too, so remove it after use.")
    if not arguments.function:
        return 0
    name = invoke.function_name(arguments.function, stack["outputs"])
    answer, log, failed = invoke.call(deployment.Local(layout).client("lambda"), name, event)
    print(log, file=sys.stderr, end="")
    print(answer)
    return 1 if failed else 0
