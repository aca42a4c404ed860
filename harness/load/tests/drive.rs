//! A drive against real sockets: what is sent, when it counts from, and what becomes of it.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as tests do")]

mod support;

use shakedown_load::{LoadError, drive};
use shakedown_model::{
    event::Phase,
    evidence::Request,
    experiment::{Arrivals, Load},
    plan::Slots,
    stack::Variant,
    units::{Rate, Span},
};
use std::{net::SocketAddr, time::Duration};
use support::{Driving, OK, Reaction, Seen, Service, load, soon, spec};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

fn fixed(address: SocketAddr) -> watch::Receiver<SocketAddr> {
    watch::Sender::new(address).subscribe()
}

#[tokio::test]
async fn answers_are_recorded_and_connections_are_used_again() {
    let service = Service::new(|_| Reaction::Answer(OK)).await;
    let mut driving = Driving::one(load("browse"), service.address);
    for _ in 0..100 {
        let request = driving.record().await;
        assert!(request.ok && request.error.is_none(), "{request:?}");
        assert_eq!((request.status, request.bytes, request.load.as_str(), request.scenario.as_str()), (200, 2, "browse", "slow"));
        assert!(request.due <= request.sent.unwrap() && request.sent.unwrap() <= request.done);
    }
    let (report, _) = driving.finish().await;
    assert!(report.due >= 100 && report.sent == report.due && report.shed == 0, "{report:?}");
    // One, if the machine is quiet; as many as overlapped, if it is not.
    assert!((service.connections() as u64) < report.sent, "{} connections", service.connections());
}

#[tokio::test]
async fn a_service_that_stalls_neither_delays_the_next_due_time_nor_hides_its_stall() {
    let (open, gate) = watch::channel(false);
    let mut service = Service::new(move |_| Reaction::When(gate.clone(), OK)).await;
    let driving = Driving::one(load("browse"), service.address);
    for _ in 0..60 {
        // Each is sent although none of those before it was answered.
        soon(service.seen.recv()).await.unwrap();
    }
    driving.stop.cancel();
    open.send(true).unwrap();
    let (report, mut records) = driving.finish().await;
    assert!(report.sent >= 60, "{report:?}");
    records.sort_by_key(|(_, request)| request.due);
    for pair in records.windows(2) {
        let gap = pair[1].1.due.since(pair[0].1.due);
        assert!(gap.abs_diff(Duration::from_millis(5)) < Duration::from_micros(1), "{gap:?}");
    }
    // The whole stall counts, from the first due time on: 59 gaps of 5 ms.
    assert!(records[0].1.latency() > 0.295, "{}", records[0].1.latency());
    assert!(records.iter().all(|(_, request)| request.ok));
}

#[tokio::test]
async fn the_same_seed_gives_the_same_due_times_and_bodies_again() {
    let busy = Load {
        method: "POST".to_owned(),
        arrivals: Arrivals::Poisson,
        rate: Rate(400.0),
        body: Some("{\"seq\": {{ seq }}, \"sku\": {{ rand(1, 1000000) }}, \"key\": \"{{ uuid }}\"}".to_owned()),
        ..load("checkout")
    };
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut service = Service::new(|_| Reaction::Answer(OK)).await;
        let mut driving = Driving::one(busy.clone(), service.address);
        let mut records = Vec::new();
        let mut bodies = Vec::new();
        while records.len() < 40 {
            records.push(driving.record().await);
        }
        // Open requests end before the drive does: the first forty that were due are there, whichever overtook which.
        records.extend(driving.finish().await.1.into_iter().map(|(_, request)| request));
        while let Ok(seen) = service.seen.try_recv() {
            bodies.push(seen.body);
        }
        records.sort_by_key(|request| request.due);
        bodies.sort_by_key(|body| body.split([':', ',']).nth(1).unwrap().trim().parse::<u32>().unwrap());
        let offsets: Vec<Duration> = records.iter().map(|request| request.due.since(records[0].due)).collect();
        runs.push((offsets[..40].to_vec(), bodies[..40].to_vec()));
    }
    for (one, other) in runs[0].0.iter().zip(&runs[1].0) {
        assert!(one.abs_diff(*other) < Duration::from_micros(1), "{one:?} {other:?}");
    }
    assert_eq!(runs[0].1, runs[1].1);
}

