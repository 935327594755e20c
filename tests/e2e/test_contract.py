"""The control plane as a client that is not ours sees it."""

import json
import shutil
import subprocess
import unittest

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf import descriptor_pool

from harness import Cluster, HANGZHOU, SHANGHAI, crr

SERVICES = {"crr.v1.RegionService", "crr.v1.BucketService",
            "crr.v1.ReplicationService", "crr.v1.ChangeService",
            "crr.v1.CopierService", "crr.v1.AdminService",
            "grpc.channelz.v1.Channelz", "grpc.health.v1.Health"}

# What a refusal carries.
DETAILS = {"google.rpc.ErrorInfo", "google.rpc.BadRequest",
           "google.rpc.PreconditionFailure", "google.rpc.RetryInfo",
           "crr.v1.Violations"}


class ContractTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.client = cls.cluster.client

    def refused(self, method, request):
        with self.assertRaises(crr.Refusal) as caught:
            self.client.call(method, request)
        return caught.exception

    def test_creates_a_rule_and_reads_its_progress(self):
        self.cluster.bucket("photos", HANGZHOU)
        self.cluster.bucket("photos-dr", SHANGHAI)
        rule = self.client.call("ReplicationService.CreateRule", {
            "parent": "buckets/photos", "ruleId": "dr",
            "requestId": "6a1c2f5e-8b0d-4c7a-9a3e-2f4b5d6c7e80",
            "validateOnly": False,
            "rule": {"destinationBucket": "buckets/photos-dr",
                     "prefixes": ["a/"], "operations": "ADD_DELETE_CHANGE",
                     "replicateHistorical": True, "transfer": "STANDARD"}})
        self.assertEqual(rule["name"], "buckets/photos/rules/dr")
        self.assertEqual(rule["sourceBucket"], "buckets/photos")
        self.assertEqual(rule["state"], "STARTING")
        self.assertIn("STORE_NOT_SET",
                      [c["type"] for c in rule["conditions"]])
        name = {"name": rule["name"]}
        self.assertEqual(self.client.call("ReplicationService.GetRule", name),
                         rule)
        progress = self.client.call("ReplicationService.GetRuleProgress", name)
        self.assertEqual(progress["state"], "STARTING")
        # Counters are printed, zero included.
        self.assertEqual(progress["historical"]["doneObjects"], "0")
        self.assertEqual(progress["live"]["published"], "0")
        self.assertNotIn("lastSyncTime", progress["live"])
        self.assertTrue(progress["live"]["lastSyncUnknownReason"])
        listed = self.client.call("ReplicationService.ListRules", {
            "parent": "buckets/-", "pageSize": 100,
            "filter": 'state = STARTING AND '
                      'destination_bucket = "buckets/photos-dr"'})
        self.assertEqual([r["name"] for r in listed["rules"]], [rule["name"]])

    def test_refusal_of_fields_has_every_detail(self):
        self.cluster.bucket("fields-a", HANGZHOU)
        self.cluster.bucket("fields-b", SHANGHAI)
        refusal = self.refused("ReplicationService.CreateRule", {
            "parent": "buckets/fields-a",
            "rule": {"destinationBucket": "buckets/fields-b",
                     "prefixes": ["a", "ab"]}})
        self.assertEqual(refusal.code, "INVALID_ARGUMENT")
        info = refusal.details["google.rpc.ErrorInfo"]
        self.assertEqual(info["domain"], "crr.v1")
        reasons = {v["reason"] for v in refusal.violations}
        self.assertEqual(reasons, {"OPERATIONS_REQUIRED", "HISTORICAL_REQUIRED",
                                   "OVERLAPPING_PREFIXES"})
        self.assertEqual(set(info["metadata"]["reasons"].split(",")), reasons)
        fields = {v["field"] for v in
                  refusal.details["google.rpc.BadRequest"]["fieldViolations"]}
        self.assertIn("rule.operations", fields)
        self.assertIn("rule.replicate_historical", fields)
        for violation in refusal.violations:
            self.assertTrue(violation["description"])
            self.assertTrue(violation["remedy"])

    def test_refusal_of_state_has_every_detail(self):
        for name, region in (("state-a", HANGZHOU), ("state-b", SHANGHAI),
                             ("state-c", SHANGHAI), ("state-d", HANGZHOU)):
            self.cluster.bucket(name, region)
        self.cluster.rule("state-a", "state-b", "first")
        with self.assertRaises(crr.Refusal) as caught:
            self.cluster.rule("state-a", "state-c", "second")
        refusal = caught.exception
        self.assertEqual(refusal.code, "FAILED_PRECONDITION")
        self.assertEqual(refusal.reason, "BUCKET_PAIRED_ELSEWHERE")
        info = refusal.details["google.rpc.ErrorInfo"]["metadata"]
        self.assertIn("buckets/state-b", info["partner"])
        self.assertIn("buckets/state-a/rules/first", info["rule"])
        self.assertEqual(info["ossCode"],
                         "BucketAlreadyHasReplicationConfiguration")
        state, = refusal.details["google.rpc.PreconditionFailure"]["violations"]
        self.assertEqual(state["type"], "BUCKET_PAIRED_ELSEWHERE")
        self.assertIn("state-a", state["subject"])
        with self.assertRaises(crr.Refusal) as caught:
            self.cluster.rule("state-a", "state-b", "again")
        self.assertEqual(caught.exception.code, "ALREADY_EXISTS")
        self.assertEqual(caught.exception.reason, "RULE_ALREADY_EXISTS")
        with self.assertRaises(crr.Refusal) as caught:
            self.cluster.rule("state-d", "state-d")
        self.assertEqual(caught.exception.reason, "SAME_BUCKET")

    def test_nothing_is_said_of_a_bucket_of_another_owner(self):
        self.cluster.bucket("mine", HANGZHOU, owner="me")
        self.cluster.bucket("theirs", SHANGHAI, owner="somebody")
        self.cluster.bucket("theirs-too", HANGZHOU, owner="somebody")
        self.cluster.rule("theirs", "theirs-too", "hidden")
        with self.assertRaises(crr.Refusal) as caught:
            self.cluster.rule("mine", "theirs")
        refusal = caught.exception
        self.assertEqual([v["reason"] for v in refusal.violations],
                         ["DIFFERENT_OWNER"])
        self.assertNotIn("theirs-too", json.dumps(refusal.details))
        self.assertNotIn("somebody", json.dumps(refusal.details) + str(refusal))

    def test_reflection_describes_everything_that_it_lists(self):
        from grpc.reflection.v1alpha import reflection_pb2 as pb
        from grpc.reflection.v1alpha import reflection_pb2_grpc as pb_grpc
        stub = pb_grpc.ServerReflectionStub(self.client.channel)

        def ask(**request):
            answer, = stub.ServerReflectionInfo(
                iter([pb.ServerReflectionRequest(**request)]), timeout=20)
            self.assertFalse(answer.HasField("error_response"),
                             (request, answer.error_response))
            return answer

        listed = {service.name for service in
                  ask(list_services="*").list_services_response.service}
        self.assertLessEqual(SERVICES, listed)
        for service in listed:
            # Describable: the file and all that it imports are to be had.
            pool = descriptor_pool.DescriptorPool()
            files = {}
            wanted = [dict(file_containing_symbol=service)]
            while wanted:
                answer = ask(**wanted.pop())
                for text in (answer.file_descriptor_response
                             .file_descriptor_proto):
                    file = descriptor_pb2.FileDescriptorProto.FromString(text)
                    if file.name not in files:
                        files[file.name] = file
                        wanted += [dict(file_by_filename=name)
                                   for name in file.dependency]

            def add(name):
                for dependency in files[name].dependency:
                    add(dependency)
                pool.Add(files[name])

            for name in files:
                add(name)
            methods = pool.FindServiceByName(service).methods
            self.assertTrue(methods)
            for method in methods:
                for symbol in (method.full_name, method.input_type.full_name,
                               method.output_type.full_name):
                    ask(file_containing_symbol=symbol)
        for detail in DETAILS:
            ask(file_containing_symbol=detail)

    def test_health(self):
        from grpc.health.v1 import health_pb2
        from grpc.health.v1 import health_pb2_grpc
        stub = health_pb2_grpc.HealthStub(self.client.channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
        self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING)

    @unittest.skipUnless(shutil.which("grpcurl"), "grpcurl is not installed")
    def test_grpcurl_does_the_same(self):
        self.cluster.bucket("curl-a", HANGZHOU)
        self.cluster.bucket("curl-b", SHANGHAI)

        def grpcurl(*arguments):
            return subprocess.run(
                ["grpcurl", "-plaintext", *arguments], timeout=60,
                capture_output=True, text=True)

        request = {"parent": "buckets/curl-a", "ruleId": "dr",
                   "rule": {"destinationBucket": "buckets/curl-b",
                            "operations": "ADD_CHANGE",
                            "replicateHistorical": False}}
        create = ("-d", json.dumps(request), self.cluster.address,
                  "crr.v1.ReplicationService/CreateRule")
        created = grpcurl(*create)
        self.assertEqual(created.returncode, 0, created.stderr)
        self.assertEqual(json.loads(created.stdout)["name"],
                         "buckets/curl-a/rules/dr")
        progress = grpcurl("-d", '{"name": "buckets/curl-a/rules/dr"}',
                           self.cluster.address,
                           "crr.v1.ReplicationService/GetRuleProgress")
        self.assertEqual(json.loads(progress.stdout)["live"]["pending"], "0")
        refused = grpcurl(*create)
        self.assertNotEqual(refused.returncode, 0)
        # It decodes all details, ours included.
        for word in ("AlreadyExists", "RULE_ALREADY_EXISTS", "crr.v1.Violations",
                     "remedy"):
            self.assertIn(word, refused.stderr)

    def test_malformed_request_is_refused(self):
        # A length that runs past the end. gRPC itself answers.
        get_rule = self.client.channel.unary_unary(
            "/crr.v1.ReplicationService/GetRule")
        with self.assertRaises(grpc.RpcError) as caught:
            get_rule(b"\x0a\xff", timeout=20)
        self.assertEqual(caught.exception.code(),
                         grpc.StatusCode.UNIMPLEMENTED)
        self.assertEqual(
            self.refused("ReplicationService.GetRule",
                         {"name": "buckets/photos/rules/none"}).reason,
            "RULE_NOT_FOUND")
