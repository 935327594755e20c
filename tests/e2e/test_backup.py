"""Backups of a server under load, restores, and databases that are damaged."""

import sqlite3
import subprocess
import threading
import unittest

from harness import BIN, Cluster, HANGZHOU, Process, SHANGHAI, crr, wait


def server(*flags):
    """Runs crr-server to its end; returns status and lines of the log."""
    done = subprocess.run([BIN / "crr-server", *map(str, flags)], text=True,
                          timeout=60, capture_output=True,
                          stdin=subprocess.DEVNULL)
    assert not done.stdout, "standard output is for ready lines alone"
    return done.returncode, done.stderr.splitlines()


def counted(path):
    """How many buckets and rules of Load a backup holds, checked to be the
    first ones."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        numbers = [int(name.removeprefix("load-")) for (name,) in
                   database.execute("SELECT bucket FROM buckets "
                                    "WHERE bucket LIKE 'load-%'")]
        rules = [int(name.removeprefix("load-")) for (name,) in
                 database.execute("SELECT source FROM rules")]
        (check,), = database.execute("PRAGMA integrity_check")
    finally:
        database.close()
    assert check == "ok", check
    assert sorted(numbers) == list(range(len(numbers)))
    assert sorted(rules) == list(range(0, 2 * len(rules), 2))
    return len(numbers), len(rules)


class Load(threading.Thread):
    """Makes buckets load-0, load-1, … and of each two a rule, until stopped."""

    def __init__(self, address):
        super().__init__()
        self.client = crr.Client(address)
        self.asked = [0, 0]  # Buckets, rules.
        self.done = [0, 0]
        self.stopping = threading.Event()
        self.start()

    def run(self):
        while not self.stopping.is_set():
            number = self.asked[0]
            self.asked[0] += 1
            self.client.call("BucketService.CreateBucket", {
                "bucketId": f"load-{number}", "bucket": {
                    "region": f"regions/{(HANGZHOU, SHANGHAI)[number % 2]}",
                    "owner": "acme"}})
            self.done[0] += 1
            if number % 2:
                self.asked[1] += 1
                self.client.call("ReplicationService.CreateRule", {
                    "parent": f"buckets/load-{number - 1}", "ruleId": "r",
                    "rule": {"destinationBucket": f"buckets/load-{number}",
                             "operations": "ADD_CHANGE",
                             "replicateHistorical": False}})
                self.done[1] += 1

    def stop(self):
        self.stopping.set()
        self.join()
        self.client.close()


class BackupTest(unittest.TestCase):

    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)
        self.folder = self.cluster.folder
        self.storage = f"--storage=sqlite:{self.folder}/crr.db"

    def test_under_load_each_is_the_state_of_one_instant(self):
        load = Load(self.cluster.address)
        self.addCleanup(load.stop)
        for i in range(8):
            more = load.done[0] + 40
            wait("the load goes on", lambda: load.done[0] >= more)
            file = self.folder / f"{i}.backup"
            before = list(load.done)
            status, log = server(f"--backup={file}", self.storage)
            after = list(load.asked)
            self.assertEqual(status, 0, log)
            self.assertEqual(len(log), 1)
            self.assertRegex(log[0], r"backup_written .*bytes=\d+ .*took=")
            for held, least, most in zip(counted(file), before, after):
                self.assertLessEqual(least, held)
                self.assertLessEqual(held, most)
        self.assertFalse(list(self.folder.glob("*.incomplete*")))
        load.stop()
        self.assertEqual(self.cluster.server.stop(), 0)

    def test_killed_backup_leaves_nothing_that_looks_whole(self):
        self.cluster.add_idle_rules(10_000)
        for i in range(4):
            file = self.folder / f"{i}.backup"
            incomplete = self.folder / f"{i}.backup.incomplete"
            backup = Process(self.folder, f"backup-{i}", "crr-server",
                             f"--backup={file}", self.storage)
            wait("it has begun", lambda: incomplete.exists()
                 and incomplete.stat().st_size >= i << 20)
            backup.kill()
            self.assertFalse(file.exists())
            status, log = server(f"--backup={file}", self.storage)
            self.assertEqual(status, 0, log)
            self.assertFalse(list(self.folder.glob("*.incomplete*")))
            file.unlink()
        # The server noticed nothing.
        self.assertTrue(self.cluster.client.call(
            "ReplicationService.GetRule",
            {"name": "buckets/idle-1-src/rules/idle"}))

    def test_what_is_wrong_is_refused(self):
        for flags, event, words in (
                ((f"--backup={self.folder}/crr.db",), "backup_failed",
                 "is there already"),
                ((f"--backup={self.folder}/nowhere/b",), "backup_failed",
                 "nowhere"),
                ((f"--restore={self.folder}/nowhere",), "restore_failed",
                 "in use by another process")):
            with self.subTest(flags=flags):
                status, log = server(*flags, self.storage)
                self.assertEqual(status, 1)
                self.assertEqual(len(log), 1, log)
                self.assertIn(event, log[0])
                self.assertIn(words, log[0])
        status, log = server("--backup=a", "--restore=b", self.storage)
        self.assertEqual(status, 2)
        self.assertIn("exclude each other", log[0])

    def test_restored_database_is_served(self):
        self.cluster.bucket("photos", HANGZHOU)
        backup = self.folder / "backup"
        self.assertEqual(server(f"--backup={backup}", self.storage)[0], 0)
        self.cluster.bucket("too-late", HANGZHOU)
        self.cluster.server.kill()
        restore = (f"--restore={backup}", self.storage)
        status, log = server(*restore)
        self.assertEqual(status, 1)
        self.assertRegex(log[0], "crr.db is there already: move")
        for suffix in ("", "-wal", "-shm"):
            (self.folder / f"crr.db{suffix}").rename(
                self.folder / f"lost.db{suffix}")
        # It is missed, not begun anew.
        status, log = server("--listen=127.0.0.1:0", self.storage)
        self.assertEqual(status, 1)
        self.assertIn("gone or empty", log[0])
        status, log = server(*restore)
        self.assertEqual(status, 0, log)
        self.assertEqual(len(log), 1)
        self.assertRegex(log[0], "restored .*incarnation=2 .*start the server")
        self.cluster.start_server()
        names = [bucket["name"] for bucket in self.cluster.client.call(
            "BucketService.ListBuckets", {})["buckets"]]
        self.assertEqual(names, ["buckets/photos"])


class DamageTest(unittest.TestCase):

    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)
        self.cluster.add_idle_rules(5_000)
        self.path = self.cluster.folder / "crr.db"

    def damage(self):
        """Overwrites the second half."""
        size = self.path.stat().st_size
        with self.path.open("r+b") as file:
            file.seek(size // 2 // 4096 * 4096)
            file.write(b"\xff" * (size // 2))

    def test_running_server_stops_with_one_line(self):
        self.damage()
        # Whichever call comes upon it first.
        def calls():
            for i in range(0, 5_000, 50):
                self.cluster.client.call("ReplicationService.GetRule", {
                    "name": f"buckets/idle-{i}-src/rules/idle"})
        self.assertRaises(crr.Refusal, calls)
        child = self.cluster.server
        wait("it ends", lambda: not child.running())
        self.assertEqual(child.stop(), 1)
        fatal = [line for line in child.log.read_text().splitlines()
                 if "storage_failed" in line]
        self.assertEqual(len(fatal), 1, fatal)
        for words in (f"path={self.path}", "doing=", "malformed", "remedy="):
            self.assertIn(words, fatal[0])

    def test_start_refuses_a_damaged_database(self):
        self.cluster.server.stop()
        whole = self.path.read_bytes()
        def cut(size):
            return lambda: self.path.write_bytes(whole[:size])
        for name, harm in (("damaged", self.damage), ("empty", cut(0)),
                           ("half", cut(len(whole) // 2)),
                           ("short", cut(len(whole) - 1)),
                           ("text", lambda: self.path.write_text("x" * 9999))):
            with self.subTest(name):
                self.path.write_bytes(whole)
                harm()
                status, log = server("--listen=127.0.0.1:0",
                                     f"--storage=sqlite:{self.path}")
                self.assertEqual(status, 1)
                self.assertEqual(len(log), 1, log)
                for words in ("start_failed", "DATA_LOSS", str(self.path),
                              "restore the last backup"):
                    self.assertIn(words, log[0])
        self.path.write_bytes(whole)
        self.cluster.start_server()
