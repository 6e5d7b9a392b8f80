#!/usr/bin/python3
"""A guarded table through `freshet serve`: redis-py writes its columns, psql sees them, and is refused when it writes.

usage: guarded_rows_test.py FOLDER_OF_FRESHET
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import redis

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))
import serving  # noqa: E402
from psql import Psql  # noqa: E402

POSTGRES = TESTS.parent / "tools" / "temporary-postgres"
CONFIG = """
[[collection]]
name = "users"
table = "users"
writes = "guarded"
version_column = "version"
expires_column = "until"

[[collection]]
name = "plain"
table = "plain"
writes = "guarded"

[[collection]]
name = "seen"
table = "seen"
"""
TABLES = """
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL DEFAULT 'new', age int CHECK (age > 0), amount numeric(8,2),
  extra jsonb, version bigint, until timestamptz);
CREATE TABLE plain (id int PRIMARY KEY, n int DEFAULT 5);
CREATE TABLE seen (id int PRIMARY KEY, n int);
INSERT INTO seen VALUES (1, 1);
"""
FRESHET = None


class GuardedRows(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="freshet-rows-")
        os.chmod(cls.folder.name, 0o755)
        cls.data = Path(cls.folder.name) / "postgres"
        cls.url = subprocess.run([POSTGRES, "start", cls.data, "--with", str(os.getpid())], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout.split()[-1]
        cls.sql = Psql(cls.url)
        for statement in TABLES.strip().split(";\n"):
            cls.sql.run(statement.rstrip(";"))
        cls.config = Path(cls.folder.name) / "freshet.toml"
        cls.config.write_text(CONFIG)
        cls.server = serving.Serving(FRESHET, "--config", cls.config, "--storage", cls.url)

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        cls.sql.close()
        subprocess.run([POSTGRES, "stop", cls.data], check=True)
        cls.folder.cleanup()

    def setUp(self):
        self.client = redis.Redis(port=self.server.port, decode_responses=True)
        self.client.execute_command("DEL", "users:1", "users:2", "plain:1")

    def tearDown(self):
        self.client.close()

    def refused(self, words, *command):
        with self.assertRaises(redis.ResponseError) as caught:
            self.client.execute_command(*command)
        self.assertIn(words, str(caught.exception))

    def row(self, key):
        return json.loads(self.client.get(key))

    def explain(self, key):
        return self.client.execute_command("FRESHET.EXPLAIN", key)

    def plain_sql(self, statement):
        """What a writer that goes around Freshet is told."""
        return subprocess.run(["psql", "-X", "-q", "-c", statement, self.url], text=True, stderr=subprocess.PIPE,
                              stdout=subprocess.PIPE).stderr

    def test_columns_are_set_read_and_cleared(self):
        client = self.client
        self.assertEqual(client.hset("users:1", mapping={"name": "Ann", "age": "7"}), 2)
        self.assertEqual(client.hset("users:1", mapping={"name": "Bob", "amount": "1.5"}), 1)
        self.assertEqual(client.hget("users:1", "amount"), "1.50")
        self.assertEqual(client.hmget("users:1", "name", "age", "extra"), ["Bob", "7", None])
        self.assertEqual(self.sql.run("SELECT name, age, amount FROM users WHERE id = 1"), [["Bob", "7", "1.50"]])
        self.assertEqual(client.hdel("users:1", "age", "extra", "no such column"), 1)
        self.assertEqual(client.hexists("users:1", "age"), False)
        self.assertEqual(client.hdel("users:2", "age"), 0)
        self.assertEqual(client.execute_command("HMSET", "users:2", "age", "3"), True)
        self.assertEqual(client.hget("users:2", "name"), "new")
        self.assertEqual(client.hsetnx("users:2", "age", "9"), 0)
        self.assertEqual(client.hsetnx("users:2", "amount", "9"), 1)
        self.assertEqual(client.type("users:2"), "hash")
        self.assertEqual(client.delete("users:1", "users:2"), 2)
        self.assertEqual(client.delete("users:1"), 0)
        self.assertEqual(self.sql.run("SELECT count(*) FROM users"), [["0"]])

    def test_numbers_are_added_to_columns(self):
        client = self.client
        self.assertEqual(client.hincrby("users:1", "age", 4), 4)
        self.assertEqual(client.hincrby("users:1", "age", -1), 3)
        self.assertEqual(client.hincrbyfloat("users:1", "amount", 2.5), 2.5)
        self.refused("constraint 'users_age_check' of users", "HINCRBY", "users:1", "age", "-10")
        self.refused("is no number", "HINCRBYFLOAT", "users:1", "name", "1")
        self.refused("hash value is not an integer", "HINCRBY", "users:1", "amount", "1")
        self.refused("column 'age' of users", "HINCRBYFLOAT", "users:1", "age", "1.5")
        self.refused("integer out of range", "HINCRBY", "users:1", "age", "2147483647")
        self.refused("not a valid float", "HINCRBYFLOAT", "users:1", "amount", "nan")
        self.assertEqual(self.sql.run("SELECT age FROM users WHERE id = 1"), [["3"]])

    def test_a_row_is_set_as_an_object(self):
        client = self.client
        self.assertTrue(client.set("users:1", '{"name":"Ann","age":7,"extra":{"a":[1,2.50]}}'))
        self.assertEqual(self.row("users:1")["extra"], {"a": [1, 2.5]})
        self.assertTrue(client.set("users:1", client.get("users:1")), "what GET gives, SET takes")
        self.assertEqual(self.row("users:1")["name"], "Ann")
        self.assertEqual(json.loads(client.set("users:1", '{"age":8}', get=True))["name"], "Ann")
        self.assertEqual(self.row("users:1")["name"], "new", "what it leaves out has its default")
        self.assertIsNone(client.set("users:1", '{"age":9}', nx=True))
        self.assertIsNone(client.set("users:2", '{"age":9}', xx=True))
        self.assertTrue(client.mset({"users:2": '{"age":1}', "pair": "value"}))
        self.assertEqual(json.loads(client.getdel("users:2"))["age"], 1)
        self.assertEqual(client.msetnx({"users:1": "{}", "other": "value"}), False)
        self.assertIsNone(client.get("other"))
        self.refused("the row's JSON", "SET", "users:1", "Ann")
        self.refused("column 'age' of users: invalid input syntax", "SET", "users:1", '{"age":"old"}')
        self.refused("there is no column 'color'", "SET", "users:1", '{"color":"red"}')
        self.refused("WRONGTYPE", "INCR", "users:1")
        self.refused("WRONGTYPE", "APPEND", "users:1", "x")
        self.refused("WRONGTYPE", "SETRANGE", "users:1", "0", "x")
        self.refused("WRONGTYPE", "INCRBYFLOAT", "users:1", "1")
        self.refused("WRONGTYPE", "HSET", "pair", "field", "value")

    def test_a_refused_write_says_nothing_about_its_keys(self):
        client = self.client
        client.hset("plain:1", "n", 11)
        client.set("pair", "2")
        self.assertEqual(client.msetnx({"plain:1": "{}", "plain:2": "{}"}), False)
        self.assertEqual(client.msetnx({"plain:1": "{}", "pair": "3"}), False)
        self.assertEqual(client.hget("plain:1", "n"), "11")
        self.assertEqual(client.get("pair"), "2")

    def test_a_hit_needs_no_database(self):
        client = self.client
        client.hset("users:1", "age", 7)
        reading = client.execute_command("FRESHET.GET", "users:1")
        self.assertEqual(dict(zip(reading[::2], reading[1::2]))["source"], "memory")
        client.execute_command("FRESHET.EVICT", "users:1")
        self.assertEqual(client.hget("users:1", "age"), "7")
        explained = str(self.explain("users:1"))
        self.assertIn("users (guarded", explained)
        self.assertIn("public.users by its primary key (id), sealed", explained)
        self.assertIn("version ", explained)

    def test_a_transaction_of_ones_own_is_guarded(self):
        client = self.client
        client.hset("plain:1", "n", 1)
        own = redis.Redis(port=self.server.port, decode_responses=True, single_connection_client=True)
        number, statement = own.execute_command("FRESHET.GUARD", "plain:1")
        self.sql.run("BEGIN")
        self.sql.run(statement)
        self.sql.run("UPDATE plain SET n = n + 1 WHERE id = 1")
        self.assertEqual(client.hget("plain:1", "n"), "1", "reads go on, and see what is committed")
        self.sql.run("COMMIT")
        self.assertEqual(own.execute_command("FRESHET.UNGUARD", number, "COMMITTED"), "OK")
        self.assertEqual(client.hget("plain:1", "n"), "2")
        number, statement = own.execute_command("FRESHET.GUARD", "plain:1", "users:1")
        own.connection.disconnect()  # Without a word: it is fenced, and others go on.
        self.assertEqual(client.hincrby("plain:1", "n", 1), 3)
        self.assertIn("another token", self.plain_sql(statement))
        self.refused("no row of a guarded table", "FRESHET.GUARD", "pair")
        self.refused("read-only", "FRESHET.GUARD", "seen:1")

    def test_a_transaction_writes_rows_and_pairs_together(self):
        client = self.client
        client.mset({"users:1": '{"age":7}', "pair": "1"})
        pipe = client.pipeline()
        pipe.hincrby("users:1", "age", 1).hget("users:1", "age").incr("pair").hset("users:2", "age", 3)
        pipe.hget("users:2", "name").hgetall("seen:1").delete("users:2").exists("users:2").get("pair")
        self.assertEqual(pipe.execute(), [8, "8", 2, 1, "new", {"id": "1", "n": self.sql.run("SELECT n FROM seen")[0][0]},
                                          1, 0, "2"])
        pipe = client.pipeline()
        pipe.hincrby("users:1", "age", 1).hsetnx("users:2", "age", 4).hsetnx("users:1", "age", 1)
        pipe.hincrby("users:1", "age", -1)
        self.assertEqual(pipe.execute(), [9, 1, 0, 8], "nothing is done twice, and a missing row is inserted")
        pipe = client.pipeline()
        pipe.set("pair", "never").hset("users:1", "age", -1)
        with self.assertRaises(redis.exceptions.ExecAbortError) as caught:
            pipe.execute()
        self.assertIn("constraint 'users_age_check' of users", str(caught.exception))
        self.assertEqual(client.get("pair"), "2")
        with client.pipeline() as pipe:
            pipe.watch("plain:1")
            client.hset("plain:1", "n", 4)
            pipe.multi()
            pipe.hset("users:1", "age", 99)
            self.assertRaises(redis.WatchError, pipe.execute)
        self.assertEqual(client.hget("users:1", "age"), "8")

    def test_versions_compare_and_set(self):
        client = self.client
        client.hset("plain:1", "n", 1)
        client.hset("users:1", "age", 7)
        reading = client.execute_command("FRESHET.GET", "users:1")
        version = dict(zip(reading[::2], reading[1::2]))["version"]
        self.assertEqual(version, self.row("users:1")["version"])
        client.execute_command("FRESHET.SET", "users:1", '{"age":8}', "VERSION", version)
        self.refused("VERSIONMISMATCH", "FRESHET.SET", "users:1", '{"age":9}', "VERSION", version)
        self.refused("has no version", "FRESHET.SET", "plain:1", '{"n":9}', "VERSION", 1)
        self.assertEqual(self.row("users:1")["age"], 8)

    def test_rows_expire_by_a_declared_column(self):
        client = self.client
        client.hset("users:1", "age", 7)
        self.assertEqual(client.ttl("users:1"), -1)
        self.assertEqual(client.expire("users:1", 100), True)
        self.assertIn(client.ttl("users:1"), (99, 100))
        self.assertEqual(client.expire("users:1", 10, gt=True), False)
        self.assertEqual(client.hset("users:1", "age", 8), 0)
        self.assertIn(client.ttl("users:1"), (99, 100), "a change of columns keeps it")
        self.assertEqual(client.persist("users:1"), True)
        self.assertEqual(client.ttl("users:1"), -1)
        client.set("users:1", '{"age":7}', px=1)
        while client.exists("users:1"):
            pass
        self.assertEqual(self.sql.run("SELECT count(*) FROM users"), [["0"]], "it was removed before anybody heard so")
        client.hset("plain:1", "n", 1)
        self.refused("cannot expire", "EXPIRE", "plain:1", 10)
        self.refused("cannot expire", "SET", "plain:1", "{}", "EX", 10)

    def test_plain_sql_is_refused_and_observed_tables_are_read_only(self):
        self.client.hset("users:1", "age", 7)
        for statement in ("UPDATE users SET age = 8", "DELETE FROM users", "TRUNCATE users", "INSERT INTO users VALUES (9)"):
            self.assertIn("is sealed", self.plain_sql(statement), statement)
        self.assertEqual(self.plain_sql("UPDATE seen SET n = 2"), "")
        self.refused("read-only", "HSET", "seen:1", "n", "3")
        self.refused("Use users:7", "HSET", "users:007", "age", "1")
        self.refused("canonical", "HGET", "users:007", "age")

    def reload(self):
        return self.client.execute_command("FRESHET.RELOAD")

    def test_tables_move_while_the_server_runs(self):
        self.client.hset("plain:1", "n", 1)
        self.assertEqual(self.reload(), [])
        self.config.write_text(CONFIG.replace('table = "plain"\nwrites = "guarded"', 'table = "plain"')
                               .replace('table = "seen"', 'table = "seen"\nwrites = "guarded"'))
        self.assertEqual(self.reload(), ["plain is observed now", "seen is guarded now"])
        self.refused("read-only", "HSET", "plain:1", "n", "2")
        self.assertEqual(self.plain_sql("UPDATE plain SET n = 3"), "")
        self.assertEqual(self.client.hget("plain:1", "n"), "3")
        self.client.hset("seen:1", "n", 3)
        self.assertIn("is sealed", self.plain_sql("UPDATE seen SET n = 4"))
        self.assertEqual(self.client.hget("seen:1", "n"), "3")

        self.config.write_text(CONFIG)
        self.server.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + serving.SECONDS_MAX
        while not any("reloaded: 2 collections" in line for line in self.server.log):
            self.assertLess(time.monotonic(), until, self.server.log[-5:])
        self.client.hset("plain:1", "n", 5)
        self.assertIn("is sealed", self.plain_sql("UPDATE plain SET n = 6"))
        self.assertEqual(self.plain_sql("UPDATE seen SET n = 7"), "")
        self.assertEqual(self.client.hget("seen:1", "n"), "7")
        self.plain_sql("UPDATE seen SET n = 1")

    def test_what_is_wrong_with_the_file_changes_nothing(self):
        self.addCleanup(self.config.write_text, CONFIG)
        for text, words in ((CONFIG + "[nonsense", "parsing"), (CONFIG.replace('name = "plain"', 'name = "other"'), "plain"),
                            (CONFIG.replace('table = "plain"', 'table = "missing"'), "missing")):
            self.config.write_text(text)
            with self.assertRaises(redis.ResponseError) as caught:
                self.reload()
            self.assertIn(words, str(caught.exception))
            self.client.hset("plain:1", "n", 1)
            self.assertIn("is sealed", self.plain_sql("UPDATE plain SET n = 6"))


if __name__ == "__main__":
    FRESHET = Path(sys.argv.pop(1)) / "freshet"
    unittest.main()
