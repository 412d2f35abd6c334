"""LocalStack 4.14 has no CloudTrail: remembers who used which KMS key, and answers LookupEvents from that.

Nothing of what a key was used on is kept. Whose role it was LocalStack knows: it gives each process of a function
credentials of its own, by AssumeRole of the function's role. Who has others is the account's root, as in LocalStack
everybody is.
"""

import json
import time
from typing import Any

from localstack.runtime import hooks

from fitvault_local.history import History, Refused, Use
from fitvault_local.report import report

HISTORY = History()

# What opens, makes or hands on; the sequencer judges no others (shared/auditlog/sequence/uses.go).
REMEMBERED = {
    "CreateGrant", "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyWithoutPlaintext", "PutKeyPolicy", "ReEncrypt",
    "ReplicateKey",
}  # fmt: skip


def role_of(access_key: str | None, account: str) -> str | None:
    from moto.sts.models import sts_backends

    session = access_key and sts_backends[account]["aws"].get_assumed_role_from_access_key(access_key)
    return session.role_arn if session else None


def remember(_: Any, context: Any, __: Any) -> None:
    if not context.operation or context.operation.name not in REMEMBERED:
        return
    from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header

    asked, answered = context.service_request or {}, context.service_response or {}
    reencrypts = context.operation.name == "ReEncrypt"
    # The answer has the ARN, but where there is none.
    key = answered.get("SourceKeyId" if reencrypts else "KeyId") or asked.get("SourceKeyId" if reencrypts else "KeyId")
    if not key:  # of what was not opened: AWS could not say either
        return
    key = str(key)
    if not key.startswith("arn:"):
        key = f"arn:aws:kms:{context.region}:{context.account_id}:key/{key}"
    error = context.service_exception
    HISTORY.remember(
        Use(
            at=int(time.time()),
            operation=context.operation.name,
            key=key,
            account=context.account_id,
            region=context.region,
            role=role_of(extract_access_key_id_from_auth_header(context.request.headers), context.account_id),
            context=asked.get("SourceEncryptionContext" if reencrypts else "EncryptionContext"),
            error=(getattr(error, "code", None) or type(error).__name__) if error else None,
            source=reencrypts,
        )
    )


def answer(chain: Any, context: Any, response: Any) -> None:
    if not context.service or context.service.service_name != "cloudtrail":
        return
    status, body = 200, {}
    try:
        if context.operation.name != "LookupEvents":
            raise Refused("UnsupportedOperationException")
        body = HISTORY.lookup(context.service_request or {})
    except Refused as e:
        status, body = 400, {"__type": str(e), "message": "fitvault's CloudTrail does not do that"}
    response.status_code = status
    response.set_data(json.dumps(body))
    response.headers["Content-Type"] = "application/x-amz-json-1.1"
    chain.stop()


@hooks.on_infra_start(name="fitvault-cloudtrail")
def install() -> None:
    from localstack.aws import handlers

    handlers.modify_service_response.append("kms", remember)
    handlers.serve_custom_service_request_handlers.append(answer)
    report("cloudtrail")
