#!/usr/bin/python3
"""Runs the end-to-end tests over the programs in build/release/bin.

  tests/e2e/run.py [--usual|--all] [NAME]...

NAME is as for unittest, such as test_kills.KillTest.test_copier. Ends with
`N passed, N failed, N skipped`.
"""

import os
import pathlib
import sys
import time
import unittest


class Result(unittest.TextTestResult):
    """Counts, tells how long each test took, shows logs of what failed."""

    passed = 0

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()

    def stopTest(self, test):
        self.stream.writeln(f"   {time.monotonic() - self.begun:.1f} s")
        super().stopTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.show_logs(test)

    def addError(self, test, error):
        super().addError(test, error)
        self.show_logs(test)

    def show_logs(self, test):
        if getattr(test, "cluster", None):
            self.stream.writeln(test.cluster.logs())


def main(arguments):
    os.chdir(pathlib.Path(__file__).resolve().parent)
    sys.path.insert(0, "")
    if "--all" in arguments:
        os.environ["CRR_E2E_ALL"] = "1"
    names = [a for a in arguments if not a.startswith("--")]
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(names) if names else loader.discover(".")
    result = unittest.TextTestRunner(
        stream=sys.stdout, verbosity=2, resultclass=Result).run(suite)
    failed = (len(result.failures) + len(result.errors)
              + len(result.unexpectedSuccesses))
    print(f"{result.passed} passed, {failed} failed, "
          f"{len(result.skipped) + len(result.expectedFailures)} skipped")
    return 0 if result.passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
