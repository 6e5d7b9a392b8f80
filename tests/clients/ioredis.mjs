// ioredis against Freshet: the calls that applications make, automatic pipelining included.
//
//   npm ci && node ioredis.mjs HOST PORT
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import Redis from "ioredis";

const [host, port] = process.argv.slice(2);
const prefix = `ioredis:${randomUUID().slice(0, 8)}:`;

async function strings(redis) {
  assert.equal(await redis.set("a", "1"), "OK");
  assert.equal(await redis.get("a"), "1");
  assert.equal(await redis.get("absent"), null);
  assert.equal(await redis.set("a", "2", "NX"), null);
  assert.equal(await redis.set("a", "2", "EX", 100, "GET"), "1");
  assert.ok((await redis.ttl("a")) > 90);
  assert.equal(await redis.mset("m1", "1", "m2", "2"), "OK");
  assert.deepEqual(await redis.mget("m1", "none", "m2"), ["1", null, "2"]);
  const binary = Buffer.from(Array.from({ length: 4096 }, (_, i) => i % 256));
  await redis.set("b", binary);
  assert.ok((await redis.getBuffer("b")).equals(binary));
  assert.equal(await redis.incrbyfloat("f", 0.1), "0.1");
  assert.equal(await redis.del("a", "m1", "m2", "b", "f"), 5);
}

async function pipelines(redis) {
  const pipeline = redis.pipeline();
  for (let i = 0; i < 300; i++) pipeline.set(`p${i}`, i).get(`p${i}`);
  const replies = await pipeline.exec();
  replies.forEach(([error, value], i) => {
    assert.equal(error, null);
    assert.equal(value, i % 2 ? String((i - 1) / 2) : "OK");
  });
  const together = await Promise.all(Array.from({ length: 300 }, (_, i) => redis.get(`p${i}`)));
  assert.deepEqual(together, Array.from({ length: 300 }, (_, i) => String(i)));
}

async function transactions(redis) {
  const replies = await redis.multi().set("t", "1").incr("t").get("t").mget("t", "none").exec();
  assert.deepEqual(replies, [[null, "OK"], [null, 2], [null, "2"], [null, ["2", null]]]);
  await redis.watch("t");
  const other = redis.duplicate();
  await other.set("t", "changed");
  assert.equal(await redis.multi().set("t", "never").exec(), null);
  assert.equal(await other.get("t"), "changed");
  assert.deepEqual(await redis.multi({ pipeline: false }), "OK");
  assert.equal(await redis.del("t"), "QUEUED");
  assert.equal(await redis.discard(), "OK");
  assert.equal(await other.get("t"), "changed");
  await other.quit();
}

async function counters(redis) {
  await Promise.all(Array.from({ length: 500 }, () => redis.incr("n")));
  assert.equal(await redis.get("n"), "500");
  await assert.rejects(redis.lpush("n", "x"), /unknown command/);
  await assert.rejects(redis.call("FRESHET.SET", `${prefix}n`, "x", "VERSION", "9999999"), /VERSIONMISMATCH/);
}

async function scans(redis) {
  const found = new Set();
  let cursor = "0";
  do {
    const [next, keys] = await redis.scan(cursor, "MATCH", `${prefix}p*`, "COUNT", 50);
    keys.forEach((key) => found.add(key));
    cursor = next;
  } while (cursor !== "0");
  assert.equal(found.size, 300);
  for (const key of found) await redis.del(key.slice(prefix.length));
}

const redis = new Redis({
  host, port: Number(port), keyPrefix: prefix, maxRetriesPerRequest: 1, enableAutoPipelining: true,
});
try {
  for (const test of [strings, pipelines, transactions, counters, scans]) {
    await test(redis);
    console.log("ok", test.name);
  }
  await redis.del("n");
  await redis.quit();
} catch (error) {
  console.error(error);
  process.exit(1);
}
