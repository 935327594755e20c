"""What a writer did to a bucket, and what its replica may show of it.

Each operation on a key has a number, counted from 1, which the object's size
tells: a listing of the destination says which operation each key has reached.
Nothing here needs crr; test_truth.py plants faults.
"""

import collections
import dataclasses
import threading

SIZE_STEP = 1000


@dataclasses.dataclass
class Operation:
    number: int
    exists: bool  # Afterwards; a deletion otherwise.
    finished: float | None = None  # By the wall clock; None while under way.


class History:
    """The operations on each key, in order. Thread-safe.

    A key has one writer, so its operations follow one another.
    """

    def __init__(self):
        self._mutex = threading.Lock()
        self._operations = collections.defaultdict(list)

    def begin(self, key, exists):
        with self._mutex:
            operations = self._operations[key]
            operation = Operation(len(operations) + 1, exists)
            assert operation.number < SIZE_STEP, key
            operations.append(operation)
            return operation

    def snapshot(self):
        with self._mutex:
            return {key: [dataclasses.replace(o) for o in operations]
                    for key, operations in self._operations.items()}


def content(key, operation, size=0):
    """What `operation` writes; of about `size` bytes."""
    size = size // SIZE_STEP * SIZE_STEP + operation.number
    words = f"{operation.number} {key} ".encode()
    return (words * (size // len(words) + 1))[:size]


def unfinished_before(operations, time):
    """Whether the last operation on a key may come after `time`."""
    last = operations[-1].finished if operations else 0
    return last is None or last >= time


def lies(history, time, sizes):
    """What is wrong if everything written before `time` is in a bucket.

    `history` is a snapshot that was taken after the bucket was listed, and
    `sizes` the listing: the size of each object, by key. A later state of a key
    than that at `time` is as good.
    """
    wrong = [f"{key}: nobody wrote it" for key in sizes if key not in history]
    for key, operations in history.items():
        reached = sizes.get(key, 0) % SIZE_STEP if key in sizes else None
        written = {o.number: o for o in operations}
        if reached is not None and not (reached in written
                                        and written[reached].exists):
            wrong.append(f"{key}: nobody wrote number {reached}")
            continue
        before = [o for o in operations
                  if o.finished is not None and o.finished < time]
        if not before:
            continue
        must = before[-1]
        if reached is None:
            reached = max((o.number for o in operations if not o.exists),
                          default=0)
        if reached < must.number:
            wrong.append(f"{key}: number {must.number} was written at "
                         f"{must.finished:.6f}, before {time:.6f}, yet number "
                         f"{reached} is there")
    return wrong


def imbalance(live):
    """What is wrong with the ledger (I4) of a rule's progress; else empty."""
    count = {name: int(live[name])
             for name in ("published", "applied", "collapsed", "resync",
                          "pending", "failed")}
    filtered = sum(int(n) for n in live.get("filtered", {}).values())
    told = (count["applied"] + count["collapsed"] + filtered + count["resync"]
            + count["pending"] + count["failed"])
    if told == count["published"]:
        return ""
    return f"{count['published']} published, but {told} told of: {live}"
