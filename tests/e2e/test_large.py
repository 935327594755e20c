"""Objects that are copied in parts: a copier that is killed in the middle has
its parts continued by another."""

import os
import time

from chaos import ChaosTest
from harness import ALL, E2eTest, HANGZHOU, SHANGHAI, wait

MIB = 1 << 20
SIZE = 96 * MIB
# 8 MiB a part: of 12, one each second or so.
RATE = 10 * MIB


def blocks(path):
    """0 where the file is gone since: a writer's object was written over."""
    try:
        return path.stat().st_blocks
    except FileNotFoundError:
        return 0


class Parts:

    def blobs(self, region):
        """The files of objects and of parts."""
        return [path for path in
                (self.cluster.folder / region / "blobs").rglob("*")
                if path.is_file()]

    def uploaded(self):
        """Bytes of parts at the destination: what else has files is small."""
        return sum(blocks(path) * 512 for path in self.blobs(SHANGHAI))

    def uploads(self):
        """The parts that are there for good, by the upload that they are of."""
        return dict(self.cluster.index(
            SHANGHAI, "SELECT upload_id, count(*) FROM upload_parts"
            " GROUP BY upload_id"))

    def wait_no_upload(self):
        """Waits until an equal destination has no more files than the source,
        nor knows of an upload."""
        wait("no upload is left", lambda: (
            len(self.blobs(SHANGHAI)) == len(self.blobs(HANGZHOU))
            and not self.cluster.index(SHANGHAI, "SELECT * FROM uploads")), 10)


class LargeTest(Parts, E2eTest):

    def test_killed_in_the_middle(self):
        cluster = self.cluster
        source, destination = self.pair()
        cluster.fill(source, {"large": os.urandom(SIZE), "small": b"small"})
        rule = cluster.rule(source, destination, limits={
            "maxLeases": 1, "maxBytesPerSecond": RATE})
        copiers = [cluster.copier("c0")]
        wait("the small one is there",
             lambda: cluster.get(destination, "small") == b"small")
        for kills in (1, 2):
            wait("some parts are there",
                 lambda: self.uploaded() >= kills * 3 * 8 * MIB, 60)
            copiers.append(cluster.copier(f"c{kills}"))
            copiers[-2].kill()
        begun = time.monotonic()
        wait("the large one is there", lambda: cluster.done(rule) == 2, 120)
        print(f"went on in {time.monotonic() - begun:.1f} s ... ", end="",
              flush=True)
        cluster.wait_synced(rule)
        self.assert_equal_buckets(source, destination)
        self.assert_balanced(rule)
        self.assertEqual(cluster.failed_objects(rule), [])
        self.wait_no_upload()
        # Beyond the object itself, what was on its way at each kill: not the
        # parts before.
        copied = int(cluster.historical(rule)["bytes"])
        self.assertLess(copied, SIZE + 2 * 3 * 8 * MIB)

    def test_the_source_moves_on(self):
        cluster = self.cluster
        source, destination = self.pair()
        cluster.fill(source, {"large": os.urandom(SIZE)})
        rule = cluster.rule(source, destination, limits={
            "maxLeases": 2, "maxBytesPerSecond": 2 * RATE})
        cluster.copier("c0")
        wait("some parts are there", lambda: self.uploaded() >= 3 * 8 * MIB, 60)
        newer = os.urandom(1000)
        cluster.put(source, "large", newer)
        cluster.client.call("ReplicationService.UpdateRule", {
            "rule": {"name": rule, "limits": {}}, "updateMask": "limits"})
        cluster.wait_synced(rule)
        cluster.wait_backfilled(rule)
        self.assertEqual(cluster.get(destination, "large"), newer)
        self.assert_balanced(rule)
        self.wait_no_upload()


class UnderLoad(Parts):
    """While a writer writes and a checker checks."""

    def test_killed_under_load(self):
        self.begin()
        self.hurry()
        self.start_copier()
        self.cluster.client.call("ReplicationService.UpdateRule", {
            "rule": {"name": self.rule, "limits": {
                "maxLeases": 4, "maxBytesPerSecond": 4 * RATE}},
            "updateMask": "limits"})
        self.put("large", SIZE)
        for kill in range(2):
            parts = sum(self.uploads().values())
            wait("more parts are there",
                 lambda: sum(self.uploads().values()) >= parts + 2, 60)
            self.start_copier()
            copier = self.pop_holder("OBJECT")
            begun = time.monotonic()
            copier.kill()
            before = self.uploads()
            self.assert_taken_over("copier killed", "OBJECT",
                                   self.leases("OBJECT"), begun, copier.name)
            # The same upload goes on, after the parts that it has.
            self.assertEqual(len(before), 1)
            wait("another part is there", lambda: all(
                self.uploads().get(upload, 0) > parts
                for upload, parts in before.items()), 60)
        self.writer.wait_operations(10)
        self.end()


class LargeUnderLoadTest(UnderLoad, ChaosTest):
    pass


if ALL:
    class LargeDefaultTtlTest(UnderLoad, ChaosTest):
        lease_ttl = "10s"
