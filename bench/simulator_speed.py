#!/usr/bin/env python3
"""How fast the simulator replays a trace, each policy as a share of replaying without a cache in the same run.

usage: bench/simulator_speed.py FRESHET TRACE [ROUNDS]

Two measures stand beside the policies. "none" replays without a cache: each request is read from memory, its object looked
up, not found, and counted. "read" reads the requests from memory and adds up their fields: nothing could be less. The median
of the rounds, with the interval of all; then what a miss-ratio curve of eight sizes takes beside one size.
"""
import json
import statistics
import subprocess
import sys
import time

POLICIES = ["fifo", "lru", "clock", "sieve", "s3fifo", "wtinylfu", "arc", "lirs", "lhd", "gdsf", "belady", "beladysize"]
# The reference simulator's million requests a second on w106 at 10 %, and without a cache (docs/EVICTION.md).
REFERENCE = {"lru": 25.9, "sieve": 27.5, "s3fifo": 12.7, "lhd": 11.2}
REFERENCE_NONE = 83
EIGHT_SIZES = "0.1%,0.2%,0.5%,1%,2%,5%,10%,20%"


def replay(freshet, trace, policies, sizes):
    command = [freshet, "sim", trace, "--policy", ",".join(policies), "--size", sizes, "--json"]
    begin = time.monotonic()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()], time.monotonic() - begin


def speeds(freshet, trace):
    """Million requests a second by policy: the better of two in a row, as neighbours only ever slow it down."""
    best = {}
    for outcome in replay(freshet, trace, ["read", "none", *POLICIES] * 2, "10%")[0]:
        best[outcome["policy"]] = max(best.get(outcome["policy"], 0), outcome["requests_per_s"] / 1e6)
    return best


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main():
    freshet, trace = sys.argv[1:3]
    rounds = [speeds(freshet, trace) for _ in range(int(sys.argv[3]) if len(sys.argv) > 3 else 7)]
    print(f"{'policy':<12} {'M requests/s':>13} {'share of none':>22} {'share of read':>22} {'of reference share':>19}")
    for policy in ["read", "none", *POLICIES]:
        of_none = [r[policy] / r["none"] for r in rounds]
        times = ""
        if policy in REFERENCE:
            times = f"{statistics.median(of_none) / (REFERENCE[policy] / REFERENCE_NONE):.2f} times"
        speed = statistics.median(r[policy] for r in rounds)
        print(f"{policy:<12} {speed:>13.1f} {spread(of_none):>22} {spread([r[policy] / r['read'] for r in rounds]):>22} "
              f"{times:>19}")
    print()
    for policy in ["lru", "s3fifo", "lhd"]:
        one = min(replay(freshet, trace, [policy], "10%")[1] for _ in range(3))
        eight = min(replay(freshet, trace, [policy], EIGHT_SIZES)[1] for _ in range(3))
        print(f"{policy}: one size {one:.2f} s, a curve of eight {eight:.2f} s, {eight / one:.1f} times; loading included")


if __name__ == "__main__":
    main()
