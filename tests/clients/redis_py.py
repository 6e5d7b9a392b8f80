#!/usr/bin/python3
# Debian's python3-redis against Freshet: the calls that applications make.
#
#   redis_py.py HOST PORT
import sys
import threading
import uuid

import redis

PREFIX = "redis-py:%s:" % uuid.uuid4().hex[:8]


def key(name):
    return PREFIX + name


def check(found, expected):
    if found != expected:
        raise AssertionError("found %r, expected %r" % (found, expected))


def strings(client):
    check(client.set(key("a"), "1"), True)
    check(client.get(key("a")), b"1")
    check(client.get(key("absent")), None)
    check(client.set(key("a"), "2", nx=True), None)
    check(client.set(key("a"), "2", xx=True, get=True), b"1")
    check(client.setex(key("e"), 100, "x"), True)
    check(90 < client.ttl(key("e")) <= 100, True)
    check(client.getex(key("e"), persist=True), b"x")
    check(client.ttl(key("e")), -1)
    check(client.mset({key("m1"): "1", key("m2"): "2"}), True)
    check(client.mget(key("m1"), key("none"), key("m2")), [b"1", None, b"2"])
    check(client.append(key("a"), "34"), 3)
    check(client.getrange(key("a"), 0, 1), b"23")
    check(client.setrange(key("a"), 1, "x"), 3)
    check(client.strlen(key("a")), 3)
    check(client.getset(key("a"), "new"), b"2x4")
    check(client.getdel(key("a")), b"new")
    binary = bytes(range(256)) * 40
    check(client.set(key("b"), binary), True)
    check(client.get(key("b")), binary)


def numbers(client):
    check(client.incr(key("n")), 1)
    check(client.incrby(key("n"), 41), 42)
    check(client.decr(key("n"), 2), 40)
    check(client.incrbyfloat(key("f"), 1.5), 1.5)
    client.set(key("s"), "abc")
    try:
        client.incr(key("s"))
        raise AssertionError("INCR of a text succeeded")
    except redis.ResponseError as error:
        check(str(error), "value is not an integer or out of range")


def hashes(client):
    check(client.hset(key("h"), mapping={"name": "Ada", "age": "36"}), 2)
    check(client.hset(key("h"), "age", "37"), 0)
    check(client.type(key("h")), b"hash")
    check(client.hgetall(key("h")), {b"name": b"Ada", b"age": b"37"})
    check(client.hget(key("h"), "name"), b"Ada")
    check(client.hmget(key("h"), "age", "none"), [b"37", None])
    check(client.hkeys(key("h")), [b"name", b"age"])
    check(client.hvals(key("h")), [b"Ada", b"37"])
    check((client.hlen(key("h")), client.hexists(key("h"), "name"), client.hstrlen(key("h"), "name")), (2, True, 3))
    check(client.hincrby(key("h"), "age", 5), 42)
    check(client.hincrbyfloat(key("h"), "weight", 1.5), 1.5)
    check(client.hsetnx(key("h"), "name", "Bob"), 0)
    check(dict(client.hscan_iter(key("h"), match="[an]*")), {b"name": b"Ada", b"age": b"42"})
    check(client.hrandfield(key("h")) in (b"name", b"age", b"weight"), True)
    check(sorted(client.hrandfield(key("h"), 3)), [b"age", b"name", b"weight"])
    check(client.expire(key("h"), 100), True)
    client.hset(key("h"), "more", bytes(range(256)) * 100)
    check(client.hget(key("h"), "more"), bytes(range(256)) * 100)
    check(0 < client.ttl(key("h")) <= 100, True)
    check(set(client.scan_iter(match=key("h"), _type="hash")), {key("h").encode()})
    check(client.hdel(key("h"), "more", "weight", "none"), 2)
    check(client.mget(key("h"), key("absent")), [None, None])
    for wrong in (lambda: client.get(key("h")), lambda: client.incr(key("h")), lambda: client.set(key("h"), "x", get=True)):
        try:
            wrong()
            raise AssertionError("a hash was taken for a string")
        except redis.ResponseError as error:
            check(str(error), "WRONGTYPE Operation against a key holding the wrong kind of value")
    pipe = client.pipeline()
    pipe.hset(key("h"), "age", 1).hincrby(key("h"), "age", 2).hdel(key("h"), "name").hgetall(key("h")).hdel(key("h"), "age")
    check(pipe.execute(), [0, 3, 1, {b"age": b"3"}, 1])
    check(client.exists(key("h")), 0)
    counters(client)


