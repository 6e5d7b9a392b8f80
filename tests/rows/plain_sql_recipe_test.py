#!/usr/bin/python3
"""The recipe for plain SQL on guarded rows (docs/WRITING-ROWS.md), by psql beside `freshet serve`, and with no node running.

usage: plain_sql_recipe_test.py FOLDER_OF_FRESHET
"""
import os
import subprocess
import sys
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import redis

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))
import serving  # noqa: E402
from psql import Psql  # noqa: E402

POSTGRES = TESTS.parent / "tools" / "temporary-postgres"
CONFIG = """
[[collection]]
name = "accounts"
table = "accounts"
writes = "guarded"
"""
LEASE_SECONDS = 2  # The default.
FRESHET = None


class Recipe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="freshet-recipe-")
        os.chmod(cls.folder.name, 0o755)
        cls.data = Path(cls.folder.name) / "postgres"
        cls.url = subprocess.run([POSTGRES, "start", cls.data, "--with", str(os.getpid())], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout.split()[-1]
        cls.admin = Psql(cls.url)
        cls.admin.run("CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL)")
        cls.admin.run("INSERT INTO accounts SELECT i, 100 FROM generate_series(1, 9) i")
        cls.config = Path(cls.folder.name) / "freshet.toml"
        cls.config.write_text(CONFIG)
        cls.server = cls.client = None
        cls.serve()
        cls.admin.run("CREATE ROLE application LOGIN")
        cls.admin.run("GRANT USAGE ON SCHEMA freshet TO application")
        cls.admin.run("GRANT SELECT, UPDATE ON accounts TO application")
        cls.sql = Psql(cls.url.replace("postgres@", "application@"))

    @classmethod
    def serve(cls):
        cls.server = serving.Serving(FRESHET, "--config", cls.config, "--storage", cls.url)
        cls.client = redis.Redis(port=cls.server.port, decode_responses=True)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.kill()
        cls.sql.close()
        cls.admin.close()
        subprocess.run([POSTGRES, "stop", cls.data], check=True)
        cls.folder.cleanup()

    def balance(self, row):
        return int(self.client.hget("accounts:%d" % row, "balance"))

    def source(self, row):
        reading = self.client.execute_command("FRESHET.GET", "accounts:%d" % row)
        return dict(zip(reading[::2], reading[1::2]))["source"]

    def warm(self, row):
        while self.source(row) != "memory":
            pass

    def plain_sql(self, *statements):
        """A session of its own; what it is told of errors."""
        words = [word for statement in statements for word in ("-c", statement)]
        return subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *words, self.url], text=True,
                              stderr=subprocess.PIPE, stdout=subprocess.PIPE).stderr

    def move(self, amount):
        self.sql.run("BEGIN")
        self.sql.run("SELECT freshet.pass('accounts:1', 'accounts:2')")
        self.sql.run("UPDATE accounts SET balance = balance + CASE id WHEN 1 THEN -%d ELSE %d END WHERE id IN (1, 2)"
                     % (amount, amount))

    def test_0_it_waits_for_no_change_stream(self):
        self.assertFalse([line for line in self.server.log if "change stream" in line], "no collection is observed")

    def test_1_a_hit_after_the_commit_is_new(self):
        for turn in range(5):
            self.warm(1)
            self.warm(2)
            before = self.balance(1), self.balance(2)
            self.move(7)
            self.assertEqual((self.balance(1), self.balance(2)), before, "nothing is seen before the commit")
            self.assertEqual(self.source(1), "storage")
            self.sql.run("COMMIT")
            self.assertEqual((self.balance(1), self.balance(2)), (before[0] - 7, before[1] + 7))
        self.warm(1)
        stats = self.client.execute_command("FRESHET.STATS")
        stats = dict(zip(stats[::2], stats[1::2]))
        self.assertGreaterEqual(stats["pass_requests"], 4)
        self.assertEqual(stats["pass_cells_open"], 0)

    def test_2_it_may_roll_back_and_the_node_goes_on(self):
        self.warm(1)
        before = self.balance(1)
        self.move(7)
        self.assertEqual(self.client.hincrby("accounts:3", "balance", 1), 101)
        pipe = self.client.pipeline()
        pipe.hincrby("accounts:1", "balance", 5)
        with ThreadPoolExecutor() as other:
            waits = other.submit(pipe.execute)
            self.assertEqual(self.balance(1), before)
            self.sql.run("ROLLBACK")
            self.assertEqual(waits.result(), [before + 5])
        self.warm(1)

    def test_3_what_is_not_named_is_refused(self):
        self.assertIn("accounts:4", self.plain_sql("BEGIN", "SELECT freshet.pass('accounts:1')",
                                                   "UPDATE accounts SET balance = 0 WHERE id = 4"))
        self.assertIn("READ COMMITTED", self.plain_sql("BEGIN ISOLATION LEVEL SERIALIZABLE",
                                                       "SELECT freshet.pass('accounts:1')"))

    def test_4_without_a_node(self):
        self.warm(1)
        before = self.balance(1)
        self.server.kill()
        begun = time.monotonic()
        self.move(1)
        self.assertGreater(time.monotonic() - begun, LEASE_SECONDS / 2, "the last node might still serve")
        self.sql.run("COMMIT")
        self.serve()
        self.assertEqual(self.balance(1), before - 1)
        self.warm(1)  # It has the lease now, and gives it up.
        self.server.stop()
        begun = time.monotonic()
        self.move(1)
        self.sql.run("COMMIT")
        self.assertLess(time.monotonic() - begun, LEASE_SECONDS, "it has given its lease up")
        self.serve()
        self.assertEqual(self.balance(1), before - 2)


if __name__ == "__main__":
    FRESHET = Path(sys.argv.pop(1)) / "freshet"
    unittest.main()
