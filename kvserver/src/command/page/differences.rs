//! What differs from Redis 7.2, with reasons: facts that no table of the server has.

/// Differences of no single command.
pub(super) const GENERAL: &[&str] = &[
    "**Keys have 64 KiB (65,536 bytes) at most; fields and members 32 bytes less.** Redis takes \
     512 MiB. Keys, fields and members stay in memory, so the store bounds them; an element's key \
     there begins with its collection and its place. Longer ones are refused \
     with an error (`key is too long`) before anything is written.",
    "**Replies that repeat elements as often as they are asked to end at 1 GiB**: `SRANDMEMBER`, \
     `HRANDFIELD` and `ZRANDMEMBER` with a large negative count answer an error. Redis builds the \
     reply until its memory ends.",
    "**Everything is on the disk.** There is no snapshot to load and no log beside it to replay; \
     what `appendfsync` promises is promised for every write. `SAVE`, `BGSAVE`, `LASTSAVE` and \
     `BGREWRITEAOF` keep the meaning people ask them for: make it durable, and give space back.",
    "**Long strings are read from the disk.** One longer than a quarter of a data file (64 MiB) \
     has a file of its own, of which `STRLEN` and `TYPE` read nothing, and `GETBIT`, `GETRANGE`, \
     `SUBSTR`, `BITCOUNT`, `BITPOS` and `BITFIELD … GET` the blocks (64 KiB) they need. A shorter \
     one is checked as a whole whenever a part of it is read, about 0.1 ms for each MiB. Every \
     change (`SETBIT`, `SETRANGE`, `APPEND`, `BITFIELD`) writes the string anew, whatever its \
     length: keep what changes often in many short strings. Several clients that change one which \
     has a file of its own at the same time slow each other down: whoever was overtaken while it \
     wrote begins again, up to 32 times; then all others wait for it.",
    "**`maxmemory` bounds what keys and elements take**, not what waits to be sent to clients or \
     has been received of requests, which Redis counts too: `client-output-buffer-limit` and \
     `client-query-buffer-limit` bound those, and `mem_clients_normal` of `INFO memory` and \
     `clients.normal` of `MEMORY STATS` show them beside. A client that waits (`BLMOVE`) is \
     served whatever `maxmemory` says: what it moves is in memory already.",
    "**Keys past their time are gone.** `DBSIZE`, `KEYS`, `SCAN` and `RANDOMKEY` never count or \
     name them; Redis' `DBSIZE` does until they are touched or swept.",
    "**Order of what has none** (`HGETALL`, `SMEMBERS`, `KEYS`, `SCAN`, …) is another one: it \
     follows hashes of names, not how Redis keeps small and large values.",
    "**`OBJECT ENCODING` and `DEBUG OBJECT` name representations that are not there.** Tools and \
     test suites ask, so the answer is what Redis would choose by the same limits.",
    "**Commands run on several threads.** Each command and each `MULTI` block is still one step \
     that others see whole or not at all, and one commit on the disk.",
    "**Nothing has to be freed at once.** `DEL` of ten million elements takes as long as `UNLINK`; \
     `ASYNC` and `SYNC` of `FLUSHALL` and `FLUSHDB` mean the same.",
    "**Users** are those of Redis 7.2. There is no configuration file: they are kept in a file of \
     their own (`--set aclfile=…`, `ACL SAVE`), or given at the start (`--set 'user=NAME RULE …'`, \
     more than once). TLS and Unix sockets are not there.",
    "**One server**: no replicas and no cluster. `INFO replication` says master without replicas.",
    "**`HELP` texts and summaries are our own words**, and shorter.",
    "**The version named by `HELLO` and `INFO` is that of Redis** whose commands these are, as \
     clients decide by it what they may send.",
];

