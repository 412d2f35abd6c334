"""What joserfc says of consent receipts: one JSON object a line, for each line of {"jwk": {...}, "receipt": "..."}."""

import json
import sys
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey


def verdict(jwk: dict[str, str], receipt: str) -> dict[str, Any]:
    key = ECKey.import_key(jwk)
    said: dict[str, Any] = {"valid": False, "thumbprint": key.thumbprint()}
    try:
        found = jws.deserialize_compact(receipt.encode(), key, algorithms=["ES256"])
        said |= {"valid": True, "header": found.headers(), "claims": json.loads(found.payload)}
    except (JoseError, ValueError) as refusal:  # what is not base64, UTF-8 or JSON is a ValueError
        said["why"] = type(refusal).__name__
    return said


for line in sys.stdin:
    question = json.loads(line)
    print(json.dumps(verdict(question["jwk"], question["receipt"])))
