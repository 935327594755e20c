"""The checkers of truth.py see the faults that they are there for."""

import subprocess
import unittest

import truth
from load import Checker


def history(**keys):
    """From key to (exists, finished) of each operation."""
    made = truth.History()
    for key, operations in keys.items():
        for exists, finished in operations:
            made.begin(key, exists).finished = finished
    return made.snapshot()


PUT, GONE = True, False


class LiesTest(unittest.TestCase):

    def assert_true(self, *arguments):
        self.assertEqual(truth.lies(*arguments), [])

    def assert_lie(self, *arguments):
        self.assertEqual(len(truth.lies(*arguments)), 1)

    def test_what_was_written_before_must_be_there(self):
        written = history(a=[(PUT, 10), (PUT, 20)])
        self.assert_true(written, 30, {"a": 2})
        self.assert_lie(written, 30, {"a": 1})
        self.assert_lie(written, 30, {})
        # Only from the second write on does the first not do.
        self.assert_true(written, 20, {"a": 1})
        self.assert_lie(written, 20.001, {"a": 1})
        self.assert_true(written, 10, {})
        self.assert_lie(written, 10.001, {})

    def test_a_later_state_is_as_good(self):
        written = history(a=[(PUT, 10), (PUT, None)])
        self.assert_true(written, 15, {"a": 2})
        self.assert_true(written, 15, {"a": 1})
        self.assert_lie(written, 15, {})

    def test_deletions(self):
        written = history(a=[(PUT, 10), (GONE, 20), (PUT, 30)])
        self.assert_lie(written, 25, {"a": 1})
        self.assert_true(written, 25, {})
        self.assert_true(written, 25, {"a": 3})
        # A deletion under way may be there already, but none before it.
        self.assert_true(history(a=[(PUT, 10), (GONE, None)]), 15, {})
        self.assert_lie(written, 35, {})

    def test_what_nobody_wrote(self):
        written = history(a=[(PUT, 10), (GONE, 20)])
        self.assert_lie(written, 0, {"b": 1})
        self.assert_lie(written, 0, {"a": 2})
        self.assert_lie(written, 0, {"a": 3})
        self.assert_lie(written, 0, {"a": 0})

    def test_contents_tell_their_number_and_differ(self):
        log = truth.History()
        first, second = log.begin("k", PUT), log.begin("k", PUT)
        for size in (0, 10_000):
            contents = [truth.content("k", o, size) for o in (first, second)]
            self.assertEqual([len(c) for c in contents], [size + 1, size + 2])
            self.assertNotEqual(contents[0], contents[1])

    def test_unfinished_before(self):
        for operations, answer in (([(PUT, 10)], False), ([(PUT, 20)], True),
                                   ([(PUT, 10), (GONE, None)], True)):
            with self.subTest(operations):
                self.assertEqual(truth.unfinished_before(
                    history(a=operations)["a"], 20), answer)


class ImbalanceTest(unittest.TestCase):

    LIVE = {"published": "21", "applied": "1", "collapsed": "2",
            "filtered": {"PREFIX": "1", "REPLICA": "2"}, "resync": "4",
            "pending": "5", "failed": "6"}

    def test_a_balanced_ledger(self):
        self.assertEqual(truth.imbalance(self.LIVE), "")

    def test_each_term_counts(self):
        for name in self.LIVE:
            with self.subTest(name):
                one_more = ({"PREFIX": "2", "REPLICA": "2"}
                            if name == "filtered"
                            else str(int(self.LIVE[name]) + 1))
                self.assertNotEqual(
                    truth.imbalance({**self.LIVE, name: one_more}), "")


class Liar:
    """As much of a cluster as Checker looks at."""

    address = "127.0.0.1:1"

    def __init__(self, listing):
        self.listing = listing

    def crrctl(self, *arguments, **options):
        return subprocess.CompletedProcess(arguments, 0, self.listing)


class CheckerTest(unittest.TestCase):

    LISTING = b"           2  2026-01-01T00:00:00Z  a b\n"

    def check(self, live, listing=LISTING):
        log = truth.History()
        for finished in (10, 20):
            log.begin("a b", PUT).finished = finished
        checker = Checker(Liar(listing), "", "", log)
        checker._ask = lambda: {**ImbalanceTest.LIVE, **live}
        checker.step()
        return checker

    def test_a_true_time_is_a_look(self):
        for live, looks in (({}, 0),
                            ({"lastSyncTime": "1970-01-01T00:00:25Z"}, 1)):
            self.assertEqual(self.check(live).looks, looks)

    def test_a_time_ahead_of_the_truth(self):
        old = self.LISTING.replace(b"2 ", b"1 ", 1)
        self.check({"lastSyncTime": "1970-01-01T00:00:20Z"}, old)
        with self.assertRaisesRegex(AssertionError, "a b: number 2"):
            self.check({"lastSyncTime": "1970-01-01T00:00:20.5Z"}, old)

    def test_a_key_that_goes_back(self):
        checker = self.check({})
        checker._cluster.listing = self.LISTING.replace(b"2 ", b"1 ", 1)
        with self.assertRaisesRegex(AssertionError, "went back"):
            checker.step()

    def test_a_ledger_that_loses(self):
        with self.assertRaisesRegex(AssertionError, "told of"):
            self.check({"pending": "4"})

    def test_an_error_is_raised_by_finish(self):
        checker = Checker(Liar(b""), "", "", truth.History())
        checker._ask = lambda: ImbalanceTest.LIVE | {"failed": "0"}
        checker.start()
        with self.assertRaisesRegex(AssertionError, "told of"):
            checker.wait_looks(1)
        with self.assertRaisesRegex(AssertionError, "told of"):
            checker.finish()
