#!/usr/bin/env python3
"""kill -9 of `freshet serve` on embedded storage while clients pipeline writes, five times over in one data directory.

Afterwards every acknowledged write is there, and none counts twice: a write without an answer is there once or not at all,
and of one client's writes on one key those without an answer are there as a prefix, for they were made in order.

usage: embedded_crash_test.py FOLDER_OF_FRESHET [SEED]
"""
import random
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "clients")]
import resp  # noqa: E402
import serving  # noqa: E402

ROUNDS = 5
CLIENTS = 6
PIPELINE_MAX = 64
COUNTERS = 3
ANSWERS_BEFORE_KILL = (1000, 8000)
SECONDS_TO_KILL_MAX = 30  # Fewer answers than that within this is a failure of its own.
KEYS_A_READ = 500


class Ledger:
    """What one client was told, and what it may expect to find."""

    def __init__(self, client):
        self.client = client
        self.register, self.log = "register:%d" % client, "log:%d" % client
        self.values = {}            # Key -> the one value that was ever set there, acknowledged.
        self.possible = {}          # The same without an answer.
        self.register_range = (0, 0)  # The register's last value acknowledged, and the last sent.
        self.tokens, self.open_tokens = [], []  # Of the log: those acknowledged, then those that may follow.
        self.increments, self.open_increments = Counter(), Counter()
        self.sums = []              # (counter, sum) as the replies told.
        self.serial = 0

    def next(self, dice):
        self.serial += 1
        kind = dice.choice(("unique", "register", "append", "append", "increment", "increment"))
        number = self.serial
        if kind == "unique":
            return kind, ["SET", "unique:%d:%d" % (self.client, number), "%d-%d" % (self.client, number)]
        if kind == "register":
            return kind, ["SET", self.register, number]
        if kind == "append":
            return kind, ["APPEND", self.log, "%d;" % number]
        return kind, ["INCR", "counter:%d" % dice.randrange(COUNTERS)]

    def sent(self, kind, words):
        if kind == "unique":
            self.possible[words[1]] = words[2].encode()
        elif kind == "register":
            self.register_range = (self.register_range[0], words[2])
        elif kind == "append":
            self.open_tokens.append(words[2].encode())
        else:
            self.open_increments[words[1]] += 1

    def acknowledged(self, kind, words, reply):
        if kind == "unique":
            assert reply == "OK", reply
            self.values[words[1]] = self.possible.pop(words[1])
        elif kind == "register":
            assert reply == "OK", reply
            self.register_range = (words[2], self.register_range[1])
        elif kind == "append":
            self.tokens.append(self.open_tokens.pop(0))
            expected = sum(map(len, self.tokens))
            assert reply == expected, "APPEND on %s answered %r, not %d" % (self.log, reply, expected)
        else:
            self.open_increments[words[1]] -= 1
            self.increments[words[1]] += 1
            self.sums.append((words[1], reply))

    def unanswered(self):
        return len(self.possible) + len(self.open_tokens) + sum(self.open_increments.values())


class Load:
    """All clients at full speed until the server is gone."""

    def __init__(self, server, ledgers, seed):
        self.server, self.ledgers = server, ledgers
        self.answers, self.changed, self.failures = 0, threading.Condition(), []
        self.threads = [threading.Thread(target=self.run, args=(ledger, random.Random("%s/%d" % (seed, ledger.client))))
                        for ledger in ledgers]
        for thread in self.threads:
            thread.start()

    def run(self, ledger, dice):
        try:
            client = resp.Client(self.server.host, self.server.port)
            try:
                while True:
                    self.batch(client, ledger, dice)
            except ConnectionError:
                client.close()
        except BaseException as failure:
            self.failures.append(failure)
            raise

    def batch(self, client, ledger, dice):
        batch = [ledger.next(dice) for _ in range(dice.randint(1, PIPELINE_MAX))]
        for kind, words in batch:
            ledger.sent(kind, words)
        client.send(*[words for _, words in batch])
        for kind, words in batch:
            reply = client.read()
            assert not isinstance(reply, resp.Error), "%r: %s" % (words, reply)
            ledger.acknowledged(kind, words, reply)
        with self.changed:
            self.answers += len(batch)
            self.changed.notify()

    def kill_after(self, answers):
        with self.changed:
            enough = self.changed.wait_for(lambda: self.answers >= answers or self.failures, SECONDS_TO_KILL_MAX)
        self.server.kill()
        for thread in self.threads:
            thread.join()
        if self.failures:
            raise self.failures[0]
        assert enough, "only %d answers within %d s" % (self.answers, SECONDS_TO_KILL_MAX)


