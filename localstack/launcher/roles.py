"""Gives members of the staff their roles: in our own records, never in a token. With operator's credentials."""

import base64
import hashlib
import time
from typing import Any

from launcher.progress import Trouble

ROLES = ("administrator", "auditor", "analyst", "firmware-manager", "maker")
# Whoever can change things does not audit himself.
APART = {
    "auditor": ("administrator", "firmware-manager"),
    "administrator": ("auditor",),
    "firmware-manager": ("auditor",),
}


def identity_key(issuer: str, subject: str) -> str:
    """The `id` of a caller's document, as access.IdentityKey makes it."""
    digest = hashlib.sha256()
    for text in (issuer.encode(), subject.encode()):
        digest.update(len(text).to_bytes(8, "big") + text)
    return "identity#" + base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


def set_role(session: Any, stack: dict[str, str], subject: str, role: str, remove: bool = False) -> None:
    """Adds a role to the caller's document of a member of the staff, or takes it away, and his sessions with it.

    `stack` is the stack's outputs.

    One conditional write: two operators at once cannot make an auditor of an administrator.
    """
    if role not in ROLES:
        raise Trouble(f"ROLE must be one of {', '.join(ROLES)}.")
    database = session.client("dynamodb")
    values: dict[str, Any] = {":role": {"SS": [role]}}
    if remove:
        values[":now"] = {"N": str(int(time.time()))}
    apart = () if remove else APART.get(role, ())
    for i, other in enumerate(apart):
        values[f":other{i}"] = {"S": other}
    condition = " AND ".join(f"NOT contains(#roles, :other{i})" for i in range(len(apart)))
    try:
        database.update_item(
            TableName=stack["AccountsTable"],
            Key={"id": {"S": identity_key(stack["StaffTokenIssuer"], subject)}, "document": {"S": "caller"}},
            UpdateExpression="DELETE #roles :role SET sessions_from = :now" if remove else "ADD #roles :role",
            ExpressionAttributeNames={"#roles": "roles"},
            ExpressionAttributeValues=values,
            **({"ConditionExpression": condition} if condition else {}),
        )
    except database.exceptions.ConditionalCheckFailedException:
        raise Trouble(f"{role} goes with neither of {', '.join(apart)}: one account must not hold both.") from None


def pool_of(stack: dict[str, str]) -> str:
    """The id of the staff's pool; the output of an existing pool is its ARN."""
    return stack["StaffUserPool"].rpartition("/")[2]
