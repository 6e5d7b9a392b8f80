#!/usr/bin/python3
"""A node over PostgreSQL is stopped (SIGSTOP) for longer than its lease, and continued: it takes the lease up by itself.

usage: paused_node_test.py FOLDER_OF_FRESHET
"""
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))
import serving  # noqa: E402

POSTGRES = TESTS.parent / "tools" / "temporary-postgres"
LEASE_S = 0.5
PAUSES = 4
SECONDS_MAX = 20  # For the lease to be taken up again.


def write_until_accepted(client, value):
    end = time.monotonic() + SECONDS_MAX
    while True:
        try:
            return client.set("key", value)
        except redis.ResponseError as error:
            if not str(error).startswith("TRYAGAIN") or time.monotonic() > end:
                raise


def main():
    with tempfile.TemporaryDirectory(prefix="freshet-paused-") as folder:
        os.chmod(folder, 0o755)
        data = Path(folder) / "postgres"
        url = subprocess.run([POSTGRES, "start", data, "--with", str(os.getpid())], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.split()[-1]
        server = serving.Serving(Path(sys.argv[1]) / "freshet", "--storage", url, "--lease", "%dms" % (LEASE_S * 1000))
        try:
            client = redis.Redis(port=server.port)
            for pause in range(PAUSES):
                write_until_accepted(client, "before %d" % pause)
                server.process.send_signal(signal.SIGSTOP)
                time.sleep(4 * LEASE_S)  # Time is what is tested: the lease runs out.
                server.process.send_signal(signal.SIGCONT)
                write_until_accepted(client, "after %d" % pause)
                assert client.get("key") == b"after %d" % pause
        finally:
            server.kill()
            subprocess.run([POSTGRES, "stop", data], check=True)
    print("ok")


if __name__ == "__main__":
    main()
