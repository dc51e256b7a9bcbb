"""Exit code 0 where a RecArena server says that it serves, 1 where not.

    python healthcheck.py 127.0.0.1:7788 --ca ca.pem --name arena.example.org

Without --ca in plaintext. A server with --client-ca wants --cert and --key, too; a token is not
needed, for health is open to everybody.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

PATIENCE_S = 5.0


def connect(wanted: argparse.Namespace) -> grpc.Channel:
    if not wanted.ca:
        return grpc.insecure_channel(wanted.address)
    key, certificate = (one.read_bytes() if one else None for one in (wanted.key, wanted.cert))
    credentials = grpc.ssl_channel_credentials(wanted.ca.read_bytes(), key, certificate)
    # The certificate is for the name that others dial, and here 127.0.0.1 is dialled.
    name = [("grpc.ssl_target_name_override", wanted.name)] if wanted.name else []
    return grpc.secure_channel(wanted.address, credentials, name)


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask a RecArena server whether it serves.")
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--ca", type=Path, help="authority of the server's certificate")
    parser.add_argument("--name", help="name in the server's certificate")
    parser.add_argument("--cert", type=Path, help="certificate to show")
    parser.add_argument("--key", type=Path, help="its key")
    try:
        with connect(parser.parse_args()) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            answer = health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
    except grpc.RpcError as error:
        sys.stderr.write(f"no answer: {error.details()}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


if __name__ == "__main__":
    sys.exit(main())
