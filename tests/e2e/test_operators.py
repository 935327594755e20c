"""What operators do with crrctl while a writer writes: look at copiers and leases,
drain, revoke, verify, and repair. Nothing is lost by any of it."""

import time

import truth
from chaos import ChaosTest
from harness import ALL, wait
from load import publish, sizes_of

REVOKES = 20 if ALL else 1
HOT_CHANGES = 120_000 if ALL else 30_000
HOT_KEYS, HOT_ROUNDS = 150, 3


class Tables:

    def table(self, *command):
        """The rows that a command prints, without the header."""
        lines = self.cluster.crrctl(*command).stdout.decode().splitlines()
        return [line.split() for line in lines[1:]]


class MovedWorkTest(Tables, ChaosTest):

    # No lease runs out while anything here is waited for.
    lease_ttl = "60s"

    def leases(self, copier):
        return [row for row in self.table("leases", "list")
                if f"copiers/{copier}" in row]

    def test_work_is_moved(self):
        self.begin(seconds=16)
        self.assertEqual([row[0] for row in self.table("copiers", "list")],
                         ["copiers/c0"])
        wait("c0 has a lease", lambda: self.leases("c0"))
        self.start_copier(copier_id="other")
        self.cluster.crrctl("copiers", "drain", "copiers/c0")
        wait("c0 has none", lambda: not self.leases("c0"))
        wait("the other one has them", lambda: self.leases("other"))
        self.writer.wait_operations(20)
        self.assertEqual(self.leases("c0"), [])
        # Nor after the server has forgotten all but what it stored.
        self.cluster.server.kill()
        self.cluster.start_server()
        self.writer.wait_operations(20)
        self.assertEqual(self.leases("c0"), [])

        self.hurry()
        for _ in range(REVOKES):
            lease = wait("a lease", lambda: self.leases("other"))[0]
            self.cluster.crrctl("leases", "revoke", lease[0])
            wait("it is another's, or anew",
                 lambda: lease not in self.leases("other"))
            self.writer.wait_operations(20)
        self.end()


class OperatorsTest(Tables, ChaosTest):

    def test_verify_and_read(self):
        self.begin()
        self.hurry()
        verify = ("rules", "verify", self.rule)
        flags = ("--read_bytes", "--wait")
        # What is on its way may differ, and is repaired.
        done = self.cluster.crrctl(*verify, flags=flags, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.end()
        self.cluster.crrctl(*verify, flags=flags)

    def overwrite(self, keys):
        """All of them, once."""
        operations = {key: self.history.begin(key, True) for key in keys}
        self.cluster.fill(self.source, {
            key: truth.content(key, operation)
            for key, operation in operations.items()})
        for operation in operations.values():
            operation.finished = time.time()

    def test_a_hot_rule_grows_and_keeps_the_order(self):
        """Several copiers share a log that is split, and no key goes back: the
        checker looks at each."""
        self.begin()
        self.hurry()
        for _ in range(2):
            self.start_copier()
        # Changes of what is not there cost little and make the log long.
        keys = [f"hot/{i:06}/" + "k" * 500 for i in range(HOT_CHANGES)]
        real = [f"real/{i}" for i in range(HOT_KEYS)]
        self.cluster.client.call("ReplicationService.PauseRule",
                                 {"name": self.rule})
        for round_ in range(HOT_ROUNDS):
            self.overwrite(real)
            some = keys[round_::HOT_ROUNDS]
            self.assertEqual(publish(self.cluster, self.source, some),
                             len(some))
        self.cluster.client.call("ReplicationService.ResumeRule",
                                 {"name": self.rule})
        logs = [0]

        def is_short():
            # Again, once there are several logs.
            if 1 <= sum(count > 1 for count in logs) <= HOT_ROUNDS:
                self.overwrite(real)
            logs.append(sum("CHANGES" in row
                            for row in self.table("leases", "list")))
            return int(self.cluster.live(self.rule)["pending"]) < 100
        wait("the log is short again", is_short, HOT_CHANGES / 300)
        print(f"{max(logs)} logs at once ... ", end="", flush=True)
        # Before it was overwritten, and after.
        self.assertGreaterEqual(sum(count > 1 for count in logs), 2)
        self.end()
        listing = self.cluster.crrctl("object", "ls", self.destination, "real/")
        written = self.history.snapshot()
        self.assertEqual(sizes_of(listing.stdout),
                         {key: len(written[key]) for key in real})