/// Differences of single commands, by full name.
pub(super) const BY_COMMAND: &[(&str, &str)] = &[
    (
        "acl",
        "rules may name the categories `@geo` and `@stream`, whose commands are not here and which \
         `CAT` does not list; names of commands that are not here are refused, as Redis refuses \
         those it does not know. Inside a selector a quote that is not closed is an error, and so \
         are patterns with quotes or a `)` at their end: saved, they would be read as something \
         else. A first argument (`+select|0`) has no spaces. `LOG` keeps 1,024 bytes of a key.",
    ),
    (
        "acl|load",
        "users that stay as they were keep their connections, as in Redis 7.4: before, all were \
         closed but those of `default`. A path is taken from where the server was started, not \
         from `dir`.",
    ),
    (
        "acl|save",
        "the file is readable for its owner only, unless it was there before. Writers wait until \
         it is on the disk.",
    ),
    ("auth", "`requirepass` must be UTF-8; `ACL SETUSER` takes any bytes."),
    ("bgrewriteaof", "merges the store's files: space of what is dead is given back."),
    ("bgsave", "syncs; no file is written beside the store."),
    (
        "bitfield",
        "`OVERFLOW SAT` makes of any value that is too small the smallest, also of those within a \
         few of −2⁶³, of which Redis makes the largest, as its own arithmetic wraps.",
    ),
    (
        "client|caching",
        "answers the error Redis gives a client that is not tracking: client-side caching comes \
         later.",
    ),
    (
        "client|no-evict",
        "is remembered and has no effect: clients are not closed to save memory \
         (`maxmemory-clients`).",
    ),
    ("client|tracking", "`ON` is refused: client-side caching comes later. `OFF` answers OK."),
    (
        "command|docs",
        "without `history`. Names of arguments are our own where Redis' are not what a client \
         sends; tokens and types are Redis'.",
    ),
    ("command|info", "without tips: they are for proxies in front of clusters."),
    ("config|rewrite", "refused: the flags of the command line are the configuration."),
    (
        "config|set",
        "bytes beyond 2⁶⁴ are the most there can be; Redis goes on with what is left modulo 2⁶⁴, \
         and so takes `17179869184gb` for no limit. `maxmemory-samples` ends at 64, as in later \
         versions; `port`, `bind` and `protected-mode` are set at the start.",
    ),
    (
        "debug",
        "serves what test suites use; what would only crash a server is unknown, and what is about \
         Redis' own structures answers OK.",
    ),
    ("flushall", "`ASYNC` and `SYNC` mean the same: memory is given back in the background."),
    ("flushdb", "`ASYNC` and `SYNC` mean the same: memory is given back in the background."),
    ("function", "only `FLUSH` and `LIST`, which test suites send: scripting comes later."),
    (
        "hscan",
        "a cursor is digits only, as for `SCAN`. The order is that of hashes of the fields, and \
         COUNT counts for small hashes, too: they are not answered at once.",
    ),
    (
        "info",
        "the sections are Redis', the figures our own: `used_memory` is the anonymous memory of \
         the process. Values are on the disk and in the file cache of the operating system.",
    ),
    ("lastsave", "when everything was last made durable by `SAVE` or `BGSAVE`."),
    ("lolwut", "draws something else."),
    (
        "module",
        "there is no interface for modules: `LIST` is empty, and `LOAD`, `LOADEX` and `UNLOAD` \
         answer what Redis answers when it does not allow them, or cannot.",
    ),
    (
        "multi",
        "inside MULTI it makes EXEC fail, as any command refused while queueing. Redis 7.2 goes on \
         with the transaction; its successors do not.",
    ),
    (
        "object|freq",
        "answers an error unless an LFU policy is set, as Redis: uses are not remembered \
         otherwise.",
    ),
    (
        "object|idletime",
        "counts from the last write of the key or from `TOUCH`, unless an LRU policy is set: reads \
         are not remembered otherwise, as that costs memory for every key.",
    ),
    ("object|refcount", "what Redis would count: values are not shared."),
    (
        "pfadd",
        "fails on a sketch whose bytes are broken and leaves it as it was; Redis leaves what was \
         added before the broken place.",
    ),
    (
        "pfmerge",
        "fails on a sketch whose bytes are broken and leaves the destination as it was; Redis \
         leaves what was merged before the broken place.",
    ),
    ("psync", "refused: followers read the store's change feed (`Store::changes`)."),
    ("quit", "not deprecated here."),
    (
        "replconf",
        "what a replica tells of itself is checked and forgotten: `PSYNC` and `SYNC` are refused.",
    ),
    ("save", "answers when everything committed before is durable; it does not stop the others."),
    (
        "scan",
        "a cursor is digits only; Redis also takes a sign or blanks, which no server ever answers. \
         Cursors stay valid across restarts.",
    ),
    (
        "set",
        "with a time in the past it tells the event `expired` at once; Redis when somebody asks \
         for the key, or it is swept.",
    ),
    (
        "shutdown",
        "always makes everything durable first, `NOSAVE` included: there is nothing to leave out. \
         It is not delayed by replicas, so `ABORT` finds nothing to end.",
    ),
    (
        "script",
        "`EXISTS` and `FLUSH` as in a Redis that knows no script, `KILL` as where none runs: tools \
         and test suites send them. Scripting comes later.",
    ),
    (
        "sort",
        "`COMMAND INFO` does not list the key behind `STORE`; `COMMAND GETKEYS` finds it. Which of \
         two elements comes first whose `BY` texts are equal is another one: it is nobody's \
         promise.",
    ),
    (
        "sscan",
        "a cursor is digits only, as for `SCAN`. COUNT counts for small sets, too: they are not \
         answered at once.",
    ),
    ("sync", "refused: followers read the store's change feed (`Store::changes`)."),
    (
        "swithmember",
        "only here: the keys of all sets that have a member. Needs `--set-reverse-index yes`, and \
         the \
         right to read every key.",
    ),
    ("unlink", "the same as `DEL`, which does not wait for memory either."),
    ("wait", "there are no replicas: it answers 0 when its time is over, or at once for 0."),
    (
        "waitaof",
        "the first number is this server: 1 waits until everything is durable here, whatever \
         `appendfsync` says.",
    ),
    (
        "watch",
        "a key that was not there and is set with a time in the past, and a list trimmed to what \
         it is, have not changed, and `EXEC` goes on; for Redis they have, and it does not.",
    ),
    (
        "watch",
        "inside MULTI it makes EXEC fail, as any command refused while queueing. Redis 7.2 goes on \
         with the transaction; its successors do not.",
    ),
    (
        "zscan",
        "a cursor is digits only, as for `SCAN`. COUNT counts for small sets, too: they are not \
         answered at once. `NOSCORES` leaves the scores out, as successors of Redis 7.2 have it.",
    ),
];

