#!/usr/bin/env python3
"""Observed collections through `freshet serve`, with psql writing around it.

tracking  RESP3 clients that cache what they read and drop what they are told to drop: whenever the writers rest, every value
          that a client still keeps is the database's. A client that is deaf to what it is told must not pass.
paused    Two nodes follow one database; one of them is stopped (SIGSTOP) and continued. What it answers afterwards, to what
          it was asked meanwhile too, is right: linearizable and bounded.
clock     The clocks of the database and of two nodes step by hours, forth and back, while they are written and read.

usage: observed_serving_test.py FOLDER_OF_FRESHET tracking|paused|clock [SEED]
"""
import os
import random
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "clients")]
import resp  # noqa: E402
import serving  # noqa: E402
from psql import Psql  # noqa: E402

POSTGRES = TESTS.parent / "tools" / "temporary-postgres"
POSTGRES_PROGRAM = os.path.join(os.environ.get("FRESHET_POSTGRES_BIN", "/usr/lib/postgresql/15/bin"), "postgres")
ROWS = 8
WRITERS = 2
SECONDS_MAX = 30          # For whatever must come to pass.
ROUNDS = 4
WRITES_A_ROUND = 400
PAUSES_S = (3, 8)         # The second is longer than wal_sender_timeout: the server drops the stream meanwhile.
BOUND_MS = 100
LATE_CLIENTS = 8
FAKETIME = "/usr/lib/%s-linux-gnu/faketime/libfaketimeMT.so.1" % os.uname().machine
DATABASE_CLOCK = "SELECT extract(epoch FROM clock_timestamp())"
CLOCK_STEPS_S = (3600, -86400, 0)
CONFIG = """[storage]
key_value = "off"
[[collection]]
name = "item"
table = "item"
"""


class Scene:
    """A database of its own with the table, and servers that follow it."""

    def __init__(self, freshet, stepped=False):
        self.freshet = freshet
        self.folder = tempfile.TemporaryDirectory(prefix="freshet-observed-")
        self.data = Path(self.folder.name) / "postgres"
        os.chmod(self.folder.name, 0o755)
        environment = dict(os.environ)
        if stepped:
            self.clock = SteppedClock(self.folder.name)
            # What fakes the clock does not get on with jemalloc.
            self.freshet = self.clock.shown_to(freshet.parent / "tests" / "freshet_plain_allocator")
            environment["FRESHET_POSTGRES_PROGRAM"] = self.clock.shown_to(POSTGRES_PROGRAM)
        self.url = subprocess.run([POSTGRES, "start", self.data, "--with", str(os.getpid()), "wal_sender_timeout = 5s"],
                                  check=True, text=True, stdout=subprocess.PIPE, env=environment).stdout.split()[-1]
        self.sql = Psql(self.url)
        self.sql.run("CREATE TABLE item (id int PRIMARY KEY, n bigint NOT NULL)")
        self.sql.run(fill())
        self.servers = []

    def serve(self, *arguments):
        config = Path(self.folder.name) / "freshet.toml"
        config.write_text(CONFIG)
        self.servers.append(serving.Serving(self.freshet, "--config", config, "--storage", self.url, *arguments))
        return self.servers[-1]

    def serve_with_slot(self, slot):
        """With a replication slot and a publication of the operator's: two nodes of one machine and no port of their own."""
        if not self.sql.run("SELECT 1 FROM pg_publication WHERE pubname = 'operators'"):
            self.sql.run("CREATE PUBLICATION operators FOR TABLE item")
        self.sql.run("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')" % slot)
        return self.serve("--publication", "operators", "--slot", slot)

    def close(self):
        for server in self.servers:
            server.kill()
        self.sql.close()
        subprocess.run([POSTGRES, "stop", self.data], check=True)
        self.folder.cleanup()


def fill():
    return "INSERT INTO item SELECT i, 0 FROM generate_series(0, %d) i ON CONFLICT DO NOTHING" % (ROWS - 1)


def key(row):
    return "item:%d" % row


