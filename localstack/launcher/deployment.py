"""Builds template.yaml with `sam build` and deploys it with `sam deploy`, where anything has changed."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import requests

from launcher import apps, pairing, pools, postgres, services, state
from launcher.layout import CREDENTIALS, HOST, REGION, ROOT, STACK, Layout, aws_environ
from launcher.pools import Pool
from launcher.progress import Trouble, step

BUCKET = "sam-artifacts"  # `sam deploy --resolve-s3` would wait 15 s for a stack of its own
POLL_S = 2.0
BROKEN = ("FAILED", "ROLLBACK_COMPLETE")  # there is no way back from these in LocalStack


def session() -> Any:
    """A session with the operator's credentials of the local AWS."""
    return boto3.Session(
        aws_access_key_id=CREDENTIALS["access_key_id"],
        aws_secret_access_key=CREDENTIALS["secret_access_key"],
        region_name=REGION,
    )


class Local:
    """The operator's session, whose clients reach the local AWS and not the real one."""

    def __init__(self, layout: Layout) -> None:
        self._session, self._endpoint = session(), layout.aws

    def client(self, name: str) -> Any:
        return self._session.client(name, endpoint_url=self._endpoint)


# Of the web apps that tests play.
WEB_ORIGINS = ("https://web.fitvault.example", "http://localhost:8080")


def parameters(layout: Layout, made: dict[str, Pool]) -> dict[str, str]:
    """What an organisation with user pools and a database of its own would give."""
    people, staff = made["people"], made["staff"]
    return {
        "DaysWindow": "1",
        # The suites do in a minute what nobody does in a day, as few people and from one address: they must not meet
        # limits. Those that are about limits set their own (docs/local.md).
        "UserLimit": "100000",
        "DeviceLimit": "100000",
        "AddressLimit": "100000",
        "ClientLimit": "1000000",
        # A machine of few processors: more at once would only be slower.
        "Concurrency": "reserved",
        "IntakeConcurrency": str(16 * services.PROCESSORS),
        "ReadConcurrency": str(16 * services.PROCESSORS),
        "SentinelFactor": "20",
        "DatabaseHost": HOST,
        "DatabasePort": str(layout.pg_port),
        "DatabaseName": postgres.DATABASE,
        "ExistingUserPoolArn": people.arn,
        "TokenIssuer": pools.issuer(people),
        "TokenKeysUrl": services.keys_url(layout, people.id),
        "SignInUrl": layout.cognito,
        "ConsentClientId": people.clients["consent"],
        "ExistingStaffUserPoolArn": staff.arn,
        "StaffTokenIssuer": pools.issuer(staff),
        "StaffTokenKeysUrl": services.keys_url(layout, staff.id),
        "WebOrigins": ",".join(WEB_ORIGINS),
    }


def tell_database(layout: Layout) -> None:
    """Puts what functions need to reach PostgreSQL where they look for it."""
    ssm = Local(layout).client("ssm")
    for name, kind, text in postgres.parameters(layout, STACK):
        ssm.put_parameter(Name=name, Type=kind, Value=text, Overwrite=True)


def certify_pairing(layout: Layout, outputs: dict[str, str]) -> None:
    """Vouches for the key that signs towards trackers, by a root under .local that is as good as offline here."""
    folder = pairing_root(layout)
    if not (folder / "root.key").exists():
        pairing.make_root(folder)
    pairing.certify(Local(layout), outputs, folder, STACK)


def pairing_root(layout: Layout) -> Path:
    """Where the local root lies; trackers of tests are made with its root.pem."""
    return layout.local / "pairing-root"


def migrate(operator: Any, outputs: dict[str, str]) -> int:
    """Brings the database's tables and roles up to date; says how many migrations were missing."""
    answer = operator.client("lambda").invoke(FunctionName=outputs["MigrateFunction"], Payload=b"{}")
    text = answer["Payload"].read().decode(errors="replace")
    if "FunctionError" in answer:
        raise Trouble(f"migrate failed, and without its tables there are no days: {text}")
    return json.loads(text)["applied"]


