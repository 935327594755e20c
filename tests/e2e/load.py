"""Threads beside a test: one that writes to a source, one that checks what the
server says of its replica while both move."""

import datetime
import importlib
import random
import threading
import time

import truth
from harness import crr, seconds_of, wait


BATCH = 1000  # As many as the contract allows.
# In a file of its own; smaller ones live in the store's index.
LARGE = 33_000


def publish(cluster, bucket, keys):
    """Publishes a change of each of `keys` in this order, without a name;
    returns how many were accepted."""
    pb = importlib.import_module("crr.v1.change_service_pb2")
    grpc_pb = importlib.import_module("crr.v1.change_service_pb2_grpc")
    change_pb = importlib.import_module("crr.v1.change_pb2")
    now = datetime.datetime.utcnow()

    def requests():
        hello = pb.PublishChangesRequest()
        hello.hello.scope = f"buckets/{bucket}"
        yield hello
        for start in range(0, len(keys), BATCH):
            request = pb.PublishChangesRequest()
            request.batch.number = start // BATCH + 1
            for key in keys[start:start + BATCH]:
                change = request.batch.changes.add(
                    bucket=f"buckets/{bucket}", key=key,
                    kind=change_pb.Change.PUT)
                change.event_time.FromDatetime(now)
            yield request
        finish = pb.PublishChangesRequest()
        finish.finish.SetInParent()
        yield finish
    stub = grpc_pb.ChangeServiceStub(cluster.client.channel)
    return sum(answer.ack.accepted
               for answer in stub.PublishChanges(requests(), timeout=120)
               if answer.HasField("ack"))


class Background(threading.Thread):
    """Repeats `step` until it is told to finish, which raises its error, once.
    """

    def __init__(self):
        super().__init__()
        self._finishing = threading.Event()
        self.error = None

    def run(self):
        try:
            while not self._finishing.is_set():
                self.step()
        except BaseException as error:  # Raised again by finish().
            self.error = error

    def finish(self):
        self._finishing.set()
        if self.ident:
            self.join()
        error, self.error = self.error, None
        if error:
            raise error

    def wait_for(self, what, check, seconds=60):
        """Waits for `check`, or for the end of this thread by an error."""
        wait(what, lambda: self.error or check(), seconds)
        if self.error:
            raise self.error


class Writer(Background):
    """Creates, overwrites, edits and deletes random keys by crrctl. An edit
    writes other metadata beside the same bytes.

    An operation is repeated until crrctl says that it is done, and deletes only
    what is there: each makes a change. `history` tells what was done when.
    """

    def __init__(self, cluster, bucket, history, keys, seed=1):
        super().__init__()
        self._cluster = cluster
        self._bucket = bucket
        self._history = history
        self._keys = keys
        self._dice = random.Random(seed)
        self._exist = {key for key, operations in history.snapshot().items()
                       if operations[-1].exists}
        self.operations = 0

    def step(self):
        key = self._dice.choice(self._keys)
        operation = self._begin(key)
        flags = [f"--meta=edit={operation.edit}"] if operation.edit else []
        if operation.exists:
            command = ("object", "put", self._bucket, key, "-")
            self._exist.add(key)
        else:
            command = ("object", "rm", self._bucket, key)
            self._exist.remove(key)
        content = truth.content(key, operation)
        wait(f"crrctl {command}",
             lambda: self._cluster.crrctl(
                 *command, stdin=content, flags=flags,
                 check=False).returncode == 0, 60)
        operation.finished = time.time()
        self.operations += 1

    def _begin(self, key):
        dice = self._dice.random()
        if key in self._exist:
            if dice < 0.3:
                return self._history.begin(key, False)
            if dice < 0.5:
                return self._history.begin_edit(key)
        # Few are large: rules under load have a bound on their rate.
        return self._history.begin(key, True, LARGE if dice > 0.95 else 0)

    def wait_operations(self, more):
        goal = self.operations + more
        self.wait_for("the writer goes on", lambda: self.operations >= goal)


def sizes_of(listing):
    """The size of each object by key, of what `crrctl object ls` says."""
    sizes = {}
    for line in listing.decode().splitlines():
        size, _, rest = line.strip().partition("  ")
        sizes[rest.partition("  ")[2]] = int(size)
    return sizes


class Checker(Background):
    """Asks for a rule's progress again and again, and looks whether it is true:
    last_sync_time against what is at the destination, the ledger against
    itself; and whether any key goes back there.

    While the server is away there is nothing to check.
    """

    def __init__(self, cluster, rule, destination, history):
        super().__init__()
        self._cluster = cluster
        self._rule = rule
        self._destination = destination
        self._history = history
        self._client = None
        self._reached = {}
        self.looks = 0  # With a last_sync_time.
        self.last_sync_time = 0

    def finish(self):
        super().finish()
        if self._client:
            self._client.close()

    def wait_looks(self, more):
        """Waits until last_sync_time was known and checked again."""
        goal = self.looks + more
        self.wait_for("last_sync_time is checked", lambda: self.looks >= goal)

    def step(self):
        # What is said first, and then what is so: it may only have grown.
        live = self._ask()
        if live is None:
            return
        if wrong := truth.imbalance(live):
            raise AssertionError(wrong)
        listing = self._cluster.crrctl("object", "ls", self._destination,
                                       check=False)
        if listing.returncode:
            return
        sizes = sizes_of(listing.stdout)
        said = seconds_of(live.get("lastSyncTime"))
        if wrong := truth.lies(self._history.snapshot(), said, sizes):
            raise AssertionError("\n".join([f"last_sync_time: {live}"] + wrong))
        for key, size in sizes.items():
            number = size % truth.SIZE_STEP
            if number < self._reached.get(key, 0):
                raise AssertionError(f"{key} went back from "
                                     f"{self._reached[key]} to {number}")
            self._reached[key] = number
        if said:
            self.looks += 1
            self.last_sync_time = said
        self._finishing.wait(0.05)

    def _ask(self):
        # A channel whose server was away connects again only after a while.
        self._client = self._client or crr.Client(self._cluster.address)
        try:
            return self._client.call("ReplicationService.GetRuleProgress",
                                     {"name": self._rule}, timeout=2)["live"]
        except crr.Refusal as refusal:
            if refusal.code not in ("UNAVAILABLE", "DEADLINE_EXCEEDED",
                                    "CANCELLED"):
                raise
            self._client.close()
            self._client = None
            self._finishing.wait(0.05)
