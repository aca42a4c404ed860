//! The rule of the moment, and what becomes of a message under it. It must not know sockets.

use super::{
    answer::Lie,
    dose::{Counter, DnsDose},
    own::Own,
    query::Query,
    rule::{DnsEffect, DnsRule},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// What handle, driver and exchanges share.
pub(super) struct Shared {
    pub(super) setting: watch::Sender<Setting>,
    pub(super) counter: Counter,
    pub(super) own: Own,
}

/// A rule with the number of its setting: what it did is counted for its own setting only.
#[derive(Clone, Default)]
pub(super) struct Setting {
    pub(super) epoch: u64,
    rule: Option<Arc<Drawn>>,
}

impl Setting {
    pub(super) fn behaves(&self) -> bool {
        self.rule.is_some()
    }
}

/// A rule and the draws of its share.
struct Drawn {
    rule: DnsRule,
    random: Mutex<ChaCha8Rng>,
}

impl Drawn {
    fn new(rule: DnsRule) -> Drawn {
        let random = Mutex::new(ChaCha8Rng::seed_from_u64(rule.seed()));
        Drawn { rule, random }
    }

    fn chooses(&self, query: &Query<'_>) -> bool {
        self.rule.matches(query) && self.random.lock().unwrap_or_else(PoisonError::into_inner).random::<f64>() < self.rule.share()
    }
}

/// What carries a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Udp,
    Tcp,
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes to the resolver as it is.
    Forward,
    /// This is its answer.
    Forged(Forged),
    /// Nothing comes back.
    Silence,
}

/// An answer that is not the resolver's, to be counted once it left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forged {
    pub(super) bytes: Vec<u8>,
    epoch: u64,
    lie: Lie,
    is_empty: bool,
}

/// A verdict before any delay.
enum Verdict {
    Now(Fate),
    Later(Duration),
}

impl Shared {
    pub(super) fn new() -> Shared {
        Shared { setting: watch::Sender::new(Setting::default()), counter: Counter::new(), own: Own::default() }
    }

    /// Changes the rule. Its dose begins before any query meets it.
    pub(super) fn set(&self, rule: Option<DnsRule>) {
        let rule = rule.map(|rule| Arc::new(Drawn::new(rule)));
        self.setting.send_modify(|setting| {
            let epoch = setting.epoch + 1;
            if rule.is_some() {
                self.counter.begin(epoch);
            }
            *setting = Setting { epoch, rule };
        });
    }

    /// What becomes of a message, known when its delay is over: a delay ends with its setting, too. Cancel-safe: a query that is forgotten meanwhile
    /// was seen and nothing else.
    pub(super) async fn fate(&self, bytes: &[u8], carrier: Carrier) -> Fate {
        let mut settings = self.setting.subscribe();
        let setting = settings.borrow_and_update().clone();
        match self.verdict(&setting, bytes, carrier) {
            Verdict::Now(fate) => fate,
            Verdict::Later(delay) => {
                let begun = Instant::now();
                // What it waits for is the end of the setting; the sender is ours and cannot be gone.
                if timeout(delay, settings.changed()).await.is_err() {
                    self.counter.delayed(setting.epoch, begun.elapsed());
                }
                Fate::Forward
            }
        }
    }

    /// A forged answer left.
    pub(super) fn lied(&self, forged: &Forged) {
        self.counter.lied(forged.epoch, forged.lie, forged.is_empty);
    }

    /// Counts for the setting of the moment.
    pub(super) fn count(&self, act: impl FnOnce(&mut DnsDose)) {
        let epoch = self.setting.borrow().epoch;
        self.counter.count(epoch, act);
    }

    fn verdict(&self, setting: &Setting, bytes: &[u8], carrier: Carrier) -> Verdict {
        let Setting { epoch, rule: Some(drawn) } = setting else { return Verdict::Now(Fate::Forward) };
        let query = Query::read(bytes);
        let chosen = query.as_ref().ok().filter(|query| drawn.chooses(query));
        let verdict = chosen.and_then(|query| apply(*epoch, drawn.rule.effect(), query, carrier));
        self.counter.count(*epoch, |dose| {
            dose.queries += 1;
            dose.malformed += u64::from(query.is_err());
            dose.matched += u64::from(chosen.is_some());
            dose.passed += u64::from(verdict.is_none());
            dose.dropped += u64::from(matches!(verdict, Some(Verdict::Now(Fate::Silence))));
        });
        verdict.unwrap_or(Verdict::Now(Fate::Forward))
    }
}

