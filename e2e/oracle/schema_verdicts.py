"""A second opinion on data points: Python's jsonschema plus fitvault's extra rules.

    schema_verdicts.py SCHEMAS < cases > verdicts

SCHEMAS is the folder of the published schemas (with ieee/ and omh/ below it, as
published or flat). A case is a JSON text on a line, {"owner": ..., "point": the
data point's text}; its verdict, on the same line of the output, is {"id": ...,
"start": nanoseconds since 1970} of an accepted point, or {"rule": ...}, where
rule is "schema" or one of the extra rules of package openmhealth.

Nothing is shared with the Go code but the rules, as that package's comment
tells them. Needs jsonschema[format].
"""

import calendar
import functools
import json
import pathlib
import re
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from jsonschema import Draft4Validator, Draft7Validator, FormatChecker, ValidationError
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4, DRAFT7

BASES = {
    "omh": "https://w3id.org/openmhealth/schemas/omh/",
    "ieee": "https://w3id.org/ieee/ieee-1752-schema/",
}
SERVED = {
    "omh": [
        "body-temperature", "body-weight", "calories-burned", "heart-rate", "oxygen-saturation", "physical-activity",
        "respiratory-rate", "rr-interval", "sleep-duration", "sleep-episode", "step-count", "total-sleep-time",
    ],
    "ieee": ["body-weight", "physical-activity", "sleep-episode", "total-sleep-time"],
}  # fmt: skip

FORMATS = FormatChecker()


def also(name: str, allowed: Callable[[str], bool]) -> None:
    """Adds what fitvault asks of a format to what jsonschema asks."""
    function, errors = FORMATS.checkers[name]

    @functools.cache  # one of the packages that know IRIs takes milliseconds for each
    def of_text(text: str) -> bool:
        try:
            return bool(function(text)) and allowed(text)
        except errors:
            return False

    FORMATS.checkers[name] = (lambda value: not isinstance(value, str) or of_text(value), errors)


def short_fraction(text: str) -> bool:
    fraction = re.search(r"\.(\d+)", text)
    return fraction is None or len(fraction[1]) <= 9


