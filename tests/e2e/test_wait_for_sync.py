"""Once WaitForSync(T) returns, everything written before T is equal."""

import concurrent.futures
import datetime
import re
import unittest

import truth
from chaos import ChaosTest
from harness import ALL, crr, seconds_of, wait
from load import sizes_of

WAITS = 500 if ALL else 50
AT_ONCE = 5
# A kill for so many waits: a copier, and the server, by turns.
WAITS_PER_KILL = 10

DIFFERENCE = re.compile(r"(?:differs|only in A|only in B): (.*)")


def faults(history, time, sizes, differing):
    """What is wrong after WaitForSync(`time`) with a replica that is then
    listed, as `sizes`, and then compared: `differing` are the keys that were
    not equal. A key that moves on may differ, but not be older than `time`."""
    return truth.lies(history, time, sizes) + [
        f"{key} differs, and was last written before {time}: {history.get(key)}"
        for key in differing
        if not truth.unfinished_before(history.get(key), time)]


class WaitForSyncTest(ChaosTest):

    def test_what_was_waited_for_is_there(self):
        self.begin(objects=50)
        self.hurry()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for kill in range(WAITS // WAITS_PER_KILL):
                waits = [pool.submit(self.wait_and_compare)
                         for _ in range(WAITS_PER_KILL)]
                wait("some waits are over",
                     lambda: sum(w.done() for w in waits) >= 2, 60)
                if kill % 2:
                    self.copiers.pop().kill()
                    self.start_copier()
                else:
                    self.cluster.server.kill()
                    self.cluster.start_server()
                for done in concurrent.futures.as_completed(waits):
                    done.result()
        self.end()

    def wait_and_compare(self):
        # So that there is something to wait for.
        self.writer.wait_operations(1)
        now = datetime.datetime.now(datetime.timezone.utc)
        self.wait_for_sync(now)
        listed = wait("a listing", self.listing, 60)
        differences = wait("a compare", self.differences, 60)
        self.assertEqual([], faults(self.history.snapshot(), now.timestamp(),
                                    listed["sizes"], differences["keys"]))

    def wait_for_sync(self, time):
        """Asks until there is an answer: the server may be killed meanwhile."""
        request = {"name": self.rule, "time": time.isoformat()}

        def ask():
            with crr.Client(self.cluster.address) as client:
                try:
                    return client.call("ReplicationService.WaitForSync",
                                       request, timeout=60)
                except crr.Refusal as refusal:
                    if refusal.code not in ("UNAVAILABLE", "CANCELLED"):
                        raise
        answer = wait("WaitForSync", ask, 120)
        said = seconds_of(answer["live"]["lastSyncTime"])
        self.assertGreater(said, time.timestamp() - 1e-6)

    def listing(self):
        """What the destination holds now; nothing while the server is away."""
        done = self.cluster.crrctl("object", "ls", self.destination,
                                   check=False)
        return {"sizes": sizes_of(done.stdout)} if not done.returncode else None

    def differences(self):
        """The keys that differ now; nothing while the server is away."""
        done = self.cluster.crrctl("compare", self.source, self.destination,
                                   check=False)
        if done.returncode not in (0, 1):
            return None
        lines = done.stdout.decode().splitlines()
        keys = [match[1] for line in lines
                if (match := DIFFERENCE.fullmatch(line))]
        # All are named.
        self.assertIn(f"equal: {len(keys)} differences" if keys else "equal: ",
                      lines[-1])
        return {"keys": keys}


class FaultsTest(unittest.TestCase):
    """The check above sees what it is there for."""

    def faults(self, sizes, differing):
        log = truth.History()
        for key, times in (("still", (10, 20)), ("moving", (10, 20, None))):
            for finished in times:
                log.begin(key, True).finished = finished
        return len(faults(log.snapshot(), 30, sizes, differing))

    def test_what_moves_on_may_differ(self):
        for reached in (2, 3):
            self.assertEqual(self.faults({"still": 2, "moving": reached},
                                         ["moving"]), 0)

    def test_an_older_write_of_what_moves_on_is_missing(self):
        self.assertEqual(self.faults({"still": 2, "moving": 1}, ["moving"]), 1)
        self.assertEqual(self.faults({"still": 2}, ["moving"]), 1)

    def test_what_does_not_move_differs(self):
        self.assertEqual(self.faults({"still": 2, "moving": 2}, ["still"]), 1)

    def test_what_nobody_wrote(self):
        self.assertEqual(self.faults({"still": 2, "moving": 2}, ["alien"]), 1)
