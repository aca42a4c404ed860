//! Values for the places of a message.

use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

const USERS: [&str; 24] = [
    "root", "admin", "guest", "oracle", "postgres", "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy",
    "mallory", "niaj", "olivia", "peggy", "rupert", "sybil", "trent", "walter", "test01",
];
const HOSTS: [&str; 12] = [
    "db.internal",
    "cache.internal",
    "edge.example.com",
    "mail.example.org",
    "web1",
    "web2",
    "ip-10-0-3-17",
    "gateway",
    "build.corp.example",
    "node-17",
    "localhost",
    "proxy.example.net",
];
const THINGS: [&str; 20] = [
    "orders",
    "payments",
    "carts",
    "users",
    "sessions",
    "invoices",
    "shipments",
    "prices",
    "stock",
    "reviews",
    "audit",
    "metrics",
    "events",
    "emails",
    "images",
    "coupons",
    "refunds",
    "search",
    "catalog",
    "returns",
];
const CLASSES: [&str; 8] = [
    "java.io.IOException",
    "java.net.SocketTimeoutException",
    "java.lang.IllegalStateException",
    "org.example.shop.OrderException",
    "java.lang.NullPointerException",
    "java.sql.SQLException",
    "java.util.concurrent.TimeoutException",
    "javax.net.ssl.SSLException",
];
const AGENTS: [&str; 5] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; rv:121.0) Gecko/20100101 Firefox/121.0",
    "curl/8.4.0",
    "kube-probe/1.29",
    "Go-http-client/1.1",
];
const PATHS: [&str; 10] = [
    "/var/log/syslog",
    "/etc/passwd",
    "/srv/data/part-00017",
    "/home/alice/report.txt",
    "/tmp/x8231",
    "/usr/lib/libfoo.so.1",
    "/data/base/1",
    "/opt/app/config.yaml",
    "/mnt/disk3/blk",
    "/var/lib/app/state.db",
];
const ROUTES: [&str; 8] = [
    "/",
    "/cart",
    "/api/orders/17",
    "/api/users/alice/cart",
    "/healthz",
    "/static/js/app.9f3c.js",
    "/search?q=red+shoes&page=2",
    "/api/v2/items",
];

/// One value of this kind; how a kind is written in a message is the first word of each arm.
pub(crate) fn value(kind: &str, random: &mut ChaCha8Rng) -> String {
    let one = |all: &[&str], random: &mut ChaCha8Rng| (*all.choose(random).expect("there are some")).to_owned();
    let number = |random: &mut ChaCha8Rng| {
        let digits = random.random_range(1..8);
        random.random_range(0..10_u64.pow(digits)).to_string()
    };
    match kind {
        "n" => number(random),
        "small" => random.random_range(0..40_u32).to_string(),
        "port" => random.random_range(1024..65_535_u32).to_string(),
        "ms" => format!("{:.3}", random.random_range(0.0..900.0)),
        "dur" => one(&["17ms", "1.2s", "340µs", "2m3s", "905ms"], random),
        "size" => one(&["512", "1.2 KB", "17 MB", "903"], random),
        "ip" => format!("10.{}.{}.{}", random.random_range(0..256), random.random_range(0..256), random.random_range(1..255)),
        "ipport" => format!("{}:{}", value("ip", random), value("port", random)),
        "hostport" => format!("{}:{}", value("host", random), value("port", random)),
        "uuid" => {
            let [a, b] = [random.random::<u64>(), random.random::<u64>()];
            format!(
                "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                a >> 32,
                (a >> 16) & 0xffff,
                a & 0xfff,
                (b >> 52) & 0xfff,
                b & 0xffff_ffff_ffff
            )
        }
        "hex" => format!("0x{:x}", random.random::<u32>()),
        "hash" => format!("{:040x}", random.random::<u128>()),
        "id" => (0..8).map(|_| char::from(*b"abcdefghkmnpqrstuvwxyz23456789".choose(random).expect("there are some"))).collect(),
        "block" => format!("blk_{}", random.random::<i64>()),
        "user" => one(&USERS, random),
        "host" => one(&HOSTS, random),
        "thing" => one(&THINGS, random),
        "class" => one(&CLASSES, random),
        "agent" => one(&AGENTS, random),
        "path" => one(&PATHS, random),
        "route" => one(&ROUTES, random),
        "url" => format!("http://{}{}", value("host", random), value("route", random)),
        "bool" => one(&["true", "false"], random),
        "list" => (0..random.random_range(1..6)).map(|_| number(random)).collect::<Vec<_>>().join(", "),
        "peers" => (0..random.random_range(1..4)).map(|_| value("ipport", random)).collect::<Vec<_>>().join(", "),
        "iso" => format!("2026-11-{:02}T{}Z", random.random_range(1..31), value("clock", random)),
        "date" => format!("2026-11-{:02} {}", random.random_range(1..31), value("clock", random).replace('.', ",")),
        "syslog" => format!("Nov {:2} {}", random.random_range(1..31), &value("clock", random)[..8]),
        "clock" => {
            let [hour, minute, second] = [24, 60, 60].map(|below| random.random_range(0..below));
            format!("{hour:02}:{minute:02}:{second:02}.{:03}", random.random_range(0..1000))
        }
        other => panic!("no such kind: {other}"),
    }
}
