"""A disk runs full under load, the server's or a destination's, for longer than
a lease outlives its copier, and has room again: nothing is lost, no session
either."""

import pathlib
import subprocess
import tempfile
import time

import grpc

from chaos import ChaosTest
from harness import BEIJING, HANGZHOU, SHANGHAI, crr, wait
from load import publish


class SmallDisk:

    def mount(self, folder, mib):
        self.disk = folder
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m",
                                "crr", folder], capture_output=True, text=True)
        if mount.returncode:
            self.skipTest(mount.stderr.splitlines()[0])
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.disk],
                        check=True)

    def fill_up(self):
        """As somebody else may."""
        with (self.disk / "ballast").open("ab", buffering=0) as ballast:
            with self.assertRaises(OSError):
                while ballast.write(b"b" * 4096):
                    pass

    def sessions(self):
        copiers = self.cluster.client.call("AdminService.ListCopiers", {})
        return {copier["name"]: (copier["sessionNumber"], copier["connected"])
                for copier in copiers["copiers"]}


class ServerFullTest(SmallDisk, ChaosTest):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="crr-disk-")
        self.addCleanup(folder.cleanup)
        self.mount(pathlib.Path(folder.name), 16)
        self.server_flags = (f"--storage=sqlite:{self.disk}/crr.db",)
        super().setUp()

    def pause_another(self):
        """A rule whose log takes room and gives none back."""
        self.cluster.bucket("paused-src", HANGZHOU)
        self.cluster.bucket("paused-dst", SHANGHAI)
        name = {"name": self.cluster.rule("paused-src", "paused-dst")}
        call = self.cluster.client.call
        wait("it is active", lambda: call(
            "ReplicationService.GetRule", name)["state"] == "ACTIVE")
        call("ReplicationService.PauseRule", name)

    def refuses(self):
        """Whether changes are refused. Until they are, they take the room that
        the database's own files have, or that the copiers have just made."""
        try:
            publish(self.cluster, "paused-src",
                    [f"{i}/" + "k" * 900 for i in range(1000)])
            return False
        except grpc.RpcError as error:
            refusal = crr.Refusal(error)
            self.assertEqual((refusal.code, refusal.reason),
                             ("RESOURCE_EXHAUSTED", "STORAGE_FULL"))
            return True

    def test_full_for_longer_than_a_lease_lives(self):
        self.begin()
        self.start_copier()
        self.hurry()
        sessions = self.sessions()
        self.assertEqual(len(sessions), 2)
        self.pause_another()
        self.fill_up()
        wait("writes are refused", self.refuses)
        # Twice as long as a copier that is not heard keeps its leases.
        until = time.monotonic() + 3 * self.ttl
        while time.monotonic() < until:
            self.assertTrue(self.refuses())
            # Heartbeats and whoever only asks are answered.
            self.assertEqual(self.sessions(), sessions)
            self.assert_balanced(self.rule)
        # last_sync_time does not run ahead, either.
        self.writer.wait_operations(20)
        self.checker.wait_looks(1)
        self.assertTrue(self.refuses())
        (self.disk / "ballast").unlink()
        self.end()
        self.assertEqual(self.sessions(), sessions)


class DestinationFullTest(SmallDisk, ChaosTest):

    # What counts against an object does so quickly.
    server_flags = ("--object_retry=20ms",)

    def prepare_roots(self):
        root = self.cluster.folder / SHANGHAI
        root.mkdir()
        # With room for the index, its log of up to 16 MiB, and large objects.
        self.mount(root, 48)

    def conditions(self):
        return [condition["message"] for condition in self.cluster.progress(
            self.rule).get("conditions", [])]

    def assert_none_dead(self):
        self.assertEqual([], [
            work for work in self.cluster.failed_objects(self.rule)
            if work["state"] == "DEAD"])

    def test_full_for_longer_than_a_lease_lives(self):
        self.begin(objects=400)
        self.start_copier()
        self.hurry()
        sessions = self.sessions()
        self.assertEqual(len(sessions), 2)
        self.fill_up()
        large = [f"large/{i}" for i in range(5)]
        for key in large:
            self.put(key, 1_000_000)
        wait("somebody is told", lambda: any(
            "STORE_FULL" in message for message in self.conditions()))
        # Another rule goes on.
        self.cluster.region(BEIJING)
        self.cluster.bucket("src2", HANGZHOU)
        self.cluster.bucket("dst2", BEIJING)
        other = self.cluster.rule("src2", "dst2")
        until = time.monotonic() + 3 * self.ttl
        while time.monotonic() < until:
            self.cluster.put("src2", "k", f"{until}".encode())
            self.cluster.wait_synced(other)
            # What goes makes room.
            self.fill_up()
            self.assertEqual(self.sessions(), sessions)
            self.assert_balanced(self.rule)
            self.assert_none_dead()
        self.assertTrue(self.cluster.facts(
            SHANGHAI, self.destination).keys().isdisjoint(large))
        (self.disk / "ballast").unlink()
        self.end()
        self.assertEqual(self.sessions(), sessions)
        self.assertEqual(self.cluster.failed_objects(self.rule), [])
        self.assertEqual(self.conditions(), [])
