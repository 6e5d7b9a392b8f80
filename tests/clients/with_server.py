#!/usr/bin/env python3
"""Runs a client's test against a server of its own, on embedded storage in a directory that goes away with it.

usage: with_server.py [--needs PROGRAM_OR_PATH]... FOLDER_OF_FRESHET COMMAND...
The command is given HOST and PORT as its last arguments. Ends with 77, as skipped, if something that it needs is missing.
"""
import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import serving  # noqa: E402

SKIPPED = 77
SECONDS_MAX = 120


def main():
    arguments = argparse.ArgumentParser(description="Runs a client's test against a server of its own.")
    arguments.add_argument("--needs", action="append", default=[])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("command", nargs=argparse.REMAINDER)
    options = arguments.parse_args()
    for needed in options.needs:
        if shutil.which(needed) is None and not Path(needed).exists():
            print("skipped: %s is missing (./setup --tests installs it)" % needed)
            sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory(prefix="freshet-clients-") as data:
        server = serving.Serving(options.folder / "freshet", "--data", data)
        try:
            client = subprocess.run([*options.command, server.host, str(server.port)], timeout=SECONDS_MAX)
        finally:
            server.stop()
    sys.exit(client.returncode)


if __name__ == "__main__":
    main()
