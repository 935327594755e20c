"""What a rule replicates, over real processes."""

import hashlib
import os
import unittest

from harness import ALL, E2eTest, HANGZHOU, SHANGHAI, crr, wait

MIB = 1 << 20

# Whatever UTF-8 allows is a key.
AWKWARD_KEYS = [
    " ", "a b", "a/", "a//b", "/lead", ".", "..", "../up", "a/../b", "./a",
    "-", "-d", "--flag=x", "--", "%2F", "a\\b", "'single' \"double\"", "$HOME",
    "*?[x]", "new\nline", "tab\t", "\x01\x7f", "ünïcode", "日本/語", "🙂",
    "\ufffd", "e\u0301", "x" * 1024, "ü" * 512, "buckets/src/rules/r", "A", "a",
]


class ReplicationTest(E2eTest):

    def test_history_then_each_kind_of_change(self):
        source, destination = self.pair()
        self.cluster.fill(source, {f"old/{i}": b"%d" % i for i in range(50)})
        self.cluster.put(source, "old/empty", b"")
        self.cluster.copier("c")
        rule = self.cluster.rule(source, destination)
        self.cluster.wait_backfilled(rule)
        self.assertEqual(self.cluster.done(rule), 51)
        self.assert_equal_buckets(source, destination)
        self.cluster.put(source, "new", b"created")
        self.cluster.put(source, "old/1", b"overwritten")
        self.cluster.put(source, "old/2", b"")
        self.cluster.crrctl("object", "rm", source, "old/3")
        self.cluster.wait_synced(rule)
        self.assert_equal_buckets(source, destination)
        self.assertEqual(self.cluster.get(destination, "new"), b"created")
        self.assertEqual(self.cluster.get(destination, "old/1"), b"overwritten")
        self.assertEqual(self.cluster.get(destination, "old/2"), b"")
        self.assertEqual(self.cluster.get(destination, "old/empty"), b"")
        self.assertIsNone(self.cluster.get(destination, "old/3"))
        self.assertEqual(self.assert_balanced(rule)["pending"], 0)

    def test_add_change_leaves_deletions_at_the_source(self):
        source, destination = self.pair()
        self.cluster.fill(source, {"kept": b"1", "changed": b"1"})
        self.cluster.copier("c")
        rule = self.cluster.rule(source, destination, operations="ADD_CHANGE")
        self.cluster.wait_backfilled(rule)
        self.cluster.crrctl("object", "rm", source, "kept")
        self.cluster.put(source, "changed", b"2")
        self.cluster.wait_synced(rule)
        self.assertEqual(self.cluster.get(destination, "kept"), b"1")
        self.assertEqual(self.cluster.get(destination, "changed"), b"2")
        self.assertEqual(self.cluster.live(rule)["filtered"],
                         {"OPERATIONS": "1"})
        self.assert_balanced(rule)

    def test_prefixes(self):
        source, destination = self.pair()
        self.cluster.fill(source, {"a/1": b"1", "ab": b"2", "b/1": b"3",
                                   "c": b"4"})
        self.cluster.copier("c")
        rule = self.cluster.rule(source, destination, prefixes=["a", "b/"])
        self.cluster.wait_backfilled(rule)
        for key in ("a/2", "b/2", "c/2", "b"):
            self.cluster.put(source, key, b"new")
        self.cluster.wait_synced(rule)
        for key in ("a/1", "ab", "b/1", "a/2", "b/2"):
            self.assertEqual(self.cluster.get(destination, key),
                             self.cluster.get(source, key), key)
        for key in ("c", "c/2", "b"):
            self.assertIsNone(self.cluster.get(destination, key), key)
        self.assertEqual(self.cluster.live(rule)["filtered"], {"PREFIX": "2"})
        self.assertEqual(self.cluster.done(rule), 3)
        self.assert_balanced(rule)

    def test_without_history(self):
        source, destination = self.pair()
        self.cluster.fill(source, {"old": b"1", "touched": b"1"})
        self.cluster.copier("c")
        # Or the log would have some of it.
        self.cluster.wait_published(HANGZHOU)
        rule = self.cluster.rule(source, destination, replicateHistorical=False)
        self.cluster.put(source, "touched", b"2")
        self.cluster.put(source, "new", b"1")
        self.cluster.wait_synced(rule)
        self.assertIsNone(self.cluster.get(destination, "old"))
        self.assertEqual(self.cluster.get(destination, "touched"), b"2")
        self.assertEqual(self.cluster.get(destination, "new"), b"1")
        self.assertNotIn("historical", self.cluster.progress(rule))

    def test_without_history_a_new_notifier_deletes_nothing_of_users(self):
        """It tells the journal from its beginning."""
        source, destination = self.pair()
        self.cluster.put(source, "k", b"1")
        self.cluster.crrctl("object", "rm", source, "k")
        self.cluster.put(destination, "k", b"a user's own")
        self.cluster.wait_published(HANGZHOU)
        self.cluster.copier("c")
        rule = self.cluster.rule(source, destination, replicateHistorical=False)
        self.cluster.wait_synced(rule)
        self.assertEqual(self.cluster.live(rule)["published"], "0")
        self.cluster.notifier(HANGZHOU, "late")
        wait("all is told again",
             lambda: int(self.cluster.live(rule)["published"]) == 2)
        wait("all is looked at",
             lambda: self.cluster.live(rule)["pending"] == "0")
        self.assertEqual(self.cluster.get(destination, "k"), b"a user's own")
        self.assert_balanced(rule)

    def test_equal_replicas_are_not_copied_again(self):
        source, destination = self.pair()
        self.cluster.fill(source, {f"{i}": b"x" * 1000 for i in range(20)})
        self.cluster.copier("c")
        first = self.cluster.rule(source, destination)
        self.cluster.wait_backfilled(first)
        self.assertEqual(self.cluster.historical(first)["bytes"], "20000")
        self.delete(first)
        again = self.cluster.rule(source, destination, "again")
        self.cluster.wait_backfilled(again)
        self.assertEqual(self.cluster.done(again), 20)
        self.assertEqual(self.cluster.historical(again)["bytes"], "0")

    def delete(self, rule):
        """Deletes the rule and waits until it is gone."""
        answer = self.cluster.client.call("ReplicationService.DeleteRule",
                                          {"name": rule})
        self.assertEqual(answer["state"], "CLOSING")

        def gone():
            try:
                self.cluster.progress(rule)
            except crr.Refusal as refusal:
                self.assertEqual(refusal.code, "NOT_FOUND")
                return True
        wait(f"{rule} is gone", gone)

    def test_deleting_a_rule_frees_both_buckets(self):
        source, destination = self.pair()
        self.cluster.bucket("other", SHANGHAI)
        self.cluster.fill(source, {"a": b"1", "b": b"2"})
        self.cluster.copier("c")
        rule = self.cluster.rule(source, destination)
        self.cluster.wait_backfilled(rule)
        with self.assertRaises(crr.Refusal) as caught:
            self.cluster.rule(source, "other", "r2")
        self.assertEqual(caught.exception.reason, "BUCKET_PAIRED_ELSEWHERE")
        self.delete(rule)
        self.cluster.put(source, "late", b"3")
        # What was replicated stays; what came after is not replicated.
        self.assertEqual(self.cluster.get(destination, "a"), b"1")
        other = self.cluster.rule(source, "other", "r2")
        self.cluster.wait_backfilled(other)
        self.assert_equal_buckets(source, "other")
        self.assertIsNone(self.cluster.get(destination, "late"))

    def test_awkward_keys(self):
        source, destination = self.pair()
        half = len(AWKWARD_KEYS) // 2
        for i, key in enumerate(AWKWARD_KEYS[:half]):
            self.cluster.put(source, key, b"old %d" % i)
        self.cluster.copier("c")
        rule = self.cluster.rule(source, destination)
        for i, key in enumerate(AWKWARD_KEYS[half:]):
            self.cluster.put(source, key, b"new %d" % i)
        self.cluster.wait_backfilled(rule)
        self.cluster.wait_synced(rule)
        self.assert_equal_buckets(source, destination)
        for key in AWKWARD_KEYS:
            self.assertEqual(self.cluster.get(destination, key),
                             self.cluster.get(source, key), key)
            self.assertIsNotNone(self.cluster.get(destination, key), key)

    def stat(self, bucket, key):
        """What crrctl says of an object, by name."""
        said = self.cluster.crrctl("object", "stat", bucket, key).stdout
        return dict(line.split(": ", 1) for line in said.decode().splitlines())

    def test_metadata_and_content_headers_come_along(self):
        source, destination = self.pair()
        self.cluster.put(source, "old", b"1", flags=[
            "--meta=colour=red,who=Zoë=1", "--content_type=text/plain"])
        self.cluster.copier("c")
        rule = self.cluster.rule(source, destination)
        self.cluster.wait_backfilled(rule)
        self.cluster.put(source, "new", b"2", flags=["--meta=a=b"])
        # The same bytes; only what stands beside them changes.
        self.cluster.put(source, "old", b"1", flags=[
            "--meta=colour=blue", "--content_type=text/html"])
        self.cluster.wait_synced(rule)
        for key in ("old", "new"):
            before, after = self.stat(source, key), self.stat(destination, key)
            for name in ("size", "etag", "creation_time", "content_type"):
                self.assertEqual(before.get(name), after.get(name), name)
            self.assertEqual(
                {n: v for n, v in before.items() if n.startswith("metadata.")},
                {n: v for n, v in after.items() if n.startswith("metadata.")})
            self.assertEqual(after["replica"], "yes")
            self.assertEqual(after["replica.source_bucket"], source)
        self.assertEqual(self.stat(destination, "old")["metadata.colour"],
                         "blue")
        self.assertEqual(self.stat(destination, "old")["content_type"],
                         "text/html")

    def test_keys_that_no_store_may_hold_are_refused(self):
        source, _ = self.pair()
        for key in ("", "x" * 1025, b"\xff", b"a\xc0\x80", b"\xed\xa0\x80"):
            done = self.cluster.crrctl("object", "put", source, key, "-",
                                       check=False)
            self.assertNotEqual(done.returncode, 0, key)

    def test_compare_finds_differences(self):
        source, destination = self.pair()
        self.cluster.fill(source, {"same": b"1", "bytes": b"12", "only": b"1"})
        self.cluster.fill(destination, {"same": b"1", "bytes": b"21"})
        done = self.cluster.crrctl("compare", source, destination, check=False)
        self.assertEqual(done.returncode, 1)
        said = done.stdout.decode().splitlines()
        self.assertEqual(said[:2], ["differs: bytes", "only in A: only"])
        self.assertIn("2 differences", said[-1])

    def test_large_objects_stream(self):
        source, destination = self.pair()
        sizes = {"giant": 5 * 1024 if ALL else 300, "a": 60, "b": 60, "c": 60}
        digests = {}
        for key, mib in sizes.items():
            path = self.cluster.folder / "big"
            block = os.urandom(MIB - 8)
            digest = hashlib.sha256()
            with path.open("wb") as file:
                for i in range(mib):
                    # No two blocks alike.
                    part = i.to_bytes(8, "big") + block
                    digest.update(part)
                    file.write(part)
            digests[key] = digest.hexdigest()
            self.cluster.crrctl("object", "put", source, key, path)
            path.unlink()
        copier = self.cluster.copier("c", slots=4)
        rule = self.cluster.rule(source, destination)
        self.cluster.wait_backfilled(rule, 600 if ALL else 120)
        self.assertLess(copier.peak_memory(), 200 * MIB)
        for key, digest in digests.items():
            path = self.cluster.folder / "copy"
            self.cluster.crrctl("object", "get", destination, key, path)
            with path.open("rb") as file:
                self.assertEqual(
                    hashlib.file_digest(file, "sha256").hexdigest(), digest)
            path.unlink()
