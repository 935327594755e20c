"""Real crr processes in a folder of their own, for the tests beside this file.

Tests wait for what they need with a time limit; none waits for a time to pass.
"""

import contextlib
import datetime
import fcntl
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build" / "release" / "bin"
sys.path.insert(0, str(ROOT / "deploy"))
import client as crr  # noqa: E402

import truth  # noqa: E402

ALL = "CRR_E2E_ALL" in os.environ
HANGZHOU = "oss-cn-hangzhou"
SHANGHAI = "oss-cn-shanghai"
BEIJING = "oss-cn-beijing"

_stubs = tempfile.TemporaryDirectory(prefix="crr-stubs-")
STUBS = os.environ.get("CRR_STUBS", _stubs.name + "/stubs")
crr.load_stubs(STUBS)


def wait(what, check, seconds=30):
    """Returns the first true answer of `check`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Process:
    """A program of crr: started here, ended here, by its process id."""

    def __init__(self, folder, name, program, *flags, environment=None,
                 wrapper=()):
        self.name = name
        self.out = folder / f"{name}.out"
        self.log = folder / f"{name}.log"
        # Appended, so that the log of a killed predecessor stays.
        with self.out.open("wb") as out, self.log.open("ab") as log:
            self._child = subprocess.Popen(
                # Ended with this process, even if that is killed.
                ["setpriv", "--pdeathsig", "KILL", *wrapper, BIN / program,
                 *flags],
                stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                env={**os.environ, **(environment or {})})
        self.pid = self._child.pid

    def ready(self, seconds=20):
        """Waits for the ready line and returns it."""
        def look():
            ended = self._child.poll() is not None
            lines = [line for line in self.out.read_text().splitlines()
                     if " ready" in line]
            if ended and not lines:
                raise AssertionError(f"{self.name} ended with "
                                     f"{self._child.returncode}\n"
                                     + self.log.read_text())
            return lines
        return wait(f"{self.name} is ready", look, seconds)[0]

    def kill(self):
        """As by `kill -9`."""
        self._child.kill()
        self._child.wait()

    def wait_end(self, seconds=20):
        """Waits until it ends by itself; returns the exit status."""
        return self._child.wait(seconds)

    def freeze(self, *locks):
        """Stops it, as if its machine had stalled, until thaw().

        Not while it holds one of `locks`, files that all processes of a local
        store share: they would stall with it.
        """
        def stopped_without_locks():
            self._suspend()
            for lock in locks:
                with lock.open() as file:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        self.thaw()
                        return False
            return True
        wait("a moment without a lock", stopped_without_locks)

    def freeze_with(self, lock):
        """Stops it while it holds `lock` itself, until thaw()."""
        inode = str(lock.stat().st_ino)

        def stopped_with_lock():
            self._suspend()
            for line in pathlib.Path("/proc/locks").read_text().splitlines():
                # 1: FLOCK  ADVISORY  WRITE pid major:minor:inode 0 EOF
                fields = line.split()
                if (fields[1] == "FLOCK" and fields[4] == str(self.pid)
                        and fields[5].rpartition(":")[2] == inode):
                    return True
            self.thaw()
            return False
        wait("a moment with the lock", stopped_with_lock)

    def _suspend(self):
        self._child.send_signal(signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def thaw(self):
        self._child.send_signal(signal.SIGCONT)

    def stop(self, seconds=20):
        """As by SIGTERM; returns the exit status."""
        if self._child.poll() is None:
            self._child.terminate()
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def running(self):
        return self._child.poll() is None

    def cpu_seconds(self):
        """Processor time used until now."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text()
        user, system = fields.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def io(self, counter):
        """A counter of /proc/PID/io, such as write_bytes."""
        for line in pathlib.Path(f"/proc/{self.pid}/io").open():
            if line.startswith(counter + ":"):
                return int(line.split()[1])
        raise AssertionError(f"no {counter}")

    def peak_memory(self):
        """The most memory that was resident at once, in bytes."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").open():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")


class Cluster:
    """A server, its database, and for each region a store."""

    def __init__(self, lease_ttl="2s", server_flags=()):
        self._temporary = tempfile.TemporaryDirectory(prefix="crr-e2e-")
        # The store's root is compared with symbolic links resolved.
        self.folder = pathlib.Path(self._temporary.name).resolve()
        self.lease_ttl = lease_ttl
        self.server_flags = server_flags
        self.processes = []
        self.address = "127.0.0.1:0"
        self.client = None
        self.start_server()

    def close(self):
        self.client.close()
        # Those that depend on others first; a server may have come last.
        for process in sorted(reversed(self.processes),
                              key=lambda process: process.name == "server"):
            process.stop()
        self._temporary.cleanup()

    def logs(self):
        return "\n".join(f"---- {log.name}\n{log.read_text()[-4000:]}"
                         for log in sorted(self.folder.glob("*.log")))

    def _start(self, name, program, *flags, **options):
        process = Process(self.folder, name, program, *flags, **options)
        self.processes.append(process)
        return process

    def start_server(self):
        """Starts it; after a kill with the same address and database."""
        self.server = self._start("server", "crr-server",
                                  f"--listen={self.address}",
                                  "--metrics_listen=127.0.0.1:0",
                                  f"--storage=sqlite:{self.folder}/crr.db",
                                  f"--lease_ttl={self.lease_ttl}",
                                  *self.server_flags)
        self.address = self.server.ready().split()[-1]
        # A channel finds out only by a failing call that its server was killed.
        if self.client:
            self.client.close()
        self.client = crr.Client(self.address)

    def add_idle_rules(self, count):
        """Restarts the server with `count` more active rules: see
        many_rules.cc. Returns how long it took from there to an answer."""
        self.server.stop()
        subprocess.run([BIN.parent / "tests" / "many_rules",
                        self.folder / "crr.db", str(count)], check=True)
        begun = time.monotonic()
        self.start_server()
        self.client.call("ReplicationService.GetRule",
                         {"name": f"buckets/idle-{count - 1}-src/rules/idle"})
        return time.monotonic() - begun

    def files(self):
        """What the disk holds of database and stores: size and time by
        path."""
        return {path: (path.stat().st_size, path.stat().st_mtime_ns)
                for path in self.folder.rglob("*")
                if path.is_file() and path.suffix not in (".log", ".out")}

    def region(self, region):
        """Gives a region a store and returns its resource name."""
        root = self.folder / region
        root.mkdir(exist_ok=True)
        name = f"regions/{region}"
        self.client.call("RegionService.UpdateRegion", {"region": {
            "name": name, "store": {"local": {"root": str(root)}}}})
        return name

    def notifier(self, region, notifier_id=None):
        notifier_id = notifier_id or f"n-{region}"
        notifier = self._start(f"notifier-{notifier_id}", "crr-notifier",
                               f"--server={self.address}",
                               f"--id={notifier_id}",
                               f"--region={region}",
                               f"--local_roots={self.folder}")
        notifier.ready()
        return notifier

    def copier(self, name, slots=4, copier_id=None, wrapper=()):
        copier = self._start(name, "crr-copier", f"--server={self.address}",
                             f"--id={copier_id or name}", f"--slots={slots}",
                             f"--local_roots={self.folder}",
                             wrapper=wrapper)
        copier.ready()
        return copier

    def bucket(self, name, region, owner="acme"):
        self.client.call("BucketService.CreateBucket", {
            "bucketId": name,
            "bucket": {"region": f"regions/{region}", "owner": owner}})
        return f"buckets/{name}"

    def rule(self, source, destination, rule_id="r", **fields):
        """Creates a rule that replicates everything, but for `fields`."""
        rule = {"destinationBucket": f"buckets/{destination}",
                "operations": "ADD_DELETE_CHANGE", "replicateHistorical": True,
                **fields}
        return self.client.call("ReplicationService.CreateRule", {
            "parent": f"buckets/{source}", "ruleId": rule_id,
            "rule": rule})["name"]

    def crrctl(self, *arguments, stdin=b"", check=True, flags=()):
        """Runs crrctl; `arguments` may be bytes, for awkward keys."""
        done = subprocess.run(
            [BIN / "crrctl", f"--server={self.address}",
             f"--local_roots={self.folder}", *flags, "--", *arguments],
            input=stdin, capture_output=True, timeout=300)
        if check and done.returncode:
            raise AssertionError(f"crrctl {arguments}: {done.returncode}\n"
                                 + done.stdout.decode(errors="replace")[-2000:]
                                 + done.stderr.decode(errors="replace")[-2000:])
        return done

    def put(self, bucket, key, content, **options):
        return self.crrctl("object", "put", bucket, key, "-", stdin=content,
                           **options)

    def get(self, bucket, key):
        """The object's bytes, or nothing when crrctl says there is none."""
        done = self.crrctl("object", "get", bucket, key, check=False)
        return done.stdout if done.returncode == 0 else None

    def fill(self, bucket, files):
        """Imports `files`, a dict from key to bytes."""
        with tempfile.TemporaryDirectory(dir=self.folder) as temporary:
            for key, content in files.items():
                path = pathlib.Path(temporary, key)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self.crrctl("import", bucket, temporary)

    def index(self, region, query, *parameters):
        """What the index of a region's store answers."""
        path = self.folder / region / "index.db"
        with contextlib.closing(
                sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return db.execute(query, parameters).fetchall()

    def facts(self, region, bucket):
        """What stands beside the bytes of each object, by key: metadata, tags,
        ACL and the rest, as the store's index has them. Equal facts are equal
        bytes."""
        return {key.decode(): facts for key, facts in self.index(
            region, "SELECT key, facts FROM objects JOIN buckets"
            " USING (bucket_id) WHERE name = ? AND is_current AND"
            " NOT is_marker", bucket)}

    def wait_published(self, region):
        """Waits until what was written before now is published: a rule that is
        created after that has none of it in its log."""
        written = time.time()
        wait(f"{region} is published", lambda: any(
            seconds_of(publisher.get("completeThrough")) > written
            for publisher in self.client.call(
                "AdminService.ListPublishers", {}).get("publishers", [])
            if publisher["scope"] == f"regions/{region}"))

    def failed_objects(self, rule, **selection):
        return self.client.call("ReplicationService.ListFailedObjects", {
            "parent": rule, "selection": selection}).get("failedObjects", [])

    def progress(self, rule):
        return self.client.call("ReplicationService.GetRuleProgress",
                                {"name": rule})

    def historical(self, rule):
        return self.progress(rule).get("historical", {})

    def live(self, rule):
        return self.progress(rule)["live"]

    def done(self, rule):
        return int(self.historical(rule).get("doneObjects", 0))

    def wait_backfilled(self, rule, seconds=60):
        wait(f"{rule} has its history",
             lambda: self.historical(rule).get("fraction") == 1
             and self.historical(rule)["inventoryComplete"], seconds)

    def wait_synced(self, rule, seconds=60):
        """Waits until everything written before now is at the destination."""
        written = time.time()
        wait(f"{rule} is in sync", lambda: (
            seconds_of(self.live(rule).get("lastSyncTime")) > written), seconds)


def seconds_of(timestamp):
    """Since the epoch, of a time as JSON has it; 0 for none."""
    if not timestamp:
        return 0
    whole, _, fraction = timestamp.rstrip("Z").partition(".")
    return (datetime.datetime.fromisoformat(whole + "+00:00").timestamp()
            + float(f"0.{fraction or 0}"))


class E2eTest(unittest.TestCase):
    """Two regions with stores and a notifier each; the test starts copiers."""

    lease_ttl = "2s"
    server_flags = ()

    def setUp(self):
        self.cluster = Cluster(self.lease_ttl, self.server_flags)
        self.addCleanup(self.cluster.close)
        self.prepare_roots()
        for region in (HANGZHOU, SHANGHAI):
            self.cluster.region(region)
        self.notifiers = {region: self.cluster.notifier(region)
                          for region in (HANGZHOU, SHANGHAI)}

    def prepare_roots(self):
        """For those who want more of a store's root than a folder."""

    def pair(self, source="src", destination="dst"):
        self.cluster.bucket(source, HANGZHOU)
        self.cluster.bucket(destination, SHANGHAI)
        return source, destination

    def assert_equal_buckets(self, source, destination):
        """Every byte, and everything beside them."""
        self.cluster.crrctl("compare", source, destination)
        replicas = self.cluster.facts(SHANGHAI, destination)
        self.assertEqual([], [
            key for key, facts in self.cluster.facts(HANGZHOU, source).items()
            if replicas[key] != facts], "their facts differ")

    def assert_balanced(self, rule):
        """I4: nothing that was published is lost from the counts."""
        live = self.cluster.live(rule)
        self.assertEqual(truth.imbalance(live), "")
        return {name: int(live[name]) for name in (
            "published", "applied", "collapsed", "resync", "pending",
            "failed")}
