#!/usr/bin/python3
# Sends the same random commands to a real redis-server (started here, on a free loopback port) and to Freshet, and compares
# every reply, errors and both protocol versions included. Documented differences are left out.
#
#   differential.py HOST PORT [--commands N] [--seed N]
#
# The keys of a run carry a prefix of their own, so that the target may hold others.
import argparse
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import resp

KEYS_PER_RUN = 12
BATCH_MAX = 20
DEADLINE_TOLERANCE_MS = 3000  # Two servers read their clocks at different moments.

INTEGERS = ["0", "1", "-1", "7", "-42", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1.5", "abc",
            "", " 1", "+1", "01", "-0", "1e3"]
FLOATS = ["0", "0.1", "-0.1", "3.0e2", "1e-5", "10.50", "abc", "", " 1", "inf", "-inf", "nan", "1e400",
          "123456789.987654321"]
VALUES = ["", "a", "abc", "10", "-3", "3.25", "9223372036854775806", "hello world", b"\x00\r\n\xff", "x" * 300]
FIELDS = ["a", "b", "c", "name", "n", "f", "", b"\x00\xff"]
SECONDS = ["100", "1000", "0", "-1", "x", "9223372036854775807", "5000000", ""]
FAR_FUTURE_S = ["4102444800", "4102444801", "1", "0", "-5", "x"]
# Replies that tell a moment or a time to live: compared with a tolerance.
# Redis's hashes have their fields in order as long as they are small.
KEEP_ORDER = ["--hash-max-listpack-entries", "10000", "--hash-max-listpack-value", "10000"]
TIMES_MS = {"PTTL": 1, "PEXPIRETIME": 1, "TTL": 1000, "EXPIRETIME": 1000}


