"""MiniStack, which enforces roles, with four condition keys that version 1.5.33 does not know.

Without them every statement with a condition on kms:EncryptionContext:… or kms:EncryptionAlgorithm refuses, and
every one on dynamodb:LeadingKeys or, of writes, dynamodb:Attributes by ForAllValues allows. Each item of a
transaction is judged by itself, as on AWS; MiniStack has one context for all. See roles_test.go.
"""

import json
import re
import runpy
from typing import Any

from ministack.core import iam_actions, iam_evaluator

PARTITION_KEY = {
    "AccountsTable": "id",
    "KeysTable": "owner",
    "ReadingsTable": "owner",
    "RequestsTable": "key",
    "AuditEventsTable": "shard",
    "AuditStateTable": "id",
}

ITEMS = "fitvault:items"  # of a transaction: the contexts of its items, in the order in which they are judged

WORDS = {"SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "IN", "BETWEEN"}

known, judge = iam_actions.request_tag_context, iam_evaluator.enforce


def attributes_of(request: dict[str, Any]) -> set[str]:
    """The top-level attributes that a write names: in its key or item, and in its expressions, conditions too."""
    names = request.get("ExpressionAttributeNames") or {}
    found = set(request.get("Item") or request["Key"])
    for expression in ("UpdateExpression", "ConditionExpression"):
        # A path's first part; neither a value (:x), nor a function, nor what follows a dot or an index.
        for path, call in re.findall(r"(?<![\w:#.\]])([#A-Za-z_][\w#.\[\]]*)(\s*\()?", request.get(expression) or ""):
            head = re.split(r"[.\[]", path)[0]
            if not call and head.upper() not in WORDS:
                found.add(names.get(head, head))
    return found


def item_context(request: dict[str, Any]) -> dict[str, Any]:
    """The condition keys of a request, or step of a transaction, on one item."""
    key = (request.get("Item") or request["Key"])[PARTITION_KEY[request["TableName"]]]["S"]
    context: dict[str, Any] = {"dynamodb:leadingkeys": [key]}
    if "ProjectionExpression" not in request and "AttributesToGet" not in request:
        context["dynamodb:attributes"] = sorted(attributes_of(request))
    return context


def context_of(service: str, action: str, body: bytes, parameters: Any) -> dict[str, Any]:
    """The request's condition keys, in lower case: what MiniStack knows, and what it does not."""
    context = known(service, action, body, parameters)
    if action.startswith("kms:"):
        request = json.loads(body or b"{}")
        given = request.get("EncryptionContext") or {}
        context["kms:encryptionalgorithm"] = request.get("EncryptionAlgorithm", "SYMMETRIC_DEFAULT")
        context |= {f"kms:encryptioncontext:{name.lower()}": value for name, value in given.items()}
    if action in {f"dynamodb:{name}" for name in ("GetItem", "PutItem", "UpdateItem", "DeleteItem")}:
        context |= item_context(json.loads(body))
    if action == "dynamodb:TransactWriteItems":
        context[ITEMS] = [item_context(step) for item in json.loads(body)["TransactItems"] for step in item.values()]
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


def enforce(*arguments: Any, service_context: dict[str, Any] | None = None, **named: Any) -> Any:
    """MiniStack's own, told of one item of a transaction at a time."""
    if service_context and service_context.get(ITEMS):
        service_context = {**service_context, **service_context[ITEMS].pop(0)}
    return judge(*arguments, service_context=service_context, **named)


iam_actions.request_tag_context = context_of
iam_evaluator.enforce = enforce
runpy.run_module("ministack", run_name="__main__")
