//! A DNS relay by hand: `cargo run -p shakedown-link --example dns -- 127.0.0.11:53 5353 payment nxdomain`.
//!
//! Resolver, port to listen on, and, if any, name and effect (`nxdomain`, `servfail`, `refused`, `silence`, `truncate`, `delay` (300 ms) or an address).
//! It relays until the end of its input and then prints its dose. Who leads queries there is up to you; `docs/faults/dns.md` has rules that do.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use shakedown_link::{DnsEffect, DnsMatching, DnsRelay, DnsRule};
use std::{env, error::Error, net::IpAddr, time::Duration};
use tokio::{io::AsyncReadExt, task::JoinSet};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [upstream, port, rest @ ..] = arguments.as_slice() else { return Err("give the resolver's address and a port".into()) };
    let (relay, driver) = DnsRelay::bind(port.parse()?, upstream.parse::<std::net::SocketAddr>()?)?;
    println!("{:?}", relay.addresses());
    if let [name, effect] = rest {
        let matching = DnsMatching { name: name.clone(), ..DnsMatching::default() };
        relay.set(DnsRule::try_new(matching, effect_of(effect)?)?);
    }
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    tasks.spawn(driver.run(stop.clone()));
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    stop.cancel();
    tasks.join_all().await;
    println!("{:?}", relay.dose());
    Ok(())
}

fn effect_of(text: &str) -> Result<DnsEffect, Box<dyn Error>> {
    Ok(match text {
        "nxdomain" => DnsEffect::NxDomain,
        "servfail" => DnsEffect::ServFail,
        "refused" => DnsEffect::Refused,
        "silence" => DnsEffect::Silence,
        "truncate" => DnsEffect::Truncate,
        "delay" => DnsEffect::Delay { duration: Duration::from_millis(300) },
        address => match address.parse()? {
            IpAddr::V4(v4) => DnsEffect::Address { v4: Some(v4), v6: None },
            IpAddr::V6(v6) => DnsEffect::Address { v4: None, v6: Some(v6) },
        },
    })
}