class Writer(threading.Thread):
    """Writes in every way of SQL until told to stop, and rests where told."""

    def __init__(self, url, seed):
        super().__init__(daemon=True)
        self.sql, self.random = Psql(url), random.Random(seed)
        self.writing, self.stopping = threading.Event(), False
        self.resting = threading.Event()
        self.writes = 0
        self.writing.set()
        self.start()

    def run(self):
        while not self.stopping:
            if not self.writing.is_set():
                self.resting.set()
                self.writing.wait()
                self.resting.clear()
                continue
            self.sql.run(self.statement())
            self.writes += 1
        self.sql.close()

    def statement(self):
        row, dice = self.random.randrange(ROWS), self.random.random()
        if dice < 0.6:
            return "UPDATE item SET n = n + 1 WHERE id = %d" % row
        if dice < 0.7:
            return "DELETE FROM item WHERE id = %d" % row
        if dice < 0.99:
            return ("INSERT INTO item VALUES (%d, %d) ON CONFLICT (id) DO UPDATE SET n = item.n + 7" %
                    (row, self.random.randrange(1000)))
        return "BEGIN; TRUNCATE item; %s; COMMIT" % fill()

    def rest(self):
        self.writing.clear()
        if not self.resting.wait(SECONDS_MAX):
            raise RuntimeError("a writer never rested")

    def end(self):
        self.stopping = True
        self.writing.set()
        self.join()


class CachingClient:
    """Keeps what it read until it is told to drop it. Told while a read is under way, it does not keep the answer."""

    def __init__(self, server, deaf=False, *mode):
        self.client = resp.Client(server.host, server.port)
        self.client.call("HELLO", 3)
        reply = self.client.call("CLIENT", "TRACKING", "ON", *mode)
        if reply != "OK":
            raise RuntimeError("CLIENT TRACKING: %s" % reply)
        self.deaf, self.kept, self.dropped_meanwhile = deaf, {}, set()
        self.hits = self.invalidations = self.flushes = 0

    def hear(self, push):
        if push[0] != b"invalidate":
            raise RuntimeError("an unexpected push: %r" % push)
        keys = push[1]
        if keys is None:
            self.flushes += 1
        else:
            self.invalidations += len(keys)
        if self.deaf:
            return
        for dropped in list(self.kept) if keys is None else [k.decode() for k in keys]:
            self.kept.pop(dropped, None)
        self.dropped_meanwhile.update([None] if keys is None else [k.decode() for k in keys])

    def hear_all(self, patience_s=0):
        """What has come by now, and what comes until it has been silent for so long."""
        while self.has_input(patience_s):
            self.hear(self.client.read())

    def has_input(self, patience_s):
        self.client.socket.setblocking(False)
        try:
            buffered = self.client.buffer.peek(1)
        finally:
            self.client.socket.settimeout(SECONDS_MAX)
        return bool(buffered) or bool(select.select([self.client.socket], [], [], patience_s)[0])

    def get(self, name):
        self.hear_all()
        if name in self.kept:
            self.hits += 1
            return
        self.dropped_meanwhile.clear()
        self.client.send(("GET", name))
        reply = self.client.read()
        while isinstance(reply, resp.Push):
            self.hear(reply)
            reply = self.client.read()
        if isinstance(reply, resp.Error):
            return  # The stream was interrupted, and the database busy: nothing to keep.
        if self.deaf or not self.dropped_meanwhile & {None, name}:
            self.kept[name] = reply


def truth(scene):
    rows = {key(int(i)): b'{"id":%s,"n":%s}' % (i.encode(), n.encode()) for i, n in scene.sql.run("SELECT id, n FROM item")}
    return {key(row): rows.get(key(row)) for row in range(ROWS)}


def stale(client, expected):
    return {name: (kept, expected[name]) for name, kept in client.kept.items() if kept != expected[name]}


def wait_until(holds, what):
    deadline = time.monotonic() + SECONDS_MAX
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(what)
        time.sleep(0.01)


def settle(client, expected):
    """Drops come after the commits, so they are waited for; nothing is read meanwhile."""
    deadline = time.monotonic() + SECONDS_MAX
    client.hear_all()
    while stale(client, expected) and time.monotonic() < deadline:
        client.hear_all(patience_s=0.2)
    return stale(client, expected)


def keep_all(client):
    """Late news may still drop what was read: then it is read again."""
    deadline = time.monotonic() + SECONDS_MAX
    while len(client.kept) < ROWS:
        if time.monotonic() > deadline:
            raise RuntimeError("while nobody writes a client keeps only %s" % sorted(client.kept))
        for row in range(ROWS):
            client.get(key(row))
        client.hear_all(patience_s=0.02)


