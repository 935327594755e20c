#!/usr/bin/python3
"""What idle rules cost: the server, two notifiers and a copier, all real.

  tests/bench/idle.py [RULES [SECONDS]]      100,000 rules, 60 seconds

First with one rule, then with RULES idle ones beside it, in the same run:
  restart   from the server's start to its first answer
  idle      over SECONDS: processor time of all, bytes written to the disk,
            bytes that copier and notifiers read from files
  write     from the end of a write to its arrival, at the median
  call      the first call after 1 to 2 seconds without any (200 of them)
What is beyond what crr promises is named, and the exit status is 1. Needs a
built tree, and a machine that does nothing else.
"""

import os
import pathlib
import random
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402
from harness import HANGZHOU, SHANGHAI  # noqa: E402

WRITES = 30
# What is promised: percent of a core, bytes, seconds, milliseconds.
CPU_MAX, WRITTEN_MAX, RESTART_MAX, CALL_P99_MAX = 1.0, 0, 2.0, 5.0

broken = []


def promise(what, value, most):
    if value > most:
        broken.append(f"{what}: {value:.2f}, promised at most {most}")
CALLS = int(os.environ.get("CALLS", "200"))


def idle(cluster, seconds):
    """Percent of a core, bytes written, bytes read, files that changed."""
    # Leases linger for 10 seconds on an empty log, and within 10 more the
    # ledger watch reads what was touched, which moves a mark in the database's
    # shared memory.
    time.sleep(25)
    before = cluster.files()
    count = [(p, p.cpu_seconds(), p.io("write_bytes"), p.io("rchar"))
             for p in cluster.processes if p.running()]
    time.sleep(seconds)
    cpu = {p.name: p.cpu_seconds() - c for p, c, _, _ in count}
    written = sum(p.io("write_bytes") - w for p, _, w, _ in count)
    read = sum(p.io("rchar") - r for p, _, _, r in count
               if p.name != "server")
    after = cluster.files()
    changed = [str(path) for path in after if before.get(path) != after[path]]
    shown = ", ".join(f"{name} {100 * c / seconds:.2f} %"
                      for name, c in cpu.items())
    print(f"  idle     {100 * sum(cpu.values()) / seconds:.2f} % of a core "
          f"({shown}), {written} bytes written, {read} read from files, "
          f"{len(changed)} files changed")
    for path in changed:
        print("           changed:", path)
    promise("percent of a core", 100 * sum(cpu.values()) / seconds, CPU_MAX)
    promise("bytes written", written, WRITTEN_MAX)
    promise("files changed", len(changed), 0)


def arrival(cluster):
    times = []
    for i in range(WRITES):
        key = f"{time.time_ns()}"
        cluster.put("src", key, b"x" * 1000)
        begun = time.monotonic()
        harness.wait("it arrives", lambda: cluster.get("dst", key))
        times.append(time.monotonic() - begun)
    median = statistics.median(times)
    print(f"  write    {median * 1000:.0f} ms at the median, "
          f"{max(times) * 1000:.0f} ms at most, of {WRITES}")
    return median


def first_calls(cluster, calls):
    times = []
    for _ in range(calls):
        time.sleep(random.uniform(1, 2))
        begun = time.monotonic()
        cluster.client.call("ReplicationService.GetRule",
                            {"name": "buckets/src/rules/r"})
        times.append(1000 * (time.monotonic() - begun))
    times.sort()
    print(f"  call     p50 {times[len(times) // 2]:.2f} ms, "
          f"p99 {times[len(times) * 99 // 100 - 1]:.2f} ms, "
          f"max {times[-1]:.2f} ms, of {calls}")
    promise("ms for a first call", times[len(times) * 99 // 100 - 1],
            CALL_P99_MAX)


def main(rules=100_000, seconds=60):
    cluster = harness.Cluster(lease_ttl="10s")
    try:
        for region in (HANGZHOU, SHANGHAI):
            cluster.region(region)
            cluster.notifier(region)
        cluster.copier("copier")
        cluster.bucket("src", HANGZHOU)
        cluster.bucket("dst", SHANGHAI)
        # The store makes a bucket with its first object.
        cluster.put("src", "first", b"x")
        rule = cluster.rule("src", "dst")
        cluster.wait_synced(rule)
        print("1 rule")
        base = arrival(cluster)
        idle(cluster, seconds)
        print(f"{rules + 1} rules")
        restart = cluster.add_idle_rules(rules)
        print(f"  restart  {restart:.2f} s")
        promise("seconds to restart", restart, RESTART_MAX)
        cluster.wait_synced(rule)
        print(f"  write    {arrival(cluster) / base:.2f} times as long")
        idle(cluster, seconds)
        first_calls(cluster, CALLS)
    finally:
        cluster.close()
    for line in broken:
        print("not kept:", line)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
