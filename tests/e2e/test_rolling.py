"""Everything is restarted in order, one after the other, under load: nothing is
lost, and nothing is done twice."""

import collections
import time

from chaos import ChaosTest, OBJECTS, SIZE
from harness import ALL, HANGZHOU, SHANGHAI, wait

COPIERS = 3
# Once the history is done.
ROUNDS = 10 if ALL else 1


class RollingTest(ChaosTest):

    # Nobody can wait for a lease to run out: what is not handed over stands
    # still for longer than any wait here.
    lease_ttl = "60s"

    def test_rolling_restart(self):
        # What the writer leaves alone can be counted.
        self.begin(touch_history=False, seconds=16)
        for _ in range(COPIERS - 1):
            self.start_copier()
        self.restart_everything()
        self.assertLess(self.cluster.historical(self.rule)["fraction"], 1,
                        "the history ended before the restarts")
        self.hurry()
        for _ in range(ROUNDS):
            self.restart_everything()
        self.end()
        self.assert_nothing_was_done_twice()

    def restart_everything(self):
        """By SIGTERM; the writer goes on throughout."""
        self.restart("server", self.cluster.server, self.cluster.start_server)
        for copier in list(self.copiers):
            self.copiers.remove(copier)
            self.restart(copier.name, copier, self.start_copier)
        self.restart("notifier", self.notifiers[HANGZHOU],
                     self.start_notifier)

    def start_notifier(self):
        self.notifiers[HANGZHOU] = self.cluster.notifier(HANGZHOU)

    def restart(self, what, process, start):
        begun = time.monotonic()
        self.assertEqual(process.stop(), 0, what)
        start()
        wait(f"{what} has handed over its leases", lambda: all(
            what not in self.leases(kind).values()
            for kind in ("BACKFILL", "CHANGES")), 5)
        # Something that was written since has arrived.
        self.writer.wait_operations(1)
        live = self.cluster.live(self.rule)
        goal = int(live["published"]) + 1

        def goes_on():
            live = self.cluster.live(self.rule)
            settled = int(live["applied"]) + int(live["collapsed"])
            return min(int(live["published"]), settled) >= goal
        wait(f"changes go on after a restart of {what}", goes_on)
        print(f"{what} {time.monotonic() - begun:.1f} s, ", end="", flush=True)

    def assert_nothing_was_done_twice(self):
        """What checkpoints told adds up to one look at each object of the
        history, one copy of it, and one end for each operation of the writer;
        and the destination's journal has each state of each key once."""
        historical = self.cluster.historical(self.rule)
        self.assertEqual(self.cluster.done(self.rule), OBJECTS)
        self.assertEqual(int(historical["bytes"]), OBJECTS * (SIZE + 1))
        counts = self.assert_balanced(self.rule)
        self.assertEqual(counts["published"], self.writer.operations)
        self.assertEqual(counts["applied"] + counts["collapsed"],
                         self.writer.operations)
        writes = self.writes_at_destination()
        self.assertEqual([w for w, times in writes.items() if times > 1], [])
        self.assertGreater(len(writes), OBJECTS)

    def writes_at_destination(self):
        """How often each object of each size was put there."""
        return collections.Counter(self.cluster.index(
            SHANGHAI,
            "SELECT key, size FROM journal JOIN buckets USING (bucket_id)"
            " WHERE name = ? AND kind = 0", self.destination))
