"""Processes are killed while they work; afterwards the buckets are equal."""

import fcntl
import os
import random
import signal
import threading
import time

from harness import ALL, E2eTest, HANGZHOU, SHANGHAI, wait

OBJECTS = 20000 if ALL else 4000


class Writer:
    """Creates, overwrites and deletes random keys by crrctl, in a thread.

    An operation is repeated until crrctl says that it is done, and deletes only
    what is there: each makes a change. `state` has what the bucket holds of the
    keys that were written, nothing for what was deleted.
    """

    def __init__(self, cluster, bucket, keys, exist, seed):
        self._cluster = cluster
        self._bucket = bucket
        self._keys = keys
        self._exist = set(keys if exist else ())
        self._dice = random.Random(seed)
        self._stop = threading.Event()
        self.state = {}
        self.operations = 0
        self._error = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            while not self._stop.is_set():
                self._operate()
        except BaseException as error:  # Raised again by finish().
            self._error = error

    def _operate(self):
        key = self._dice.choice(self._keys)
        if key in self._exist and self._dice.random() < 0.5:
            content, command = None, ("object", "rm", self._bucket, key)
        else:
            content = b"%d %s" % (self.operations, key.encode())
            command = ("object", "put", self._bucket, key, "-")
        wait(f"crrctl {command}",
             lambda: self._cluster.crrctl(*command, stdin=content or b"",
                                          check=False).returncode == 0, 60)
        self.state[key] = content
        if content is None:
            self._exist.remove(key)
        else:
            self._exist.add(key)
        self.operations += 1

    def wait_operations(self, more):
        goal = self.operations + more
        wait("the writer goes on",
             lambda: self._error or self.operations >= goal, 60)

    def finish(self):
        self._stop.set()
        self._thread.join()
        if self._error:
            raise self._error


class KillTest(E2eTest):

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.pair()

    def writer(self, keys, exist=True):
        writer = Writer(self.cluster, self.source, keys, exist, seed=1)
        self.addCleanup(writer.finish)
        return writer

    def some_history(self, count, size=1000):
        self.cluster.fill(self.source, {
            f"{i % 10}/{i:05}": (b"%d " % i) * (size // 5)
            for i in range(count)})

    def assert_in_step(self, rule, writer=None):
        """Waits for the end of the work, then checks everything."""
        self.cluster.wait_backfilled(rule)
        self.cluster.wait_synced(rule)
        self.assert_equal_buckets(self.source, self.destination)
        self.assertEqual(self.assert_balanced(rule)["pending"], 0)
        if writer:
            deleted = [k for k, c in writer.state.items() if c is None]
            self.assertTrue(deleted)
            for key in deleted[:20]:
                self.assertIsNone(self.cluster.get(self.destination, key), key)
            self.assertGreaterEqual(self.assert_balanced(rule)["published"],
                                    writer.operations)

    def wait_midway(self, rule):
        """Waits until between 10 % and 60 % of the history is done."""
        done = wait("10 % is done", lambda: (
            d if (d := self.cluster.done(rule)) >= OBJECTS // 10 else 0), 60)
        self.assertLess(done, OBJECTS * 6 // 10, "too fast to be disturbed")
        return done

    def test_of_two_copiers_one_is_killed(self):
        self.some_history(OBJECTS)
        # The one that works is the one that came first.
        first = self.cluster.copier("first", slots=1)
        rule = self.cluster.rule(self.source, self.destination)
        wait("the first begins", lambda: self.cluster.done(rule) > 0)
        self.cluster.copier("second")
        done = self.wait_midway(rule)
        first.kill()
        killed = time.monotonic()
        wait("the second goes on",
             lambda: self.cluster.done(rule) > max(done, OBJECTS * 6 // 10))
        # Lease and grace of 2 s + 1 s, and the work itself.
        self.assertLess(time.monotonic() - killed, 20)
        self.assert_in_step(rule)
        self.assertEqual(self.cluster.done(rule), OBJECTS)

    def test_server_is_killed_while_a_writer_writes(self):
        self.some_history(500)
        self.cluster.copier("c")
        rule = self.cluster.rule(self.source, self.destination)
        writer = self.writer([f"{i % 10}/{i:05}" for i in range(300)])
        for _ in range(3):
            writer.wait_operations(30)
            self.cluster.server.kill()
            self.cluster.start_server()
            self.assert_balanced(rule)
        writer.wait_operations(30)
        writer.finish()
        self.assert_in_step(rule, writer)

    def test_notifier_is_killed_while_a_writer_writes(self):
        self.cluster.copier("c")
        rule = self.cluster.rule(self.source, self.destination)
        writer = self.writer([f"{i}" for i in range(50)], exist=False)
        for _ in range(3):
            writer.wait_operations(30)
            self.notifiers[HANGZHOU].kill()
            writer.wait_operations(10)
            self.notifiers[HANGZHOU] = self.cluster.notifier(HANGZHOU)
        writer.wait_operations(30)
        writer.finish()
        self.assert_in_step(rule, writer)

    def test_copier_is_killed_twice_while_a_writer_writes(self):
        self.some_history(OBJECTS)
        copier = self.cluster.copier("c", slots=2)
        rule = self.cluster.rule(self.source, self.destination)
        writer = self.writer([f"{i % 10}/{i:05}" for i in range(0, OBJECTS, 9)])
        self.wait_midway(rule)
        for _ in range(2):
            copier.kill()
            copier = self.cluster.copier("c", slots=2)
            writer.wait_operations(50)
            self.assert_balanced(rule)
        writer.finish()
        self.assert_in_step(rule, writer)

    def freeze(self, process):
        """Stops a process, as if its machine had stalled.

        Not while it holds the lock of the destination's store: of a local store
        that is one for all its processes, and they would stall with it.
        """
        lock = self.cluster.folder / SHANGHAI / "write.lock"

        def stopped_without_lock():
            os.kill(process.pid, signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)
            with lock.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return True
                except BlockingIOError:
                    os.kill(process.pid, signal.SIGCONT)
        wait("a moment without the lock", stopped_without_lock)
        self.addCleanup(os.kill, process.pid, signal.SIGCONT)

    def test_frozen_copier_changes_nothing_when_it_wakes(self):
        self.some_history(OBJECTS)
        frozen = self.cluster.copier("frozen", slots=2)
        rule = self.cluster.rule(self.source, self.destination)
        self.wait_midway(rule)
        self.freeze(frozen)
        self.cluster.copier("other")
        writer = self.writer([f"{i % 10}/{i:05}" for i in range(OBJECTS)])
        writer.wait_operations(100)
        writer.finish()
        self.assert_in_step(rule, writer)
        os.kill(frozen.pid, signal.SIGCONT)
        # It finds out that its leases are over before it takes another.
        self.cluster.put(self.source, "after", b"1")
        self.assert_in_step(rule, writer)