#[tokio::test]
async fn two_variants_take_turns_as_the_slots_say_and_each_gets_its_own_requests() {
    let mut candidate = Service::new(|_| Reaction::Answer(OK)).await;
    let mut baseline = Service::new(|_| Reaction::Answer(OK)).await;
    let lanes = vec![(Variant::Candidate, fixed(candidate.address)), (Variant::Baseline, fixed(baseline.address))];
    let mut driving = Driving::new(vec![load("browse")], lanes);
    let mut records = Vec::new();
    while records.len() < 150 {
        records.push(soon(driving.records.recv()).await.unwrap());
    }
    driving.finish().await;
    let slots = Slots { slot: Duration::from_millis(50), seed: 5 };
    let blocks = records.iter().map(|(_, request)| request.block).max().unwrap();
    for block in 0..blocks {
        let due = |wanted: Variant| -> Vec<_> {
            records
                .iter()
                .filter(|(variant, request)| *variant == wanted && request.block == block)
                .map(|(_, request)| request.due)
                .collect()
        };
        let (of_candidate, of_baseline) = (due(Variant::Candidate), due(Variant::Baseline));
        // 50 ms at 200/s, for each: the full rate in its own slot.
        assert!((9..=11).contains(&of_candidate.len()) && (9..=11).contains(&of_baseline.len()), "block {block}");
        let baseline_first = of_baseline.iter().max() < of_candidate.iter().min();
        assert_eq!(baseline_first, slots.baseline_first(block), "block {block}");
    }
    for (service, word) in [(&mut candidate, "candidate"), (&mut baseline, "baseline")] {
        let seen = soon(service.seen.recv()).await.unwrap();
        assert!(seen.header("baggage").unwrap().ends_with(&format!("shakedown.variant={word}")), "{}", seen.head);
    }
}

#[tokio::test]
async fn several_loads_run_at_once_each_at_its_own_rate() {
    let service = Service::new(|_| Reaction::Answer(OK)).await;
    let slow = Load { rate: Rate(50.0), ..load("checkout") };
    let mut driving = Driving::new(vec![load("browse"), slow], vec![(Variant::Candidate, fixed(service.address))]);
    let mut loads = Vec::new();
    while loads.len() < 50 {
        loads.push(driving.record().await.load);
    }
    loads.extend(driving.finish().await.1.into_iter().map(|(_, request)| request.load));
    let checkouts = loads.iter().filter(|load| *load == "checkout").count();
    // Four to one, but for where the first and the last gap were cut.
    assert!((loads.len() - checkouts).abs_diff(4 * checkouts) <= 5, "{checkouts} of {}", loads.len());
}

#[tokio::test]
async fn a_request_without_an_answer_is_given_up_at_its_timeout_counted_from_due() {
    let service = Service::new(|_| Reaction::Hang).await;
    let timeout = Span(Duration::from_millis(250));
    let mut driving = Driving::one(Load { timeout, ..load("browse") }, service.address);
    let request = driving.record().await;
    assert_eq!((request.error.as_deref(), request.status, request.ok), (Some("timeout"), 0, false));
    assert!(request.sent.is_some() && request.latency() >= 0.25, "{request:?}");
    let (report, rest) = driving.finish().await;
    assert_eq!(report.due, rest.len() as u64 + 1, "each request has its record, also those that were open at the end");
}

