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

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import serving  # noqa: E402

SECONDS_MAX = 120
USAGE = 64
SOURCE, FRESHET = Path(), Path()


def sql(url, statement):
    done = subprocess.run(["psql", url, "-XAtqc", statement], check=True, text=True, stdout=subprocess.PIPE)
    return done.stdout.strip()


def run(*arguments):
    return subprocess.run([FRESHET, *arguments], text=True, capture_output=True, timeout=SECONDS_MAX)


class Serving(serving.Serving):
    """With embedded storage, unless the arguments say otherwise, and redis-cli at hand."""

    def __init__(self, folder, *arguments):
        super().__init__(FRESHET, "--data", f"{folder}/data", *arguments)

    def cli(self, *words):
        command = ["redis-cli", "-p", str(self.port), *words]
        answer = subprocess.run(command, text=True, capture_output=True, timeout=SECONDS_MAX)
        return answer.stdout.rstrip("\n")

    def end(self, which=signal.SIGTERM):
        self.process.send_signal(which)
        return self.wait()


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
        self.assertEqual(server.cli("SET", "key", "value"), "OK")
        for policy in ("lirs", "auto", "sieve"):
            self.assertEqual(server.cli("CONFIG", "SET", "maxmemory-policy", policy), "OK")
            self.assertIn(f"maxmemory_policy:{policy}", server.cli("INFO", "memory"))
            self.assertEqual(server.cli("GET", "key"), "value")
        self.assertIn("s3fifo", server.cli("CONFIG", "SET", "maxmemory-policy", "noeviction"))
        self.assertEqual(server.end(), 0)

    def postgres(self):
        """A PostgreSQL for one test; its URL."""
        tool = SOURCE / "tools/temporary-postgres"
        started = subprocess.run([tool, "start", self.folder / "postgres", "--with", str(os.getpid())], check=True,
                                 text=True, stdout=subprocess.PIPE)
        self.addCleanup(subprocess.run, [tool, "stop", self.folder / "postgres"], check=True)
        return started.stdout.strip()

    def test_is_ready_once_its_keys_can_be_written(self):
        url = self.postgres()
        first = Serving(self.folder, "--storage", url)
        self.assertIn("everything can be cached", "".join(first.log))
        self.assertEqual(first.cli("SET", "key", "value"), "OK")  # At once, without a retry.
        # A second one, started by mistake, says that it cannot write, and reads all the same.
        second = Serving(self.folder, "--storage", url)
        self.assertIn("another holder owns the keys", "".join(second.log))
        self.assertNotIn("everything can be cached", "".join(second.log))
        self.assertEqual(second.cli("GET", "key"), "value")
        self.assertNotEqual(second.cli("SET", "key", "other"), "OK")
        self.assertEqual(first.end(), 0)
        self.assertEqual(second.end(), 0)

    def test_demo(self):
        url = self.postgres()
        demo = run("demo", "--storage", url, "--seconds", "3", "--keys", "500")
        self.assertEqual(demo.returncode, 0, demo.stdout + demo.stderr)
        self.assertIn("\n  violations 0\n", demo.stdout)
        checked, contended = re.search(r"\n  reads checked ([\d,]+), of them contended ([\d,]+)\n", demo.stdout).groups()
        self.assertGreater(int(checked.replace(",", "")), 1000)
        self.assertGreater(int(contended.replace(",", "")), 0)
        # It leaves nothing behind: no table, no publication, no replication slot.
        left = ("pg_stat_user_tables", "pg_publication", "pg_replication_slots")
        self.assertEqual([sql(url, f"SELECT count(*) FROM {what}") for what in left], ["0"] * len(left))

    def test_doctor_and_explain(self):
        url = self.postgres()
        config = self.folder / "freshet.toml"
        config.write_text('[[collection]]\nname = "users"\ntable = "users"\n')
        missing = run("doctor", "--config", config, "--storage", url)
        self.assertEqual(missing.returncode, 1)
        self.assertIn('BROKEN  collection "users": there is no table users', missing.stdout)
        sql(url, "CREATE TABLE users (id int, name text)")
        keyless = run("doctor", "--config", config, "--storage", url)
        self.assertIn("ALTER TABLE public.users ADD PRIMARY KEY", keyless.stdout)
        sql(url, "ALTER TABLE users ADD PRIMARY KEY (id); CREATE ROLE reader LOGIN; INSERT INTO users VALUES (1, 'Ada')")
        stranger = run("doctor", "--config", config, "--storage", url.replace("postgres@", "reader@"))
        self.assertEqual(stranger.returncode, 1)
        # What the doctor prescribes cures.
        statements = [line.strip() for line in stranger.stdout.splitlines() if line.startswith("            ")]
        for statement in statements:
            if not statement.startswith("ALTER SYSTEM"):
                sql(url, statement)
        server = Serving(self.folder, "--config", config, "--storage", url.replace("postgres@", "reader@"),
                         "--key-value", "off")
        self.assertEqual(server.cli("HGET", "users:1", "name"), "Ada")
        told = run("explain", "users:1", "--target", f"127.0.0.1:{server.port}")
        self.assertEqual(told.returncode, 0)
        self.assertRegex(told.stdout, r"depends on +public\.users by its primary key \(id\)")
        self.assertEqual(server.end(), 0)


if __name__ == "__main__":
    SOURCE, FRESHET = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve() / "freshet"
    unittest.main(argv=sys.argv[:1])
