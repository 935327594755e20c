#!/usr/bin/python3
"""A client of crr that shares no code with it: Debian's python3-grpcio and
stubs by protoc. deploy/demo.sh and tests/e2e call crr with it.

  deploy/client.py HOST:PORT SERVICE.METHOD JSON
      One call, such as ReplicationService.GetRule '{"name":"buckets/a/rules/b"}'.
      Prints the answer as JSON. A refusal goes to standard error; exit 1.

The stubs are made in the folder that CRR_STUBS names, unless they are there.
"""

import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import grpc
from google.protobuf import json_format

PROTO_ROOT = pathlib.Path(__file__).resolve().parent.parent / "proto"
COMMON_PROTOS_JAR = "/usr/share/java/proto-google-common-protos.jar"
GOOGLE_RPC_ROOT = pathlib.Path(
    "/usr/share/gocode/src/github.com/gogo/googleapis")
GRPC_PROTO_ROOT = pathlib.Path("/usr/share/grpc-proto")


def make_stubs(folder):
    """Compiles the contract into `folder`, atomically, and returns `folder`."""
    folder = pathlib.Path(folder)
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        protos = pathlib.Path(temporary, "protos")
        stubs = pathlib.Path(temporary, "stubs")
        stubs.mkdir()
        with zipfile.ZipFile(COMMON_PROTOS_JAR) as jar:
            for name in ("field_behavior", "resource"):
                jar.extract(f"google/api/{name}.proto", protos)
        for root, name in ((GOOGLE_RPC_ROOT, "google/rpc/status.proto"),
                           (GOOGLE_RPC_ROOT, "google/rpc/error_details.proto"),
                           (GRPC_PROTO_ROOT, "grpc/health/v1/health.proto"),
                           (GRPC_PROTO_ROOT,
                            "grpc/reflection/v1alpha/reflection.proto")):
            copy = protos / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((root / name).read_bytes())
        ours = [str(p) for p in sorted(PROTO_ROOT.glob("crr/v1/*.proto"))]
        theirs = [str(p) for p in sorted(protos.rglob("*.proto"))]
        subprocess.run(
            ["protoc", "-I", PROTO_ROOT, "-I", protos,
             "--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin",
             f"--python_out={stubs}", f"--grpc_out={stubs}", *ours, *theirs],
            check=True)
        stubs.rename(folder)
    return folder


def load_stubs(folder):
    """Makes `import crr.v1...` find the stubs in `folder`."""
    folder = make_stubs(folder)
    sys.path.insert(0, str(folder))
    # `google` is open for more; `grpc` has to be told.
    grpc.__path__.append(str(folder / "grpc"))
    # Details of a status are found by type once their modules are loaded.
    for name in ("google.rpc.status_pb2", "google.rpc.error_details_pb2",
                 "crr.v1.violations_pb2"):
        importlib.import_module(name)


class Refusal(Exception):
    """A status that is not OK, with its details by type name."""

    def __init__(self, error):
        from google.rpc import status_pb2
        self.code = error.code().name
        self.message = error.details()
        self.details = {}
        status = status_pb2.Status()
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                status.ParseFromString(value)
        for detail in status.details:
            self.details[detail.TypeName()] = json_format.MessageToDict(detail)
        super().__init__(f"{self.code} {self.reason}: {self.message}")

    @property
    def reason(self):
        """The reason of the first violation, or nothing."""
        return self.details.get("google.rpc.ErrorInfo", {}).get("reason", "")

    @property
    def violations(self):
        return self.details.get("crr.v1.Violations", {}).get("violations", [])


class Client:
    """Calls with requests and answers as JSON objects. Thread-safe."""

    def __init__(self, server):
        # Never through a proxy: gRPC would send loopback addresses there too.
        # With a connection of its own, or it might begin with a broken one.
        self.channel = grpc.insecure_channel(
            server, options=[("grpc.enable_http_proxy", 0),
                             ("grpc.use_local_subchannel_pool", 1)])

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def call(self, method, request, timeout=20):
        service, name = method.split(".")
        module = "crr.v1." + service.replace("Service", "_service").lower()
        stub = getattr(importlib.import_module(module + "_pb2_grpc"),
                       service + "Stub")(self.channel)
        described = importlib.import_module(module + "_pb2").DESCRIPTOR
        type_ = described.services_by_name[service].methods_by_name[name]
        message = json_format.ParseDict(
            request, type_.input_type._concrete_class())
        try:
            return json_format.MessageToDict(
                getattr(stub, name)(message, timeout=timeout))
        except grpc.RpcError as error:
            raise Refusal(error) from None


def main(arguments):
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    server, method, request = arguments
    with tempfile.TemporaryDirectory() as temporary, Client(server) as client:
        load_stubs(os.environ.get("CRR_STUBS", os.path.join(temporary, "stubs")))
        try:
            answer = client.call(method, json.loads(request))
        except Refusal as refusal:
            print(f"{method}: {refusal}", json.dumps(refusal.details, indent=2),
                  sep="\n", file=sys.stderr)
            return 1
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
