"""Many clients want crossing rules at once: nobody ever gets two partners."""

import collections
import random
import threading
import unittest

from harness import ALL, Cluster, crr

REGIONS = ("oss-cn-hangzhou", "oss-cn-shanghai", "oss-cn-beijing",
           "oss-cn-qingdao", "oss-cn-shenzhen")
CLIENTS = 64
BUCKETS = 20
ROUNDS = 100 if ALL else 20


class CrossingTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.close)

    def play(self, number, clients):
        """One round: returns {(source, destination): id} and the refusals."""
        dice = random.Random(number)
        buckets = [f"round-{number}-{i}" for i in range(BUCKETS)]
        for i, bucket in enumerate(buckets):
            self.cluster.bucket(bucket, REGIONS[i % len(REGIONS)])
        wishes = []
        while len(wishes) < CLIENTS:
            a, b = dice.sample(range(BUCKETS), 2)
            if (a - b) % len(REGIONS):
                wishes.append((buckets[a], buckets[b]))
        start = threading.Barrier(CLIENTS)
        answers = [None] * CLIENTS

        def ask(i):
            source, destination = wishes[i]
            start.wait()
            try:
                answers[i] = clients[i].call("ReplicationService.CreateRule", {
                    "parent": f"buckets/{source}", "ruleId": f"c{i}",
                    "rule": {"destinationBucket": f"buckets/{destination}",
                             "operations": "ADD_CHANGE",
                             "replicateHistorical": False}}, timeout=60)
            except crr.Refusal as refusal:
                answers[i] = refusal

        threads = [threading.Thread(target=ask, args=(i,))
                   for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winners, refusals = {}, []
        for i, (wish, answer) in enumerate(zip(wishes, answers)):
            if isinstance(answer, dict):
                self.assertNotIn(wish, winners, "the same pair twice")
                winners[wish] = f"c{i}"
            else:
                self.assertIsInstance(answer, crr.Refusal)
                refusals.append((wish, answer))
        return winners, refusals

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
                winners, refusals = self.play(number, clients)
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
