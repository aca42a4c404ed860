//! One conversation: which relays are open, what each does, until when.
//!
//! The session knows no descriptors but its relays' own: lines come in, lines go out. The loop around it is in `desk`.

use crate::{
    behaviour::Behaviour,
    dns::{DnsRelay, DnsRule},
    link::Link,
    target::Target,
    toxicity::Toxicity,
    wire::{Answer, Beat, Cleared, Closed, Event, Failure, Line, Opened, Request, Set},
    work::Work,
};
use shakedown_line::{check_name, check_ttl, failure, invalid, request, unix_ns};
use std::{collections::BTreeMap, future, io, net::SocketAddr, time::Duration};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// The way out for one who says what is no request.
pub(crate) const HINT: &str = r#"one JSON object a line, such as {"id":1,"op":"beat"}; the shapes are in shakedown_link::wire"#;
const ADDRESSES_MAX: usize = 1024;
const PORTS_MAX: usize = 1024;

/// A conversation and the relays it has opened. It lives in a runtime.
#[derive(Default)]
pub struct Session {
    relays: BTreeMap<String, Relay>,
    /// Each ends with its name, and none before it is closed.
    drivers: JoinSet<String>,
}

/// A relay that is open.
struct Relay {
    work: Work,
    stop: CancellationToken,
    /// While it behaves.
    expires: Option<Instant>,
    cleared_at_unix_ns: Option<u64>,
}

impl Session {
    /// Answers one line, given without its newline.
    pub async fn answer(&mut self, line: &[u8]) -> Line {
        let (id, request) = request(line, HINT);
        let outcome = match request {
            Ok(request) => self.obey(request).await,
            Err(failure) => Err(failure),
        };
        Line::reply(id, outcome)
    }

    /// Does what a request asks.
    pub async fn obey(&mut self, request: Request) -> Result<Answer, Failure> {
        match request {
            Request::Open { name, to, .. } => self.open(name, to).map(Answer::Opened),
            Request::Set { name, behaviour, connections, ttl_ms, .. } => self.set(name, behaviour, connections, ttl_ms).map(Answer::Set),
            Request::OpenDns { name, upstream, .. } => self.open_dns(name, upstream).map(Answer::Opened),
            Request::SetDns { name, rule, ttl_ms, .. } => self.set_dns(name, rule, ttl_ms).map(Answer::Set),
            Request::Dose { name, .. } => self.relay(&name).map(|relay| Answer::Dose(relay.work.dose())),
            Request::Clear { name, .. } => self.relay(&name).map(|relay| Answer::Cleared(relay.clear(name))),
            Request::Close { name, .. } => Ok(Answer::Closed(self.close(name).await)),
            Request::Beat { .. } => Ok(Answer::Beat(self.beat())),
        }
    }

    /// Waits until a behaviour has outlived its time; for ever where none is on. Cancel-safe.
    pub async fn expiry(&self) {
        match self.relays.values().filter_map(|relay| relay.expires).min() {
            Some(expires) => tokio::time::sleep_until(expires).await,
            None => future::pending().await,
        }
    }

    /// Clears what has outlived its time.
    pub fn tick(&mut self) -> Vec<Line> {
        let now = Instant::now();
        self.clear_where(|expires| expires <= now).map(|cleared| Line::event(Event::Expired(cleared))).collect()
    }

    /// Clears everything and closes every relay.
    pub async fn take_back_all(&mut self) -> Vec<Line> {
        let words = self.clear_where(|_| true).map(|cleared| Line::event(Event::TakenBack(cleared))).collect();
        for name in self.relays.keys().cloned().collect::<Vec<_>>() {
            self.close(name).await;
        }
        words
    }

    fn clear_where(&mut self, is_over: impl Fn(Instant) -> bool) -> impl Iterator<Item = Cleared> {
        let over = self.relays.iter_mut().filter(move |(_, relay)| relay.expires.is_some_and(&is_over));
        over.map(|(name, relay)| relay.clear(name.clone()))
    }

    fn relay(&mut self, name: &str) -> Result<&mut Relay, Failure> {
        self.relays.get_mut(name).ok_or_else(|| unknown_relay(name))
    }

    fn open(&mut self, name: String, to: Target) -> Result<Opened, Failure> {
        self.check_new(&name)?;
        check_target(&to)?;
        let (link, driver) = Link::transparent(to).map_err(|error| no_socket(&error))?;
        let stop = CancellationToken::new();
        Ok(self.enter(name, Work::Link(link), stop.clone(), driver.run(stop)))
    }

    fn open_dns(&mut self, name: String, upstream: SocketAddr) -> Result<Opened, Failure> {
        self.check_new(&name)?;
        if upstream.port() == 0 || upstream.ip().is_unspecified() {
            return Err(invalid(format!("{upstream} is no resolver"), "an address and a port, as in 127.0.0.11:53"));
        }
        let (relay, driver) = DnsRelay::bind(0, upstream).map_err(|error| no_socket(&error))?;
        let stop = CancellationToken::new();
        Ok(self.enter(name, Work::Dns(relay), stop.clone(), driver.run(stop)))
    }

