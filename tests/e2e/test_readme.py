"""What README.md shows is what happens."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import harness
from harness import ROOT, Cluster

README = (ROOT / "README.md").read_text()
STAND_IN = pathlib.Path(__file__).with_name("grpcurl.py")


def sessions():
    """Commands with what they print, of each block of a terminal."""
    for block in re.findall(r"^```console\n(.*?)^```", README, re.S | re.M):
        session = []
        for line in block.splitlines():
            if line.startswith("$ "):
                session.append([line[2:], []])
            elif line.startswith("> "):
                session[-1][0] += "\n" + line[2:]
            else:
                session[-1][1].append(line)
        yield session


def snake(value):
    """JSON with names as in the protos, which newer grpcurl prints."""
    if isinstance(value, dict):
        return {re.sub("[A-Z]", lambda c: "_" + c[0].lower(), name): snake(v)
                for name, v in value.items()}
    return [snake(v) for v in value] if isinstance(value, list) else value


def normal(lines):
    """What was printed: words and JSON values in their order, without times
    and etags."""
    text = re.sub(r'"(etag|\w+[tT]ime)": "[^"]*"', r'"\1": "..."',
                  "\n".join(lines))
    found = []
    while text := text.lstrip():
        if text[0] == "{":
            value, end = json.JSONDecoder().raw_decode(text)
            found.append(snake(value))
        else:
            end = len(text.split(None, 1)[0])
            found.append(text[:end])
        text = text[end:]
    return found


class ReadmeTest(unittest.TestCase):

    def replay(self, grpcurl):
        for session in sessions():
            with tempfile.TemporaryDirectory() as programs:
                os.symlink(grpcurl, pathlib.Path(programs, "grpcurl"))
                self.replay_session(session, programs)

    def replay_session(self, session, programs):
        cluster = Cluster()
        self.addCleanup(cluster.close)
        mark = "-- that was all --"
        script = "".join(
            command.replace("127.0.0.1:7443", cluster.address)
            + f"\necho '{mark}'\n" for command, _ in session)
        done = subprocess.run(
            ["bash"], input=script, text=True, timeout=120,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}",
                 "CRR_STUBS": harness.STUBS})
        printed = done.stdout.split(mark)
        self.assertEqual(len(printed), len(session) + 1, done.stdout)
        for (command, expected), actual in zip(session, printed):
            with self.subTest(command):
                self.assertEqual(normal(expected),
                                 normal(actual.splitlines()))

    def test_terminal_without_grpcurl(self):
        self.replay(STAND_IN)

    @unittest.skipUnless(shutil.which("grpcurl"), "grpcurl is not installed")
    def test_terminal_with_grpcurl(self):
        self.replay(shutil.which("grpcurl"))

    def test_table_names_what_there_is(self):
        table = README.split("| guarantee |")[1].split("\n\n")[0]
        for path in re.findall(r"`(tests/[\w/.]+)`", table):
            self.assertTrue((ROOT / path).exists(), path)
        binaries = {path.name
                    for path in (harness.BIN.parent / "tests").iterdir()}
        tests = re.findall(r"`(\w+_test)`", table)
        self.assertTrue(tests)
        for name in tests:
            self.assertIn(name, binaries)
        for name in re.findall(r"`(test_\w+)`", table):
            self.assertTrue((ROOT / "tests/e2e" / f"{name}.py").exists(), name)
