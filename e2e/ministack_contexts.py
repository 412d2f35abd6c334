"""MiniStack, which enforces roles, with three condition keys that version 1.5.33 does not know.

Without them every statement with a condition on kms:EncryptionContext:… or kms:EncryptionAlgorithm refuses, and
every one on dynamodb:LeadingKeys by ForAllValues allows. See roles_test.go.
"""

import json
import re
import runpy
from typing import Any

from ministack.core import iam_actions

PARTITION_KEY = {
    "AccountsTable": "id",
    "KeysTable": "owner",
    "ReadingsTable": "owner",
    "RequestsTable": "key",
    "AuditEventsTable": "shard",
    "AuditStateTable": "id",
}

known = iam_actions.request_tag_context


def context_of(service: str, action: str, body: bytes, parameters: Any) -> dict[str, Any]:
    """The request's condition keys, in lower case: what MiniStack knows, and what it does not."""
    context = known(service, action, body, parameters)
    if action.startswith("kms:"):
        request = json.loads(body or b"{}")
        given = request.get("EncryptionContext") or {}
        context["kms:encryptionalgorithm"] = request.get("EncryptionAlgorithm", "SYMMETRIC_DEFAULT")
        context |= {f"kms:encryptioncontext:{name.lower()}": value for name, value in given.items()}
    if action in {
        f"dynamodb:{name}" for name in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")
    }:
        request = json.loads(body)
        writes = [item["Put"] for item in request["TransactItems"]] if "TransactItems" in request else [request]
        context["dynamodb:leadingkeys"] = [
            (write.get("Item") or write["Key"])[PARTITION_KEY[write["TableName"]]]["S"] for write in writes
        ]
    if action == "dynamodb:Query":
        request = json.loads(body)
        name = re.search(r"= *(:\w+)", request["KeyConditionExpression"])  # of the partition key
        if name:
            context["dynamodb:leadingkeys"] = [request["ExpressionAttributeValues"][name.group(1)]["S"]]
    if action == "dynamodb:BatchGetItem":
        context["dynamodb:leadingkeys"] = [
            key[PARTITION_KEY[table]]["S"]
            for table, wanted in json.loads(body)["RequestItems"].items()
            for key in wanted["Keys"]
        ]
    return context


iam_actions.request_tag_context = context_of
runpy.run_module("ministack", run_name="__main__")
