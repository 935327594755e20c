"""Once WaitForSync(T) returns, everything written before T is equal."""

import concurrent.futures
import datetime
import re

import truth
from chaos import ChaosTest
from harness import ALL, crr, seconds_of, wait

WAITS = 500 if ALL else 50
AT_ONCE = 5
# A kill for so many waits: a copier, and the server, by turns.
WAITS_PER_KILL = 10

DIFFERENCE = re.compile(r"(?:differs|only in A|only in B): (.*)")


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
        now = datetime.datetime.now(datetime.timezone.utc)
        written = now.timestamp()
        self.wait_for_sync(now)
        differences = wait("a compare", self.differences, 60)
        history = self.history.snapshot()
        for key in differences["keys"]:
            self.assertTrue(truth.unfinished_before(history[key], written),
                            f"{key} differs, and was last written before "
                            f"{written}: {history[key]}")
        # There was something to be wrong about, beside what was in motion.
        self.assertTrue(any(
            not truth.unfinished_before(operations, written)
            and operations[-1].number > 1 for operations in history.values()))

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