/// What becomes of a query that was chosen; nothing where the effect is none on this carrier.
fn apply(epoch: u64, effect: DnsEffect, query: &Query<'_>, carrier: Carrier) -> Option<Verdict> {
    let lie = match effect {
        DnsEffect::Silence => return Some(Verdict::Now(Fate::Silence)),
        DnsEffect::Delay { duration } => return Some(Verdict::Later(duration)),
        DnsEffect::Truncate if carrier == Carrier::Tcp => return None,
        DnsEffect::Truncate => Lie::Truncated,
        DnsEffect::NxDomain => Lie::NxDomain,
        DnsEffect::ServFail => Lie::ServFail,
        DnsEffect::Refused => Lie::Refused,
        DnsEffect::Address { v4, v6 } => Lie::Address { v4, v6 },
    };
    let bytes = lie.tell(query).ok()?;
    Some(Verdict::Now(Fate::Forged(Forged { bytes, epoch, lie, is_empty: lie.is_empty(query.rtype) })))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{query::tests::query, rule::DnsMatching},
        *,
    };
    use domain::base::Rtype;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn under(effect: DnsEffect) -> Shared {
        drawn(effect, DnsMatching::default())
    }

    fn drawn(effect: DnsEffect, matching: DnsMatching) -> Shared {
        let shared = Shared::new();
        shared.set(Some(DnsRule::try_new(matching, effect).unwrap()));
        shared
    }

    fn payment() -> Vec<u8> {
        query("payment", Rtype::A)
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_holds_a_query_for_its_time_and_its_dose_says_so() {
        let shared = under(DnsEffect::Delay { duration: Duration::from_millis(300) });
        let begun = Instant::now();
        assert_eq!(shared.fate(&payment(), Carrier::Udp).await, Fate::Forward);
        assert_eq!(begun.elapsed(), Duration::from_millis(300));
        let dose = shared.counter.take();
        assert_eq!((dose.queries, dose.matched, dose.delayed, dose.passed), (1, 1, 1, 0));
        assert_eq!(dose.mean_delay, Duration::from_millis(300));
        assert!(dose.p99_delay >= Duration::from_millis(300) && dose.p99_delay < Duration::from_millis(301), "{dose:?}");
        assert_eq!(shared.counter.dose(), DnsDose::default());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_delay_lets_held_queries_go_at_once_and_counts_no_delay() {
        let shared = under(DnsEffect::Delay { duration: Duration::from_hours(1) });
        let (begun, message) = (Instant::now(), payment());
        let held = shared.fate(&message, Carrier::Udp);
        let ends = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            shared.set(None);
        };
        assert_eq!(tokio::join!(held, ends).0, Fate::Forward);
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        let dose = shared.counter.dose();
        assert_eq!((dose.matched, dose.delayed, dose.mean_delay), (1, 0, Duration::ZERO));
    }

    #[tokio::test]
    async fn a_truncation_is_for_udp_and_over_tcp_the_query_passes() {
        let shared = under(DnsEffect::Truncate);
        assert!(matches!(shared.fate(&payment(), Carrier::Udp).await, Fate::Forged(forged) if forged.bytes[2] == 0x83));
        assert_eq!(shared.fate(&payment(), Carrier::Tcp).await, Fate::Forward);
        let dose = shared.counter.dose();
        // Nothing has left yet.
        assert_eq!((dose.queries, dose.matched, dose.passed, dose.truncated), (2, 2, 1, 0));
    }

    #[tokio::test]
    async fn what_a_rule_does_is_counted_for_it_and_for_no_other() {
        let shared = under(DnsEffect::NxDomain);
        let Fate::Forged(late) = shared.fate(&payment(), Carrier::Udp).await else { panic!("it is forged") };
        shared.set(None);
        assert_eq!(shared.fate(&payment(), Carrier::Udp).await, Fate::Forward);
        assert_eq!((shared.counter.dose().queries, shared.counter.dose().nxdomain), (1, 0));
        shared.set(Some(DnsRule::try_new(DnsMatching::default(), DnsEffect::Silence).unwrap()));
        shared.lied(&late);
        assert_eq!(shared.counter.dose(), DnsDose::default());
        assert_eq!(shared.fate(b"what?", Carrier::Tcp).await, Fate::Forward);
        assert_eq!(shared.fate(&payment(), Carrier::Tcp).await, Fate::Silence);
        let dose = shared.counter.dose();
        assert_eq!((dose.queries, dose.malformed, dose.passed, dose.matched, dose.dropped), (2, 1, 1, 1, 1));
    }

    #[tokio::test]
    async fn a_share_of_the_queries_is_drawn_and_repeats_with_its_seed() {
        async fn chosen(seed: u64) -> Vec<bool> {
            let shared = drawn(DnsEffect::Silence, DnsMatching { share: 0.3, seed, ..DnsMatching::default() });
            let mut chosen = Vec::new();
            for _ in 0..5_000 {
                chosen.push(shared.fate(&payment(), Carrier::Udp).await == Fate::Silence);
            }
            chosen
        }
        let first = chosen(1).await;
        let share = first.iter().filter(|chosen| **chosen).count();
        assert!((1_350..1_650).contains(&share), "{share}");
        assert!(first == chosen(1).await && first != chosen(2).await);
    }

    const WRONG: DnsEffect = DnsEffect::Address { v4: Some(Ipv4Addr::LOCALHOST), v6: None };

    /// Bytes of any kind, and queries with some of their bytes changed and cut.
    fn messages() -> impl Strategy<Value = Vec<u8>> {
        let mangled = (proptest::collection::vec((0..60_usize, any::<u8>()), 0..6), 0..60_usize).prop_map(|(changes, end)| {
            let mut bytes = super::super::query::tests::with_opt(query("pay.ment.example", Rtype::A), 0);
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            bytes.truncate(end.max(1));
            bytes
        });
        prop_oneof![proptest::collection::vec(any::<u8>(), 0..600), mangled]
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_what_it_answers_is_an_answer_to_them(bytes in messages()) {
            let shared = Shared::new();
            for effect in [DnsEffect::NxDomain, WRONG, DnsEffect::Truncate] {
                shared.set(Some(DnsRule::try_new(DnsMatching::default(), effect).unwrap()));
                let setting = shared.setting.borrow().clone();
                let Verdict::Now(fate) = shared.verdict(&setting, &bytes, Carrier::Udp) else { panic!("nothing is delayed") };
                match fate {
                    Fate::Forged(Forged { bytes: answer, .. }) => {
                        prop_assert!(answer.len() <= 512 && answer[..2] == bytes[..2] && answer[2] & 0x80 != 0);
                        let answered = Query::read(&bytes).ok().unwrap().message.sole_question().unwrap().to_string();
                        let echoed = domain::base::Message::from_slice(&answer).unwrap().sole_question().unwrap().to_string();
                        prop_assert_eq!(answered, echoed);
                    }
                    other => prop_assert_eq!(other, Fate::Forward),
                }
            }
        }
    }
}
