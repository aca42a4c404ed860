//! What commands are about: which of their arguments are keys, and what they do to a connection. It must not know what is asked of a fault.

use std::ops::Range;

/// What a command does to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing: it has one reply.
    Plain,
    /// It begins a transaction, and one reply.
    Multi,
    /// It executes one.
    Exec,
    /// It sets the connection up or back. A fault in it would be one in all that follows.
    Session,
    /// As above, and a transaction is over.
    EndsMulti,
    /// What follows is not one reply for each command.
    Beyond,
}

/// Of a command by its name in capitals.
pub(super) fn role(name: &[u8], arguments: &[Vec<u8>]) -> Role {
    let first = arguments.get(1).map(|first| first.to_ascii_uppercase());
    match name {
        b"MULTI" => Role::Multi,
        b"EXEC" => Role::Exec,
        b"DISCARD" | b"RESET" => Role::EndsMulti,
        b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" | b"UNSUBSCRIBE" | b"PUNSUBSCRIBE" | b"SUNSUBSCRIBE" | b"MONITOR" | b"SYNC"
        | b"PSYNC" | b"REPLCONF" => Role::Beyond,
        b"CLIENT" if first.as_deref() == Some(b"REPLY") => Role::Beyond,
        b"AUTH" | b"HELLO" | b"SELECT" | b"CLIENT" | b"QUIT" | b"ASKING" | b"READONLY" | b"READWRITE" => Role::Session,
        _ => Role::Plain,
    }
}

/// What a name that is not in the others' list is for: reading what may not be there.
pub(super) fn can_miss(name: &[u8]) -> bool {
    const READS: [&str; 49] = [
        "GET",
        "MGET",
        "GETRANGE",
        "SUBSTR",
        "STRLEN",
        "GETBIT",
        "BITCOUNT",
        "BITPOS",
        "EXISTS",
        "TTL",
        "PTTL",
        "EXPIRETIME",
        "PEXPIRETIME",
        "TYPE",
        "DUMP",
        "HGET",
        "HMGET",
        "HGETALL",
        "HEXISTS",
        "HKEYS",
        "HVALS",
        "HLEN",
        "HSTRLEN",
        "HRANDFIELD",
        "LRANGE",
        "LLEN",
        "LINDEX",
        "LPOS",
        "SMEMBERS",
        "SISMEMBER",
        "SMISMEMBER",
        "SCARD",
        "SRANDMEMBER",
        "ZSCORE",
        "ZMSCORE",
        "ZRANGE",
        "ZREVRANGE",
        "ZRANGEBYSCORE",
        "ZREVRANGEBYSCORE",
        "ZRANGEBYLEX",
        "ZREVRANGEBYLEX",
        "ZCARD",
        "ZCOUNT",
        "ZLEXCOUNT",
        "ZRANK",
        "ZREVRANK",
        "XRANGE",
        "XLEN",
        "JSON.GET",
    ];
    READS.iter().any(|read| read.as_bytes() == name)
}

/// Where the keys of a command are.
pub(super) fn keys(name: &[u8], arguments: &[Vec<u8>]) -> Vec<usize> {
    let all = arguments.len();
    let from = |first: usize| (first..all).collect();
    match name {
        b"MGET" | b"DEL" | b"UNLINK" | b"EXISTS" | b"TOUCH" | b"WATCH" | b"SINTER" | b"SUNION" | b"SDIFF" | b"SINTERSTORE"
        | b"SUNIONSTORE" | b"SDIFFSTORE" | b"PFCOUNT" | b"PFMERGE" => from(1),
        b"MSET" | b"MSETNX" => (1..all).step_by(2).collect(),
        // The last is a time, or a path.
        b"BLPOP" | b"BRPOP" | b"BZPOPMIN" | b"BZPOPMAX" | b"JSON.MGET" => (1..all.saturating_sub(1)).collect(),
        b"RENAME" | b"RENAMENX" | b"COPY" | b"SMOVE" | b"LMOVE" | b"BLMOVE" | b"RPOPLPUSH" | b"BRPOPLPUSH" | b"LCS" | b"GEOSEARCHSTORE"
        | b"ZRANGESTORE" => (1..all.min(3)).collect(),
        b"BITOP" => from(2),
        b"OBJECT" | b"XGROUP" | b"XINFO" | b"MEMORY" => (2..all.min(3)).collect(),
        b"EVAL" | b"EVALSHA" | b"EVAL_RO" | b"EVALSHA_RO" | b"FCALL" | b"FCALL_RO" | b"BLMPOP" | b"BZMPOP" => {
            counted(arguments, 2).collect()
        }
        b"ZUNION" | b"ZINTER" | b"ZDIFF" | b"ZINTERCARD" | b"SINTERCARD" | b"LMPOP" | b"ZMPOP" => counted(arguments, 1).collect(),
        b"ZUNIONSTORE" | b"ZINTERSTORE" | b"ZDIFFSTORE" => (1..all.min(2)).chain(counted(arguments, 2)).collect(),
        b"XREAD" | b"XREADGROUP" => streams(arguments).collect(),
        _ if is_keyless(name) => Vec::new(),
        _ => (1..all.min(2)).collect(),
    }
}

