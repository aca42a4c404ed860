//! What the kinds that choose among packets do: datagrams with numbers on them, counted where they arrive.

#![expect(clippy::unwrap_used, reason = "as in any test: the settings in clippy.toml see only #[test]")]

mod support;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shakedown_agent::wire::Dose;
use support::{Agent, FAR, FAR_6, Far, NEAR, PATIENCE, connect, disciplines, fault, in_two_namespaces, is_shaped, round_trip, tables};

/// The number on the datagram after the last one.
const END: u32 = u32::MAX;
/// Sent at a time: fewer than the smallest usual receive buffer takes.
const BATCH: usize = 100;
const BULK: usize = 1024 * 1024;

/// Sockets at both ends of the cable; the datagrams go from one to the other.
struct Path {
    from: UdpSocket,
    to: UdpSocket,
    direction: &'static str,
    far: &'static str,
}

impl Path {
    fn new(far: &Far, address: &'static str, direction: &'static str) -> Self {
        let near = if address == FAR { NEAR } else { "fd77::1" };
        let here = UdpSocket::bind((near.parse::<IpAddr>().unwrap(), 0)).unwrap();
        let there = far.errand(move || UdpSocket::bind((address.parse::<IpAddr>().unwrap(), 0)).unwrap());
        let ends: [SocketAddr; 2] = [here.local_addr().unwrap(), there.local_addr().unwrap()];
        here.connect(ends[1]).unwrap();
        there.connect(ends[0]).unwrap();
        let (from, to) = if direction == "out" { (here, there) } else { (there, here) };
        let path = Self { from, to, direction, far: address };
        path.wait_for_the_cable();
        path
    }