#[tokio::test]
async fn an_answer_that_stops_half_way_times_out_with_what_came() {
    let service = Service::new(|_| Reaction::Answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")).await;
    let timeout = Span(Duration::from_millis(200));
    let mut driving = Driving::one(Load { timeout, ..load("browse") }, service.address);
    let mut request = driving.record().await;
    while request.bytes == 0 {
        // On a busy machine nothing may come in time.
        request = driving.record().await;
    }
    assert_eq!((request.error.as_deref(), request.status, request.bytes, request.ok), (Some("timeout"), 200, 4, false));
    driving.finish().await;
}

async fn outcome(reaction: Reaction) -> Request {
    let service = Service::new(move |_| reaction.clone()).await;
    // Few: reading what is flooded takes its time.
    let mut driving = Driving::one(Load { rate: Rate(5.0), ..load("browse") }, service.address);
    let request = driving.record().await;
    assert!(!request.ok && request.sent.is_some(), "{request:?}");
    driving.stop.cancel();
    request
}

#[tokio::test]
async fn each_way_to_fail_has_its_own_word() {
    for (reaction, words) in [
        (Reaction::Reset, "reset: connection reset"),
        (Reaction::Last(""), "closed: "),
        (Reaction::Last("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"), "closed: "),
        (Reaction::Last("SSH-2.0-OpenSSH_9.2\r\n"), "protocol: "),
        (Reaction::Flood, "oversize: the answer is larger than 16 MiB"),
    ] {
        let error = outcome(reaction).await.error.unwrap();
        assert!(error.starts_with(words), "{error}");
    }
}

#[tokio::test]
async fn a_service_that_refuses_connections_and_comes_back_is_seen_to_do_so() {
    let socket = TcpSocket::new_v4().unwrap();
    // Bound and not listening: the port is ours, and connections to it are refused.
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut driving = Driving::one(load("browse"), socket.local_addr().unwrap());
    let refused = driving.record().await;
    assert_eq!(refused.error.as_deref(), Some("connect: connection refused"));
    assert!(refused.sent.is_none() && !refused.ok && refused.status == 0);
    let _service = Service::on(socket.listen(64).unwrap(), |_| Reaction::Answer(OK));
    while !driving.record().await.ok {}
    let (report, _) = driving.finish().await;
    // The generator did its part of those too.
    assert_eq!((report.sent, report.shed), (report.due, 0));
}

#[tokio::test]
async fn an_address_that_changes_is_followed_from_the_next_request_on() {
    let mut old = Service::new(|_| Reaction::Answer(OK)).await;
    let mut new = Service::new(|_| Reaction::Answer(OK)).await;
    let (address, target) = watch::channel(old.address);
    let mut driving = Driving::at(Load { path: "/{{ seq }}".to_owned(), ..load("browse") }, target);
    assert!(driving.record().await.ok);
    address.send(new.address).unwrap();
    let first = soon(new.seen.recv()).await.unwrap();
    assert!(driving.finish().await.1.iter().all(|(_, request)| request.ok));
    let number = |seen: &Seen| -> u64 { seen.head.split(['/', ' ']).nth(2).unwrap().parse().unwrap() };
    let (mut before, mut after) = (0, number(&first));
    while let Ok(seen) = old.seen.try_recv() {
        before = before.max(number(&seen));
    }
    while let Ok(seen) = new.seen.try_recv() {
        after = after.min(number(&seen));
    }
    assert_eq!(after, before + 1);
}

#[tokio::test]
async fn success_is_what_the_load_says_it_is() {
    for (answer, success_status, ok) in [
        ("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n", vec![], true),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", vec![], false),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", vec![200, 404], true),
        ("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n", vec![200, 404], false),
    ] {
        let service = Service::new(move |_| Reaction::Answer(answer)).await;
        let mut driving = Driving::one(Load { success_status, ..load("browse") }, service.address);
        let request = driving.record().await;
        assert_eq!(request.ok, ok, "{request:?}");
        assert!(request.error.is_none());
        driving.finish().await;
    }
}

#[tokio::test]
async fn the_trace_id_of_the_record_is_the_one_on_the_wire_and_the_phase_follows_the_run() {
    let mut service = Service::new(|_| Reaction::Answer(OK)).await;
    let mut driving = Driving::one(load("browse"), service.address);
    let request = driving.record().await;
    assert_eq!(request.phase, Phase::Steady);
    let trace_id = |seen: &Seen| seen.header("traceparent").unwrap().split('-').nth(1).unwrap().to_owned();
    let mut seen = soon(service.seen.recv()).await.unwrap();
    while trace_id(&seen) != request.trace_id.to_string() {
        seen = soon(service.seen.recv()).await.unwrap();
    }
    assert_eq!(
        seen.header("baggage").unwrap(),
        "shakedown.run=run-1,shakedown.scenario=slow,shakedown.phase=steady,shakedown.variant=candidate"
    );
    assert_eq!(seen.header("host").unwrap(), "gateway:8080");
    driving.phase.send(Phase::Fault).unwrap();
    while driving.record().await.phase != Phase::Fault {}
    while !soon(service.seen.recv()).await.unwrap().head.contains("shakedown.phase=fault") {}
    driving.finish().await;
}

