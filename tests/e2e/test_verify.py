"""VerifyRule finds what differs and repairs it, and touches nothing that is not
the rule's to touch."""

import os

from harness import ALL, E2eTest, HANGZHOU, wait

# A range has 10,000.
OBJECTS = 12_000 if ALL else 300


class VerifyTest(E2eTest):

    def verify(self, rule, **options):
        """Verifies, and returns the verification once it and its repairs are
        done."""
        number = self.cluster.client.call(
            "ReplicationService.VerifyRule", {"name": rule, **options})["number"]

        def done():
            verification = self.cluster.progress(rule)["verification"]
            self.assertEqual(verification["number"], number)
            return verification if "endTime" in verification else None
        verification = wait("the verification ends", done, 60)
        wait("all is repaired", lambda: not self.cluster.failed_objects(rule))
        return verification

    def begin(self, **fields):
        source, destination = self.pair()
        self.files = {f"k/{i:05}": os.urandom(200) for i in range(OBJECTS)}
        self.cluster.fill(source, self.files)
        # It is history, and no change.
        self.cluster.wait_published(HANGZHOU)
        # It is the operator's copier, notifier and rule; no user writes here.
        rule = self.cluster.rule(source, destination, **fields)
        self.copier = self.cluster.copier("c1")
        if fields.get("replicateHistorical", True):
            self.cluster.wait_backfilled(rule)
        self.cluster.wait_synced(rule)
        return source, destination, rule

    def test_equal(self):
        _, _, rule = self.begin()
        verification = self.verify(rule)
        self.assertEqual(verification["compared"], str(OBJECTS))
        self.assertEqual(verification["equal"], str(OBJECTS))
        self.assertEqual(verification["score"], 1)
        self.assertEqual(verification["cause"], "REQUESTED")
        self.assertNotIn("differences", verification)

    def test_differences_are_repaired(self):
        source, destination, rule = self.begin()
        crrctl = self.cluster.crrctl
        crrctl("object", "rm", destination, "k/00000")
        self.cluster.put(destination, "k/00001", b"a user's")
        # Deleted at the source while nobody says so.
        self.notifiers[next(iter(self.notifiers))].kill()
        crrctl("object", "rm", source, "k/00002")
        self.cluster.put(destination, "foreign", b"a user's own")
        verification = self.verify(rule)
        self.assertEqual(verification["differences"], {
            "MISSING": "1", "CONTENT": "1", "EXTRA": "1", "FOREIGN": "1"})
        self.assertEqual(verification["compared"], str(OBJECTS + 1))
        self.assertEqual(
            {sample["key"]: sample["reason"]
             for sample in verification["samples"]},
            {"k/00000": "MISSING", "k/00001": "CONTENT", "k/00002": "EXTRA",
             "foreign": "FOREIGN"})
        get = self.cluster.get
        self.assertEqual(get(destination, "k/00000"), self.files["k/00000"])
        self.assertEqual(get(destination, "k/00001"), self.files["k/00001"])
        self.assertIsNone(get(destination, "k/00002"))
        self.assertEqual(get(destination, "foreign"), b"a user's own")
        self.assertEqual(self.verify(rule)["differences"], {"FOREIGN": "1"})
        self.assert_balanced(rule)

    def test_add_change_deletes_nothing(self):
        source, destination, rule = self.begin(operations="ADD_CHANGE")
        self.cluster.crrctl("object", "rm", source, "k/00002")
        verification = self.verify(rule)
        self.assertEqual(verification["score"], 1)
        self.assertEqual(self.cluster.get(destination, "k/00002"),
                         self.files["k/00002"])

    def test_history_that_is_not_asked_for_stays_away(self):
        source, destination, rule = self.begin(replicateHistorical=False)
        self.cluster.put(source, "new", b"new")
        self.cluster.wait_synced(rule)
        self.cluster.crrctl("object", "rm", destination, "new")
        verification = self.verify(rule)
        self.assertEqual(verification["differences"], {"MISSING": "1"})
        self.assertEqual(self.cluster.get(destination, "new"), b"new")
        self.assertIsNone(self.cluster.get(destination, "k/00000"))

    def test_damage_is_found_by_reading(self):
        source, destination, rule = self.begin()
        large = os.urandom(100_000)
        self.cluster.put(source, "large", large)
        self.cluster.wait_synced(rule)
        blobs = [path for path in
                 (self.cluster.folder / "oss-cn-shanghai" / "blobs").rglob("*")
                 if path.is_file()]
        self.assertEqual(len(blobs), 1)
        content = bytearray(blobs[0].read_bytes())
        content[5000] ^= 1
        blobs[0].chmod(0o600)
        blobs[0].write_bytes(content)
        self.assertEqual(self.verify(rule)["score"], 1)  # By the listings.
        verification = self.verify(rule, readBytes=True)
        self.assertEqual(verification["differences"], {"DAMAGED": "1"})
        self.assertEqual(self.cluster.get(destination, "large"), large)
        self.assertEqual(self.verify(rule, readBytes=True)["score"], 1)