class RedisServer:
    def __init__(self):
        binary = shutil.which("redis-server")
        if not binary:
            sys.exit("redis-server is not installed (Debian: apt install redis-server)")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.directory = tempfile.TemporaryDirectory(prefix="freshet-differential-")
        self.process = subprocess.Popen(
            [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
             self.directory.name, *KEEP_ORDER], stdout=subprocess.DEVNULL)

    def client(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                return resp.Client("127.0.0.1", self.port)
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("redis-server did not start")
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.directory.cleanup()


class Commands:
    """Makes random commands of the families that Freshet offers."""

    def __init__(self, dice, prefix):
        self.dice = dice
        self.keys = ["%s:%d" % (prefix, i) for i in range(KEYS_PER_RUN)]
        self.data = [self.strings, self.strings, self.reads, self.reads, self.numbers, self.parts, self.many, self.expiry,
                     self.hash_writes, self.hash_writes, self.hash_reads, self.hash_reads]
        self.makers = self.data + [self.connection, self.malformed]

    def batch(self):
        """Some commands; now and then a transaction, of data alone."""
        length = self.dice.randint(1, BATCH_MAX)
        if self.dice.random() >= 0.1:
            return [self.next(self.makers) for _ in range(length)]
        commands = [self.next(self.data) for _ in range(length)]
        return [["MULTI"]] + [words for words in commands if words[0].upper() != "KEYS"] + [["EXEC"]]

    def next(self, makers):
        words = self.dice.choice(makers)()
        if self.dice.random() < 0.2:
            words[0] = "".join(self.dice.choice([c.lower(), c.upper()]) for c in words[0])
        return words

    def key(self):
        return self.dice.choice(self.keys)

    def pick(self, choices):
        return self.dice.choice(choices)

    def some_keys(self):
        return [self.key() for _ in range(self.dice.randint(1, 5))]

    def expiry_option(self):
        return self.pick([["EX", self.pick(SECONDS)], ["PX", self.pick(["100000", "0", "-7", "y", "5000000"])],
                          ["EXAT", self.pick(FAR_FUTURE_S)], ["PXAT", self.pick(["4102444800123", "0", "z"])], ["EX"]])

    def strings(self):
        options = []
        for choice in (["NX"], ["XX"], ["GET"], ["KEEPTTL"], None, ["bogus"]):
            if self.dice.random() < 0.12:
                options += self.expiry_option() if choice is None else choice
        return self.pick([
            lambda: ["SET", self.key(), self.pick(VALUES)] + options,
            lambda: ["SET", self.key(), self.pick(VALUES)],
            lambda: ["SETNX", self.key(), self.pick(VALUES)],
            lambda: ["SETEX", self.key(), self.pick(SECONDS), self.pick(VALUES)],
            lambda: ["PSETEX", self.key(), self.pick(["100000", "0", "-1", "x"]), self.pick(VALUES)],
            lambda: ["GETSET", self.key(), self.pick(VALUES)],
            lambda: ["GETDEL", self.key()],
            lambda: ["GETEX", self.key()] + self.pick([[], ["PERSIST"], ["PERSIST", "EX", "5"], ["bogus"],
                                                       self.expiry_option()]),
            lambda: ["APPEND", self.key(), self.pick(VALUES)],
        ])()

    def reads(self):
        return self.pick([
            lambda: ["GET", self.key()],
            lambda: ["STRLEN", self.key()],
            lambda: ["TYPE", self.key()],
            lambda: ["EXISTS"] + self.some_keys(),
            lambda: ["TOUCH"] + self.some_keys(),
            lambda: ["MGET"] + self.some_keys(),
            lambda: ["KEYS", self.keys[0][:-1] + self.pick(["*", "?", "[0-4]", "[^3]", "1*", "\\1"])],
            lambda: [self.pick(list(TIMES_MS)), self.key()],
        ])()

    def numbers(self):
        return self.pick([
            lambda: [self.pick(["INCR", "DECR"]), self.key()],
            lambda: [self.pick(["INCRBY", "DECRBY"]), self.key(), self.pick(INTEGERS)],
            lambda: ["INCRBYFLOAT", self.key(), self.pick(FLOATS)],
            lambda: ["SET", self.key(), self.pick(INTEGERS + FLOATS)],
        ])()

    def some_fields(self):
        return [self.pick(FIELDS) for _ in range(self.dice.randint(1, 4))]

    def hash_writes(self):
        pairs = [word for field in self.some_fields() for word in (field, self.pick(VALUES))]
        return self.pick([
            lambda: [self.pick(["HSET", "HMSET"]), self.key()] + pairs,
            lambda: ["HSET", self.key(), self.pick(FIELDS), self.pick(VALUES + INTEGERS + FLOATS)],
            lambda: ["HSET", self.key()] + pairs[:-1],
            lambda: ["HSETNX", self.key(), self.pick(FIELDS), self.pick(VALUES)],
            lambda: ["HDEL", self.key()] + self.some_fields(),
            lambda: ["HINCRBY", self.key(), self.pick(FIELDS), self.pick(INTEGERS)],
            lambda: ["HINCRBYFLOAT", self.key(), self.pick(FIELDS), self.pick(FLOATS)],
        ])()

    def hash_reads(self):
        counts = ["0", "1", "3", "1000", "-1", "-5", "x", "9223372036854775807", "-9223372036854775808",
                  "4611686018427387904"]
        options = self.pick([[], [], ["MATCH", self.pick(["*", "a", "[a-c]", "n*"])], ["COUNT", self.pick(["1", "0", "x"])],
                             ["MATCH", "?", "COUNT", "100"], ["TYPE", "hash"], ["MATCH"]])
        return self.pick([
            lambda: ["HGET", self.key(), self.pick(FIELDS)],
            lambda: ["HMGET", self.key()] + self.some_fields(),
            lambda: ["HMGET", self.key()] + FIELDS + FIELDS,
            lambda: [self.pick(["HGETALL", "HKEYS", "HVALS", "HLEN"]), self.key()],
            lambda: [self.pick(["HEXISTS", "HSTRLEN"]), self.key(), self.pick(FIELDS)],
            lambda: ["HRANDFIELD", self.key()],
            lambda: ["HRANDFIELD", self.key(), self.pick(counts)] + self.pick([[], ["WITHVALUES"], ["bogus"]]),
            lambda: ["HSCAN", self.key(), self.pick(["0", "0", "17", "x"])] + options,
        ])()

    def parts(self):
        ends = ["0", "1", "5", "-1", "-3", "-1000", "1000", "x", "9223372036854775807", "-9223372036854775808"]
        return self.pick([
            lambda: [self.pick(["GETRANGE", "SUBSTR"]), self.key(), self.pick(ends), self.pick(ends)],
            lambda: ["SETRANGE", self.key(), self.pick(["0", "1", "10", "-1", "x", "536870911", "9223372036854775807"]),
                     self.pick(["", "ab", "xyz"])],
        ])()

    def many(self):
        pairs = [word for key in self.some_keys() for word in (key, self.pick(VALUES))]
        return self.pick([
            lambda: ["MSET"] + pairs,
            lambda: ["MSETNX"] + pairs,
            lambda: ["MSET"] + pairs[:-1],
            lambda: [self.pick(["DEL", "UNLINK"])] + self.some_keys(),
        ])()

    def unlike(self, unit):
        """A time to live that no other command sets: GT and LT must not depend on the millisecond of two commands."""
        return str((107 + 10 * self.dice.randrange(10 ** 7)) * unit)

    def expiry(self):
        conditions = self.pick([[], [], ["NX"], ["XX"], ["GT"], ["LT"], ["XX", "GT"], ["NX", "GT"], ["GT", "LT"], ["bogus"]])
        return self.pick([
            lambda: ["EXPIRE", self.key(), self.pick([self.unlike(1), "0", "-1", "x", "9223372036854775807"])] + conditions,
            lambda: ["PEXPIRE", self.key(), self.pick([self.unlike(1000), "-1", "0", "x"])] + conditions,
            lambda: ["EXPIREAT", self.key(), self.pick(FAR_FUTURE_S)] + conditions,
            lambda: ["PEXPIREAT", self.key(), self.pick(["4102444800123", "1", "-1", "x"])] + conditions,
            lambda: ["PERSIST", self.key()],
        ])()

    def connection(self):
        return self.pick([["PING"], ["PING", "x"], ["ECHO", b"\x00\xff"], ["SELECT", "0"], ["SELECT", "x"], ["SELECT", "-1"],
                          ["SELECT", "99"], ["CLIENT", "SETNAME", "a b"], ["CLIENT", "SETNAME", "me"], ["CLIENT", "GETNAME"],
                          ["CLIENT", "NO-EVICT", "on"], ["CLIENT", "NO-EVICT", "x"], ["HELLO", "x"], ["HELLO", "9"],
                          ["CLIENT", "NOPE"], ["CONFIG", "NOPE"], ["COMMAND", "NOPE"], ["CLIENT", "LIST", "ID", "x"],
                          ["CLIENT", "LIST", "TYPE", "x"], ["AUTH", "a", "b"], ["AUTH", "default", "b"], ["AUTH", "a"],
                          ["COMMAND", "INFO", "nope"], ["COMMAND", "DOCS", "nope"], ["CONFIG", "GET", "no-such-setting"]])

    def malformed(self):
        name = self.pick(["GET", "SET", "SETNX", "SETEX", "GETEX", "MSET", "MGET", "INCRBY", "SETRANGE", "EXPIRE", "TTL",
                          "DEL", "EXISTS", "PERSIST", "SCAN", "ECHO", "STRLEN", "nosuchcommand", "CLIENT", "CONFIG",
                          "GETDEL", "HGET", "HSET", "HSETNX", "HMGET", "HDEL", "HINCRBY", "HSCAN", "HRANDFIELD"])
        words = [name] + [self.key() for _ in range(self.dice.choice([0, 0, 1, 5, 6]))]
        # Only names alone, and what takes any number of keys or is refused for them.
        if len(words) == 1 or name in ("nosuchcommand", "STRLEN", "TTL", "PERSIST") or name == "GET" and len(words) > 2:
            return words
        return [name]


def same(name, ours, theirs):
    if name in TIMES_MS and isinstance(ours, int) and isinstance(theirs, int) and min(ours, theirs) > 0:
        return abs(ours - theirs) * TIMES_MS[name] <= DEADLINE_TOLERANCE_MS
    if name == "HRANDFIELD" and isinstance(theirs, (bytes, list)) and type(ours) is type(theirs):
        return isinstance(ours, bytes) or len(ours) == len(theirs)
    if name == "KEYS" and isinstance(ours, list) and isinstance(theirs, list):
        return sorted(ours) == sorted(theirs)
    if isinstance(ours, resp.Error) and isinstance(theirs, resp.Error):
        # Redis ends this one with advice on ACLs that differs between its minor versions.
        return ours == theirs or (ours.startswith("ERR unknown command") and theirs.startswith(ours.rstrip()))
    return type(ours) is type(theirs) and ours == theirs


def same_of_transaction(queued, ours, theirs):
    if not isinstance(ours, list) or not isinstance(theirs, list):
        return same("EXEC", ours, theirs)
    queued = [words[0].upper() for words, reply in queued if reply == "QUEUED"]
    return len(ours) == len(theirs) == len(queued) and all(map(same, queued, ours, theirs))


def run(target, redis, commands, count):
    """Returns the number of differences; prints each with what led to it."""
    differences = 0
    history = {}
    done = 0
    while done < count:
        batch = commands.batch()
        done += len(batch)
        target.send(*batch)
        redis.send(*batch)
        replies = []
        for words in batch:
            ours, theirs = target.read(), redis.read()
            replies.append((words, theirs))
            key = words[1] if len(words) > 1 else ""
            history.setdefault(key, []).append((words, theirs))
            if same_of_transaction(replies, ours, theirs) if words == ["EXEC"] else same(words[0].upper(), ours, theirs):
                continue
            if words == ["EXEC"]:
                print("IN A TRANSACTION %r" % [words for words, _ in replies])
            differences += 1
            if differences <= 20:
                print("DIFFERENCE %r\n  redis:   %r\n  freshet: %r" % (words, theirs, ours))
                for before in history[key][-6:-1]:
                    print("    before: %r -> %r" % before)
    return differences


def main():
    arguments = argparse.ArgumentParser(description="Compares Freshet's replies with a real Redis's.")
    arguments.add_argument("host")
    arguments.add_argument("port", type=int)
    arguments.add_argument("--commands", type=int, default=20000)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = arguments.parse_args()
    print("seed %d, %d commands" % (options.seed, options.commands))
    dice = random.Random(options.seed)
    server = RedisServer()
    try:
        differences = 0
        for version in ("2", "3"):
            redis = server.client()
            target = resp.Client(options.host, options.port)
            for client in (target, redis):
                hello = client.call("HELLO", version)
                if isinstance(hello, resp.Error):
                    sys.exit("HELLO failed: %s" % hello)
            commands = Commands(dice, "differential:%d:%s" % (options.seed, version))
            differences += run(target, redis, commands, options.commands // 2)
            target.call("DEL", *commands.keys)
            target.close()
            redis.close()
    finally:
        server.stop()
    print("%d differences" % differences)
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
