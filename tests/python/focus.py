"""Validates a FOCUS file with the public validator and prints every rule's outcome as one JSON object.

Usage: focus.py FILE. The validator exits with 0 whatever it finds and opens its own files by relative paths, so it is
run in its folder and its report is read.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import focus_validator

# Those that are true of our files, but for one. Our files have capacity reservations, and with
# CAPACITY_RESERVATION_SUPPORTED the model's rules of CapacityReservationStatus fail whatever a file has: their conditions
# are objects where the validator wants lists, and are not applied. Our own tests check these two rules instead.
CRITERIA = [
    "ACCOUNT_NAMING_SUPPORTED",
    "BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED",
    "MULTIPLE_PRICING_CATEGORIES_SUPPORTED",
    "NEGOTIATED_PRICING_SUPPORTED",
    "PUBLIC_PRICE_LIST_SUPPORTED",
    "REGION_SUPPORTED",
    "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "TAGGING_SUPPORTED",
    "UNIT_PRICING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
]

file = pathlib.Path(sys.argv[1]).resolve()
program = pathlib.Path(sys.executable).parent / "focus-validator"
site = pathlib.Path(focus_validator.__file__).parent.parent
with tempfile.TemporaryDirectory() as folder:
    report = pathlib.Path(folder) / "report.xml"
    command = [program, "--data-file", file, "--validate-version", "1.2.0.1", "--block-download"]
    command += ["--applicability-criteria", ",".join(CRITERIA), "--output-type", "unittest"]
    command += ["--output-destination", report]
    ran = subprocess.run(command, cwd=site, capture_output=True, text=True)
    if not report.is_file():
        sys.exit(f"the validator wrote no report, status {ran.returncode}:\n{ran.stdout}\n{ran.stderr}")
    cases = ElementTree.parse(report).getroot().iter("testcase")
    rules = {"passed": [], "failed": {}, "skipped": []}
    for case in cases:
        failure = case.find("failure") if case.find("failure") is not None else case.find("error")
        if failure is not None:
            rules["failed"][case.get("name")] = failure.get("message") or failure.text or ""
        elif case.find("skipped") is not None:
            rules["skipped"].append(case.get("name"))
        else:
            rules["passed"].append(case.get("name"))
    print(json.dumps(rules))