fn is_keyless(name: &[u8]) -> bool {
    const KEYLESS: [&str; 35] = [
        "PING",
        "ECHO",
        "INFO",
        "DBSIZE",
        "KEYS",
        "SCAN",
        "FLUSHALL",
        "FLUSHDB",
        "PUBLISH",
        "SPUBLISH",
        "PUBSUB",
        "SCRIPT",
        "FUNCTION",
        "CONFIG",
        "COMMAND",
        "TIME",
        "WAIT",
        "WAITAOF",
        "SAVE",
        "BGSAVE",
        "BGREWRITEAOF",
        "LASTSAVE",
        "ACL",
        "CLUSTER",
        "DEBUG",
        "LATENCY",
        "SLOWLOG",
        "MODULE",
        "RANDOMKEY",
        "SWAPDB",
        "UNWATCH",
        "ROLE",
        "SHUTDOWN",
        "MIGRATE",
        "LOLWUT",
    ];
    KEYLESS.iter().any(|keyless| keyless.as_bytes() == name)
}

/// Behind an argument that says how many they are.
fn counted(arguments: &[Vec<u8>], at: usize) -> Range<usize> {
    let count = arguments.get(at).and_then(|count| std::str::from_utf8(count).ok()).and_then(|count| count.parse::<usize>().ok());
    let first = at + 1;
    first..first.saturating_add(count.unwrap_or_default()).min(arguments.len()).max(first)
}

/// Behind the word, the first half of what is there.
fn streams(arguments: &[Vec<u8>]) -> Range<usize> {
    let first = arguments.iter().position(|word| word.eq_ignore_ascii_case(b"STREAMS")).map_or(arguments.len(), |word| word + 1);
    first..first + (arguments.len() - first) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn keys_are_where_the_command_has_them() {
        for (line, expected) in [
            ("GET k", "k"),
            ("SET k v EX 1", "k"),
            ("MGET k1 k2", "k1 k2"),
            ("MSET k1 v k2 v", "k1 k2"),
            ("BLPOP k1 k2 0", "k1 k2"),
            ("RENAME k1 k2", "k1 k2"),
            ("EVAL script 2 k1 k2 v", "k1 k2"),
            ("EVAL script 9 k1", "k1"),
            ("EVAL script -1 v", ""),
            ("ZUNIONSTORE k1 2 k2 k3 WEIGHTS 1 2", "k1 k2 k3"),
            ("SINTERCARD 1 k1 LIMIT 1", "k1"),
            ("XREAD COUNT 1 STREAMS k1 k2 0 0", "k1 k2"),
            ("XREAD", ""),
            ("OBJECT ENCODING k", "k"),
            ("BITOP AND k1 k2", "k1 k2"),
            ("PING v", ""),
            ("PUBLISH c v", ""),
            ("BLPOP", ""),
            ("MODULE.NEW k v", "k"),
        ] {
            let arguments = words(line);
            let found: Vec<_> = keys(&arguments[0], &arguments).into_iter().map(|at| String::from_utf8_lossy(&arguments[at])).collect();
            assert_eq!(found.join(" "), expected, "{line}");
        }
    }

    #[test]
    fn every_command_that_can_miss_has_its_key_first() {
        for name in ["GET", "HGETALL", "ZRANGE", "JSON.GET"] {
            assert!(can_miss(name.as_bytes()) && keys(name.as_bytes(), &words("c k v"))[0] == 1);
        }
        assert!(!can_miss(b"SET") && !can_miss(b"PING") && !can_miss(b"GETDEL"));
    }

    #[test]
    fn roles_are_known_by_name_and_subcommand() {
        assert_eq!(role(b"CLIENT", &words("CLIENT reply off")), Role::Beyond);
        assert_eq!(role(b"CLIENT", &words("CLIENT SETNAME a")), Role::Session);
        assert_eq!(role(b"GET", &words("GET subscribe")), Role::Plain);
    }
}
