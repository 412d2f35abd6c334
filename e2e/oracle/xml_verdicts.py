"""What others say of TCX and GPX documents: libxml2 of their form, xml.etree of their trackpoints.

The second opinion of the tests of shared/tcx and shared/gpx. Needs lxml. Reads documents from
standard input, one a line in base64, and answers each with one line of JSON:

    {"well_formed": true, "valid": true, "trackpoints": 660, "why": ""}

well_formed  libxml2 parses the document, its namespaces too (no network, no
             external entities; entities of an internal DTD are not replaced)
valid        libxml2 finds it valid against all schemas in the folder that is the
             one argument
trackpoints  how many Trackpoint elements xml.etree finds in the tracks of
             activities and transitions, or trkpt in those of tracks; -1 where it
             cannot parse the document
why          libxml2's first complaint, for the person who reads a difference
"""

import base64
import json
import pathlib
import sys
import xml.etree.ElementTree as etree_of_python

from lxml import etree

XSD = "http://www.w3.org/2001/XMLSchema"
TCX = "http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"
GPX = "http://www.topografix.com/GPX/1/1"

LAPS = (
    "Activity/Lap",
    "MultiSportSession/FirstSport/Activity/Lap",
    "MultiSportSession/NextSport/Transition",
    "MultiSportSession/NextSport/Activity/Lap",
)


def load_schemas(folder: pathlib.Path) -> etree.XMLSchema:
    """All schemas at once, so that extensions are held to theirs."""
    imports = ""
    for file in sorted(folder.glob("*.xsd")):
        space = etree.parse(file).getroot().get("targetNamespace")
        imports += f'<xs:import namespace="{space}" schemaLocation="{file.resolve().as_uri()}"/>'
    return etree.XMLSchema(etree.fromstring(f'<xs:schema xmlns:xs="{XSD}">{imports}</xs:schema>'))


def trackpoints(document: bytes) -> int:
    try:
        root = etree_of_python.fromstring(document)
    except (etree_of_python.ParseError, ValueError, LookupError):
        return -1
    if root.tag == f"{{{GPX}}}gpx":
        return len(root.findall("trk/trkseg/trkpt", {"": GPX}))
    return sum(len(root.findall(f"Activities/{lap}/Track/Trackpoint", {"": TCX})) for lap in LAPS)


def verdict(schemas: etree.XMLSchema, document: bytes) -> dict:
    parser = etree.XMLParser(no_network=True, resolve_entities=False, load_dtd=False)
    try:
        tree = etree.fromstring(document, parser).getroottree()
    except (etree.XMLSyntaxError, ValueError) as error:
        return {"well_formed": False, "valid": False, "trackpoints": trackpoints(document), "why": str(error)}
    valid = schemas.validate(tree)
    why = "" if valid else str(schemas.error_log[0].message)
    return {"well_formed": True, "valid": valid, "trackpoints": trackpoints(document), "why": why}


def main() -> None:
    schemas = load_schemas(pathlib.Path(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(verdict(schemas, base64.b64decode(line))), flush=True)


if __name__ == "__main__":
    main()
