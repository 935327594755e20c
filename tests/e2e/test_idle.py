"""Rules that nothing happens in cost nothing; tests/bench/idle.py measures."""

import datetime
import time

from harness import ALL, E2eTest, wait

RULES = 100_000 if ALL else 2_000
SECONDS = 55 if ALL else 3
PAGE = 4096


def log_bytes(process, begin):
    """What the log's growth since it had `begin` bytes writes: the pages that
    it touches, and that of the file's size and time; nothing without any."""
    end = process.log.stat().st_size
    if end == begin:
        return 0
    return PAGE * ((end - 1) // PAGE - begin // PAGE + 2)


class IdleTest(E2eTest):

    def test_idle_rules_write_nothing_and_slow_nothing(self):
        cluster = self.cluster
        source, destination = self.pair()
        cluster.copier("copier")
        cluster.fill(source, {"first": b"x"})
        rule = cluster.rule(source, destination)
        cluster.wait_synced(rule)
        cluster.add_idle_rules(RULES)

        # Leases linger on an empty log; nothing else may go on after them.
        wait("nothing is written any more", self.is_quiet)
        before = cluster.files()
        written = [(p, p.io("write_bytes")) for p in cluster.processes
                   if p.running()]
        logged = {p: p.log.stat().st_size for p, _ in written}
        # last_sync_time goes on all the same.
        later = datetime.datetime.utcnow() + datetime.timedelta(seconds=SECONDS)
        cluster.client.call("ReplicationService.WaitForSync", {
            "name": rule, "time": later.isoformat() + "Z"},
            timeout=3 * SECONDS + 30)
        self.assertEqual(before, cluster.files())
        for process, count in written:
            with self.subTest(process.name):
                # The log line of that one call, and nothing beside it.
                self.assertLessEqual(process.io("write_bytes") - count,
                                     log_bytes(process, logged[process]))

        cluster.put(source, "late", b"news")
        wait("a write arrives",
             lambda: cluster.get(destination, "late") == b"news")

    def is_quiet(self):
        """Whether no file has changed for longer than a lease lingers."""
        newest = max(changed for _, changed in self.cluster.files().values())
        return newest < time.time_ns() - 11 * 10**9