    /// A new cable loses what is sent before it is up. In the end nothing is under way, and none was lost since.
    fn wait_for_the_cable(&self) {
        self.to.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let arrives = |number| {
            self.send(number);
            std::iter::from_fn(|| self.receive()).any(|heard| heard == number)
        };
        assert!((0..200).any(arrives), "nothing arrives");
        self.to.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    fn send(&self, number: u32) {
        assert_eq!(self.from.send(&number.to_be_bytes()).unwrap(), 4, "a sender is never told");
    }

    /// The number on the next datagram, if there is one.
    fn receive(&self) -> Option<u32> {
        let mut number = [0; 4];
        self.to.recv(&mut number).ok().map(|_| u32::from_be_bytes(number))
    }

    /// Sends numbered datagrams through a fault and reverts it. What arrived, in order, and what the fault says it did.
    fn through(&self, agent: &mut Agent, kind: &Value, count: usize) -> (Vec<u32>, Dose) {
        let applied = agent.apply(&fault(kind, &[self.far], &[], self.direction));
        let shaped = is_shaped(kind, self.direction);
        assert_eq!(applied.mechanism.starts_with("netem (") || applied.mechanism.starts_with("tbf ("), shaped, "{}", applied.mechanism);
        let mut heard = Vec::new();
        self.to.set_nonblocking(true).unwrap();
        for batch in (0..count).collect::<Vec<_>>().chunks(BATCH) {
            for number in batch {
                self.send(*number as u32);
            }
            let sent = batch.last().unwrap() + 1;
            wait_until(agent, |dose| dose.judged >= sent as u64 && dose.held == 0);
            heard.extend(std::iter::from_fn(|| self.receive()));
        }
        self.to.set_nonblocking(false).unwrap();
        let dose = agent.revert("f").dose.unwrap();
        self.send(END);
        heard.extend(std::iter::from_fn(|| self.receive()).take_while(|number| *number != END));
        assert_eq!((dose.packets, dose.judged), (count as u64, count as u64), "{dose:?}");
        assert_eq!((dose.dropped_by_queue, dose.released_early, &dose.trouble), (0, 0, &None));
        assert_eq!(tables(), []);
        assert!(!disciplines().contains("qdisc prio"), "{}", disciplines());
        (heard, dose)
    }
}

/// Asks for the dose until it is as expected.
fn wait_until(agent: &mut Agent, is_done: impl Fn(&Dose) -> bool) {
    let begun = Instant::now();
    loop {
        let dose = agent.dose("f");
        if is_done(&dose) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{dose:?}");
    }
}

/// The numbers below `count` that did not arrive.
fn missing(heard: &[u32], count: usize) -> Vec<u32> {
    let heard: BTreeSet<u32> = heard.iter().copied().collect();
    (0..count as u32).filter(|number| !heard.contains(number)).collect()
}

/// A test for each way a packet can go.
fn each_way(test: impl Fn(&Far, &'static str, &'static str) + Clone + Send + 'static) {
    for (address, direction) in [(FAR, "out"), (FAR, "in"), (FAR_6, "out"), (FAR_6, "in")] {
        let test = test.clone();
        in_two_namespaces(move |far| test(far, address, direction));
    }
}

/// Sends bytes that are all over the alphabet from here to the far end, and compares.
fn bulk_arrives_whole(far: &Far, address: &'static str, bytes: usize) {
    let listener = far.errand(|| TcpListener::bind("[::]:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    let sent: Vec<u8> = (0..bytes).map(|n| (n / 7) as u8).collect();
    let reader = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        received
    });
    connect(address, port).write_all(&sent).unwrap();
    assert!(reader.join().unwrap() == sent, "bytes were changed on the way");
}

#[test]
fn loss_takes_its_share_and_says_how_much_it_took() {
    each_way(|far, address, direction| {
        let (mut agent, path) = (Agent::start(), Path::new(far, address, direction));
        let kind = json!({ "loss": { "share_ppm": 200_000, "seed": 4 } });
        let (heard, dose) = path.through(&mut agent, &kind, 4_000);
        assert!(heard.is_sorted(), "what is not lost keeps its order");
        assert_eq!(dose.lost, 4_000 - heard.len() as u64);
        // 800, with a standard deviation of 25.
        assert!((700..900).contains(&dose.lost), "{direction} {address}: {dose:?}");
    });
}

#[test]
fn loss_in_bursts_takes_its_share_in_rows_of_the_asked_mean() {
    in_two_namespaces(|far| {
        let (mut agent, path) = (Agent::start(), Path::new(far, FAR, "out"));
        let kind = json!({ "loss": { "share_ppm": 200_000, "burst_packets": 4, "seed": 4 } });
        let (heard, dose) = path.through(&mut agent, &kind, 4_000);
        let lost = missing(&heard, 4_000);
        let bursts = lost.chunk_by(|one, next| one + 1 == *next).count();
        assert_eq!(dose.lost, lost.len() as u64);
        // 800 in 200 bursts; the deviations are 59 and a quarter of a packet.
        assert!((565..1_035).contains(&lost.len()), "{}", lost.len());
        let mean = lost.len() as f64 / bursts as f64;
        assert!((mean - 4.0).abs() < 1.0, "{mean}");
    });
}

#[test]
fn the_same_seed_loses_the_same_datagrams() {
    in_two_namespaces(|far| {
        // netem obeys no seed before Linux 6.6; direction in has the queue either way.
        let direction = if support::prefers_netem() { "in" } else { "out" };
        let (mut agent, path) = (Agent::start(), Path::new(far, FAR, direction));
        let mut lost = |seed: u64| {
            let kind = json!({ "loss": { "share_ppm": 300_000, "burst_packets": 2, "seed": seed } });
            missing(&path.through(&mut agent, &kind, 200).0, 200)
        };
        let first = lost(1);
        assert!(!first.is_empty());
        assert_eq!(first, lost(1));
        assert_ne!(first, lost(2));
    });
}

#[test]
fn a_connection_lives_through_loss() {
    in_two_namespaces(|far| {
        let (mut agent, port) = (Agent::start(), far.echo());
        let stream = connect(FAR, port);
        agent.apply(&fault(&json!({ "loss": { "share_ppm": 200_000, "seed": 1 } }), &[FAR], &[port], "both"));
        for _ in 0..10 {
            round_trip(&stream).unwrap();
        }
        let dose = agent.revert("f").dose.unwrap();
        assert!(dose.lost > 0 && dose.lost < dose.judged, "{dose:?}");
        round_trip(&stream).unwrap();
        assert_eq!(tables(), []);
    });
}

#[test]
fn reordering_loses_nothing_and_holds_its_share_until_others_have_passed() {
    each_way(|far, address, direction| {
        let (mut agent, path) = (Agent::start(), Path::new(far, address, direction));
        let kind = json!({ "reorder": { "share_ppm": 100_000, "delay_us": 20_000, "seed": 4 } });
        let (heard, dose) = path.through(&mut agent, &kind, 2_000);
        assert_eq!(missing(&heard, 2_000), [0; 0]);
        assert_eq!((heard.len(), dose.lost), (2_000, 0));
        // 200, with a standard deviation of 13.
        assert!((148..252).contains(&dose.delayed), "{direction} {address}: {dose:?}");
        let mut highest = 0;
        let late = heard.iter().filter(|number| {
            highest = highest.max(**number);
            **number < highest
        });
        let late = late.count() as u64;
        assert_eq!(late, dose.reordered, "{direction} {address}: {dose:?}");
        assert!(late > dose.delayed / 2 && late <= dose.delayed, "{late} {dose:?}");
    });
}

#[test]
fn bulk_arrives_in_order_through_reordering() {
    for address in [FAR, FAR_6] {
        in_two_namespaces(move |far| {
            let mut agent = Agent::start();
            agent.apply(&fault(&json!({ "reorder": { "share_ppm": 100_000, "delay_us": 2_000 } }), &[address], &[], "both"));
            bulk_arrives_whole(far, address, BULK);
            let dose = agent.revert("f").dose.unwrap();
            assert!(dose.delayed > 0, "{dose:?}");
            assert_eq!(tables(), []);
        });
    }
}

#[test]
fn a_lone_question_is_held_but_not_reordered() {
    in_two_namespaces(|far| {
        let (mut agent, port) = (Agent::start(), far.echo());
        let stream = connect(FAR, port);
        agent.apply(&fault(&json!({ "reorder": { "share_ppm": 999_999, "delay_us": 1_000 } }), &[FAR], &[port], "out"));
        for _ in 0..20 {
            round_trip(&stream).unwrap();
        }
        let dose = agent.revert("f").dose.unwrap();
        assert!(dose.delayed >= 20 && dose.reordered == 0, "{dose:?}");
    });
}

#[test]
fn a_line_without_room_loses_what_it_cannot_hold_and_says_so() {
    each_way(|far, address, direction| {
        let (mut agent, path) = (Agent::start(), Path::new(far, address, direction));
        // A datagram takes some 10 ms, and none waits longer than 100 ms.
        let kind = json!({ "bandwidth": { "bytes_per_second": 4_000, "queue_us": 100_000 } });
        let (heard, dose) = path.through(&mut agent, &kind, BATCH);
        assert!(heard.is_sorted());
        assert_eq!(dose.lost, (BATCH - heard.len()) as u64);
        assert_eq!((dose.delayed, dose.reordered), (heard.len() as u64, 0));
        // tbf has 33 such frames in its bucket to begin with, and room for as many more than those that it carries in time.
        let most = if is_shaped(&kind, direction) { 80 } else { BATCH / 2 };
        assert!((8..most).contains(&heard.len()), "{direction} {address}: {}", heard.len());
        if is_shaped(&kind, direction) {
            assert_eq!(dose.p99_delay_us, None, "what is not measured is not said");
        } else {
            assert!(dose.p99_delay_us.unwrap() > 50_000, "{dose:?}");
        }
    });
}

/// How many datagrams, or segments, this thread's namespace has found hurt.
fn checksum_errors(protocol: &str) -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut rows = table.lines().filter_map(|line| line.strip_prefix(&format!("{protocol}: ")));
    let at = rows.next().unwrap().split(' ').position(|name| name == "InCsumErrors").unwrap();
    let over_4 = rows.next().unwrap().split(' ').nth(at).unwrap().parse::<u64>().unwrap();
    // TCP is counted in one place, UDP over IPv6 in another.
    let table = std::fs::read_to_string("/proc/thread-self/net/snmp6").unwrap();
    let row = table.lines().find_map(|line| line.strip_prefix(&format!("{protocol}6InCsumErrors")));
    over_4 + row.map_or(0, |row| row.trim().parse::<u64>().unwrap())
}

