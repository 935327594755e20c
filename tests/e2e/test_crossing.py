"""Many clients want crossing rules at once: nobody ever gets two partners."""

import collections
import concurrent.futures
import contextlib
import random
import threading
import unittest
import uuid

from harness import ALL, Cluster, crr

REGIONS = ("oss-cn-hangzhou", "oss-cn-shanghai", "oss-cn-beijing",
           "oss-cn-qingdao", "oss-cn-shenzhen")
CLIENTS = 64
BUCKETS = 20
ROUNDS = 200 if ALL else 20


class CrossingTest(unittest.TestCase):

    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)

    def wishes(self, number):
        """Makes the buckets of a round; returns who wants which pair."""
        dice = random.Random(number)
        buckets = [f"round-{number}-{i}" for i in range(BUCKETS)]
        for i, bucket in enumerate(buckets):
            self.cluster.bucket(bucket, REGIONS[i % len(REGIONS)])
        wishes = []
        while len(wishes) < CLIENTS:
            a, b = dice.sample(range(BUCKETS), 2)
            if (a - b) % len(REGIONS):
                wishes.append((buckets[a], buckets[b]))
        return wishes

    def request(self, i, wish):
        source, destination = wish
        return {"parent": f"buckets/{source}", "ruleId": f"c{i}",
                "requestId": str(uuid.uuid5(uuid.NAMESPACE_URL,
                                            f"{source}/{i}")),
                "rule": {"destinationBucket": f"buckets/{destination}",
                         "operations": "ADD_CHANGE",
                         "replicateHistorical": False,
                         "prefixes": [f"{i}/a", f"{i}/b"],
                         "labels": {"client": f"{i}"}}}

    def play(self, wishes, clients, middle=lambda answered: None):
        """All ask at once; returns the answers. `middle` is called meanwhile,
        with a semaphore that is released for each answer."""
        start = threading.Barrier(CLIENTS)
        answered = threading.Semaphore(0)
        answers = [None] * CLIENTS

        def ask(i):
            start.wait()
            answers[i] = self.ask(clients[i], self.request(i, wishes[i]))
            answered.release()

        threads = [threading.Thread(target=ask, args=(i,))
                   for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        middle(answered)
        for thread in threads:
            thread.join()
        return answers

    @staticmethod
    def ask(client, request):
        try:
            return client.call("ReplicationService.CreateRule", request,
                               timeout=60)
        except crr.Refusal as refusal:
            return refusal

    @staticmethod
    def refusals(wishes, answers):
        return [(wish, answer) for wish, answer in zip(wishes, answers)
                if isinstance(answer, crr.Refusal)]

    def check(self, winners, refusals):
        partners = collections.defaultdict(set)
        for source, destination in winners:
            partners[source].add(destination)
            partners[destination].add(source)
        for bucket, of in partners.items():
            self.assertEqual(len(of), 1, f"{bucket} is paired with {of}")
        for (source, destination), refusal in refusals:
            # Nothing is deleted in a round, so what refused it stands now.
            if (source, destination) in winners:
                expected = ("ALREADY_EXISTS", "RULE_ALREADY_EXISTS")
            else:
                expected = ("FAILED_PRECONDITION", "BUCKET_PAIRED_ELSEWHERE")
                others = ((partners[source] - {destination})
                          | (partners[destination] - {source}))
                self.assertTrue(others, f"{source} -> {destination}: nobody "
                                        f"was in the way, yet: {refusal}")
                info = refusal.details["google.rpc.ErrorInfo"]["metadata"]
                self.assertIn(info["partner"].removeprefix("buckets/"), others)
            self.assertEqual((refusal.code, refusal.reason), expected)

    def test_crossing_rules(self):
        clients = [crr.Client(self.cluster.address) for _ in range(CLIENTS)]
        for client in clients:
            self.addCleanup(client.close)
        contested = 0
        for number in range(ROUNDS):
            with self.subTest(round=number):
                wishes = self.wishes(number)
                answers = self.play(wishes, clients)
                winners = {}
                for i, (wish, answer) in enumerate(zip(wishes, answers)):
                    if isinstance(answer, dict):
                        self.assertNotIn(wish, winners, "the same pair twice")
                        winners[wish] = f"c{i}"
                refusals = self.refusals(wishes, answers)
                self.assertEqual(len(winners) + len(refusals), CLIENTS)
                self.check(winners, refusals)
                contested += bool(winners and refusals)
        self.assertGreater(contested, ROUNDS // 2)
        stored = {}
        token = ""
        while True:
            page = self.cluster.client.call("ReplicationService.ListRules", {
                "parent": "buckets/-", "pageSize": 7, "pageToken": token})
            for rule in page.get("rules", []):
                self.assertNotIn(rule["name"], stored)
                stored[rule["name"]] = rule
            token = page.get("nextPageToken", "")
            if not token:
                break
        self.assertEqual(list(stored), sorted(stored))
        partner = {}
        for rule in stored.values():
            a, b = rule["sourceBucket"], rule["destinationBucket"]
            self.assertEqual(partner.setdefault(a, b), b)
            self.assertEqual(partner.setdefault(b, a), a)

    def test_crossing_rules_while_the_server_is_killed(self):
        torn = 0
        for number in range(ROUNDS):
            with self.subTest(round=number):
                with contextlib.ExitStack() as stack:
                    torn += self.play_with_a_kill(number, [
                        stack.enter_context(crr.Client(self.cluster.address))
                        for _ in range(CLIENTS)])
        print(f"{torn} of {ROUNDS} rounds torn ... ", end="", flush=True)
        self.assertGreater(torn, ROUNDS // 2)

    def play_with_a_kill(self, number, clients):
        """Returns whether some were answered either way, and some were not."""
        wishes = self.wishes(number)
        kill_after = random.Random(number).randrange(1, CLIENTS // 2)

        def kill(answered):
            for _ in range(kill_after):
                answered.acquire(timeout=60)
            self.cluster.server.kill()
        answers = self.play(wishes, clients, kill)
        self.cluster.start_server()
        unknown = [i for i, answer in enumerate(answers)
                   if isinstance(answer, crr.Refusal)
                   and answer.code in ("UNAVAILABLE", "CANCELLED")]
        known = set(range(CLIENTS)) - set(unknown)
        acknowledged = {i for i in known if isinstance(answers[i], dict)}
        torn = bool(unknown and acknowledged and len(known) > len(acknowledged))
        self.check_stored(wishes, answers, acknowledged, unknown)
        # Half of them ask again, all at once.
        again = unknown[::2]
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            answers_again = pool.map(lambda i: self.ask(
                self.cluster.client, self.request(i, wishes[i])), again)
        for i, answer in zip(again, answers_again):
            answers[i] = answer
            unknown.remove(i)
            if isinstance(answer, dict):
                acknowledged.add(i)
        self.check_stored(wishes, answers, acknowledged, unknown)
        self.check_rest_is_free(number, wishes)
        return torn

    def stored(self, wishes):
        """The rules of a round by pair."""
        stored = {}
        for bucket in {bucket for wish in wishes for bucket in wish}:
            for rule in self.cluster.client.call(
                    "ReplicationService.ListRules",
                    {"parent": f"buckets/{bucket}"}).get("rules", []):
                stored[rule["sourceBucket"].removeprefix("buckets/"),
                       rule["destinationBucket"].removeprefix("buckets/")
                       ] = rule
        return stored

    def check_stored(self, wishes, answers, acknowledged, unknown):
        """What is stored is whole, was asked for, and is all that was
        acknowledged."""
        stored = self.stored(wishes)
        by_client = {int(rule["labels"]["client"]): wish
                     for wish, rule in stored.items()}
        self.assertEqual(len(by_client), len(stored))
        for i, wish in by_client.items():
            self.assertEqual(wishes[i], wish)
            self.assertIn(i, acknowledged | set(unknown), answers[i])
            for field, value in self.request(i, wish)["rule"].items():
                self.assertEqual(stored[wish][field], value)
        self.assertLessEqual(acknowledged, set(by_client))
        self.check(stored, self.refusals(
            wishes, [None if i in unknown else answer
                     for i, answer in enumerate(answers)]))

    def check_rest_is_free(self, number, wishes):
        """Nothing but a rule holds a bucket."""
        held = {bucket for wish in self.stored(wishes) for bucket in wish}
        free = [[] for _ in REGIONS]
        for i in range(BUCKETS):
            bucket = f"round-{number}-{i}"
            if bucket not in held:
                free[i % len(REGIONS)].append(bucket)
        while sum(map(bool, free)) > 1:
            a, b = (names.pop() for names in sorted(free, key=len)[-2:])
            self.cluster.rule(a, b, "last", replicateHistorical=False)


class CheckTest(unittest.TestCase):
    """The checks above see what they are there for."""

    class Stored(CrossingTest):
        """With what a server would tell of its rules."""

        def __init__(self, stored):
            super().__init__()
            self.told = stored

        def stored(self, wishes):
            return self.told

    WISHES = [("a", "b"), ("b", "a"), ("c", "a")]

    def rule(self, i, **fields):
        return {**CrossingTest().request(i, self.WISHES[i])["rule"], **fields}

    def check(self, stored, acknowledged, unknown):
        self.Stored(stored).check_stored(self.WISHES, [{}] * 3, acknowledged,
                                         unknown)

    def test_all_is_well(self):
        self.check({("a", "b"): self.rule(0), ("b", "a"): self.rule(1)},
                   {0}, [1, 2])

    def test_faults(self):
        for name, stored, acknowledged, unknown in (
                ("lost", {}, {0}, [1, 2]),
                ("not acknowledged", {("a", "b"): self.rule(0)}, set(), [1, 2]),
                ("half made", {("a", "b"): self.rule(0, prefixes=["0/a"])},
                 {0}, [1, 2]),
                ("two partners", {("a", "b"): self.rule(0),
                                  ("c", "a"): self.rule(2)}, {0, 2}, [1])):
            with self.subTest(name), self.assertRaises(AssertionError):
                self.check(stored, acknowledged, unknown)
