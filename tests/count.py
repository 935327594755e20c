#!/usr/bin/python3
"""Counts the test cases of a ctest run.

  tests/count.py FOLDER

FOLDER holds ctest.xml, by `ctest --output-junit`, and the reports of the test
programs, by `GTEST_OUTPUT=xml:FOLDER/`. A program that failed without reporting
a failed case, such as one that crashed, counts as one failed case.
"""

import pathlib
import sys
from xml.etree import ElementTree


def main(folder):
    passed = failed = skipped = 0
    for test in ElementTree.parse(folder / "ctest.xml").iter("testcase"):
        failed_before = failed
        report = folder / (test.get("name") + ".xml")
        cases = []
        if report.exists() and report.stat().st_size:
            cases = list(ElementTree.parse(report).iter("testcase"))
        for case in cases:
            if case.find("failure") is not None:
                failed += 1
            elif case.get("result") == "completed":
                passed += 1
            else:
                skipped += 1
        if test.get("status") != "run" and failed == failed_before:
            print(f"{test.get('name')} failed without a failed case")
            failed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