#[test]
fn hurt_datagrams_are_found_by_their_checksum_and_the_others_arrive() {
    each_way(|far, address, direction| {
        let (mut agent, path) = (Agent::start(), Path::new(far, address, direction));
        let kind = json!({ "corrupt": { "share_ppm": 200_000, "seed": 4 } });
        let (heard, dose) = path.through(&mut agent, &kind, 2_000);
        let lost = missing(&heard, 2_000).len() as u64;
        let errors = if direction == "in" { checksum_errors("Udp") } else { far.errand(|| checksum_errors("Udp")) };
        assert_eq!((dose.corrupted, errors, heard.len() as u64), (lost, lost, 2_000 - lost), "{direction} {address}");
        assert!(heard.is_sorted());
        // 400, with a standard deviation of 18.
        assert!((328..472).contains(&lost), "{lost}");
        assert_eq!(dose.lost, 0);
    });
}

#[test]
fn bulk_arrives_whole_through_corruption_because_hurt_segments_are_found() {
    for (address, direction) in [(FAR, "out"), (FAR_6, "out"), (FAR, "both")] {
        in_two_namespaces(move |far| {
            let mut agent = Agent::start();
            agent.apply(&fault(&json!({ "corrupt": { "share_ppm": 20_000, "seed": 4 } }), &[address], &[], direction));
            bulk_arrives_whole(far, address, BULK);
            let dose = agent.revert("f").dose.unwrap();
            let errors = checksum_errors("Tcp") + far.errand(|| checksum_errors("Tcp"));
            assert!(dose.corrupted > 0 && dose.judged > BULK as u64 / 1_500, "segments are judged one by one: {dose:?}");
            // A bare acknowledgement whose header length was hit is dropped before its checksum is looked at.
            assert!(errors > dose.corrupted / 2 && errors <= dose.corrupted, "{direction} {address}: {errors} {dose:?}");
            assert_eq!((dose.dropped_by_queue, &dose.trouble), (0, &None));
            assert_eq!(tables(), []);
        });
    }
}

