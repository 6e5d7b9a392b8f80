#!/usr/bin/env python3
"""`freshet record` as users meet it: a server under a load that is known, the trace it writes, and what `freshet sim`
makes of it; Ctrl-C, sampling, and its errors.

usage: record_test.py FOLDER_OF_FRESHET
"""
import json
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections import Counter, OrderedDict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import serving  # noqa: E402

SECONDS_MAX = 120
USAGE = 64
RECORD = struct.Struct("<IQIq")  # oracleGeneral: seconds, id, bytes, next access.
FRESHET = Path()


class Client:
    """Sends commands and reads as many replies, each of one line or one bulk string."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS_MAX)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def reply(self):
        line = self.file.readline()
        kind, text = line[:1], line[1:-2].decode()
        if kind == b"*":
            return [self.reply() for _ in range(int(text))]
        if kind == b"$" and int(text) >= 0:
            return self.file.read(int(text) + 2)[:-2].decode()
        return None if kind == b"$" else text

    def all(self, commands):
        bytes_out = b""
        for words in commands:
            bytes_out += b"*%d\r\n" % len(words)
            bytes_out += b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)
        sender = threading.Thread(target=self.socket.sendall, args=(bytes_out,))
        sender.start()
        replies = [self.reply() for _ in commands]
        sender.join()
        return replies

    def call(self, *words):
        return self.all([words])[0]


def accesses_of(path):
    """The (id, bytes) of a trace, packed or not."""
    content = Path(path).read_bytes()
    if str(path).endswith(".zst"):
        content = subprocess.run(["zstd", "-dc", str(path)], check=True, stdout=subprocess.PIPE).stdout
    assert len(content) % RECORD.size == 0, "a record is cut off"
    return [(key, size) for _, key, size, _ in RECORD.iter_unpack(content)]


def renamed(keys):
    """Keys by their first appearance: what two traces of one sequence have in common, whatever the names."""
    numbers = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def lru_misses(accesses, size):
    held, used, misses = OrderedDict(), 0, 0
    for key, each in accesses:
        if key in held:
            held.move_to_end(key)
            continue
        misses += 1
        while used + each > size:
            used -= held.popitem(last=False)[1]
        held[key] = each
        used += each
    return misses


class Record(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.server = serving.Serving(FRESHET, "--data", self.folder / "data")
        self.addCleanup(self.server.kill)
        self.target = f"127.0.0.1:{self.server.port}"

    def client(self):
        client = Client(self.server.port)
        self.addCleanup(client.close)
        return client

    def start(self, *arguments):
        process = subprocess.Popen([FRESHET, "record", "--target", self.target, *map(str, arguments)], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        return process

    def await_recordings(self, client, count):
        deadline = time.monotonic() + SECONDS_MAX
        while f"\r\nrecordings:{count}\r\n" not in client.call("INFO"):
            self.assertLess(time.monotonic(), deadline)

    def counted(self, client):
        """What the server has sent to recordings, and what it dropped."""
        info = client.call("INFO")
        return [int(info.split(f"\r\n{name}:")[1].split("\r\n")[0]) for name in ("recorded_accesses", "recording_dropped")]

    def settle(self, client):
        """Nobody accesses anything any more: waits until all has come to the recording, which has no end to wait for."""
        before, waits = None, True
        while waits or before != self.counted(client):
            before = self.counted(client)
            time.sleep(0.5)
            waits = not re.search(r" flags=O .* omem=0 ", client.call("CLIENT", "LIST"))
        time.sleep(0.5)  # What the sockets hold.

    def ended(self, process):
        """What it printed, if all went well."""
        out, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual((process.returncode, err), (0, ""), out)
        return out

    def test_a_trace_is_what_was_asked_for(self):
        generator = random.Random(5)
        client = self.client()
        sizes = {f"key{i}": generator.randint(1, 5000) for i in range(300)}
        client.all([("SET", key, "x" * size) for key, size in sizes.items()])
        reads = [f"key{min(299, int(generator.expovariate(0.02)))}" for _ in range(20000)]
        for name in ("plain", "packed.zst"):
            process = self.start("--out", self.folder / name, "--requests", len(reads) + 1)
            self.await_recordings(client, 1)
            client.all([("GET", key) for key in reads] + [("DEL", "nothing"), ("SET", "last", "123456")])
            out = self.ended(process)
            self.assertIn("20001 accesses (20000 reads, 1 writes) of", out)
            self.assertIn("left out: 1 deletes", out)
            self.assertIn("dropped: 0", out)
            found = accesses_of(self.folder / name)
            self.assertEqual([size for _, size in found], [len(key) + sizes[key] for key in reads] + [10])
            self.assertEqual(renamed(key for key, _ in found), renamed(reads + ["last"]))
            self.assertIn(f" of {len(set(reads)) + 1} keys", out)
            self.await_recordings(client, 0)
        plain, packed = (accesses_of(self.folder / name) for name in ("plain", "packed.zst"))
        self.assertEqual({key for key, _ in plain} & {key for key, _ in packed}, set(), "a secret of each recording")

    def test_sim_reads_it_and_finds_the_known_misses(self):
        client = self.client()
        client.all([("SET", f"k{i:02}", "v" * 97) for i in range(100)])
        # A loop over 100 objects of 100 bytes, each asked for twice: with room for half of them LRU misses every first one.
        loop = [("GET", f"k{i:02}") for _ in range(20) for i in range(100) for _ in range(2)]
        trace = self.folder / "loop.zst"
        process = self.start("--out", trace, "--requests", len(loop))
        self.await_recordings(client, 1)
        client.all(loop)
        self.ended(process)
        done = subprocess.run([FRESHET, "sim", trace, "--policy", "lru", "--size", "5000,10000", "--json"], text=True,
                              check=True, stdout=subprocess.PIPE)
        half, whole = (json.loads(line) for line in done.stdout.splitlines())
        self.assertEqual((half["size_bytes"], half["requests"], half["object_miss_ratio"]), (5000, len(loop), 0.5))
        self.assertEqual((whole["size_bytes"], whole["object_miss_ratio"]), (10000, 100 / len(loop)))
        self.assertEqual(lru_misses(accesses_of(trace), 5000), len(loop) / 2)

    def test_several_connections_are_in_the_order_of_time(self):
        clients = [self.client() for _ in range(6)]
        process = self.start("--out", self.folder / "trace", "--requests", 60 * len(clients))
        self.await_recordings(clients[0], 1)
        asked = []
        for i in range(60):  # In turns: the server's threads take part each, and time alone tells the order.
            for number, client in enumerate(clients):
                client.call("GET", f"{number}:{i % 7}")
                asked.append(f"{number}:{i % 7}")
        self.ended(process)
        self.assertEqual(renamed(key for key, _ in accesses_of(self.folder / "trace")), renamed(asked))

    def test_csv_has_operations_and_sim_takes_them_as_such(self):
        client = self.client()
        trace = self.folder / "shop.csv.zst"
        process = self.start("--out", trace, "--requests", "8")
        self.await_recordings(client, 1)
        client.all([("SET", "k1", "v" * 98), ("GET", "k1"), ("GET", "k2"), ("SET", "k1", "v" * 198), ("GET", "k1"),
                    ("DEL", "k1"), ("GET", "k1"), ("GET", "k2")])
        out = self.ended(process)
        self.assertIn("8 accesses (5 reads, 2 writes, 1 deletes) of 2 keys", out)
        self.assertNotIn("left out", out)
        text = subprocess.run(["zstd", "-dc", trace], check=True, stdout=subprocess.PIPE, text=True).stdout
        header, *lines = text.splitlines()
        self.assertEqual(header, "time,id,size,op")
        found = [line.split(",") for line in lines]
        self.assertEqual([(int(size), op) for _, _, size, op in found if op != "delete"],
                         [(100, "store"), (100, "read"), (2, "read"), (200, "store"), (200, "read"), (2, "read"),
                          (2, "read")])
        self.assertEqual(renamed(key for _, key, _, _ in found), [0, 0, 1, 0, 0, 0, 0, 1])
        done = subprocess.run([FRESHET, "sim", trace, "--policy", "lru,sieve,s3fifo,lhd,belady", "--size", "1000",
                               "--json"], text=True, check=True, stdout=subprocess.PIPE)
        for outcome in map(json.loads, done.stdout.splitlines()):  # Missed: k2 at first, k1 when it was deleted.
            self.assertEqual((outcome["requests"], outcome["object_miss_ratio"], outcome["peak_bytes"]), (5, 0.4, 202))

    def test_sampling_takes_whole_keys_and_interrupted_it_finishes(self):
        client = self.client()
        process = self.start("--out", self.folder / "sample.zst", "--sample", "0.2")
        self.await_recordings(client, 1)
        keys = [f"user:{i}" for i in range(2000)]
        for _ in range(4):
            client.all([("GET", key) for key in keys])
        self.settle(client)
        process.send_signal(signal.SIGINT)
        out = self.ended(process)
        self.assertIn("sampled: 0.2 of all keys", out)
        times = Counter(key for key, _ in accesses_of(self.folder / "sample.zst"))
        self.assertEqual(set(times.values()), {4})
        self.assertTrue(300 < len(times) < 500, len(times))  # 400, and five standard deviations.

    def test_many_keys_are_counted_about(self):
        client = self.client()
        process = self.start("--out", self.folder / "many", "--requests", 30000)
        self.await_recordings(client, 1)
        client.all([("GET", f"key{i % 20000}") for i in range(30000)])
        about = re.search(r"of about (\d+) keys", self.ended(process))
        self.assertAlmostEqual(int(about.group(1)), 20000, delta=1600)  # Five times the estimate's standard error.

    def test_it_keeps_up_with_a_load_or_counts_what_it_lost(self):
        client = self.client()
        process = self.start("--out", self.folder / "load.zst")
        self.await_recordings(client, 1)
        done = subprocess.run([FRESHET, "bench", "--target", self.target, "--keys", "1000", "--fill", "--pipeline", "32",
                               "--batch", "10", "--seconds", "1", "--rounds", "1", "--json"], text=True, check=True,
                              stdout=subprocess.PIPE)
        operations = json.loads(done.stdout)["ops"]
        self.settle(client)
        process.send_signal(signal.SIGINT)
        out = self.ended(process)
        recorded, dropped = self.counted(client)
        self.assertEqual(len(accesses_of(self.folder / "load.zst")), recorded)
        self.assertIn(f"dropped: {dropped} ", out)
        self.assertGreaterEqual(recorded + dropped, operations)

    def test_ends_by_itself_and_with_the_server(self):
        self.assertIn("0 accesses", self.ended(self.start("--out", self.folder / "empty", "--seconds", "0.3")))
        client = self.client()
        process = self.start("--out", self.folder / "cut.zst")
        self.await_recordings(client, 1)
        client.all([("GET", "k")] * 100)
        self.settle(client)
        self.server.stop()
        out, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual(process.returncode, 1)
        self.assertIn("the server closed the connection", err)
        self.assertIn("100 accesses", out)
        self.assertEqual(len(accesses_of(self.folder / "cut.zst")), 100)

    def test_says_what_is_wrong(self):
        there, free = self.folder / "there", self.folder / "free"
        there.write_text("mine")
        for arguments, code, words in (
                (["--out", there], 1, "there exists; choose another name, or replace it by --force"),
                (["--out", self.folder / "no" / "folder"], 1, "No such file or directory"),
                (["--out", free, "--sample", "0"], USAGE, "--sample"),
                (["--out", free, "--sample", "2"], USAGE, "--sample"),
                (["--sample", "0.5"], USAGE, "--out"),
                (["--out", free, "--password", "wrong"], 1, "says: ERR AUTH")):
            process = self.start(*arguments)
            out, err = process.communicate(timeout=SECONDS_MAX)
            self.assertEqual((process.returncode, out), (code, ""), err)
            self.assertIn(words, err)
        self.target = "nonsense"
        out, err = self.start("--out", free).communicate(timeout=SECONDS_MAX)
        self.assertIn("'nonsense' is not HOST:PORT", err)
        self.assertEqual(there.read_text(), "mine")
        self.assertFalse(free.exists())
        self.target = f"127.0.0.1:{self.server.port}"
        self.ended(self.start("--out", there, "--force", "--seconds", "0.2"))
        self.assertEqual(there.read_text(), "")

    def test_a_disk_that_is_full(self):
        client = self.client()
        process = self.start("--out", "/dev/full", "--force", "--requests", "10")
        self.await_recordings(client, 1)
        client.all([("GET", "k")] * 10)
        out, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual((process.returncode, out), (1, ""))
        self.assertIn("/dev/full cannot be written: No space left on device", err)

    def test_a_server_that_does_not_know_it(self):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.target = f"127.0.0.1:{listening.getsockname()[1]}"
            process = self.start("--out", self.folder / "trace")
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"-ERR unknown command 'FRESHET.RECORD', with args beginning with: 'SAMPLE' '1'\r\n")
                out, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual((process.returncode, out), (1, ""))
        self.assertIn("does not know FRESHET.RECORD; it is no Freshet, or one that is older", err)
        self.assertFalse((self.folder / "trace").exists())


if __name__ == "__main__":
    FRESHET = Path(sys.argv.pop(1)).resolve() / "freshet"
    unittest.main()