#[tokio::test]
async fn after_the_stop_open_requests_finish_and_no_new_one_is_sent() {
    let (open, gate) = watch::channel(false);
    let mut service = Service::new(move |_| Reaction::When(gate.clone(), OK)).await;
    let driving = Driving::one(load("browse"), service.address);
    for _ in 0..5 {
        soon(service.seen.recv()).await.unwrap();
    }
    driving.stop.cancel();
    open.send(true).unwrap();
    let (report, records) = driving.finish().await;
    assert_eq!(records.len() as u64, report.due);
    assert!(records.iter().all(|(_, request)| request.ok));
    let mut late = 0;
    while service.seen.try_recv().is_ok() {
        late += 1;
    }
    assert_eq!(5 + late, report.sent);
}

#[tokio::test]
async fn a_drive_that_nobody_listens_to_goes_on_until_it_is_stopped() {
    let mut service = Service::new(|_| Reaction::Answer(OK)).await;
    let mut driving = Driving::one(load("browse"), service.address);
    driving.records.close();
    for _ in 0..20 {
        soon(service.seen.recv()).await.unwrap();
    }
    driving.stop.cancel();
    let report = soon(driving.tasks.join_next()).await.unwrap().unwrap();
    assert!(report.sent >= 20);
}

#[tokio::test]
async fn a_drive_that_is_dropped_ends_without_waiting_for_its_open_requests() {
    let mut service = Service::new(|_| Reaction::Hang).await;
    let mut driving = Driving::one(load("browse"), service.address);
    soon(service.seen.recv()).await.unwrap();
    driving.tasks.abort_all();
    // The channel closes when the thread has let go of everything; no request had its answer.
    assert!(soon(driving.records.recv()).await.is_none());
}

#[tokio::test]
async fn what_cannot_be_driven_is_found_by_the_check() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = fixed(listener.local_addr().unwrap());
    let phase = watch::Sender::new(Phase::Warmup).subscribe();
    let lanes = |variants: &[Variant]| variants.iter().map(|variant| (*variant, target.clone())).collect::<Vec<_>>();
    let both = lanes(&[Variant::Candidate, Variant::Baseline]);
    let check = |loads: Vec<Load>, lanes| spec(loads, lanes, phase.clone()).check().unwrap_err();
    assert!(matches!(check(vec![load("browse")], Vec::new()), LoadError::Lanes { .. }));
    let twins = check(vec![load("browse")], lanes(&[Variant::Baseline, Variant::Baseline]));
    assert!(twins.to_string().contains("found baseline, baseline"), "{twins}");
    let broken = Load { path: "/{{ sku }}".to_owned(), ..load("browse") };
    assert!(matches!(check(vec![broken.clone()], both.clone()), LoadError::Template { .. }));
    assert!(shakedown_load::check_load(&broken).is_err() && shakedown_load::check_load(&load("browse")).is_ok());
    let mut without = spec(vec![load("browse")], both.clone(), phase.clone());
    without.lanes[1].targets.clear();
    let error = without.check().unwrap_err().to_string();
    assert!(error.contains("load browse: the baseline has no address"), "{error}");
    let mut timeless = spec(vec![load("browse")], both, phase);
    timeless.slots.slot = Duration::ZERO;
    assert!(matches!(timeless.check().unwrap_err(), LoadError::Slot { .. }));
}

#[tokio::test]
async fn a_drive_without_loads_waits_for_its_stop_and_reports_nothing() {
    let phase = watch::Sender::new(Phase::Warmup).subscribe();
    let idle = spec(Vec::new(), vec![(Variant::Candidate, fixed("127.0.0.1:1".parse().unwrap()))], phase);
    let (records, _received) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let (report, ()) = soon(async { tokio::join!(drive(idle, records, stop.clone()), async { stop.cancel() }) }).await;
    assert_eq!(report.due, 0);
}
