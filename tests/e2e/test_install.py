"""What `cmake --install` leaves: a tree of its own, which may be moved."""

import pathlib
import subprocess
import tempfile
import unittest
import uuid

from google.protobuf import descriptor_pb2

from harness import BIN, HANGZHOU, Process, ROOT, SHANGHAI, crr


def run(*command, **options):
    done = subprocess.run(command, text=True, timeout=300,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options)
    if done.returncode:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}")
    return done.stdout


class InstallTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="crr-install-")
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = pathlib.Path(temporary.name).resolve()
        cls.installed_to = cls.folder / "installed here"
        run("cmake", "--install", BIN.parent, "--prefix", cls.installed_to)
        cls.prefix = cls.installed_to.rename(cls.folder / "moved there")

    def configure(self, source):
        build = self.folder / f"build-{source.name}"
        run("cmake", "-S", source, "-B", build,
            f"-DCMAKE_PREFIX_PATH={self.prefix}")
        return build

    def start_server(self):
        server = Process(self.folder, "server", self.prefix / "bin/crr-server",
                         "--listen=127.0.0.1:0", "--metrics_listen=",
                         f"--storage=sqlite:{self.folder}/{uuid.uuid4()}.db")
        self.addCleanup(server.stop)
        return server.ready().split()[-1]

    def test_programs_use_the_library_beside_them(self):
        for program in ("crr-server", "crr-copier", "crr-notifier", "crrctl"):
            path = self.prefix / "bin" / program
            self.assertRegex(run(path, "--version"), rf"^{program} ")
            library, = [line.split(" => ")[1].rpartition(" (")[0]
                        for line in run("ldd", path).splitlines()
                        if "libcrr_proto" in line]
            self.assertEqual(pathlib.Path(library).resolve().parent,
                             self.prefix / "lib")

    def test_names_no_folder_of_whoever_built_it(self):
        files = [path for path in self.prefix.rglob("*") if path.is_file()]
        self.assertGreater(len(files), 40)
        for path in files:
            content = path.read_bytes()
            for folder in (ROOT, self.installed_to):
                self.assertNotIn(bytes(folder), content, path)

    def test_example_creates_a_rule_and_reads_a_refusal(self):
        build = self.configure(ROOT / "client" / "example")
        run("cmake", "--build", build)
        server = self.start_server()

        def example(*arguments):
            done = subprocess.run([build / "crr-example", server, *arguments],
                                  text=True, capture_output=True, timeout=60)
            return done.returncode, done.stdout

        with crr.Client(server) as client:
            for name, region, versioning in (
                    ("photos", HANGZHOU, "UNVERSIONED"),
                    ("photos-dr", SHANGHAI, "UNVERSIONED"),
                    ("near", HANGZHOU, "ENABLED")):
                client.call("BucketService.CreateBucket", {
                    "bucketId": name,
                    "bucket": {"region": f"regions/{region}", "owner": "acme",
                               "versioning": versioning}})
            request_id = str(uuid.uuid4())
            created = example("photos", "photos-dr", request_id)
            rule, = client.call("ReplicationService.ListRules",
                                {"parent": "buckets/photos"})["rules"]
            self.assertEqual(created, (0, f"{rule['name']} is STARTING\n"))
            self.assertEqual(example("photos", "photos-dr", request_id),
                             created)

            status, shown = example("photos", "near", str(uuid.uuid4()))
            self.assertEqual(status, 1)
            with self.assertRaises(crr.Refusal) as caught:
                client.call("ReplicationService.CreateRule", {
                    "parent": "buckets/photos",
                    "rule": {"destinationBucket": "buckets/near",
                             "operations": "ADD_DELETE_CHANGE",
                             "replicateHistorical": True}})
        violations = caught.exception.violations
        self.assertLessEqual(
            {"SAME_REGION", "VERSIONING_MISMATCH", "BUCKET_PAIRED_ELSEWHERE"},
            {violation["reason"] for violation in violations})
        lines = shown.splitlines()[1:]
        self.assertEqual(len(lines), len(violations))
        for line, violation in zip(lines, violations):
            for said in violation.keys() - {"ossCode"}:
                self.assertIn(violation[said], line)

    def test_another_major_version_is_not_found(self):
        project = self.folder / "of-another-version"
        project.mkdir()
        project.joinpath("CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\n"
            "project(x LANGUAGES CXX)\n"
            "find_package(crr 1000 REQUIRED)\n")
        with self.assertRaisesRegex(AssertionError, "not accepted"):
            self.configure(project)

    def test_server_describes_itself_and_is_healthy(self):
        from grpc.health.v1 import health_pb2
        from grpc.health.v1 import health_pb2_grpc
        from grpc.reflection.v1alpha import reflection_pb2
        from grpc.reflection.v1alpha import reflection_pb2_grpc
        with crr.Client(self.start_server()) as client:
            health = health_pb2_grpc.HealthStub(client.channel).Check(
                health_pb2.HealthCheckRequest(), timeout=20)
            self.assertEqual(health.status,
                             health_pb2.HealthCheckResponse.SERVING)
            ask = reflection_pb2_grpc.ServerReflectionStub(
                client.channel).ServerReflectionInfo
            for symbol in ("crr.v1.ReplicationService", "crr.v1.Violations",
                           "google.rpc.BadRequest", "grpc.health.v1.Health"):
                answer, = ask(iter([reflection_pb2.ServerReflectionRequest(
                    file_containing_symbol=symbol)]), timeout=20)
                self.assertTrue(
                    answer.file_descriptor_response.file_descriptor_proto,
                    symbol)

    def test_protos_compile_by_themselves_into_the_protoset(self):
        protos = self.prefix / "share/crr/proto"
        compiled = self.folder / "compiled"
        run("protoc", "-I", protos, "--include_imports",
            f"--descriptor_set_out={compiled}", *protos.rglob("*.proto"))

        def declared(path):
            files = descriptor_pb2.FileDescriptorSet.FromString(
                path.read_bytes()).file
            for file in files:
                file.ClearField("source_code_info")
            return {file.name: file for file in files}

        files = declared(compiled)
        self.assertLessEqual({"crr/v1/replication_service.proto",
                              "google/rpc/error_details.proto",
                              "grpc/health/v1/health.proto"}, files.keys())
        self.assertEqual(declared(self.prefix / "share/crr/crr.protoset"),
                         files)
