"""A log that overflows and a database that is restored: no truth is lost."""

import subprocess
import time

from chaos import ChaosTest
from harness import ALL, BIN, E2eTest, HANGZHOU, SHANGHAI, seconds_of, wait
from load import Checker, publish

# A range has 10,000.
OBJECTS = 12_000 if ALL else 100


class OverflowTest(E2eTest):

    def is_compared(self, rule, missed):
        """Whether the verification has ended; if not, last_sync_time is not
        after `missed`."""
        progress = self.cluster.progress(rule)
        if "endTime" in progress.get("verification", {}):
            return True
        self.assertLessEqual(
            seconds_of(progress["live"].get("lastSyncTime")), missed)
        return False

    def test_a_paused_rule_overflows(self):
        cluster = self.cluster
        source, destination = self.pair()
        cluster.fill(source, {f"k/{i}": b"x" for i in range(OBJECTS)})
        rule = cluster.rule(source, destination)
        copier = cluster.copier("c1")
        cluster.wait_backfilled(rule)
        cluster.wait_synced(rule)
        cluster.client.call("ReplicationService.PauseRule", {"name": rule})
        # Of which the log will tell nothing.
        cluster.put(source, "new", b"new")
        missed = time.time()
        cluster.crrctl("object", "rm", source, "k/1")
        cluster.put(source, "k/2", b"y")
        cluster.wait_published(HANGZHOU)
        # More than a log may hold: 256 MiB.
        keys = [f"{i:07}/" + "k" * 900 for i in range(300_000)]
        self.assertEqual(publish(cluster, source, keys), len(keys))
        progress = cluster.progress(rule)
        self.assertIn("RESYNC_NEEDED", {
            condition["type"] for condition in progress["conditions"]})
        self.assert_balanced(rule)
        # Others of the region are not held up by it.
        cluster.bucket("src2", HANGZHOU)
        cluster.bucket("dst2", SHANGHAI)
        other = cluster.rule("src2", "dst2")
        cluster.put("src2", "k", b"x")
        cluster.wait_synced(other)
        # Until all is compared, nothing since then is said to be there: for as
        # long as nobody compares, and while somebody does.
        copier.stop()
        cluster.client.call("ReplicationService.ResumeRule", {"name": rule})
        cluster.wait_published(HANGZHOU)
        self.assertFalse(self.is_compared(rule, missed))
        cluster.copier("c2")
        wait("all is compared", lambda: self.is_compared(rule, missed), 120)
        cluster.wait_synced(rule)
        self.assert_equal_buckets(source, destination)
        counts = self.assert_balanced(rule)
        self.assertGreaterEqual(counts["resync"], 300_000)
        verification = cluster.progress(rule)["verification"]
        self.assertEqual(verification["cause"], "LOG_OVERFLOW")
        self.assertIn("endTime", verification)


class RestoreTest(ChaosTest):

    def run_server(self, *flags):
        subprocess.run([BIN / "crr-server", *flags], check=True, timeout=120,
                       stdin=subprocess.DEVNULL, capture_output=True)

    def state(self, rule):
        return self.cluster.client.call("ReplicationService.GetRule",
                                        {"name": rule})["state"]

    def test_restored_under_load(self):
        """From a backup of before: rules, publishers and copiers find together,
        and the buckets become equal."""
        self.begin()
        self.hurry()
        cluster = self.cluster
        storage = f"--storage=sqlite:{cluster.folder}/crr.db"
        backup = cluster.folder / "backup.db"
        self.pair("src2", "dst2")
        self.run_server(f"--backup={backup}", storage)
        self.writer.wait_operations(100)
        self.checker.finish()  # What it knows is of another life.
        cluster.server.kill()
        for path in list(cluster.folder.glob("crr.db*")):
            path.unlink()
        self.run_server(f"--restore={backup}", storage)
        begun = time.time()
        cluster.start_server()
        self.assertNotIn("lastSyncTime", cluster.live(self.rule))
        self.checker = Checker(cluster, self.rule, self.destination,
                               self.history)
        self.addCleanup(self.checker.finish)
        self.checker.start()
        # New work waits as long as a lease that the backup does not know lives.
        other = cluster.rule("src2", "dst2")

        def granted():
            leases = cluster.client.call("AdminService.ListLeases", {})
            return ([lease for lease in leases.get("leases", [])
                     if seconds_of(lease["grantTime"]) > begun]
                    or self.state(other) == "ACTIVE")
        wait("something is granted", granted)
        self.assertGreaterEqual(time.time(), begun + 1.5 * self.ttl)
        wait("the other rule begins", lambda: self.state(other) == "ACTIVE")
        self.writer.wait_operations(20)
        self.end()
        verification = cluster.progress(self.rule)["verification"]
        self.assertEqual(verification["cause"], "RESTORED")
        self.assertIn("endTime", verification)
