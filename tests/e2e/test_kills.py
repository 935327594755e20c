"""Processes are killed and frozen while a writer writes. Afterwards nothing is
lost, and meanwhile the server never says more than is true."""

import time

from chaos import ChaosTest
from harness import ALL, HANGZHOU, SHANGHAI, wait

SERVER_KILLS = 100 if ALL else 10
NOTIFIER_KILLS = 30 if ALL else 3


class OneFault:

    def strike_twice(self, strike):
        """Lets `strike` hit those at the history, and then those at the log.
        """
        strike("BACKFILL")
        self.assertLess(self.cluster.historical(self.rule)["fraction"], 1,
                        "the history ended before the fault was over")
        self.hurry()
        self.compare()
        strike("CHANGES")

    def kill_one(self, kind):
        """Of two copiers, one that does such work."""
        self.start_copier()
        copier = self.pop_holder(kind)
        begun = time.monotonic()
        copier.kill()
        self.assert_taken_over("copier killed", kind,
                               self.leases(kind), begun, copier.name)

    def test_a_copier_is_killed(self):
        self.begin()
        self.strike_twice(self.kill_one)
        self.end()


class AllFaults(OneFault):

    def kill_all(self, kind):
        wait(f"a lease of {kind}", lambda: self.leases(kind))
        begun = time.monotonic()
        for copier in self.copiers:
            copier.kill()
        before = self.leases(kind)
        self.copiers.clear()
        self.start_copier()
        self.start_copier()
        self.assert_taken_over("all copiers killed", kind, before, begun)

    def test_all_copiers_are_killed(self):
        self.begin()
        self.start_copier()
        self.strike_twice(self.kill_all)
        self.end()

    def test_the_server_is_killed(self):
        self.begin()
        took = []
        for cycle in range(SERVER_KILLS):
            if cycle == SERVER_KILLS // 2:
                self.hurry()
            # Before the history is there, the buckets cannot be equal, and only
            # the checker compares them.
            if self.cluster.historical(self.rule)["fraction"] == 1:
                self.compare()
            self.writer.wait_operations(10)
            self.cluster.server.kill()
            begun = time.monotonic()
            self.cluster.start_server()
            self.wait_all_moves()
            took.append(time.monotonic() - begun)
        self.assert_in_time("server killed: work went on", *took)
        self.checker.wait_looks(1)
        self.end()

    def wait_all_moves(self):
        """Waits until changes are settled, and some of the history is done if
        any of it is left."""
        def counts():
            progress = self.cluster.progress(self.rule)
            history, live = progress["historical"], progress["live"]
            return (int(live["applied"]) + int(live["collapsed"]),
                    int(history.get("doneObjects", 0)),
                    history.get("fraction") == 1)
        before = counts()

        def move():
            settled, done, is_whole = counts()
            return settled > before[0] and (is_whole or done > before[1])
        wait("the log and the history move", move, 10 * self.ttl)

    def test_the_notifier_is_killed(self):
        self.begin()
        took = []
        for cycle in range(NOTIFIER_KILLS):
            if cycle == 1:
                self.hurry()
            self.writer.wait_operations(10)
            self.notifiers[HANGZHOU].kill()
            self.writer.wait_operations(10)
            key = f"notifier-killed/{cycle}"
            content = self.put(key)
            begun = time.monotonic()
            self.notifiers[HANGZHOU] = self.cluster.notifier(HANGZHOU)
            wait(f"{key} is there", lambda: self.cluster.get(
                self.destination, key) == content)
            took.append(time.monotonic() - begun)
            if cycle:
                self.compare()
        self.assert_in_time("notifier killed: news arrived", *took)
        self.end()

    def test_a_copier_is_frozen_past_its_lease(self):
        self.begin()
        frozen = []

        def freeze_one(kind):
            self.start_copier()
            copier = self.pop_holder(kind)
            frozen.append(copier)
            begun = time.monotonic()
            self.freeze(copier)
            self.assert_taken_over("copier frozen", kind,
                                   self.leases(kind), begun, copier.name)
        self.strike_twice(freeze_one)
        # They change nothing when they wake, not even what others have
        # finished.
        self.writer.wait_operations(20)
        for copier in frozen:
            copier.thaw()
        self.writer.wait_operations(20)
        self.end()
        self.cluster.put(self.source, "after", b"1")
        self.assert_in_step()

    def test_a_copier_is_frozen_within_a_write(self):
        self.begin()
        self.start_copier()
        copier = self.pop_holder("CHANGES")
        self.addCleanup(copier.thaw)
        copier.freeze_with(self.cluster.folder / SHANGHAI / "write.lock")
        begun = time.monotonic()
        self.assert_taken_over("copier frozen", "CHANGES",
                               self.leases("CHANGES"), begun, copier.name)
        # It ends its write first: nobody else could write there meanwhile.
        self.writer.wait_operations(20)
        copier.thaw()
        self.hurry()
        self.end()

    def test_the_server_is_frozen_past_the_ttl(self):
        self.begin()
        self.start_copier()

        def freeze_server(kind):
            before = wait(f"a lease of {kind}", lambda: self.leases(kind))
            ends = {copier: copier.log.read_text().count("stream ended")
                    for copier in self.copiers}
            self.freeze(self.cluster.server)
            # A copier that is not answered for a ttl gives the stream up, and
            # what it had: nobody can have it before the server wakes.
            wait("the copiers' leases are over", lambda: all(
                copier.log.read_text().count("stream ended") > count
                for copier, count in ends.items()))
            begun = time.monotonic()
            self.cluster.server.thaw()
            self.assert_taken_over("server thawed", kind, before, begun)
            self.wait_all_moves()
            self.assert_in_time("work went on", time.monotonic() - begun)
        self.strike_twice(freeze_server)
        self.end()

    def test_two_processes_have_one_id(self):
        self.begin(first="twin")

        def start_twin(kind):
            before = wait(f"a lease of {kind}", lambda: self.leases(kind))
            begun = time.monotonic()
            self.start_copier(copier_id="twin")
            older = self.copiers.pop(0)
            self.assertEqual(older.wait_end(), 1)
            log = older.log.read_text()
            self.assertIn("SESSION_SUPERSEDED", log)
            self.assertEqual(log.count("session open"), 1)
            self.assert_taken_over("superseded", kind, before, begun)
        self.strike_twice(start_twin)
        self.end()
        self.assertTrue(self.copiers[0].running())


class KillTest(AllFaults, ChaosTest):
    """Everything, with a time to live that lets it happen quickly."""


class DefaultTtlTest(AllFaults if ALL else OneFault, ChaosTest):
    """With the time to live that servers have by default."""

    lease_ttl = "10s"
