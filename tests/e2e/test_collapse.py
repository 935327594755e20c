"""Many changes of a hot key become few copies, and all are accounted for."""

from harness import ALL, E2eTest, HANGZHOU, wait
from load import publish

HOT_CHANGES = 200_000 if ALL else 20_000
COLD_KEYS = 50


class CollapseTest(E2eTest):

    def setUp(self):
        super().setUp()
        self.source, self.destination = self.pair()
        self.cold = [f"cold/{i}" for i in range(COLD_KEYS)]
        self.cluster.fill(self.source,
                          {key: b"1" for key in ["hot", *self.cold]})
        self.cluster.wait_published(HANGZHOU)
        self.rule = self.cluster.rule(self.source, self.destination)
        # The hot key, and now and then a cold one.
        self.keys = ["hot"] * HOT_CHANGES
        for i, key in enumerate(self.cold):
            self.keys.insert(i * HOT_CHANGES // COLD_KEYS, key)

    def publish(self):
        self.assertEqual(publish(self.cluster, self.source, self.keys),
                         len(self.keys))

    def wait_settled(self, published):
        """Waits until no change is pending; returns what became of them."""
        def settled():
            counts = self.assert_balanced(self.rule)
            return counts if (counts["published"] == published
                              and not counts["pending"]) else None
        return wait("all changes are settled", settled, 120)

    def test_changes_that_wait_for_a_copier(self):
        self.publish()
        counts = self.assert_balanced(self.rule)
        self.assertEqual(counts["pending"], len(self.keys))
        self.cluster.copier("c")
        self.assert_few_copies(self.wait_settled(len(self.keys)))

    def test_changes_that_come_while_a_copier_works(self):
        self.cluster.copier("c")
        self.cluster.wait_backfilled(self.rule)
        self.publish()
        # The newest state is what counts, however many changes told of it.
        self.cluster.put(self.source, "hot", b"2")
        self.assert_few_copies(self.wait_settled(len(self.keys) + 1))
        self.assertEqual(self.cluster.get(self.destination, "hot"), b"2")

    def assert_few_copies(self, counts):
        print(f"{counts['published']} changes, {counts['applied']} looks ... ",
              end="", flush=True)
        self.assertGreaterEqual(counts["collapsed"], len(self.keys) * 95 // 100)
        self.assertGreaterEqual(counts["applied"], COLD_KEYS + 1)
        self.cluster.wait_synced(self.rule)
        self.assert_equal_buckets(self.source, self.destination)
        self.assertEqual(self.assert_balanced(self.rule)["applied"],
                         counts["applied"])
