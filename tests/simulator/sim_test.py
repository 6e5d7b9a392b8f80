#!/usr/bin/env python3
"""`freshet sim` over traces that do not fit into its memory: the same figures, the same errors, the same exit codes.

usage: sim_test.py FOLDER_OF_FRESHET
"""
import json
import random
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SECONDS_MAX = 120
FRESHET = Path()
SMALL = ["--memory", "1MiB"]  # Less than one block: windows of a block each.


def trace_text(requests):
    generator = random.Random(11)
    lines = ["time,id,size,op"]
    for i in range(requests):
        operation = generator.choices(["read", "store", "delete"], [80, 15, 5])[0]
        lines.append(f"{i // 100},{int(generator.paretovariate(0.6)) % 30000},{generator.randint(1, 3000)},{operation}")
    return "\n".join(lines) + "\n"


class Sim(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.trace = self.folder / "trace.csv"
        self.trace.write_text(trace_text(200_000))

    def sim(self, trace, *arguments, **streams):
        return subprocess.run([FRESHET, "sim", str(trace), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=SECONDS_MAX, **streams)

    def outcomes(self, trace, *arguments, code=0, **streams):
        """What it found, speeds aside, and what it said of its errors."""
        done = self.sim(trace, "--size", "1%,10%,1MiB", "--json", *arguments, **streams)
        self.assertEqual(done.returncode, code, done.stderr)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        for outcome in found:
            del outcome["requests_per_s"]
        return found, done.stderr

    def pack(self):
        subprocess.run(["zstd", "-q", str(self.trace)], check=True)
        return Path(f"{self.trace}.zst")

    def test_passes_find_what_memory_finds(self):
        policies = ["--policy", "lru,s3fifo,lhd,wtinylfu"]
        for trace in (self.trace, self.pack()):
            expected, said = self.outcomes(trace, *policies)
            self.assertEqual((len(expected), said), (12, ""))
            self.assertLess(expected[0]["requests"], 170_000)  # Neither stores nor deletes.
            for arguments in ([], ["--threads", "3"]):
                self.assertEqual(self.outcomes(trace, *policies, *SMALL, *arguments), (expected, ""))

    def test_a_cut_trace_gives_what_stands_before_the_fault(self):
        packed = self.pack()
        packed.write_bytes(packed.read_bytes()[:packed.stat().st_size // 2])
        expected, said = self.outcomes(packed, code=1)
        self.assertRegex(said, r"record \d+: .* is cut off inside a zstd frame")
        self.assertRegex(said, r"the figures are those of the \d+ records before it")
        self.assertGreater(expected[0]["requests"], 50_000)
        self.assertEqual(self.outcomes(packed, *SMALL, code=1), (expected, said))

    def test_the_future_needs_memory(self):
        done = self.sim(self.trace, *SMALL, "--policy", "lru,belady", "--size", "10%")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("Belady looks into the future", done.stderr)
        self.assertIn("raise --memory", done.stderr)
        self.outcomes(self.trace, "--policy", "belady")

    def test_a_pipe_cannot_be_read_again(self):
        with subprocess.Popen(["cat", self.trace], stdout=subprocess.PIPE) as cat:
            found, said = self.outcomes("-", "--memory", "2MiB", code=1, stdin=cat.stdout)
        self.assertIn("record 87382: the trace takes more than 2097152 bytes of memory; give it as a file", said)
        self.assertGreater(found[0]["requests"], 60_000)


if __name__ == "__main__":
    FRESHET = Path(sys.argv.pop(1)).resolve() / "freshet"
    unittest.main()
