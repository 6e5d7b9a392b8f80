#!/usr/bin/python3
# Client-side caching as clients use it: the same steps against a real redis-server (started here) and against Freshet; the
# replies, pushes and messages must be the same.
#
#   tracking.py HOST PORT
import socket
import sys
import uuid

import differential
import resp

PREFIX = "tracking-%s:" % uuid.uuid4().hex[:8]
QUIET_S = 0.2  # So long nothing may come where nothing is expected.


class Play:
    """Runs the steps on one server and writes down what came."""

    def __init__(self, host, port):
        self.host, self.port = host, port
        self.clients = {}
        self.transcript = []

    def client(self, name, version=2):
        client = self.clients[name] = resp.Client(self.host, self.port)
        client.call("HELLO", version)
        return client

    def call(self, name, *words):
        self.transcript.append(words)
        self.transcript.append(self.clients[name].call(*words))

    def hear(self, name):
        heard = self.clients[name].read()
        self.transcript.append((name, "hears", type(heard).__name__, heard))

    def quiet(self, name):
        connection = self.clients[name].socket
        connection.settimeout(QUIET_S)
        try:
            self.transcript.append((name, "hears", connection.recv(1, socket.MSG_PEEK)))
        except TimeoutError:
            self.transcript.append((name, "hears nothing"))
        connection.settimeout(20)

    def close(self):
        for client in self.clients.values():
            client.close()


def key(name):
    return PREFIX + name


def default_mode(play):
    play.client("writer")
    play.client("reader", 3)
    play.call("writer", "MSET", key("a"), "1", key("b"), "1")
    play.call("reader", "CLIENT", "TRACKING", "ON")
    play.call("reader", "GET", key("a"))
    play.call("reader", "GET", key("absent"))
    play.call("writer", "SET", key("a"), "2")
    play.hear("reader")
    play.call("writer", "SET", key("a"), "3")
    play.call("writer", "SET", key("b"), "2")
    play.quiet("reader")
    play.call("writer", "SET", key("absent"), "1")
    play.hear("reader")
    play.call("reader", "CLIENT", "TRACKINGINFO")
    play.call("reader", "CLIENT", "TRACKING", "OFF")
    play.call("reader", "CLIENT", "GETREDIR")


def chosen_keys(play):
    play.client("writer")
    for mode, word in (("OPTIN", "YES"), ("OPTOUT", "NO")):
        play.client("reader", 3)
        play.call("reader", "CLIENT", "TRACKING", "ON", mode)
        play.call("reader", "CLIENT", "CACHING", "MAYBE")
        play.call("reader", "CLIENT", "CACHING", word)
        play.call("reader", "CLIENT", "TRACKINGINFO")
        play.call("reader", "GET", key("a"))
        play.call("reader", "GET", key("b"))
        play.call("writer", "SET", key("a"), mode)
        if mode == "OPTIN":
            play.hear("reader")
        play.quiet("reader")
        play.call("writer", "SET", key("b"), mode)
        if mode == "OPTOUT":
            play.hear("reader")
        play.quiet("reader")


def broadcast(play):
    play.client("writer")
    play.client("reader", 3)
    play.call("reader", "CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", key("x:"), "PREFIX", key("y:"))
    play.call("writer", "SET", key("z:1"), "1")
    play.call("writer", "SET", key("y:1"), "1")
    play.hear("reader")
    play.call("writer", "SET", key("y:1"), "2")
    play.hear("reader")
    play.quiet("reader")
    play.call("reader", "CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", key("x"))
    play.call("reader", "CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", key("z:"))
    play.call("reader", "CLIENT", "TRACKINGINFO")


def redirected(play):
    listener, reader, writer = play.client("listener"), play.client("reader"), play.client("writer")
    target = listener.call("CLIENT", "ID")
    play.call("listener", "SUBSCRIBE", "__redis__:invalidate")
    play.transcript.append(reader.call("CLIENT", "TRACKING", "ON", "REDIRECT", target))
    play.transcript.append(reader.call("CLIENT", "GETREDIR") == target)
    play.call("reader", "GET", key("a"))
    play.transcript.append(writer.call("SET", key("a"), "redirected"))
    play.hear("listener")
    play.quiet("reader")
    play.call("listener", "PING")
    play.call("listener", "GET", "x")
    play.call("listener", "UNSUBSCRIBE", "__redis__:invalidate")
    play.call("listener", "UNSUBSCRIBE")
    play.call("listener", "PING")


def refusals(play):
    play.client("one")
    for words in (["MAYBE"], ["ON", "REDIRECT"], ["ON", "REDIRECT", "x"], ["ON", "REDIRECT", "123456789"],
                  ["ON", "PREFIX", "a"], ["ON", "BCAST", "OPTIN"], ["ON", "OPTIN", "OPTOUT"],
                  ["ON", "BCAST", "PREFIX", "ab", "PREFIX", "a"],
                  ["ON", "NOPE"], ["OFF"], ["ON", "OPTIN", "NOLOOP"], ["ON", "BCAST"],
                  ["ON", "OPTOUT"]):
        play.call("one", "CLIENT", "TRACKING", *words)
    play.call("one", "CLIENT", "CACHING", "NO")
    play.call("one", "CLIENT", "TRACKINGINFO")
    play.call("one", "CLIENT", "TRACKING", "OFF")
    play.call("one", "CLIENT", "CACHING", "YES")
    play.call("one", "CLIENT", "GETREDIR")


def main():
    redis = differential.RedisServer()
    try:
        redis.client().close()
        faults = 0
        for steps in (default_mode, chosen_keys, broadcast, redirected, refusals):
            transcripts = []
            for host, port in (("127.0.0.1", redis.port), (sys.argv[1], int(sys.argv[2]))):
                play = Play(host, port)
                steps(play)
                play.close()
                transcripts.append(play.transcript)
            for theirs, ours in zip(*transcripts):
                if theirs != ours:
                    print("%s: Redis: %r\n%sFreshet: %r" % (steps.__name__, theirs, " " * len(steps.__name__), ours))
                    faults += 1
            print("ok" if not faults else "not the same", steps.__name__)
    finally:
        redis.stop()
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
