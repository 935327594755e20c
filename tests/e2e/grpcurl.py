#!/usr/bin/python3
"""Stands in for grpcurl where that is not installed: makes the one call that
`grpcurl -plaintext -d JSON HOST:PORT SERVICE/METHOD` makes, by reflection's
stand-in (stubs of the contract), and prints what grpcurl prints."""

import json
import sys

from harness import crr


def main(arguments):
    flag, data, request, address, method = arguments
    assert (flag, data) == ("-plaintext", "-d"), arguments
    client = crr.Client(address)
    try:
        answer = client.call(method.removeprefix("crr.v1.").replace("/", "."),
                             json.loads(request))
    except crr.Refusal as refusal:
        code = refusal.code.title().replace("_", "")
        print(f"ERROR:\n  Code: {code}\n  Message: {refusal.message}\n"
              "  Details:", file=sys.stderr)
        for i, (kind, detail) in enumerate(refusal.details.items(), 1):
            detail = {"@type": f"type.googleapis.com/{kind}", **detail}
            text = json.dumps(detail, indent=2, ensure_ascii=False)
            print(f"  {i})\t" + text.replace("\n", "\n    \t"),
                  file=sys.stderr)
        return 73
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
