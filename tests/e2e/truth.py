"""What a writer did to a bucket, and what its replica may show of it.

Each content of a key, and each absence, has a number, counted from 1, which the
object's size tells: a listing of the destination says which one each key has
reached. Edits of the metadata alone are counted from each content on, and the
metadata tells their number.
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
    size: int = 0  # About.
    edit: int = 0  # Of the metadata; 0 where the content is written, too.
    finished: float | None = None  # By the wall clock; None while under way.


class History:
    """The operations on each key, in order. Thread-safe.

    A key has one writer, so its operations follow one another.
    """

    def __init__(self):
        self._mutex = threading.Lock()
        self._operations = collections.defaultdict(list)

    def begin(self, key, exists, size=0):
        """A deletion, or another content of about `size` bytes."""
        with self._mutex:
            operations = self._operations[key]
            number = operations[-1].number + 1 if operations else 1
            assert number < SIZE_STEP, key
            operations.append(Operation(number, exists, size))
            return operations[-1]

    def begin_edit(self, key):
        """Other metadata of what is there."""
        with self._mutex:
            operations = self._operations[key]
            last = operations[-1]
            assert last.exists, key
            operations.append(dataclasses.replace(last, edit=last.edit + 1,
                                                  finished=None))
            return operations[-1]

    def snapshot(self):
        with self._mutex:
            return {key: [dataclasses.replace(o) for o in operations]
                    for key, operations in self._operations.items()}


def content(key, operation):
    """What is there after `operation`."""
    size = operation.size // SIZE_STEP * SIZE_STEP + operation.number
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


def metadata_of(facts):
    """The user metadata in facts as an index of a store has them: what they
    begin with (client/store/facts_codec.h)."""
    words, at = [], 8
    for _ in range(2 * int.from_bytes(facts[:at], "little")):
        begin = at + 8
        at = begin + int.from_bytes(facts[at:begin], "little")
        words.append(facts[begin:at].decode())
    return dict(zip(words[::2], words[1::2]))


def stale_facts(history, facts):
    """What is wrong with the metadata in a bucket once it has everything.
    `facts` are those of each object, by key."""
    wrong = []
    for key, operations in history.items():
        if not operations[-1].exists:
            continue
        edit = int(metadata_of(facts[key]).get("edit", 0))
        if edit != operations[-1].edit:
            wrong.append(f"{key}: edit {operations[-1].edit} was made, yet "
                         f"edit {edit} is there")
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
