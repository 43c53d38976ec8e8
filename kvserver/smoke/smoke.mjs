// ioredis against a kvserver: `node smoke.mjs PORT PROTOCOL`. Every line asserts; see `run`.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/`);
const { Redis } = require("ioredis");
const { version } = require("ioredis/package.json");

const [port, protocol] = process.argv.slice(2).map(Number);
const connect = () => new Redis({ port, protocol });

async function strings(r) {
  assert.equal(await r.set("text", "hello", "EX", 100), "OK");
  assert.equal(await r.append("text", " world"), 11);
  assert.equal(await r.get("text"), "hello world");
  assert.equal(await r.get("none"), null);
  assert.equal(await r.set("text", "no", "NX"), null);
  assert.equal(await r.incrby("count", 41), 41);
  assert.equal(await r.incrbyfloat("count", 0.5), "41.5");
  assert.equal(await r.mset({ a: 1, b: 2 }), "OK");
  assert.deepEqual(await r.mget("a", "none", "b"), ["1", null, "2"]);
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
  await r.set("bytes", bytes);
  assert.deepEqual(await r.getBuffer("bytes"), bytes);
}

async function collections(r) {
  assert.equal(await r.hset("hash", { name: "ada", city: "london" }), 2);
  assert.deepEqual(await r.hgetall("hash"), { name: "ada", city: "london" });
  assert.equal(await r.rpush("list", "a", "b", "c"), 3);
  assert.deepEqual(await r.lrange("list", 0, -1), ["a", "b", "c"]);
  assert.equal(await r.lpop("list"), "a");
  assert.equal(await r.sadd("set", "a", "b"), 2);
  assert.deepEqual((await r.smembers("set")).sort(), ["a", "b"]);
  assert.equal(await r.zadd("zset", 1, "one", 2.5, "two"), 2);
  assert.deepEqual((await r.zrange("zset", 0, -1, "WITHSCORES")).flat(),
    ["one", "1", "two", "2.5"]);
  assert.equal(String(await r.zscore("zset", "two")), "2.5");
  assert.deepEqual(await r.sort("set", "ALPHA", "DESC"), ["b", "a"]);
}

async function scans(r) {
  const wanted = Array.from({ length: 500 }, (_, n) => `scan:${n}`);
  await Promise.all(wanted.map((key) => r.set(key, 1)));
  const found = new Set();
  for await (const keys of r.scanStream({ match: "scan:*", count: 50 })) {
    keys.forEach((key) => found.add(key));
  }
  assert.deepEqual([...found].sort(), wanted.sort());
  assert.equal(await r.unlink(wanted), 500);
}

async function transactions(r) {
  assert.deepEqual(await r.multi().set("t", 1).incr("t").get("t").exec(),
    [[null, "OK"], [null, 2], [null, "2"]]);
  const other = connect();
  await r.watch("t");
  await other.set("t", 100);
  assert.equal(await r.multi().incr("t").exec(), null);
  const replies = await r.pipeline().set("s", "x").incr("s").get("s").exec();
  assert.match(replies[1][0].message, /not an integer/);
  assert.deepEqual(replies[2], [null, "x"]);
  other.disconnect();
}

async function waiting(r) {
  const other = connect();
  const popped = other.blpop("jobs", 10);
  const deadline = Date.now() + 10_000;
  while (!/blocked_clients:1/.test(await r.info("clients"))) {
    assert.ok(Date.now() < deadline, "the client does not wait");
  }
  await r.rpush("jobs", "first");
  assert.deepEqual(await popped, ["jobs", "first"]);
  assert.equal(await other.blpop("jobs", 0.01), null);
  other.disconnect();
}

async function messages(r) {
  const listener = connect();
  assert.equal(await listener.subscribe("news"), 1);
  assert.equal(await listener.psubscribe("ev*"), 2);
  const heard = new Promise((resolve) => listener.once("message", (...got) => resolve(got)));
  const matched = new Promise((resolve) => listener.once("pmessage", (...got) => resolve(got)));
  assert.equal(await r.publish("news", "hello"), 1);
  assert.equal(await r.publish("event", "x"), 1);
  assert.deepEqual(await heard, ["news", "hello"]);
  assert.deepEqual(await matched, ["ev*", "event", "x"]);
  listener.disconnect();
}

async function errors(r) {
  await assert.rejects(r.lpush("text", 1), /WRONGTYPE/);
  await assert.rejects(r.call("nonsense"), /unknown command/);
  assert.match(await r.info(), /redis_version:7\./);
}

const r = connect();
await r.flushall();
for (const part of [strings, collections, scans, transactions, waiting, messages, errors]) {
  await part(r);
}
assert.equal(await r.flushall(), "OK");
await r.quit();
console.log(`ioredis ${version}, RESP${protocol}: good`);
