"""Flags, environment and signals of the four programs."""

import os
import pathlib
import subprocess
import tempfile
import unittest

from harness import BIN, E2eTest, HANGZHOU, Process, crr

PROGRAMS = ("crr-server", "crr-copier", "crr-notifier", "crrctl")


def run(program, *flags, environment=None):
    return subprocess.run([BIN / program, *flags], text=True, timeout=20,
                          capture_output=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, **(environment or {})})


class FlagsTest(unittest.TestCase):

    def test_version(self):
        for program in PROGRAMS:
            done = run(program, "--version")
            self.assertEqual(done.returncode, 0)
            self.assertRegex(done.stdout, rf"^{program} \d+\.\d+\.\d+\n$")

    def test_help_names_every_flag(self):
        flags = {"crr-server": ["listen", "storage", "lease_ttl",
                                "allow_plaintext"],
                 "crr-copier": ["server", "id", "slots", "region",
                                "local_roots"],
                 "crr-notifier": ["server", "id", "region", "local_roots"],
                 "crrctl": ["server", "local_roots"]}
        for program, names in flags.items():
            done = run(program, "--help")
            self.assertEqual(done.returncode, 0)
            for name in names:
                self.assertIn(f"--{name}", done.stdout)

    def test_what_is_wrong_is_refused(self):
        for program in PROGRAMS:
            done = run(program, "--no-such-flag")
            self.assertEqual(done.returncode, 2, program)
            self.assertIn("no-such-flag", done.stderr)
            self.assertEqual(done.stdout, "")
        self.assertEqual(run("crr-server", "--lease_ttl=soon").returncode, 2)
        self.assertEqual(run("crr-copier", "--slots=many").returncode, 2)
        self.assertEqual(run("crr-server", environment={
            "CRR_LEASE_TTL": "soon"}).returncode, 2)

    def test_plaintext_stays_on_loopback(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run("crr-server", "--listen=0.0.0.0:0",
                       f"--storage=sqlite:{folder}/crr.db")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("allow_plaintext", done.stderr)


class RunningTest(E2eTest):

    def test_environment_sets_flags_and_the_command_line_wins(self):
        folder = self.cluster.folder
        server = Process(folder, "by-environment", "crr-server",
                         "--listen=127.0.0.1:0", environment={
                             "CRR_LISTEN": "not an address",
                             "CRR_STORAGE": f"sqlite:{folder}/other.db"})
        self.addCleanup(server.stop)
        with crr.Client(server.ready().split()[-1]) as client:
            self.assertTrue(client.call("RegionService.ListRegions", {}))
        self.assertTrue(pathlib.Path(folder, "other.db").exists())

    def test_sigterm_ends_each_in_order(self):
        copier = self.cluster.copier("c")
        for process in (copier, self.notifiers[HANGZHOU], self.cluster.server):
            with self.subTest(program=process.name):
                self.assertEqual(process.stop(), 0)
        # Standard output has the ready lines alone.
        for process in (copier, self.notifiers[HANGZHOU]):
            lines = process.out.read_text().splitlines()
            self.assertEqual(len(lines), 1, lines)
            self.assertRegex(lines[0], r"^crr-(copier|notifier) ready$")

    def test_server_ends_in_order_while_others_are_connected(self):
        self.cluster.copier("c")
        self.assertEqual(self.cluster.server.stop(), 0)
