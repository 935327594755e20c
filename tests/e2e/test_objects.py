"""Objects that cannot be copied: the lanes go on, each ends as a dead letter with
its reason, and is copied once the cause is mended and a retry asked for."""

import os
import sqlite3

from harness import E2eTest, HANGZHOU, wait

MIB = 1 << 20
# In a file of their own; smaller ones live in the index.
SIZE = 100_000


class ObjectsTest(E2eTest):

    server_flags = ("--object_retry=20ms",)

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.pair()

    def blob(self, key):
        """The file with the bytes of an object of the source."""
        index = sqlite3.connect(
            f"file:{self.cluster.folder / HANGZHOU}/index.db?mode=ro", uri=True)
        try:
            (name,), = index.execute(
                "SELECT o.blob FROM objects o JOIN buckets b "
                "ON b.bucket_id = o.bucket_id WHERE b.name = ? AND o.key = ?",
                (self.source, key.encode()))
        finally:
            index.close()
        found = list((self.cluster.folder / HANGZHOU / "blobs").rglob(name))
        self.assertEqual(len(found), 1)
        return found[0]

    def dead(self, rule, key):
        """The dead letter of `key`, or nothing."""
        for work in self.cluster.failed_objects(rule, keys=[key]):
            if work["state"] == "DEAD":
                return work
        return None

    def retry(self, rule, key):
        told = self.cluster.crrctl("failed", "retry", rule, key).stdout
        self.assertIn(b"1", told)

    def conditions(self, rule):
        return {condition["type"]
                for condition in self.cluster.progress(rule).get(
                    "conditions", [])}

    def check_poison(self, poison, mend, reason, historical):
        """`poison` spoils an object of the source, of history or of a live
        change, and `mend` takes that back."""
        cluster = self.cluster
        good = {f"good/{i}": os.urandom(SIZE) for i in range(20)}
        if historical:
            cluster.fill(self.source, {"bad": os.urandom(SIZE), **good})
            poison(self.blob("bad"))
        rule = cluster.rule(self.source, self.destination)
        if not historical:
            cluster.copier("probe").ready()
            cluster.wait_backfilled(rule)
            cluster.processes[-1].stop()
            cluster.put(self.source, "bad", os.urandom(SIZE))
            poison(self.blob("bad"))
            for key, content in good.items():
                cluster.put(self.source, key, content)
        cluster.copier("c1")
        work = wait("a dead letter", lambda: self.dead(rule, "bad"), 60)
        self.assertEqual(work["reason"], reason)
        self.assertEqual(work.get("historical", False), historical)
        self.assertGreaterEqual(int(work["attempts"]), 8)
        # The others did not wait for it.
        for key, content in good.items():
            self.assertEqual(cluster.get(self.destination, key), content)
        self.assertIn("OBJECTS_FAILED", self.conditions(rule))
        counts = self.assert_balanced(rule)
        self.assertEqual(counts["failed"], 0 if historical else 1)
        progress = cluster.progress(rule)
        if historical:
            self.assertLess(progress["historical"]["fraction"], 1)
            self.assertEqual(progress["historical"]["failed"], "1")
        # Nor is anybody told that everything has arrived.
        before = progress["live"].get("lastSyncTime")
        cluster.put(self.source, "later", b"later")
        wait("a later object arrives",
             lambda: cluster.get(self.destination, "later") == b"later")
        self.assertEqual(cluster.live(rule).get("lastSyncTime"), before)

        mend(self.blob("bad"))
        self.retry(rule, "bad")
        cluster.wait_backfilled(rule)
        cluster.wait_synced(rule)
        self.assert_equal_buckets(self.source, self.destination)
        self.assertEqual(cluster.failed_objects(rule), [])
        self.assertNotIn("OBJECTS_FAILED", self.conditions(rule))
        self.assertEqual(self.assert_balanced(rule)["failed"], 0)

    @staticmethod
    def flip(blob):
        """Damages the bytes; a second time, mends them."""
        content = bytearray(blob.read_bytes())
        content[len(content) // 2] ^= 1
        mode = blob.stat().st_mode
        blob.chmod(0o600)
        blob.write_bytes(content)
        blob.chmod(mode)

    def test_damaged_in_history(self):
        self.check_poison(self.flip, self.flip, "CONTENT_DAMAGED", historical=True)

    def test_damaged_in_a_change(self):
        self.check_poison(self.flip, self.flip, "CONTENT_DAMAGED", historical=False)

    def test_its_data_is_gone(self):
        def hide(blob):
            blob.rename(self.cluster.folder / "hidden")

        def bring_back(_):
            (self.cluster.folder / "hidden").rename(self.place)
        cluster = self.cluster
        cluster.fill(self.source, {"bad": os.urandom(SIZE),
                                   **{f"good/{i}": b"x" for i in range(20)}})
        self.place = self.blob("bad")
        hide(self.place)
        rule = cluster.rule(self.source, self.destination)
        cluster.copier("c1")
        work = wait("a dead letter", lambda: self.dead(rule, "bad"), 60)
        self.assertEqual(work["reason"], "CONTENT_GONE")
        self.assertEqual(cluster.done(rule), 20)
        bring_back(self.place)
        self.retry(rule, "bad")
        cluster.wait_backfilled(rule)
        self.assert_equal_buckets(self.source, self.destination)

    def test_skipped(self):
        cluster = self.cluster
        rule = cluster.rule(self.source, self.destination)
        cluster.copier("probe")
        cluster.wait_backfilled(rule)
        cluster.processes[-1].stop()
        cluster.put(self.source, "bad", os.urandom(SIZE))
        self.flip(self.blob("bad"))
        cluster.copier("c1")
        wait("a dead letter", lambda: self.dead(rule, "bad"), 60)
        listed = cluster.crrctl("failed", "list", rule).stdout
        self.assertIn(b"CONTENT_DAMAGED", listed)
        cluster.crrctl("failed", "skip", rule, flags=("--all",))
        cluster.wait_synced(rule)
        self.assertEqual(cluster.live(rule)["filtered"], {"SKIPPED": "1"})
        self.assert_balanced(rule)
        # A later change is one as any other.
        cluster.put(self.source, "bad", b"good")
        cluster.wait_synced(rule)
        self.assert_equal_buckets(self.source, self.destination)

    def test_it_kills_its_copier(self):
        """A copier that may not write files of more than 20 MiB is ended by the
        kernel when it does."""
        cluster = self.cluster
        good = {f"good/{i}": os.urandom(SIZE) for i in range(20)}
        cluster.fill(self.source, {"bad": bytes(40 * MIB), **good})
        rule = cluster.rule(self.source, self.destination)
        copiers = []

        def keep_alive():
            if not copiers or not copiers[-1].running():
                copiers.append(cluster.copier(
                    f"c{len(copiers)}",
                    wrapper=("prlimit", f"--fsize={20 * MIB}")))
            return self.dead(rule, "bad")
        work = wait("a dead letter", keep_alive, 180)
        self.assertEqual(work["reason"], "COPIER_LOST")
        print(f"{len(copiers) - 1} copiers lost ... ", end="", flush=True)
        # Two that work as ever, one with care, one that takes it out unseen;
        # then its own attempts.
        self.assertLessEqual(len(copiers), 13)
        for key, content in good.items():
            self.assertEqual(cluster.get(self.destination, key), content)
        copiers[-1].stop()
        cluster.copier("unbounded")
        self.retry(rule, "bad")
        cluster.wait_backfilled(rule)
        cluster.wait_synced(rule)
        self.assert_equal_buckets(self.source, self.destination)
        self.assert_balanced(rule)
