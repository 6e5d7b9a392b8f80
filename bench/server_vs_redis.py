#!/usr/bin/env python3
"""GET hits, operations per server-CPU-second: Freshet beside Redis, in pairs of one run.

Starts both servers on loopback (Freshet with embedded storage), fills the same keys, and lets redis-benchmark send GETs to
each in turn. What counts is the CPU time that the server's process took for them (/proc/PID/stat), so that the load
generator and the neighbours on the machine matter little. Prints the median ratio of the pairs and its interval.

  bench/server_vs_redis.py FRESHET_BINARY [--pairs 5] [--seconds 3] [--clients 50] [--pipeline 1,64]
"""
import argparse
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

KEYS = 100_000
VALUE_BYTES = 100
FILL_REQUESTS = 600_000
PATIENCE_S = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        answer = subprocess.run(["redis-cli", "-p", str(port), "set", "ready", "1"], capture_output=True, text=True)
        if answer.stdout.strip() == "OK":
            return
        time.sleep(0.05)
    sys.exit(f"the server on port {port} did not come up")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def benchmark(port, *arguments):
    command = ["redis-benchmark", "-p", str(port), "-r", str(KEYS), "-d", str(VALUE_BYTES), "--csv", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1].split(",")[1].strip('"'))


class Target:
    def __init__(self, name, command, port):
        self.name, self.port = name, port
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(port)
        benchmark(port, "-t", "set", "-n", str(FILL_REQUESTS), "-P", "64", "-c", "20")
        self.speed = {}

    def operations_a_cpu_second(self, clients, pipeline, seconds):
        if pipeline not in self.speed:
            self.speed[pipeline] = benchmark(self.port, "-t", "get", "-n", "100000", "-c", str(clients), "-P", str(pipeline))
        requests = max(50_000, int(self.speed[pipeline] * seconds))
        before = cpu_seconds(self.process.pid)
        benchmark(self.port, "-t", "get", "-n", str(requests), "-c", str(clients), "-P", str(pipeline))
        return requests / max(cpu_seconds(self.process.pid) - before, 1e-9)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("freshet")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--pipeline", default="1,64")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="freshet-bench-")
    targets = []
    try:
        ports = free_port(), free_port()
        targets.append(Target("freshet", [options.freshet, "serve", "--listen", f"127.0.0.1:{ports[0]}", "--data",
                                          os.path.join(directory, "data"), "--threads", "1"], ports[0]))
        targets.append(Target("redis", ["redis-server", "--port", str(ports[1]), "--bind", "127.0.0.1", "--save", "",
                                        "--dir", directory], ports[1]))
        for pipeline in (int(text) for text in options.pipeline.split(",")):
            ratios, own, rival = [], [], []
            for _ in range(options.pairs):
                figures = [target.operations_a_cpu_second(options.clients, pipeline, options.seconds) for target in targets]
                own.append(figures[0])
                rival.append(figures[1])
                ratios.append(figures[0] / figures[1])
            print(f"GET, {options.clients} connections, pipeline {pipeline}: "
                  f"freshet {statistics.median(own):,.0f} and redis {statistics.median(rival):,.0f} operations a "
                  f"server-CPU-second; ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) in "
                  f"{options.pairs} pairs", flush=True)
    finally:
        for target in targets:
            target.stop()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