def counters(client):
    """Each of many increments at once counts, in one hash and in one field; and WATCH sees a field."""
    def add(number):
        for _ in range(50):
            client.hincrby(key("counters"), "all", 1)
            client.hincrby(key("counters"), "own:%d" % number, 1)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(client.hget(key("counters"), "all"), b"400")
    check([client.hget(key("counters"), "own:%d" % number) for number in range(8)], [b"50"] * 8)
    with client.pipeline() as pipe:
        pipe.watch(key("counters"))
        client.hset(key("counters"), "all", "0")
        pipe.multi()
        pipe.hset(key("counters"), "all", "never")
        try:
            pipe.execute()
            raise AssertionError("a transaction was executed although a field of a watched key had changed")
        except redis.WatchError:
            pass


def keys(client):
    names = {key("scan:%d" % i).encode() for i in range(250)}
    client.mset({name: "x" for name in names})
    check(set(client.scan_iter(match=key("scan:*"), count=40)), names)
    check(set(client.keys(key("scan:*"))), names)
    check(client.exists(*list(names)[:10]), 10)
    check(client.type(key("scan:1")), b"string")
    check(client.delete(*names), 250)
    check(client.dbsize() >= 0, True)
    check(client.time()[0] > 1_700_000_000, True)


def pipelines(client):
    pipe = client.pipeline(transaction=False)
    for i in range(500):
        pipe.set(key("p%d" % i), i)
    for i in range(500):
        pipe.get(key("p%d" % i))
    replies = pipe.execute()
    check(replies, [True] * 500 + [b"%d" % i for i in range(500)])
    client.delete(*[key("p%d" % i) for i in range(500)])


def transactions(client):
    client.delete(key("t"), key("u"), key("none"))
    pipe = client.pipeline()
    pipe.set(key("t"), "1").incr(key("t")).append(key("t"), "0").get(key("t")).expire(key("t"), 100).exists(key("none"))
    check(pipe.execute(), [True, 2, 2, b"20", True, 0])
    check(0 < client.ttl(key("t")) <= 100, True)
    pipe = client.pipeline()
    pipe.set(key("u"), "word").incr(key("u")).set(key("t"), "after")
    replies = pipe.execute(raise_on_error=False)
    check((replies[0], str(replies[1]), replies[2]), (True, "value is not an integer or out of range", True))
    check(client.get(key("t")), b"after")
    pipe = client.pipeline()
    pipe.execute_command("NOSUCH")
    pipe.set(key("t"), "never")
    try:
        pipe.execute()
        raise AssertionError("a transaction with a command that is none was executed")
    except redis.ResponseError:
        pass
    check(client.get(key("t")), b"after")
    transfer(client)


def transfer(client):
    """WATCH: of many that move from one key to another at once, none moves what is not there."""
    client.mset({key("from"): 60, key("to"): 0})

    def move(pipe):
        have = int(pipe.get(key("from")))
        pipe.multi()
        if have > 0:
            pipe.decr(key("from")).incr(key("to"))

    def mover():
        for _ in range(20):
            client.transaction(move, key("from"))

    threads = [threading.Thread(target=mover) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check([int(each) for each in client.mget(key("from"), key("to"))], [0, 60])
    with client.pipeline() as pipe:
        pipe.watch(key("from"), key("absent"))
        client.set(key("absent"), "now it is there")
        pipe.multi()
        pipe.set(key("from"), "never")
        try:
            pipe.execute()
            raise AssertionError("a transaction was executed although a watched key had changed")
        except redis.WatchError:
            pass
    check(client.get(key("from")), b"0")
    check(client.pipeline().execute(), [])


def introspection(client):
    check(client.ping(), True)
    check(client.client_setname("tester"), True)
    check(client.client_getname(), "tester")
    check(any(each["name"] == "tester" for each in client.client_list()), True)
    check("redis_version" in client.info(), True)
    check("freshet_version" in client.info("server"), True)
    check(isinstance(client.config_get("*"), dict), True)
    check("get" in client.command(), True)


def freshet(client):
    client.set(key("v"), "one")
    fields = client.execute_command("FRESHET.GET", key("v"))
    reading = dict(zip(fields[::2], fields[1::2]))
    check(reading[b"value"], b"one")
    version = reading[b"version"]
    newer = client.execute_command("FRESHET.SET", key("v"), "two", "VERSION", version)
    check(newer > version, True)
    try:
        client.execute_command("FRESHET.SET", key("v"), "three", "VERSION", version)
        raise AssertionError("a write on an old version succeeded")
    except redis.ResponseError as error:
        check(str(error).startswith("VERSIONMISMATCH"), True)
    client.execute_command("FRESHET.EVICT", "KEY", key("v"))
    check(client.get(key("v")), b"two")


def many_threads(client):
    def add():
        for _ in range(100):
            client.incr(key("shared"))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(client.get(key("shared")), b"800")


def main():
    client = redis.Redis(host=sys.argv[1], port=int(sys.argv[2]))
    for test in (strings, numbers, hashes, keys, pipelines, transactions, introspection, freshet, many_threads):
        test(client)
        print("ok", test.__name__)
    for name in client.scan_iter(match=PREFIX + "*", count=1000):
        client.delete(name)


if __name__ == "__main__":
    main()
