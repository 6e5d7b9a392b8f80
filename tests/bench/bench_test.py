#!/usr/bin/env python3
"""`freshet bench` as users meet it: against a real redis-server, a memcached and a Freshet, its JSON read, its errors,
Ctrl-C.

usage: bench_test.py FOLDER_OF_FRESHET
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import serving  # noqa: E402

SECONDS_MAX = 120
USAGE = 64
FIELDS = ["target", "ops", "ops_per_s", "p50_us", "p99_us", "p999_us", "errors", "target_cpu_s", "ops_per_target_cpu_s"]
FRESHET = Path()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Redis:
    """A redis-server for one test, without persistence."""

    def __init__(self, *arguments):
        self.port = free_port()
        self.target = f"127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *arguments],
            stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if "Ready to accept connections" in line:
                break
        self.reader = threading.Thread(target=self.process.stdout.read, daemon=True)
        self.reader.start()

    def cli(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], text=True, capture_output=True, check=True)
        return done.stdout.strip()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


class Memcached:
    """A memcached for one test. Which port it took it tells nobody: one that was free is tried until it answers."""

    def __init__(self, *arguments):
        self.port = free_port()
        self.target = f"memcached://127.0.0.1:{self.port}"
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        self.process = subprocess.Popen(["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", *user, *arguments],
                                        stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + SECONDS_MAX
        while True:
            try:
                self.connection = socket.create_connection(("127.0.0.1", self.port), SECONDS_MAX)
                break
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("memcached did not start: " + self.process.stderr.read())
                time.sleep(0.02)
        self.file = self.connection.makefile("rb")

    def stats(self):
        self.connection.sendall(b"stats\r\n")
        lines = iter(self.file.readline, b"END\r\n")
        return dict(line.decode().split()[1:3] for line in lines)

    def stop(self):
        self.file.close()
        self.connection.close()
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


def start_bench(*arguments):
    return subprocess.Popen([FRESHET, "bench", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def bench(*arguments):
    process = start_bench(*arguments)
    out, err = process.communicate(timeout=SECONDS_MAX)
    return process.returncode, out, err


class Bench(unittest.TestCase):
    def redis(self, *arguments):
        server = Redis(*arguments)
        self.addCleanup(server.stop)
        return server

    def memcached(self, *arguments):
        server = Memcached(*arguments)
        self.addCleanup(server.stop)
        return server

    def folder(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        return folder

    def objects(self, *arguments):
        """What it prints as JSON, and that it ended well."""
        code, out, err = bench(*arguments, "--json")
        self.assertEqual((code, err), (0, ""), out)
        objects = [json.loads(line) for line in out.splitlines()]
        for found in objects:
            self.assertEqual(list(found)[:len(FIELDS)], FIELDS)
        return objects

    def test_two_targets_in_turns(self):
        redis = self.redis()
        freshet = serving.Serving(FRESHET, "--data", f"{self.folder()}/data")
        self.addCleanup(freshet.stop)
        target = f"127.0.0.1:{freshet.port}"
        first, second = self.objects("--target", target, "--vs", redis.target, "--fill", "--keys", "2000",
                                     "--pipeline", "16", "--seconds", "1.2", "--rounds", "4")
        self.assertEqual((first["target"], second["target"]), (target, redis.target))
        for found in (first, second):
            self.assertEqual((found["errors"], found["misses"]), (0, 0))
            self.assertGreater(found["ops"], 1000)
            self.assertAlmostEqual(found["ops_per_s"], found["ops"] / found["seconds"], delta=found["ops"] / 100)
            self.assertLessEqual(0, found["p50_us"])
            self.assertLessEqual(found["p50_us"], found["p99_us"])
            self.assertLessEqual(found["p99_us"], found["p999_us"])
            self.assertGreater(found["target_cpu_s"], 0)
            self.assertLess(found["target_cpu_s"], 1.5 * os.cpu_count())
            per_cpu_second = found["ops"] / found["target_cpu_s"]
            self.assertAlmostEqual(found["ops_per_target_cpu_s"], per_cpu_second, delta=per_cpu_second / 100)
        for ratio in first["ratios"].values():
            self.assertEqual(ratio["pairs"], 4)
            self.assertTrue(0 < ratio["lowest"] <= ratio["median"] <= ratio["highest"])
        self.assertEqual(redis.cli("DBSIZE"), "2000")

    def test_memcached_in_turns_with_redis(self):
        memcached, redis = self.memcached(), self.redis()
        for load in (["--pipeline", "16"], ["--batch", "50"], ["--rate", "500", "--writes", "0.5"]):
            first, second = self.objects("--target", memcached.target, "--vs", redis.target, "--fill", "--keys", "2000",
                                         "--value-size", "10-500", "--seconds", "1.2", "--rounds", "4", "--threads", "2",
                                         *load)
            self.assertEqual(first["target"], memcached.target)
            for found in (first, second):
                self.assertEqual((found["errors"], found["misses"]), (0, 0))
                self.assertGreater(found["ops"], 400)
                self.assertGreater(found["target_cpu_s"], 0)
            self.assertEqual(first["ratios"]["ops_per_s"]["pairs"], 4)
        self.assertEqual(memcached.stats()["curr_items"], "2000")

    def test_what_memcached_counts_is_what_it_sent(self):
        memcached = self.memcached()
        for batch in (1, 10):
            before = memcached.stats()
            [found] = self.objects("--target", memcached.target, "--keys", "500", "--batch", str(batch), "--seconds",
                                   "0.5")
            after = memcached.stats()
            misses = int(after["get_misses"]) - int(before["get_misses"])
            self.assertEqual(after["get_hits"], before["get_hits"])
            self.assertEqual((found["misses"], found["ops"]), (found["ops"], batch * found["requests"]))
            self.assertGreaterEqual(misses, found["misses"])  # Around it stand the warm-ups.
            self.assertLess(misses, 3 * found["misses"])
        [found] = self.objects("--target", memcached.target, "--keys", "500", "--fill", "--writes", "0.5", "--seconds",
                               "0.5")
        after = memcached.stats()
        self.assertEqual((found["misses"], after["curr_items"]), (0, "500"))
        self.assertAlmostEqual((int(after["cmd_set"]) - 500) / found["requests"], 0.5, delta=0.2)

    def test_what_memcached_does_not_take(self):
        memcached, redis = self.memcached(), self.redis()
        keys = Path(self.folder(), "keys")
        keys.write_text("fine\ntwo words\n")
        for arguments, code, words in (
                (["--target", "memcached://nonsense"], USAGE, "HOST:PORT"),
                (["--target", memcached.target, "--password", "secret"], USAGE, "no passwords"),
                (["--target", memcached.target, "--key-prefix", "x" * 240], USAGE, "takes no key such as"),
                (["--target", redis.target, "--vs", memcached.target, "--keys-from", str(keys)], USAGE, '"two words"'),
                (["--target", "memcached://" + redis.target], 1, "does not tell its version as memcached does"),
                (["--target", memcached.target.removeprefix("memcached://")], 1, ""),
                (["--target", memcached.target, "--fill", "--keys", "2", "--value-size", "2MiB"], 1, "object too large"),
                (["--target", f"memcached://127.0.0.1:{free_port()}"], 1, "Connection refused")):
            found, out, err = bench(*arguments)
            self.assertEqual((found, out), (code, ""), err)
            self.assertIn(words, err)

    def test_the_cpu_time_is_the_targets(self):
        redis = self.redis()
        ticks = os.sysconf("SC_CLK_TCK")

        def cpu():
            fields = Path(f"/proc/{redis.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / ticks

        before = cpu()
        [found] = self.objects("--target", redis.target, "--seconds", "1", "--rounds", "1", "--pipeline", "8")
        # Around it stand the connecting and the warm-up.
        self.assertLessEqual(found["target_cpu_s"], cpu() - before + 2 / ticks)
        self.assertGreater(found["target_cpu_s"], 0.5 * (cpu() - before))

    def test_what_redis_counts_is_what_it_sent(self):
        redis = self.redis()
        [found] = self.objects("--target", redis.target, "--fill", "--keys", "500", "--value-size", "10-20", "--zipf", "1",
                               "--writes", "0.5", "--seconds", "0.6", "--rounds", "2", "--threads", "2")
        stats = dict(line.split(":", 1) for line in redis.cli("INFO", "commandstats").splitlines() if ":" in line)
        calls = {name: int(stats[f"cmdstat_{name}"].split(",")[0].split("=")[1]) for name in ("get", "set")}
        self.assertGreaterEqual(calls["get"] + calls["set"], found["requests"])
        self.assertAlmostEqual(calls["set"] / (calls["get"] + calls["set"]), 0.5, delta=0.1)
        self.assertTrue(10 <= int(redis.cli("STRLEN", "key:000000000007")) <= 20)
        self.assertEqual(redis.cli("DBSIZE"), "500")

    def test_keys_from_a_list_in_batches(self):
        redis = self.redis()
        path = Path(self.folder(), "keys")
        path.write_text("".join(f"user:{i}\n" for i in range(100)))
        [found] = self.objects("--target", redis.target, "--keys-from", str(path), "--fill", "--batch", "10",
                               "--seconds", "0.4")
        self.assertEqual(found["ops"], 10 * found["requests"])
        self.assertEqual((found["misses"], redis.cli("GET", "user:99") != ""), (0, True))

    def test_an_open_loop_shows_a_stall(self):
        redis = self.redis()
        process = start_bench("--target", redis.target, "--rate", "1000", "--seconds", "2", "--rounds", "1", "--json")
        time.sleep(1)
        redis.process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        redis.process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual((process.returncode, err), (0, ""))
        # A quarter of the requests fell due while it stood still; half of these waited for longer than 250 ms.
        self.assertGreater(json.loads(out)["p99_us"], 400_000)

    def test_a_target_that_stops_answering_is_an_error(self):
        redis = self.redis()
        process = start_bench("--target", redis.target, "--seconds", "1", "--rounds", "1", "--connections", "5")
        time.sleep(0.5)
        redis.process.send_signal(signal.SIGSTOP)
        out, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual((process.returncode, err), (0, ""))
        self.assertRegex(out, r"errors +5\n")
        self.assertIn("no answer within", out)

    def test_interrupted_it_reports(self):
        redis = self.redis()
        process = start_bench("--target", redis.target, "--seconds", "1000")
        time.sleep(2)  # Longer than it warms up.
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual((process.returncode, err), (0, ""))
        self.assertRegex(out, r"operations/s +[1-9]")
        self.assertIn("interrupted", out)

    def test_says_what_is_wrong(self):
        redis = self.redis("--requirepass", "secret")
        nowhere = f"127.0.0.1:{free_port()}"
        for arguments, code, words in (
                (["--target", nowhere], 1, "Connection refused"),
                (["--target", redis.target], 1, "NOAUTH"),
                (["--target", redis.target, "--password", "wrong"], 1, "refuses the password"),
                (["--target", redis.target, "--password", "secret", "--vs", nowhere], 1, "Connection refused"),
                (["--target", "nonsense"], USAGE, "HOST:PORT"),
                (["--value-size", "much"], USAGE, "no size of values"),
                (["--keys-from", "no-such-file"], USAGE, "no-such-file"),
                (["--threads", "9", "--connections", "3"], USAGE, "more threads than connections"),
                (["--target-pid", "4194304"], USAGE, "--target-pid"),
                (["--seconds", "much"], USAGE, "--seconds"),
                (["linked", "--kyes", "3"], USAGE, "did you mean --keys?")):
            found, out, err = bench(*arguments)
            self.assertEqual((found, out), (code, ""), err)
            self.assertIn(words, err)
        [found] = self.objects("--target", redis.target, "--password", "secret", "--seconds", "0.2")
        self.assertGreater(found["misses"], 0)

    def test_errors_are_counted_and_told(self):
        redis = self.redis("--maxmemory", "1")
        code, out, err = bench("--target", redis.target, "--writes", "1", "--seconds", "0.2")
        self.assertEqual(code, 1)
        self.assertIn("answered nothing but errors: OOM", err)
        self.assertIn("error: OOM", out)
        [found] = self.objects("--target", redis.target, "--writes", "0.5", "--seconds", "0.4")
        self.assertGreater(found["errors"], 0)
        self.assertGreater(found["ops"], 0)

    def test_the_library_in_process(self):
        [found] = self.objects("linked", "--keys", "5000", "--value-size", "50", "--threads", "2", "--batch", "4",
                               "--writes", "0.05", "--seconds", "0.5")
        self.assertEqual((found["target"], found["errors"]), ("linked", 0))
        self.assertGreater(found["ops"], 1000)
        self.assertGreater(found["ratio_to_map"], 0)


if __name__ == "__main__":
    FRESHET = Path(sys.argv.pop(1)).resolve() / "freshet"
    unittest.main()
