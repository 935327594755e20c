"""A rule under load: history on its way, a writer that keeps writing, and a
checker that compares what the server says with what is so."""

import time

import truth
from harness import ALL, E2eTest, HANGZHOU, SHANGHAI, wait
from load import Checker, Writer

# A range has 10,000.
OBJECTS, SIZE, RANGES = (12_000, 1_000, 2) if ALL else (400, 10_000, 1)


class ChaosTest(E2eTest):

    def begin(self, first="c0", objects=OBJECTS, touch_history=True,
              seconds=None):
        """Starts a copier on a history that takes it `seconds`, 8 times to live
        by default, and somebody who keeps writing: new keys and, unless
        `touch_history` is false, some of the history."""
        self.ttl = float(self.cluster.lease_ttl.rstrip("s"))
        seconds = seconds or 8 * self.ttl
        self.source, self.destination = self.pair()
        self.history = truth.History()
        keys = [f"{i % 10}/{i:05}" for i in range(objects)]
        operations = {key: self.history.begin(key, True, SIZE) for key in keys}
        self.cluster.fill(self.source, {
            key: truth.content(key, operation)
            for key, operation in operations.items()})
        for operation in operations.values():
            operation.finished = time.time()
        self.cluster.wait_published(HANGZHOU)
        # The one that works is the one that came first.
        self.copiers = [self.cluster.copier(first, slots=4)]
        per_lease = int(objects * SIZE / RANGES / seconds)
        self.rule = self.cluster.rule(self.source, self.destination, limits={
            "maxLeases": 4, "maxBytesPerSecond": 4 * per_lease})
        self.checker = Checker(self.cluster, self.rule, self.destination,
                               self.history)
        self.keys = ((keys[::8] if touch_history else [])
                     + [f"new/{i}" for i in range(30)])
        if not touch_history:
            # New keys are none of it, either, once it is listed.
            wait("the history is listed", lambda: self.cluster.historical(
                self.rule).get("inventoryComplete"))
        self.addCleanup(self.checker.finish)
        self.checker.start()
        self.start_writer()
        wait("the first begins", lambda: self.cluster.done(self.rule) > 0)

    def start_writer(self, operations=0):
        """Starts to write, after `operations` of a writer before."""
        self.writer = Writer(self.cluster, self.source, self.history,
                             self.keys, seed=operations + 1)
        self.writer.operations = operations
        self.addCleanup(self.writer.finish)
        self.writer.start()

    def put(self, key, size=0):
        """Writes a key that is not the writer's; returns the content."""
        operation = self.history.begin(key, True, size)
        content = truth.content(key, operation)
        self.cluster.put(self.source, key, content)
        operation.finished = time.time()
        return content

    def start_copier(self, **options):
        copier = self.cluster.copier(f"c{len(self.cluster.processes)}",
                                     **options)
        self.copiers.append(copier)

    def leases(self, kind):
        """Who holds the rule's leases, by token."""
        return {int(lease["token"]): lease["copier"].removeprefix("copiers/")
                for lease in self.cluster.client.call(
                    "AdminService.ListLeases", {"rule": self.rule}).get(
                        "leases", []) if lease["kind"] == kind}

    def pop_holder(self, kind):
        """Takes a copier that has such a lease from those that work."""
        holders = wait(f"a lease of {kind}", lambda: self.leases(kind))
        name = next(iter(holders.values()))
        copier = next(c for c in self.copiers if c.name == name)
        self.copiers.remove(copier)
        return copier

    def assert_taken_over(self, what, kind, before, begun, copier=None):
        """Checks how long after `begun` no lease lives that `copier`, or
        anybody, held `before`, and one does that was granted since: no longer
        than ttl, grace and 1 s."""
        lost = {token for token, holder in before.items()
                if copier in (None, holder)}
        self.assertTrue(lost, f"{what}: nothing of {kind} was lost")

        def others_have_it():
            # Not by unit: a log may go on under another.
            now = self.leases(kind)
            return (lost.isdisjoint(now)
                    and max(now, default=0) > max(before))
        wait(f"{what}: {kind} is taken over", others_have_it, 10 * self.ttl)
        self.assert_in_time(f"{what}: {kind} taken over",
                            time.monotonic() - begun)

    def assert_in_time(self, what, *took):
        """The longest must do."""
        took, bound = max(took), 1.5 * self.ttl + 1
        print(f"{what} after {took:.2f} s of {bound} s ... ", end="",
              flush=True)
        self.assertLessEqual(took, bound)

    def freeze(self, process):
        self.addCleanup(process.thaw)
        process.freeze(*(self.cluster.folder / region / "write.lock"
                         for region in (HANGZHOU, SHANGHAI)))

    def hurry(self):
        """Lifts the bound on the rate, and waits until the history is done and
        last_sync_time is known."""
        self.cluster.client.call("ReplicationService.UpdateRule", {
            "rule": {"name": self.rule, "limits": {}}, "updateMask": "limits"})
        self.cluster.wait_backfilled(self.rule)
        self.checker.wait_looks(1)

    def compare(self):
        """The writer rests meanwhile."""
        self.writer.finish()
        self.assert_in_step()
        self.checker.wait_looks(1)
        self.start_writer(self.writer.operations)

    def end(self):
        """The writer ends, and everything it wrote is there."""
        self.writer.finish()
        self.assert_in_step()
        self.checker.wait_looks(2)
        self.checker.finish()

    def assert_in_step(self):
        self.cluster.wait_backfilled(self.rule)
        self.cluster.wait_synced(self.rule)
        self.assert_equal_buckets(self.source, self.destination)
        self.assertEqual(truth.stale_facts(
            self.history.snapshot(),
            self.cluster.facts(SHANGHAI, self.destination)), [])
        counts = self.assert_balanced(self.rule)
        self.assertEqual(counts["pending"], 0)
        # More where a crrctl that could not tell of its work repeated it.
        self.assertGreaterEqual(counts["published"], self.writer.operations)
