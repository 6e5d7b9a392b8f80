#!/usr/bin/env python3
"""What ten million small objects take of memory: in Redis, memcached and Freshet, side by side.

small_objects.py build/check/bench/small_objects_bench [--objects N]

Keys of 20 bytes, values of 10. Beside key and value: by each one's own account, and by what the process has grown. The
servers are started and stopped here, on ports of their own.
"""
import argparse
import json
import socket
import subprocess
import sys
import time

KEY_BYTES, VALUE = 20, b"v" * 10
BATCH = 50_000
PATIENCE_S = 30


def key_of(number):
    return b"key:%016x" % number


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def resident_bytes(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


class Server:
    """A server process, and one connection to it."""

    def __init__(self, command, port):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        give_up = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                if time.monotonic() > give_up or self.process.poll() is not None:
                    sys.exit(f"{command[0]} does not answer")
                time.sleep(0.05)
        self.empty_bytes = resident_bytes(self.process)

    def ask(self, request, end):
        self.socket.sendall(request)
        answer = b""
        while end not in answer:
            answer += self.socket.recv(1 << 16)
        return answer.decode()

    def grown(self):
        return resident_bytes(self.process) - self.empty_bytes

    def stop(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait()


def fill(server, objects, write, reply_bytes):
    for start in range(0, objects, BATCH):
        numbers = range(start, min(start + BATCH, objects))
        server.socket.sendall(b"".join(write(key_of(number)) for number in numbers))
        due = reply_bytes * len(numbers)
        while due:
            due -= len(server.socket.recv(min(due, 1 << 20)))


def redis(objects):
    port = free_port()
    server = Server(["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"], port)
    fill(server, objects, lambda key: b"*3\r\n$3\r\nSET\r\n$20\r\n%s\r\n$10\r\n%s\r\n" % (key, VALUE), len(b"+OK\r\n"))
    info = server.ask(b"INFO memory\r\n", b"used_memory_scripts_human")
    used = int(next(line for line in info.split("\r\n") if line.startswith("used_memory:")).split(":")[1])
    result = used, server.grown()
    server.stop()
    return result


def memcached(objects):
    port = free_port()
    server = Server(["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", "nobody", "-m", "8192"], port)
    fill(server, objects, lambda key: b"set %s 0 0 10 noreply\r\n%s\r\n" % (key, VALUE), 0)
    lines = server.ask(b"stats\r\n", b"END\r\n").split("\r\n")
    stats = {line.split()[1]: line.split()[2] for line in lines if line.startswith("STAT")}
    if int(stats["curr_items"]) != objects:
        sys.exit(f"memcached holds {stats['curr_items']} of {objects}")
    result = int(stats["bytes"]), server.grown()
    server.stop()
    return result


def freshet(program, objects):
    figures = json.loads(subprocess.run([program, str(objects)], check=True, text=True, capture_output=True).stdout)
    return figures["account_bytes"], figures["rss_bytes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("small_objects_bench")
    parser.add_argument("--objects", type=int, default=10_000_000)
    arguments = parser.parse_args()
    payload = (KEY_BYTES + len(VALUE)) * arguments.objects
    print(f"{'':24}{'by its account':>16}{'by what it grew':>18}")
    for name, measure in (("Redis", redis), ("memcached", memcached),
                          ("Freshet", lambda n: freshet(arguments.small_objects_bench, n))):
        account, grown = measure(arguments.objects)
        print(f"{name:24}{(account - payload) / arguments.objects:16.1f}{(grown - payload) / arguments.objects:18.1f}",
              flush=True)


if __name__ == "__main__":
    main()