#[test]
fn corruption_reaches_loopback() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        let [here, there] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        here.connect(there.local_addr().unwrap()).unwrap();
        there.set_read_timeout(Some(PATIENCE)).unwrap();
        agent.apply(&fault(&json!({ "corrupt": { "share_ppm": 1_000_000 } }), &["127.0.0.1"], &[], "out"));
        here.send(b"hurt").unwrap();
        wait_until(&mut agent, |dose| dose.corrupted > 0);
        agent.revert("f");
        here.send(b"whole").unwrap();
        assert_eq!(there.recv(&mut [0; 8]).unwrap(), 5);
        assert_eq!(checksum_errors("Udp"), 1);
    });
}

#[test]
fn a_datagram_of_many_fragments_is_hurt_as_one() {
    // What comes in over IPv6 is put together only behind our hook: there each fragment is a packet.
    for (address, direction, packets) in [(FAR, "out", 1), (FAR, "in", 1), (FAR_6, "out", 1), (FAR_6, "in", 3)] {
        in_two_namespaces(move |far| {
            let (mut agent, path) = (Agent::start(), Path::new(far, address, direction));
            agent.apply(&fault(&json!({ "corrupt": { "share_ppm": 1_000_000 } }), &[address], &[], direction));
            path.from.send(&[7; 4_000]).unwrap();
            wait_until(&mut agent, |dose| dose.corrupted >= packets);
            let dose = agent.revert("f").dose.unwrap();
            assert_eq!((dose.judged, dose.corrupted, dose.trouble), (packets, packets, None), "{direction} {address}");
            path.send(END);
            assert_eq!(path.receive(), Some(END), "nothing of the hurt datagram is heard: {direction} {address}");
        });
    }
}

/// How often each number below `count` arrived.
fn arrivals(heard: &[u32], count: usize) -> Vec<usize> {
    let mut arrivals = vec![0; count];
    for number in heard {
        arrivals[*number as usize] += 1;
    }
    arrivals
}

#[test]
fn duplication_loses_nothing_and_lets_its_share_arrive_twice() {
    each_way(|far, address, direction| {
        let (mut agent, path) = (Agent::start(), Path::new(far, address, direction));
        let kind = json!({ "duplicate": { "share_ppm": 200_000, "seed": 4 } });
        let (heard, dose) = path.through(&mut agent, &kind, 2_000);
        let arrivals = arrivals(&heard, 2_000);
        let twice = arrivals.iter().filter(|times| **times == 2).count() as u64;
        assert!(arrivals.iter().all(|times| [1, 2].contains(times)), "{direction} {address}");
        assert_eq!((dose.duplicated, dose.lost), (twice, 0), "{direction} {address}: {dose:?}");
        // 400, with a standard deviation of 18.
        assert!((328..472).contains(&twice), "{twice}");
    });
}

