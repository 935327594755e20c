"""The checkers of truth.py see the faults that they are there for."""

import subprocess
import unittest

import truth
from harness import E2eTest
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
        for key, size in (("small", 0), ("large", 10_000)):
            contents = [truth.content(key, log.begin(key, PUT, size))
                        for _ in range(2)]
            self.assertEqual([len(c) for c in contents], [size + 1, size + 2])
            self.assertNotEqual(contents[0], contents[1])
            edited = truth.content(key, log.begin_edit(key))
            self.assertEqual(edited, contents[1])

    def test_unfinished_before(self):
        for operations, answer in (([(PUT, 10)], False), ([(PUT, 20)], True),
                                   ([(PUT, 10), (GONE, None)], True)):
            with self.subTest(operations):
                self.assertEqual(truth.unfinished_before(
                    history(a=operations)["a"], 20), answer)


class StaleFactsTest(unittest.TestCase):

    # As the store encodes them.
    PLAIN = bytes(8) + b"whatever else"
    EDIT = (b"\x01" + bytes(7) + b"\x04" + bytes(7) + b"edit"
            + b"\x01" + bytes(7))

    def faults(self, facts):
        log = truth.History()
        for _ in range(2):
            log.begin("k", PUT)
            for _ in range(3):
                log.begin_edit("k")
        log.begin("plain", PUT)
        log.begin("gone", PUT)
        log.begin("gone", GONE)
        return truth.stale_facts(log.snapshot(), {"plain": self.PLAIN, **facts})

    def test_metadata_are_decoded(self):
        self.assertEqual(truth.metadata_of(self.PLAIN), {})
        self.assertEqual(truth.metadata_of(self.EDIT + b"7...."), {"edit": "7"})

    def test_the_last_edit_must_be_there(self):
        self.assertEqual(self.faults({"k": self.EDIT + b"3"}), [])
        for stale in (self.EDIT + b"2", self.PLAIN):
            self.assertEqual(len(self.faults({"k": stale})), 1)

    def test_new_content_has_new_facts(self):
        wrong = self.faults({"k": self.EDIT + b"3", "plain": self.EDIT + b"1"})
        self.assertEqual(wrong, ["plain: edit 0 was made, yet edit 1 is there"])


class EqualBucketsTest(E2eTest):

    def test_facts_that_differ(self):
        source, destination = self.pair()
        for key in ("a", "b", "c"):
            self.cluster.put(source, key, b"1", flags=["--meta=edit=1"])
        self.cluster.copier("c")
        rule = self.cluster.rule(source, destination)
        self.cluster.wait_backfilled(rule)
        self.assert_equal_buckets(source, destination)
        for flags in (["--meta=edit=2"], ["--content_type=text/plain"]):
            self.cluster.put(destination, "b", b"1", flags=flags)
            self.cluster.crrctl("compare", source, destination)
            with self.assertRaisesRegex(AssertionError, "'b'.*facts differ"):
                self.assert_equal_buckets(source, destination)


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
