#!/usr/bin/env python3
"""The program as operators meet it: starting and stopping, wrong configurations, and the demo on a real PostgreSQL.

usage: program_test.py SOURCE FOLDER_OF_FRESHET
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SECONDS_MAX = 120
USAGE = 64
SOURCE, FRESHET = Path(), Path()


def run(*arguments):
    return subprocess.run([FRESHET, *arguments], text=True, capture_output=True, timeout=SECONDS_MAX)


class Serving:
    """A `freshet serve` with embedded storage on a port of the system's choice."""

    def __init__(self, folder, *arguments):
        command = [FRESHET, "serve", "--listen", "127.0.0.1:0", "--data", f"{folder}/data", *arguments]
        self.process = subprocess.Popen(command, text=True, stderr=subprocess.PIPE)
        self.port = None
        for line in self.process.stderr:
            ready = re.search(r"ready on 127\.0\.0\.1:(\d+)", line)
            if ready:
                self.port = ready.group(1)
                break

    def cli(self, *words):
        answer = subprocess.run(["redis-cli", "-p", self.port, *words], text=True, capture_output=True, timeout=SECONDS_MAX)
        return answer.stdout.rstrip("\n")

    def end(self, which=signal.SIGTERM):
        self.process.send_signal(which)
        code = self.process.wait(timeout=SECONDS_MAX)
        self.process.stderr.close()
        return code


class Program(unittest.TestCase):
    def setUp(self):
        top = tempfile.TemporaryDirectory()
        self.addCleanup(top.cleanup)
        self.folder = Path(top.name)
        self.folder.chmod(0o755)  # PostgreSQL runs as a user of its own.

    def config(self, text):
        path = self.folder / "freshet.toml"
        path.write_text(text)
        return path

    def test_keeps_what_it_acknowledged(self):
        for which, code in ((signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)):
            server = Serving(self.folder)
            self.assertEqual(server.cli("SET", f"key-{which}", "value"), "OK")
            self.assertEqual(server.end(which), code)
        server = Serving(self.folder)
        for which in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            self.assertEqual(server.cli("GET", f"key-{which}"), "value")
        self.assertEqual(server.end(), 0)

    def test_refuses_a_directory_in_use(self):
        server = Serving(self.folder)
        second = run("serve", "--listen", "127.0.0.1:0", "--data", f"{self.folder}/data")
        self.assertEqual(second.returncode, 1)
        self.assertIn("freshet serve: ", second.stderr)
        self.assertEqual(server.end(), 0)

    def test_refuses_to_listen_beyond_loopback_without_a_password(self):
        done = run("serve", "--listen", "0.0.0.0:0", "--data", f"{self.folder}/data")
        self.assertEqual(done.returncode, 1)
        self.assertIn("password", done.stderr)

    def test_checks_configurations(self):
        fine = run("serve", "--config", self.config("[cache]\nmemory = '3GiB'\n"), "--check-config", "--threads", "2")
        self.assertEqual((fine.returncode, fine.stderr), (0, ""))
        self.assertIn('memory = "3GiB"\n', fine.stdout)
        self.assertIn("threads = 2\n", fine.stdout)
        # What it prints is a configuration again, the same one.
        again = run("serve", "--config", self.config(fine.stdout), "--check-config")
        self.assertEqual((again.returncode, again.stdout), (0, fine.stdout))

    def test_names_what_is_wrong(self):
        path = self.config("[server]\nlisen = '127.0.0.1:1'\n")
        wrong = run("serve", "--config", path, "--check-config")
        self.assertEqual(wrong.returncode, USAGE)
        self.assertEqual(wrong.stderr, f'freshet serve: {path}:2: there is no setting "server.lisen"; '
                                       'Did you mean "server.listen"?\n')

    def test_hides_secrets(self):
        done = run("serve", "--check-config", "--password", "hunter2", "--storage", "postgres://u:hunter2@h/d")
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("hunter2", done.stdout + done.stderr)

    def test_changes_settings_while_it_runs(self):
        server = Serving(self.folder)
        self.assertEqual(server.cli("CONFIG", "SET", "maxmemory", "64mb"), "OK")
        self.assertEqual(server.cli("CONFIG", "GET", "cache.memory"), "cache.memory\n64MiB")
        self.assertIn("restart", server.cli("CONFIG", "SET", "server.threads", "2"))
        self.assertEqual(server.end(), 0)

    def test_demo(self):
        tool = SOURCE / "tools/temporary-postgres"
        started = subprocess.run([tool, "start", self.folder / "postgres", "--with", str(os.getpid())], check=True,
                                 text=True, stdout=subprocess.PIPE)
        self.addCleanup(subprocess.run, [tool, "stop", self.folder / "postgres"], check=True)
        url = started.stdout.strip()
        demo = run("demo", "--storage", url, "--seconds", "3", "--keys", "500")
        self.assertEqual(demo.returncode, 0, demo.stdout + demo.stderr)
        self.assertIn("\n  violations 0\n", demo.stdout)
        checked, contended = re.search(r"\n  reads checked ([\d,]+), of them contended ([\d,]+)\n", demo.stdout).groups()
        self.assertGreater(int(checked.replace(",", "")), 1000)
        self.assertGreater(int(contended.replace(",", "")), 0)
        # It leaves none of its records behind.
        left = subprocess.run(["psql", url, "-XAtc", "SELECT count(value) FROM freshet.kv"], check=True, text=True,
                              stdout=subprocess.PIPE)
        self.assertEqual(left.stdout.strip(), "0")


if __name__ == "__main__":
    SOURCE, FRESHET = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve() / "freshet"
    unittest.main(argv=sys.argv[:1])