def deploy(layout: Layout, made: dict[str, Pool], force: bool) -> dict[str, str]:
    """Builds and deploys what has changed; gives the stack's outputs. A broken stack is left behind."""
    want, given = state.digest(), parameters(layout, made)
    if not force and state.current(layout) and state.read(layout).get("parameters") == json.dumps(given):
        return apps.outputs(Local(layout), STACK)
    if force or state.read(layout).get("built") != want:
        _build(layout)
        state.write(layout, built=want)
    state.write(layout, deployed="")  # until it is: a deployment that fails leaves neither the old nor the new
    _leave_broken(layout)
    _ensure_bucket(Local(layout).client("s3"))
    with step("sam deploy"):
        command = ["deploy", "-t", layout.local / "sam-build" / "template.yaml", "--stack-name", STACK]
        command += ["--s3-bucket", BUCKET, "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"]
        command += ["--no-fail-on-empty-changeset", "--no-progressbar", "--parameter-overrides"]
        command += [f"{name}={value}" for name, value in given.items()]
        if failed := _sam(layout, command, give_up=lambda: _status(layout).endswith(BROKEN)):
            raise Trouble(f"sam deploy failed:\n{failed}\n{_reasons(layout)}  When it is mended: make up")
    outputs = apps.outputs(Local(layout), STACK)
    with step("keykeeper makes the service keys"):
        _run_once(layout, outputs["KeykeeperFunction"], "{}", "nothing can be sealed")
    with step("sequencer begins the audit log"):
        _run_once(layout, outputs["SequencerFunction"], '{"task":"take"}', "no access log can be read")
    _check_closed(layout, outputs["ApiId"])
    identity = services.localstack_identity(layout)
    state.write(layout, deployed=want, parameters=json.dumps(given), localstack=identity)
    return outputs


def _build(layout: Layout) -> None:
    with step("sam build"):
        command = ["build", "-t", ROOT / "template.yaml", "-b", layout.local / "sam-build"]
        if failed := _sam(layout, command):
            raise Trouble(f"sam build failed:\n{failed}\n  When it is mended: make up")


def _ensure_bucket(s3: Any) -> None:
    try:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    except s3.exceptions.BucketAlreadyOwnedByYou:
        pass


def _leave_broken(layout: Layout) -> None:
    status = _status(layout)
    if status.endswith(BROKEN):
        with step(f"The stack is in {status}, from which LocalStack has no way back: a fresh LocalStack"):
            services.restart_localstack(layout)


def _status(layout: Layout) -> str:
    """The stack's status; empty where there is none."""
    formation = Local(layout).client("cloudformation")
    try:
        return formation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
    except formation.exceptions.ClientError:
        return ""


def _reasons(layout: Layout) -> str:
    """Why resources failed, as CloudFormation says."""
    formation = Local(layout).client("cloudformation")
    try:
        events = formation.describe_stack_events(StackName=STACK)["StackEvents"]
    except formation.exceptions.ClientError:
        return ""
    failed = [e for e in events if e.get("ResourceStatus", "").endswith("FAILED")]
    return "".join(f"    {e['LogicalResourceId']}: {e.get('ResourceStatusReason', '')}\n" for e in failed[:8])


def _sam(layout: Layout, arguments: list[Any], give_up: Callable[[], bool] = lambda: False) -> str:
    """Runs SAM; the end of what it said where it failed, else nothing.

    After a failed update SAM waits for ever, for a state that LocalStack never reaches: `give_up` says so.
    """
    home = layout.local / "sam-home"
    home.mkdir(exist_ok=True)
    environ = aws_environ(layout) | {
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "1",  # seconds; the default, 5, is most of a local deployment
        "__SAM_CLI_APP_DIR": str(home),
    }
    log = layout.logs / f"sam-{arguments[0]}.log"
    with log.open("wb") as output:
        command = [layout.python("sam"), "-m", "samcli", *arguments]
        sam = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        while sam.poll() is None:
            try:
                sam.wait(POLL_S)
            except subprocess.TimeoutExpired:
                if give_up():
                    time.sleep(POLL_S)  # a SAM that does end says more
                    sam.terminate()
    if sam.returncode == 0:
        return ""
    return "".join(f"    {line}\n" for line in log.read_text(errors="replace").splitlines()[-25:])


def _run_once(layout: Layout, function: str, task: str, why: str) -> None:
    """Runs a scheduled function now: others need what it makes before its schedule would come."""
    answer = Local(layout).client("lambda").invoke(FunctionName=function, Payload=task)
    if "FunctionError" in answer:
        text = answer["Payload"].read().decode(errors="replace")
        raise Trouble(f"{function} failed, and so {why}: {text}")


def _check_closed(layout: Layout, api: str) -> None:
    """A route with an authorizer must refuse who has no token: the last look at whether the front door stands."""
    resources = Local(layout).client("apigateway").get_resources(restApiId=api, embed=["methods"], limit=500)["items"]
    for resource in resources:
        for name, method in resource.get("resourceMethods", {}).items():
            if method.get("authorizationType") == "COGNITO_USER_POOLS":
                url = api_url(layout, api) + resource["path"].replace("{", "").replace("}", "")
                with requests.Session() as http:
                    http.trust_env = False
                    answer = http.request(name, url, timeout=60)
                if answer.status_code == 401:
                    return
                services.stop(layout)
                raise Trouble(f"{name} {resource['path']} let a caller without a token pass. The stack was stopped.")
    raise Trouble(
        "No route of the API asks for a token, so it was not deployed as it should be.\n"
        "  An AWS::Serverless::Api with a DefinitionBody takes functions' Events with MergeDefinitions: true only."
    )


def api_url(layout: Layout, api: str) -> str:
    return f"{layout.aws}/_aws/execute-api/{api}/v1"