also("date-time", lambda s: s.isascii() and not s.endswith("\n") and short_fraction(s))
also("uuid", lambda s: re.fullmatch(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", s) is not None)
also("uri", lambda s: not s.endswith("\n"))
also("iri", lambda s: not s.endswith("\n"))


def pattern(validator: Any, pattern: str, value: Any, _: Any) -> Iterator[ValidationError]:
    """In JSON Schema's regular expressions $ is the end; in Python's, a newline may follow."""
    if validator.is_type(value, "string") and not re.search(pattern.replace("$", r"\Z"), value):
        yield ValidationError("pattern")


# An integer is one by its value, in draft 4 too: fitvault does not keep how a
# number was spelled.
OURS = {"validators": {"pattern": pattern}, "type_checker": Draft7Validator.TYPE_CHECKER}
VALIDATORS = {"draft-04": extend(Draft4Validator, **OURS), "draft-07": extend(Draft7Validator, **OURS)}
SPECIFICATIONS = {"draft-04": DRAFT4, "draft-07": DRAFT7}


def draft(document: dict[str, Any]) -> str:
    return document["$schema"].split("/")[3]


class Schemas:
    """The published schemas, by where they were published."""

    def __init__(self, folder: str) -> None:
        self.documents = {
            base + path.name: json.loads(path.read_text())
            for publisher, base in BASES.items()
            for path in pathlib.Path(folder, publisher).rglob("*.json")
        }
        self.registry: Registry[Any] = Registry().with_resources((url, self.resource(url)) for url in self.documents)
        self.ieee_header = Schema(self, BASES["ieee"] + "header-1.0.json")
        self.omh_headers = [Schema(self, BASES["omh"] + f"header-1.{minor}.json") for minor in (2, 1, 0)]
        self.bodies = {
            (publisher, match[1], match[2]): Schema(self, url)
            for publisher, names in SERVED.items()
            for url in self.documents
            if (match := re.fullmatch(re.escape(BASES[publisher]) + r"([a-z-]+)-(\d+\.\d+)\.json", url))
            and match[1] in names
        }

    def resource(self, url: str) -> Resource[Any]:
        # Some files carry the $id of another version, so only their place counts;
        # and jsonschema would follow a $schema to its own validators, not to ours.
        document = self.documents[url]
        contents = {k: v for k, v in document.items() if k not in ("$id", "$schema")}
        return Resource(contents=contents, specification=SPECIFICATIONS[draft(document)])

    def inlined(self, schema: Any, url: str) -> Any:
        """The schema without $ref: what a reference names stands in its place."""
        if isinstance(schema, list):
            return [self.inlined(s, url) for s in schema]
        if not isinstance(schema, dict):
            return schema
        if isinstance(schema.get("$ref"), str):
            place, _, fragment = schema["$ref"].partition("#")
            if place:
                url = place if "://" in place else url.rsplit("/", 1)[0] + "/" + place
            target = self.documents[url]
            for token in fragment.split("/")[1:]:
                target = target[token]
            return self.inlined(target, url)
        return {k: self.inlined(s, url) for k, s in schema.items() if k not in ("definitions", "$schema", "$id")}


class Schema:
    def __init__(self, schemas: Schemas, url: str) -> None:
        self.validator_class = VALIDATORS[draft(schemas.documents[url])]
        self.validator = self.validator_class({"$ref": url}, registry=schemas.registry, format_checker=FORMATS)
        self.inlined = schemas.inlined({"$ref": url}, url)

    def rule(self, value: Any) -> str | None:
        if not self.validator.is_valid(value):
            return "schema"
        return "unknown-member" if self.has_unknown([self.inlined], value) else None

    def has_unknown(self, schemas: list[Any], value: Any) -> bool:
        if isinstance(value, dict):
            named: dict[str, list[Any]] = {}
            for schema in self.applying(schemas, value):
                for name, below in schema.get("properties", {}).items():
                    named.setdefault(name, []).append(below)
            return any(k not in named or self.has_unknown(named[k], v) for k, v in value.items())
        if isinstance(value, list):
            items = [s["items"] for s in self.applying(schemas, value) if "items" in s]
            return any(self.has_unknown(items, v) for v in value)
        return False

    def applying(self, schemas: list[Any], value: Any) -> Iterator[dict[str, Any]]:
        for schema in schemas:
            yield schema
            yield from self.applying(schema.get("allOf", []), value)
            for sub in schema.get("anyOf", []) + schema.get("oneOf", []):
                if self.validator_class(sub, format_checker=FORMATS).is_valid(value):
                    yield from self.applying([sub], value)


# Time, in whole or broken nanoseconds since 1970.

NANOSECONDS = {
    "ps": Fraction(1, 1000),
    "ns": Fraction(1),
    "us": Fraction(10**3),
    "ms": Fraction(10**6),
    "sec": Fraction(10**9),
    "min": Fraction(60 * 10**9),
    "h": Fraction(3600 * 10**9),
    "d": Fraction(86400 * 10**9),
    "wk": Fraction(7 * 86400 * 10**9),
    "Mo": Fraction("30.4375") * 86400 * 10**9,
    "yr": Fraction("365.25") * 86400 * 10**9,
}


def instant(text: str) -> Fraction:
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", text.upper())
    assert match, "the schema has allowed it"
    *parts, fraction, zone = match.groups()
    seconds = calendar.timegm(tuple(map(int, parts))) - offset(zone)
    return Fraction(seconds * 10**9 + int((fraction or "").ljust(9, "0")))


def offset(zone: str) -> int:
    if zone == "Z":
        return 0
    return (int(zone[1:3]) * 60 + int(zone[4:6])) * (-60 if zone[0] == "-" else 60)


def midnight(date: str, zone: str) -> Fraction:
    year, month, day = map(int, date.split("-"))
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        raise ValueError("no such day")
    return Fraction((calendar.timegm((year, month, day, 0, 0, 0)) - offset(zone)) * 10**9)


def length(duration: dict[str, Any]) -> Fraction:
    return Fraction(duration["value"]) * NANOSECONDS[duration["unit"]]


def start(point: dict[str, Any]) -> Fraction:
    header = point["header"]
    created = header.get("source_creation_date_time") or header["creation_date_time"]
    frame = point["body"].get("effective_time_frame")
    if frame is None:
        return instant(created)
    if "date_time" in frame:
        return instant(frame["date_time"])
    interval = frame["time_interval"]
    if "date" in interval:
        return midnight(interval["date"], re.sub(r".*(Z|[+-]..:..)$", r"\1", created.upper()))
    if "start_date_time" not in interval:
        end = instant(interval["end_date_time"])
        return min(end, end - length(interval["duration"]))
    first = instant(interval["start_date_time"])
    if "end_date_time" in interval:
        return min(first, instant(interval["end_date_time"]))
    return min(first, first + length(interval["duration"]))


EARLIEST, LATEST = instant("0001-01-01T00:00:00Z"), instant("9999-12-31T23:59:59.999999999Z")


def digits(number: str) -> int:
    """How many digits a number has when it is written out without an exponent."""
    _, figures, exponent = Decimal(number).as_tuple()
    text = "".join(map(str, figures)).lstrip("0")
    significant = text.rstrip("0")
    exponent = int(exponent) + len(text) - len(significant)
    return max(len(significant) + max(exponent, 0), -exponent) if significant else 1


def verdict(schemas: Schemas, owner: str, text: str) -> dict[str, str]:
    numbers: list[str] = []

    def number(literal: str) -> int | float:
        numbers.append(literal)
        return float(literal) if set(literal) & set(".eE") or len(literal) > 40 else int(literal)

    point = json.loads(text, parse_int=number, parse_float=number)
    if any(digits(n) > 34 for n in numbers):
        return {"rule": "number"}
    if not isinstance(point, dict) or not all(isinstance(point.get(k), dict) for k in ("header", "body")):
        return {"rule": "schema"}
    if len(point) > 2:
        return {"rule": "unknown-member"}
    header, body = point["header"], point["body"]
    if "uuid" in header or "source_creation_date_time" in header:
        rule = schemas.ieee_header.rule(header)
    else:
        rules = [h.rule(header) for h in schemas.omh_headers]
        rule = None if None in rules else rules[0]
    if rule:
        return {"rule": rule}
    if header.get("user_id", owner) != owner:
        return {"rule": "user"}
    identifier = header.get("uuid") or header["id"]
    if not 1 <= len(identifier) <= 256 or re.search(r"[\x00-\x1f\x7f-\x9f]", identifier):
        return {"rule": "id"}
    schema = schemas.bodies.get(tuple(header["schema_id"][k] for k in ("namespace", "name", "version")))
    if schema is None:
        return {"rule": "unknown-type"}
    if rule := schema.rule(body):
        return {"rule": rule}
    # Times are computed from the numbers as they were spelled.
    try:
        at = start(json.loads(text, parse_int=Decimal, parse_float=Decimal)) // 1
    except ValueError:
        return {"rule": "time"}
    if not EARLIEST <= at <= LATEST:
        return {"rule": "time-range"}
    return {"id": identifier, "start": str(at)}


def main() -> None:
    schemas = Schemas(sys.argv[1])
    for line in sys.stdin:
        case = json.loads(line)
        print(json.dumps(verdict(schemas, case["owner"], case["point"])))


if __name__ == "__main__":
    main()
