"""Asks the API for the ids that people have in fitvault: there are none before their first consent."""

from typing import Any

import requests

from launcher import seed


def refresh(stack: dict[str, Any]) -> bool:
    """Renews tokens that end soon and fills in ids. Says whether anything changed."""
    changed = seed.renew_tokens(stack)
    for user in stack["users"].values():
        if user["pool"] != "people":
            continue
        id = fitvault_id(stack, user["access_token"])
        changed, user["id"] = changed or id != user["id"], id
    return changed


def fitvault_id(stack: dict[str, Any], token: str) -> str | None:
    with requests.Session() as http:
        http.trust_env = False
        answer = http.get(
            f"{stack['api']}/users/me/consents/collection",
            headers={"Authorization": f"Bearer {token}", "x-api-key": stack["api_key"]},
            timeout=60,
        )
    return answer.json().get("user") if answer.ok else None