#[test]
fn a_bulk_of_which_every_packet_is_doubled_arrives_whole() {
    for (address, direction) in [(FAR, "out"), (FAR_6, "in"), (FAR, "both"), (FAR_6, "both")] {
        in_two_namespaces(move |far| {
            let mut agent = Agent::start();
            agent.apply(&fault(&json!({ "duplicate": { "share_ppm": 1_000_000 } }), &[address], &[], direction));
            bulk_arrives_whole(far, address, BULK);
            let dose = agent.revert("f").dose.unwrap();
            assert!(dose.duplicated > 0 && dose.duplicated == dose.judged && dose.judged == dose.packets, "{dose:?}");
            assert_eq!((dose.connections, dose.dropped_by_queue, &dose.trouble), (Some(1), 0, &None));
            bulk_arrives_whole(far, address, BULK / 16);
            assert_eq!(tables(), []);
        });
    }
}

#[test]
fn a_copy_is_not_copied_again_whatever_faults_it_meets() {
    for (first, second, direction) in
        [("twice", "late", "both"), ("late", "twice", "both"), ("twice", "thrice", "out"), ("twice", "late", "in")]
    {
        in_two_namespaces(move |far| {
            let (mut agent, path) = (Agent::start(), Path::new(far, FAR, if direction == "in" { "in" } else { "out" }));
            for name in [first, second] {
                let duplicate = json!({ "duplicate": { "share_ppm": 1_000_000 } });
                let mut fault = fault(&if name == "late" { support::latency(20) } else { duplicate }, &[FAR], &[], direction);
                fault["name"] = json!(name);
                agent.apply(&fault);
            }
            path.send(7);
            let copies = if second == "thrice" { 3 } else { 2 };
            for _ in 0..copies {
                assert_eq!(path.receive(), Some(7), "{first} {second} {direction}");
            }
            bulk_arrives_whole(far, FAR, BULK / 16);
            for name in [first, second] {
                let dose = agent.revert(name).dose.unwrap();
                assert_eq!((dose.dropped_by_queue, dose.lost, &dose.trouble), (0, 0, &None));
            }
            path.send(END);
            assert_eq!(path.receive(), Some(END), "no copy more: {first} {second} {direction}");
        });
    }
}

#[test]
fn duplication_reaches_loopback() {
    in_two_namespaces(|_| {
        let mut agent = Agent::start();
        let [here, there] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        here.connect(there.local_addr().unwrap()).unwrap();
        there.set_read_timeout(Some(PATIENCE)).unwrap();
        agent.apply(&fault(&json!({ "duplicate": { "share_ppm": 1_000_000 } }), &["127.0.0.1"], &[], "out"));
        here.send(b"twice").unwrap();
        assert_eq!([(); 2].map(|()| there.recv(&mut [0; 8]).unwrap()), [5, 5]);
        agent.revert("f");
        here.send(b"once").unwrap();
        assert_eq!(there.recv(&mut [0; 8]).unwrap(), 4);
    });
}

#[test]
fn a_broadcast_that_comes_in_is_not_copied() {
    in_two_namespaces(|far| {
        let (mut agent, path) = (Agent::start(), Path::new(far, FAR, "in"));
        let here = UdpSocket::bind("0.0.0.0:0").unwrap();
        here.set_read_timeout(Some(PATIENCE)).unwrap();
        let port = here.local_addr().unwrap().port();
        let there = far.errand(|| UdpSocket::bind((FAR, 0)).unwrap());
        there.set_broadcast(true).unwrap();
        agent.apply(&fault(&json!({ "duplicate": { "share_ppm": 1_000_000 } }), &[FAR], &[], "both"));
        there.send_to(b"to all", ("10.77.0.255", port)).unwrap();
        assert_eq!(here.recv(&mut [0; 8]).unwrap(), 6);
        there.send_to(b"to one", (NEAR, port)).unwrap();
        // Had the first been copied, it would have come a second time before these.
        let heard = [(); 2].map(|()| {
            let mut words = [0; 8];
            let length = here.recv(&mut words).unwrap();
            String::from_utf8_lossy(&words[..length]).into_owned()
        });
        assert_eq!(heard, ["to one", "to one"]);
        let dose = agent.revert("f").dose.unwrap();
        assert_eq!((dose.packets, dose.duplicated), (1, 1), "{dose:?}");
        path.send(END);
        assert_eq!(path.receive(), Some(END));
    });
}