/// Commands that are not there, and why. Those that are in the table by now are left out.
pub(super) const ABSENT: &[(&str, &str)] = &[
    (
        "eval eval_ro evalsha evalsha_ro script|load script|debug",
        "later: scripts need an interpreter that may stop all others, with limits of time and \
         memory of its own; `MULTI` with `WATCH` is there",
    ),
    (
        "fcall fcall_ro function|delete function|dump function|kill function|load \
         function|restore function|stats",
        "later, with scripts",
    ),
    (
        "xack xadd xautoclaim xclaim xdel xgroup xinfo xlen xpending xrange xread xreadgroup \
         xrevrange xsetid xtrim",
        "later: streams are a type of their own, with groups of readers",
    ),
    (
        "geoadd geodist geohash geopos georadius georadius_ro georadiusbymember \
         georadiusbymember_ro geosearch geosearchstore",
        "later: they are sorted sets with another reading of the scores",
    ),
    (
        "dump restore migrate",
        "later: Redis' serialized format is its own representation in memory, and reading it is \
         where many of its vulnerabilities were; `kvserver export` and `import` move stores",
    ),
    (
        "memory memory|doctor memory|malloc-stats memory|purge memory|stats memory|usage",
        "later, with eviction: `INFO memory` tells of the whole",
    ),
    (
        "replicaof slaveof failover role psync sync replconf",
        "later, and not in Redis' protocol: followers read the store's change feed \
         (`Store::changes`)",
    ),
    (
        "cluster asking readonly readwrite restore-asking",
        "never as in Redis: one server is one store. Clients that ask for cluster mode are \
         answered an error, and go on without",
    ),
    (
        "module|load module|loadex module|unload",
        "never: code in the process of the server could break what the store promises; the library \
         `kvcore` is for that",
    ),
];
