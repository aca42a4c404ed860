//! What a service's own resolver library makes of a fault: glibc, in namespaces of the test where the relay is at the port that `resolv.conf` means.

use crate::{
    TRUE,
    rig::{Rig, answer, next, say},
};
use shakedown_link::{DnsEffect, DnsMatching, DnsRelay, DnsRule};
use std::{env, fs, net::Ipv4Addr, process::Command};
use tokio::{process::Command as Client, task::JoinSet};

/// The test below, run again by itself where it may change the network and what is mounted: neither outlives it.
#[test]
fn glibc_is_told_every_lie_and_nothing_else() {
    let own = env::current_exe().unwrap();
    let script = "mount --make-rprivate / && ip link set lo up && exec \"$@\"";
    let inner = "clients::in_namespaces_of_its_own";
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "--mount", "sh", "-c", script, "sh"]).arg(own).args(["--exact", inner, "--ignored", "--nocapture"]);
    let output = unshare.output().expect("util-linux is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
#[ignore = "needs namespaces of its own: the test above gives them to it"]
async fn in_namespaces_of_its_own() {
    put("/etc/resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n");
    put("/etc/nsswitch.conf", "hosts: dns\n");
    let rig = Rig::at(53).await;
    let relay = rig.relay.clone();
    let mut resolver = JoinSet::new();
    resolver.spawn(async move { resolve(&rig).await });
    let set = |effect| set(&relay, effect);

    assert_eq!(look_up("payment.test").await, Ok("192.0.2.1".into()));
    set(DnsEffect::NxDomain);
    assert_eq!(look_up("payment.test").await, Err(NOT_FOUND));
    assert_eq!(look_up("cart.test").await, Ok("192.0.2.1".into()), "the rule is for another name");
    assert!(relay.dose().nxdomain >= 1 && relay.dose().passed >= 1);
    set(DnsEffect::Address { v4: Some(Ipv4Addr::new(203, 0, 113, 7)), v6: None });
    assert_eq!(look_up("payment.test").await, Ok("203.0.113.7".into()));
    assert!(relay.dose().misled >= 1 && relay.dose().empty >= 1, "A and AAAA: {:?}", relay.dose());
    for effect in [DnsEffect::ServFail, DnsEffect::Refused, DnsEffect::Silence] {
        set(effect);
        assert_eq!(look_up("payment.test").await, Err(NOT_FOUND), "{effect:?}");
    }
    assert!(relay.dose().dropped >= 2, "A and AAAA: {:?}", relay.dose());
    set(DnsEffect::Truncate);
    assert_eq!(look_up("payment.test").await, Ok("192.0.2.1".into()), "over TCP");
    assert!(relay.dose().truncated >= 1 && relay.dose().passed >= 1, "{:?}", relay.dose());
    relay.clear();
    assert_eq!(look_up("payment.test").await, Ok("192.0.2.1".into()), "glibc keeps nothing");
}

/// What getent says where there is no address.
const NOT_FOUND: i32 = 2;

fn set(relay: &DnsRelay, effect: DnsEffect) {
    let matching = DnsMatching { name: "payment.*".into(), ..DnsMatching::default() };
    relay.set(DnsRule::try_new(matching, effect).unwrap());
}

/// Lays a file over another one, for this mount namespace only.
fn put(path: &str, content: &str) {
    let ours = env::temp_dir().join(format!("shakedown-dns-{}", std::process::id()));
    fs::write(&ours, content).unwrap();
    let status = Command::new("mount").arg("--bind").arg(&ours).arg(path).status().unwrap();
    assert!(status.success(), "{path}");
    // Mounted, it needs no name.
    fs::remove_file(ours).unwrap();
}

/// The first address that glibc's `getaddrinfo` finds, or getent's exit code.
async fn look_up(name: &str) -> Result<String, i32> {
    let output = Client::new("getent").args(["ahosts", name]).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    match output.status.code() {
        Some(0) => Ok(said.split_whitespace().next().unwrap().to_owned()),
        code => Err(code.unwrap()),
    }
}

/// A resolver that knows one address for every name.
async fn resolve(rig: &Rig) {
    loop {
        tokio::select! {
            (asked, from) = rig.overhear_patiently() => {
                rig.udp.send_to(&answer(&asked, 0, TRUE), from).await.unwrap();
            }
            accepted = rig.tcp.accept() => {
                let mut stream = accepted.unwrap().0;
                while let Some(asked) = next(&mut stream).await {
                    say(&mut stream, &answer(&asked, 0, TRUE)).await;
                }
            }
        }
    }
}