    fn check_new(&self, name: &str) -> Result<(), Failure> {
        check_name(name)?;
        if self.relays.contains_key(name) {
            let hint = "close it first, or choose another name";
            return Err(failure("name_taken", format!("a relay named {name} is open"), hint));
        }
        Ok(())
    }

    /// Runs what was bound, under this name.
    fn enter(&mut self, name: String, work: Work, stop: CancellationToken, run: impl Future<Output = ()> + Send + 'static) -> Opened {
        let (ended, listens) = (name.clone(), work.addresses().to_vec());
        self.drivers.spawn(async move {
            run.await;
            ended
        });
        // All have the same one, and there is one.
        let port = listens.first().map_or(0, SocketAddr::port);
        self.relays.insert(name.clone(), Relay { work, stop, expires: None, cleared_at_unix_ns: None });
        Opened { name, port, listens }
    }

    fn set(&mut self, name: String, behaviour: Behaviour, connections: Option<Toxicity>, ttl_ms: u64) -> Result<Set, Failure> {
        check_ttl(ttl_ms)?;
        if behaviour == Behaviour::Pass {
            return Err(invalid("pass is not set for a while".to_owned(), "to end what is set, use clear"));
        }
        let relay = self.relay(&name)?;
        match (&relay.work, connections) {
            (Work::Link(link), Some(toxicity)) => link.set_for(behaviour, toxicity),
            (Work::Link(link), None) => link.set(behaviour),
            (Work::Dns(_), _) => return Err(invalid(format!("{name} relays DNS"), "what becomes of queries is told with set_dns")),
        }
        Ok(relay.holds_for(name, ttl_ms))
    }

    fn set_dns(&mut self, name: String, rule: DnsRule, ttl_ms: u64) -> Result<Set, Failure> {
        check_ttl(ttl_ms)?;
        let relay = self.relay(&name)?;
        let Work::Dns(dns) = &relay.work else {
            return Err(invalid(format!("{name} relays connections"), "a relay for DNS is opened with open_dns"));
        };
        dns.set(rule);
        Ok(relay.holds_for(name, ttl_ms))
    }

    async fn close(&mut self, name: String) -> Closed {
        let Some(relay) = self.relays.remove(&name) else {
            return Closed { name, already_gone: true, dose: None };
        };
        relay.stop.cancel();
        while let Some(ended) = self.drivers.join_next().await {
            if ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) == name {
                break;
            }
        }
        Closed { name, already_gone: false, dose: Some(relay.work.dose()) }
    }

    fn beat(&self) -> Beat {
        let behaving = self.relays.iter().filter(|(_, relay)| relay.work.behaves()).map(|(name, _)| name.clone());
        Beat { at_unix_ns: unix_ns(), relays: self.relays.keys().cloned().collect(), behaving: behaving.collect() }
    }
}

impl Relay {
    /// What was set holds for so long.
    fn holds_for(&mut self, name: String, ttl_ms: u64) -> Set {
        let ttl = Duration::from_millis(ttl_ms);
        self.expires = Some(Instant::now() + ttl);
        let set_at_unix_ns = unix_ns();
        Set { name, set_at_unix_ns, expires_at_unix_ns: set_at_unix_ns + ttl.as_nanos() as u64 }
    }

    fn clear(&mut self, name: String) -> Cleared {
        let already_clear = self.expires.take().is_none();
        if !already_clear {
            self.work.clear();
            self.cleared_at_unix_ns = Some(unix_ns());
        }
        Cleared { name, already_clear, dose: self.work.dose(), cleared_at_unix_ns: self.cleared_at_unix_ns }
    }
}

/// The first mistake in what is to be answered for.
fn check_target(to: &Target) -> Result<(), Failure> {
    if !(1..=ADDRESSES_MAX).contains(&to.addresses.len()) {
        return Err(invalid(format!("{} addresses", to.addresses.len()), "between 1 and 1024"));
    }
    if to.ports.len() > PORTS_MAX || to.ports.contains(&0) {
        return Err(invalid("ports are not usable".to_owned(), "at most 1024, none of them 0; leave empty for all"));
    }
    Ok(())
}

fn unknown_relay(name: &str) -> Failure {
    failure("unknown_relay", format!("no relay named {name} is open"), "open it first; a relay that was closed has said its dose")
}

fn no_socket(error: &io::Error) -> Failure {
    let hint = "it listens on 127.0.0.1, and on ::1 where the target has IPv6 addresses: leave them out where there is no IPv6";
    failure("socket", format!("cannot listen: {error}"), hint)
}
