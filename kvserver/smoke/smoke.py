"""redis-py against a kvserver: `smoke.py PORT PROTOCOL`. Every line asserts; see `run`."""

import asyncio
import sys
import threading
import time

import redis
import redis.asyncio

PORT, PROTOCOL = int(sys.argv[1]), int(sys.argv[2])


def client(**options):
    return redis.Redis(port=PORT, protocol=PROTOCOL, decode_responses=True, **options)


def strings(r):
    assert r.set("text", "hello")
    assert r.append("text", " world") == 11
    assert r.get("text") == "hello world"
    assert r.get("none") is None
    assert r.set("text", "no", nx=True) is None
    assert r.set("text", "new", get=True) == "hello world"
    assert r.incrby("count", 41) == 41
    assert r.incrbyfloat("count", 0.5) == 41.5
    assert r.mset({"a": 1, "b": 2})
    assert r.mget("a", "none", "b") == ["1", None, "2"]
    assert r.set("soon", "gone", ex=100) and 90 <= r.ttl("soon") <= 100
    raw = redis.Redis(port=PORT, protocol=PROTOCOL)
    every_byte = bytes(range(256)) * 100
    assert raw.set("bytes", every_byte)
    assert raw.get("bytes") == every_byte


def collections(r):
    assert r.hset("hash", mapping={"name": "ada", "city": "london"}) == 2
    assert r.hgetall("hash") == {"name": "ada", "city": "london"}
    assert r.hincrby("hash", "age", 36) == 36
    assert dict(r.hscan_iter("hash"))["age"] == "36"
    assert r.rpush("list", *"abcd") == 4
    assert r.lrange("list", 0, -1) == list("abcd")
    assert r.lpop("list") == "a" and r.rpop("list", 2) == ["d", "c"]
    assert r.lmove("list", "list2", "LEFT", "RIGHT") == "b"
    assert r.exists("list") == 0
    assert r.sadd("set", *"abc") == 3
    assert r.smembers("set") == set("abc")
    assert r.sinter("set", "none") == set()
    assert r.smismember("set", ["a", "x"]) == [1, 0]
    assert r.zadd("zset", {"one": 1, "two": 2.5, "top": float("inf")}) == 3
    with_scores = [list(pair) for pair in r.zrange("zset", 0, -1, withscores=True)]
    assert with_scores == [["one", 1.0], ["two", 2.5], ["top", float("inf")]]
    assert r.zscore("zset", "two") == 2.5
    assert r.zrangebyscore("zset", "(1", "+inf") == ["two", "top"]
    assert r.zincrby("zset", 1, "one") == 2.0
    assert r.sort("set", alpha=True, desc=True) == ["c", "b", "a"]
    assert r.object("encoding", "zset") in ("listpack", "skiplist")


def keys(r):
    wanted = {f"scan:{n}" for n in range(1000)}
    for key in wanted:
        r.set(key, 1)
    assert set(r.scan_iter("scan:*", count=50)) == wanted
    assert r.delete(*wanted) == 1000
    assert r.type("zset") == "zset" and r.copy("zset", "copied")
    assert r.rename("copied", "other") and r.unlink("other") == 1
    assert r.move("soon", 1)
    assert client(db=1).getdel("soon") == "gone"


def transactions(r):
    with r.pipeline(transaction=True) as pipe:
        replies = pipe.set("t", 1).incr("t").hset("th", "f", "v").execute()
    assert replies == [True, 2, 1]
    with r.pipeline() as pipe:
        pipe.watch("t")
        r.set("t", 100)
        pipe.multi()
        pipe.incr("t")
        try:
            pipe.execute()
            raise AssertionError("a transaction went through although its key had changed")
        except redis.WatchError:
            pass
    assert r.transaction(lambda pipe: (pipe.multi(), pipe.incr("t")), "t") == [101]
    with r.pipeline(transaction=False) as pipe:
        for n in range(1000):
            pipe.rpush("long", n)
        assert pipe.execute() == list(range(1, 1001))
    with r.pipeline() as pipe:
        replies = pipe.set("s", "x").incr("s").get("s").execute(raise_on_error=False)
    assert isinstance(replies[1], redis.ResponseError) and replies[2] == "x"


def waiting(r):
    got = []
    waiter = threading.Thread(target=lambda: got.append(client().blpop(["jobs"], timeout=10)))
    waiter.start()
    deadline = time.monotonic() + 10
    while r.info("clients")["blocked_clients"] == 0:
        assert time.monotonic() < deadline, "the client does not wait"
    r.rpush("jobs", "first")
    waiter.join(10)
    assert [list(pair) for pair in got] == [["jobs", "first"]], got
    assert r.blmove("none", "other", 0.01) is None
    r.zadd("queue", {"job": 1})
    assert list(r.bzpopmin("queue", timeout=1)) == ["queue", "job", 1.0]


def messages(r):
    listener = r.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("news")
    listener.psubscribe("ev*")
    assert listener.get_message(timeout=5) is None and listener.get_message(timeout=5) is None
    assert r.publish("news", "hello") == 1 and r.publish("event", "x") == 1
    first, second = listener.get_message(timeout=5), listener.get_message(timeout=5)
    assert (first["type"], first["channel"], first["data"]) == ("message", "news", "hello")
    assert (second["type"], second["pattern"], second["data"]) == ("pmessage", "ev*", "x")
    assert dict(r.pubsub_numsub("news")) == {"news": 1}
    listener.close()


def bits(r):
    assert r.setbit("bits", 7, 1) == 0 and r.getbit("bits", 7) == 1
    assert r.bitcount("bits") == 1 and r.bitpos("bits", 1) == 7
    assert r.bitfield("bits").incrby("u8", 8, 300).execute() == [44]
    assert r.pfadd("hll", *range(1000)) == 1
    assert 950 <= r.pfcount("hll") <= 1050


def server(r):
    assert r.ping() and r.echo("x") == "x"
    assert r.info()["redis_version"].startswith("7.")
    assert r.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert r.config_set("maxmemory-samples", 6)
    assert r.client_setname("smoke") and r.client_getname() == "smoke"
    assert any(entry["name"] == "smoke" for entry in r.client_list())
    assert r.command_count() > 150 and "get" in r.command()
    assert r.dbsize() > 0 and r.time()[0] > 1_700_000_000
    try:
        r.lpush("text", 1)
        raise AssertionError("a string took a list's command")
    except redis.ResponseError as error:
        assert "WRONGTYPE" in str(error)


async def concurrently():
    r = redis.asyncio.Redis(port=PORT, protocol=PROTOCOL, decode_responses=True)
    assert await r.delete("total") in (0, 1)
    await asyncio.gather(*(r.incr("total") for _ in range(50)))
    assert await r.get("total") == "50"
    async with r.pipeline(transaction=True) as pipe:
        assert await pipe.set("p", 1).incr("p").execute() == [True, 2]
    await r.aclose()


def main():
    r = client()
    assert r.flushall()
    for part in (strings, collections, keys, transactions, waiting, messages, bits, server):
        part(r)
    asyncio.run(concurrently())
    assert r.flushall() and r.dbsize() == 0
    print(f"redis-py {redis.__version__}, RESP{PROTOCOL}: good")


main()