def tracking(scene, seed):
    server = scene.serve()
    writers = [Writer(scene.url, seed * 100 + i) for i in range(WRITERS)]
    clients = [CachingClient(server), CachingClient(server, False, "BCAST", "PREFIX", "item:")]
    deaf = CachingClient(server, True)
    choose = random.Random(seed)
    deaf_was_stale = False
    for turn in range(ROUNDS):
        goal = sum(writer.writes for writer in writers) + WRITES_A_ROUND
        while sum(writer.writes for writer in writers) < goal:
            for client in (*clients, deaf):
                client.get(key(choose.randrange(ROWS)))
        if turn % 2:
            scene.sql.run("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
        for writer in writers:
            writer.rest()
        expected = truth(scene)
        for number, client in enumerate(clients):
            wrong = settle(client, expected)
            if wrong:
                raise RuntimeError("round %d, client %d keeps what is out of date: %r" % (turn, number, wrong))
            # While nobody writes everything can be kept, and what is kept is right.
            keep_all(client)
            wrong = settle(client, expected)
            if wrong:
                raise RuntimeError("round %d, client %d read what is out of date: %r" % (turn, number, wrong))
        deaf.hear_all()
        deaf_was_stale = deaf_was_stale or bool(stale(deaf, expected))
        for writer in writers:
            writer.writing.set()
    for writer in writers:
        writer.end()
    print("%d writes; %s" % (sum(w.writes for w in writers), "; ".join(
        "%d hits, %d invalidations, %d flushes" % (c.hits, c.invalidations, c.flushes) for c in clients)))
    if not deaf_was_stale:
        raise RuntimeError("nothing was tested: the client that hears nothing was right too")
    for client in clients:
        if min(client.hits, client.invalidations, client.flushes) < ROUNDS // 2:
            raise RuntimeError("too little happened to a client")


class Counting(threading.Thread):
    """The one writer of a row that only grows; remembers what was acknowledged when."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.sql, self.stopping = Psql(url), False
        self.acknowledged = [(time.monotonic(), 0)]
        self.start()

    def run(self):
        while not self.stopping:
            n = int(self.sql.run("UPDATE item SET n = n + 1 WHERE id = 0 RETURNING n")[0][0])
            self.acknowledged.append((time.monotonic(), n))
        self.sql.close()

    def floor(self, moment):
        for when, n in reversed(self.acknowledged):
            if when <= moment:
                return n
        return 0


class Read:
    """One read, sent and answered apart; `floor`: what it must show at least."""

    def __init__(self, client, counting, bounded):
        self.client, self.bounded = client, bounded
        words = ("FRESHET.WITH", "LEVEL", "bounded", BOUND_MS, "HGET", key(0), "n") if bounded else ("HGET", key(0), "n")
        self.floor = counting.floor(time.monotonic() - (BOUND_MS / 1000 if bounded else 0))
        client.send(words)

    def check(self, who):
        """Whether it was answered; an error is an answer that says so."""
        reply = self.client.read()
        if isinstance(reply, resp.Error):
            if not reply.startswith("STALE"):
                raise RuntimeError("%s: %s" % (who, reply))
            return False
        if int(reply) < self.floor:
            raise RuntimeError("%s, %s: read %d, where %d is promised" % (who, "bounded" if self.bounded else "linearizable",
                                                                          int(reply), self.floor))
        return True


class Reader(threading.Thread):
    def __init__(self, server, counting, bounded, who):
        super().__init__(daemon=True)
        self.client, self.counting, self.bounded, self.who = resp.Client(server.host, server.port), counting, bounded, who
        self.stopping, self.fault, self.reads = False, None, 0
        self.start()

    def run(self):
        try:
            while not self.stopping:
                self.reads += Read(self.client, self.counting, self.bounded).check(self.who)
        except Exception as fault:  # Told by the main thread.
            self.fault = fault
        self.client.close()


def pause(server, counting, seconds):
    """Stops the node, asks it meanwhile, and continues it; everything asked must be answered rightly."""
    late = [resp.Client(server.host, server.port) for _ in range(LATE_CLIENTS)]
    for client in late:
        client.call("PING")
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    reads = [Read(client, counting, bounded=i % 2 == 0) for i, client in enumerate(late)]
    server.process.send_signal(signal.SIGCONT)
    for read in reads:
        read.check("asked while the node was stopped")
        read.client.close()


class FollowedByTwo:
    """Two nodes on one database, a row that is counted up, and readers of it at two levels on each node."""

    def __init__(self, scene):
        self.nodes = [scene.serve_with_slot("node_a"), scene.serve_with_slot("node_b")]
        self.counting = Counting(scene.url)
        self.readers = [Reader(node, self.counting, bounded, "node %s" % name)
                        for name, node in zip("ab", self.nodes) for bounded in (False, True)]

    def all_read(self, more):
        before = [reader.reads for reader in self.readers]
        wait_until(lambda: any(r.fault for r in self.readers) or
                   all(r.reads >= b + more for r, b in zip(self.readers, before)), "reads do not go on")
        for reader in self.readers:
            if reader.fault:
                raise reader.fault

    def serves_from_memory(self, node):
        probe = resp.Client(node.host, node.port)
        wait_until(lambda: b"memory" in probe.call("FRESHET.GET", key(1)), "nothing is served from memory again")
        probe.close()

    def end(self):
        for thread in (*self.readers, self.counting):
            thread.stopping = True
        for thread in (*self.readers, self.counting):
            thread.join()
        print("%d writes, reads: %s" % (len(self.counting.acknowledged), [reader.reads for reader in self.readers]))


def paused(scene, seed):
    del seed
    followed = FollowedByTwo(scene)
    followed.all_read(200)
    for seconds in PAUSES_S:
        pause(followed.nodes[1], followed.counting, seconds)
        followed.all_read(200)
        followed.serves_from_memory(followed.nodes[1])
    followed.end()


class SteppedClock:
    """The wall clock of chosen programs; steady clocks stay, as the kernel keeps them. Only of these, and not of shells and
    whatever else starts them: the library shares memory between a process and its children, and fails in a child whose
    parent has ended too soon."""

    def __init__(self, folder):
        self.file = Path(folder) / "clock"
        self.step(0)

    def shown_to(self, program):
        """A program that is the given one under this clock."""
        settings = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": self.file, "FAKETIME_CACHE_DURATION": 1,
                    "FAKETIME_DONT_FAKE_MONOTONIC": 1, "DONT_FAKE_MONOTONIC": 1}
        exports = " ".join("%s=%s" % (name, shlex.quote(str(value))) for name, value in settings.items())
        shown = self.file.with_name("clocked-" + Path(program).name)
        shown.write_text("#!/bin/sh\nexport %s\nexec %s \"$@\"\n" % (exports, shlex.quote(str(program))))
        shown.chmod(0o755)
        return str(shown)

    def step(self, seconds):
        self.seconds = seconds
        beside = self.file.with_suffix(".new")
        beside.write_text("%+d" % seconds)
        beside.rename(self.file)

    def is_shown_by(self, moment_s):
        return abs(moment_s - time.time() - self.seconds) < 60


def clock(scene, seed):
    del seed
    followed = FollowedByTwo(scene)
    followed.all_read(200)
    for seconds in CLOCK_STEPS_S:
        scene.clock.step(seconds)
        wait_until(lambda: scene.clock.is_shown_by(float(scene.sql.run(DATABASE_CLOCK)[0][0])),
                   "the database's clock does not step")
        for node in followed.nodes:
            client = resp.Client(node.host, node.port)
            wait_until(lambda: scene.clock.is_shown_by(float(client.call("TIME")[0])), "the node's clock does not step")
            client.close()
        followed.all_read(500)
        for node in followed.nodes:
            followed.serves_from_memory(node)
    followed.end()


def main():
    folder, case = Path(sys.argv[1]), sys.argv[2]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(os.environ.get("FRESHET_SEED", "1"))
    print("seed %d" % seed, flush=True)
    scene = Scene(folder / "freshet", stepped=case == "clock")
    try:
        {"tracking": tracking, "paused": paused, "clock": clock}[case](scene, seed)
    finally:
        scene.close()


if __name__ == "__main__":
    main()
