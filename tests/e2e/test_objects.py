"""Objects that cannot be copied: the lanes go on, each ends as a dead letter with
its reason, and is copied once the cause is mended and a retry asked for."""

import os

from harness import ALL, E2eTest, HANGZHOU, wait

MIB = 1 << 20
# In a file of their own; smaller ones live in the index.
SIZE = 100_000


class Poison:
    """One object, `bad`, among good ones. Subclasses say what is wrong with it:
    `poison` brings that about and `mend` takes it back."""

    server_flags = ("--object_retry=20ms",)
    size = SIZE
    wrapper = ()
    copiers_max = 1

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.pair()

    def blob(self):
        """The file with the bytes of `bad` at the source."""
        (name,), = self.cluster.index(
            HANGZHOU, "SELECT blob FROM objects JOIN buckets USING (bucket_id)"
            " WHERE name = ? AND key = ?", self.source, b"bad")
        found = list((self.cluster.folder / HANGZHOU / "blobs").rglob(name))
        self.assertEqual(len(found), 1)
        return found[0]

    def dead(self, rule):
        """The dead letter of `bad`, or nothing."""
        for work in self.cluster.failed_objects(rule, keys=["bad"]):
            if work["state"] == "DEAD":
                return work
        return None

    def conditions(self, rule):
        return {condition["type"]
                for condition in self.cluster.progress(rule).get(
                    "conditions", [])}

    def begin(self, historical):
        """Makes a rule whose history, or live changes, are `bad` and then good
        ones. Returns it and the good ones."""
        cluster = self.cluster
        good = {f"good/{i}": os.urandom(SIZE) for i in range(20)}
        if not historical:
            rule = cluster.rule(self.source, self.destination)
            probe = cluster.copier("probe")
            cluster.wait_backfilled(rule)
            probe.stop()
        cluster.put(self.source, "bad", os.urandom(self.size))
        self.poison()
        cluster.fill(self.source, good)
        if historical:
            cluster.wait_published(HANGZHOU)
            rule = cluster.rule(self.source, self.destination)
        return rule, good

    def check(self, historical):
        cluster = self.cluster
        rule, good = self.begin(historical)
        copiers = []

        def dead():
            if not copiers or not copiers[-1].running():
                copiers.append(cluster.copier(f"c{len(copiers)}",
                                              wrapper=self.wrapper))
            return self.dead(rule)
        work = wait("a dead letter", dead, 120)
        print(f"{len(copiers) - 1} copiers lost ... ", end="", flush=True)
        self.assertLessEqual(len(copiers), self.copiers_max)
        self.assertEqual(work["reason"], self.reason)
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

        self.mend()
        told = cluster.crrctl("failed", "retry", rule, "bad").stdout
        self.assertIn(b"1", told)
        cluster.wait_backfilled(rule)
        cluster.wait_synced(rule)
        self.assert_equal_buckets(self.source, self.destination)
        self.assertEqual(cluster.failed_objects(rule), [])
        self.assertNotIn("OBJECTS_FAILED", self.conditions(rule))
        self.assertEqual(self.assert_balanced(rule)["failed"], 0)


class AlwaysFailsTest(Poison, E2eTest):

    reason = "CONTENT_DAMAGED"

    def poison(self):
        """Damages the bytes; a second time, mends them."""
        blob = self.blob()
        content = bytearray(blob.read_bytes())
        content[len(content) // 2] ^= 1
        mode = blob.stat().st_mode
        blob.chmod(0o600)
        blob.write_bytes(content)
        blob.chmod(mode)

    mend = poison

    def test_in_history(self):
        self.check(historical=True)

    def test_in_a_change(self):
        self.check(historical=False)

    def test_skipped(self):
        cluster = self.cluster
        rule, _ = self.begin(historical=False)
        cluster.copier("c1")
        wait("a dead letter", lambda: self.dead(rule), 60)
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


class DataGoneTest(Poison, E2eTest):

    reason = "CONTENT_GONE"

    def poison(self):
        self.place = self.blob()
        self.hidden = self.place.rename(self.cluster.folder / "hidden")

    def mend(self):
        self.hidden.rename(self.place)

    def test_in_history(self):
        self.check(historical=True)

    def test_in_a_change(self):
        self.check(historical=False)


class KillsItsCopierTest(Poison, E2eTest):
    """A copier that may not write files of more than 20 MiB is ended by the
    kernel when it does."""

    reason = "COPIER_LOST"
    # A lost copier keeps its work for one and a half of these.
    lease_ttl = "1s"
    size = 40 * MIB
    wrapper = ("prlimit", f"--fsize={20 * MIB}")
    # Two that work as ever, one with care, one that takes it out unseen; then
    # one for each of its own attempts, and the last.
    copiers_max = 13

    def poison(self):
        pass

    def mend(self):
        self.cluster.processes[-1].stop()
        self.cluster.copier("unbounded")

    def test_in_a_change(self):
        self.check(historical=False)

    # Not in the small figure: it takes as long as all of the others.
    if ALL:
        def test_in_history(self):
            self.check(historical=True)