def read_all(client, keys):
    found = []
    for first in range(0, len(keys), KEYS_A_READ):
        found += client.call("MGET", *keys[first:first + KEYS_A_READ])
    return dict(zip(keys, found))


def verify_own(client, ledger):
    """What only this client wrote. What is found becomes the truth of the next round."""
    for key, value in read_all(client, sorted(ledger.values)).items():
        assert value == ledger.values[key], "%s: %r, acknowledged %r" % (key, value, ledger.values[key])
    for key, value in read_all(client, sorted(ledger.possible)).items():
        assert value in (None, ledger.possible[key]), "%s: %r was never written" % (key, value)
        if value is not None:
            ledger.values[key] = value
    ledger.possible.clear()

    found = int(client.call("GET", ledger.register) or 0)
    first, last = ledger.register_range
    assert first <= found <= last, "%s: %d, acknowledged %d, sent up to %d" % (ledger.register, found, first, last)
    ledger.register_range = (found, found)

    log = client.call("GET", ledger.log) or b""
    tokens = [token + b";" for token in log.split(b";")[:-1]]
    expected = ledger.tokens + ledger.open_tokens
    assert len(tokens) >= len(ledger.tokens) and tokens == expected[:len(tokens)], (
        "%s: found …%r, acknowledged …%r, then %r" % (ledger.log, tokens[-70:], ledger.tokens[-5:], ledger.open_tokens))
    ledger.tokens, ledger.open_tokens = tokens, []


def verify_counters(client, ledgers, base):
    """`base` holds the counters' values as found after the round before."""
    for name in ["counter:%d" % i for i in range(COUNTERS)]:
        found = int(client.call("GET", name) or 0)
        acknowledged = sum(ledger.increments[name] for ledger in ledgers)
        unanswered = sum(ledger.open_increments[name] for ledger in ledgers)
        least = base[name] + acknowledged
        assert least <= found <= least + unanswered, "%s: %d; before the round %d, acknowledged %d, unanswered %d" % (
            name, found, base[name], acknowledged, unanswered)
        sums = [told for ledger in ledgers for counter, told in ledger.sums if counter == name]
        assert len(set(sums)) == len(sums), "%s: two increments were told the same sum" % name
        assert not sums or base[name] < min(sums) and max(sums) <= found, "%s: a sum beyond the value %d" % (name, found)
        base[name] = found
    for ledger in ledgers:
        ledger.increments.clear()
        ledger.open_increments.clear()
        ledger.sums.clear()


def verify(server, ledgers, base):
    client = resp.Client(server.host, server.port)
    for ledger in ledgers:
        verify_own(client, ledger)
    verify_counters(client, ledgers, base)
    client.close()


def main():
    freshet = Path(sys.argv[1]).resolve() / "freshet"
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    print("seed %d" % seed, flush=True)
    dice = random.Random(seed)
    ledgers, base = [Ledger(client) for client in range(CLIENTS)], Counter()
    unanswered = 0
    with tempfile.TemporaryDirectory(prefix="freshet-crash-") as data:
        for turn in range(ROUNDS):
            load = Load(serving.Serving(freshet, "--data", data), ledgers, "%d/%d" % (seed, turn))
            load.kill_after(dice.randint(*ANSWERS_BEFORE_KILL))
            left = sum(ledger.unanswered() for ledger in ledgers)
            unanswered += left
            server = serving.Serving(freshet, "--data", data)
            try:
                verify(server, ledgers, base)
            finally:
                server.kill()
            print("round %d: %d answers, %d left unanswered" % (turn, load.answers, left), flush=True)
    assert unanswered > 0, "every write was answered: the server was not killed under load"


if __name__ == "__main__":
    main()
