use super::*;
use crate::{Distribution, DnsEffect, DnsMatching, HttpAction, Matching, Patch, PathPattern, PostgresAction, QueryMatching};
use std::{net::Ipv4Addr, time::Duration};

fn said(words: &str) -> Behaviour {
    serde_json::from_str(words).unwrap_or_else(|error| panic!("{words}: {error}"))
}

fn http(matching: Matching, action: HttpAction) -> Behaviour {
    Behaviour::http(matching, action).expect("the rule of the test is one")
}

#[test]
fn behaviours_are_said_in_these_words() {
    let millis = Duration::from_millis;
    let (distribution, seed) = (Distribution::ParetoNormal, 7);
    let cases = [
        (r#""pass""#, Behaviour::Pass),
        (
            r#"{"latency":{"delay_us":9000,"jitter_us":3000,"distribution":"paretonormal","seed":7}}"#,
            Behaviour::Latency { delay: millis(9), jitter: millis(3), distribution, seed },
        ),
        (r#""partition""#, Behaviour::Partition),
        (r#""reset""#, Behaviour::Reset),
        (r#"{"bandwidth":{"bytes_per_second":125000}}"#, Behaviour::Bandwidth { bytes_per_second: 125_000 }),
        (r#"{"slow_close":{"delay_us":2000}}"#, Behaviour::SlowClose { delay: millis(2) }),
        (r#"{"limit_data":{"bytes":512}}"#, Behaviour::LimitData { bytes: 512 }),
        (r#"{"slicer":{"size_bytes":16,"delay_us":1000}}"#, Behaviour::Slicer { size: 16, delay: millis(1) }),
        (r#"{"timeout":{"after_us":1000000}}"#, Behaviour::Timeout { after: millis(1_000) }),
        (r#""down""#, Behaviour::Down),
    ];
    for (words, behaviour) in cases {
        assert_eq!(said(words), behaviour);
        assert_eq!(serde_json::to_string(&behaviour).expect("it can be said"), words);
    }
}

#[test]
fn http_rules_are_said_in_these_words() {
    let abort = r#"{"http":{"match":{"path":{"glob":"/cart/*"},"share_ppm":500000,"seed":3},"action":{"abort":{"status":503}}}}"#;
    let matching = Matching { path: Some(PathPattern::Glob("/cart/*".into())), share: 0.5, seed: 3, ..Matching::default() };
    assert_eq!(said(abort), http(matching, HttpAction::Abort { status: 503 }));
    let delay =
        r#"{"http":{"match":{"method":"POST","header":["x-user","7"],"baggage":["k","v"]},"action":{"delay":{"delay_us":200000}}}}"#;
    let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
    let matching = Matching { method: Some("POST".into()), header: pair("x-user", "7"), baggage: pair("k", "v"), ..Matching::default() };
    assert_eq!(said(delay), http(matching, HttpAction::Delay { duration: Duration::from_millis(200) }));
    let patch = r#"{"http":{"action":{"patch":{"status":500,"set":[["x-a","b"]],"remove":["etag"],"body":"späť"}}}}"#;
    let patched =
        Patch { status: Some(500), set: vec![("x-a".into(), "b".into())], remove: vec!["etag".into()], body: Some("späť".into()) };
    assert_eq!(said(patch), http(Matching::default(), HttpAction::Patch(patched)));
    for words in [abort, delay, patch] {
        assert_eq!(said(&serde_json::to_string(&said(words)).expect("it can be said")), said(words));
    }
}

#[test]
fn rules_of_other_protocols_are_said_in_these_words() {
    let cases = [
        r#"{"http":{"match":{"path":{"glob":"/shop.Payment/*"},"protocol":"grpc"},"action":{"grpc_abort":{"status":14,"message":"gone"}}}}"#,
        r#"{"postgres":{"match":{"query":"SELECT*","share_ppm":200000,"seed":1},"action":{"error":{"error":"serialization_failure"}}}}"#,
        r#"{"postgres":{"action":{"refuse":{"error":"53300","message":"too many"}}}}"#,
        r#"{"postgres":{"action":{"delay":{"delay_us":300000}}}}"#,
        r#"{"postgres":{"action":"timeout"}}"#,
        r#"{"redis":{"match":{"commands":["GET"],"key":"cart:*","share_ppm":50000,"seed":2},"action":"miss"}}"#,
        r#"{"redis":{"action":{"error":{"error":"LOADING"}}}}"#,
    ];
    for words in cases {
        let behaviour = said(words);
        assert_eq!(said(&serde_json::to_string(&behaviour).expect("it can be said")), behaviour, "{words}");
    }
    let timeout = Behaviour::postgres(QueryMatching::default(), PostgresAction::Timeout).expect("the rule of the test is one");
    assert_eq!(said(cases[4]), timeout);
    let wrong = [
        r#"{"http":{"action":{"grpc_abort":{"status":17,"message":""}}}}"#,
        r#"{"postgres":{"action":{"error":{"error":"serialisation_failure"}}}}"#,
        r#"{"postgres":{"match":{"sql":"x"},"action":"timeout"}}"#,
        r#"{"redis":{"match":{"commands":["SET"]},"action":"miss"}}"#,
    ];
    for words in wrong {
        assert!(serde_json::from_str::<Behaviour>(words).is_err(), "{words}");
    }
}

#[test]
fn what_would_do_something_else_than_was_meant_is_refused() {
    let wrong = [
        r#"{"latency":{"delay_us":1,"jiter_us":1}}"#,
        r#"{"latency":{"delay_us":-1}}"#,
        r#"{"latency":{}}"#,
        r#"{"latency":{"delay_us":1,"distribution":"cauchy"}}"#,
        r#"{"slicer":{"size_bytes":1,"delay_ms":1}}"#,
        r#""up""#,
        r#"{"http":{"action":{"abort":{"status":101}}}}"#,
        r#"{"http":{"match":{"share_ppm":1000001},"action":{"abort":{"status":503}}}}"#,
        r#"{"http":{"match":{"paths":"/"},"action":{"abort":{"status":503}}}}"#,
        r#"{"http":{"match":{"path":{"glob":"["}},"action":{"abort":{"status":503}}}}"#,
        r#"{"http":{"action":{"patch":{}}}}"#,
        r#"{"http":{"action":{"patch":{"set":[["content-length","1"]]}}}}"#,
    ];
    for words in wrong {
        assert!(serde_json::from_str::<Behaviour>(words).is_err(), "{words}");
    }
    for words in [r#"{"share_ppm":1000001}"#, r#"{"share_ppm":1,"sed":1}"#, r#"{"seed":1}"#] {
        assert!(serde_json::from_str::<Toxicity>(words).is_err(), "{words}");
    }
}

#[test]
fn a_body_that_is_not_text_is_not_said_wrong() {
    let patch = Patch { body: Some(bytes::Bytes::from_static(&[0xff])), ..Patch::default() };
    let error = serde_json::to_string(&http(Matching::default(), HttpAction::Patch(patch))).expect_err("it cannot be said");
    assert!(error.to_string().contains("not text"), "{error}");
}

#[test]
fn a_duration_without_end_is_said_as_the_longest_there_is() {
    let words = serde_json::to_string(&Behaviour::Timeout { after: Duration::MAX }).expect("it can be said");
    assert_eq!(said(&words), Behaviour::Timeout { after: Duration::from_micros(u64::MAX) });
}

#[test]
fn requests_are_said_in_these_words() {
    let target = Target { addresses: vec!["10.0.0.5".parse().expect("it is an address")], ports: vec![5432] };
    let (id, name) = (1, "db".to_owned());
    let toxicity = Toxicity::try_new(0.25, 7);
    let cases = [
        (
            r#"{"op":"open","id":1,"name":"db","to":{"addresses":["10.0.0.5"],"ports":[5432]}}"#,
            Request::Open { id, name: name.clone(), to: target },
        ),
        (
            r#"{"op":"set","id":1,"name":"db","behaviour":"down","ttl_ms":60000}"#,
            Request::Set { id, name: name.clone(), behaviour: Behaviour::Down, connections: None, ttl_ms: 60_000 },
        ),
        (
            r#"{"op":"set","id":1,"name":"db","behaviour":"reset","connections":{"share_ppm":250000,"seed":7},"ttl_ms":1}"#,
            Request::Set { id, name: name.clone(), behaviour: Behaviour::Reset, connections: toxicity, ttl_ms: 1 },
        ),
        (r#"{"op":"dose","id":1,"name":"db"}"#, Request::Dose { id, name: name.clone() }),
        (r#"{"op":"clear","id":1,"name":"db"}"#, Request::Clear { id, name: name.clone() }),
        (r#"{"op":"close","id":1,"name":"db"}"#, Request::Close { id, name }),
        (r#"{"op":"beat","id":1}"#, Request::Beat { id }),
    ];
    for (words, request) in cases {
        assert_eq!(serde_json::from_str::<Request>(words).expect(words), request);
        assert_eq!(serde_json::to_string(&request).expect("it can be said"), words);
    }
    assert!(serde_json::from_str::<Request>(r#"{"op":"beat","id":1,"name":"db"}"#).is_err());
}

#[test]
fn a_dose_is_heard_as_it_was_said_and_one_from_another_release_as_far_as_it_is_known() {
    let dose = LinkDose { bytes: 3, mean_delay: Duration::from_micros(7), refused: Duration::from_millis(2), ..LinkDose::default() };
    let words = serde_json::to_string(&dose).expect("it can be said");
    assert!(words.contains(r#""mean_delay_us":7"#) && words.contains(r#""refused_us":2000"#), "{words}");
    assert_eq!(serde_json::from_str::<LinkDose>(&words).expect(&words), dose);
    let other = r#"{"bytes":3,"mean_delay_us":7,"refused_us":2000,"http":{"requests":0,"retried":9},"queries":1}"#;
    assert_eq!(serde_json::from_str::<LinkDose>(other).expect(other), dose);
}

#[test]
fn dns_rules_are_said_in_these_words() {
    let said = |words: &str| serde_json::from_str::<DnsRule>(words).unwrap_or_else(|error| panic!("{words}: {error}"));
    let rule = |matching, effect| DnsRule::try_new(matching, effect).expect("the rule of the test is one");
    let address = DnsEffect::Address { v4: Some(Ipv4Addr::new(203, 0, 113, 7)), v6: None };
    let effects = [
        (r#""nxdomain""#, DnsEffect::NxDomain),
        (r#""servfail""#, DnsEffect::ServFail),
        (r#""refused""#, DnsEffect::Refused),
        (r#""silence""#, DnsEffect::Silence),
        (r#""truncate""#, DnsEffect::Truncate),
        (r#"{"address":{"v4":"203.0.113.7"}}"#, address),
        (r#"{"delay":{"delay_us":300000}}"#, DnsEffect::Delay { duration: Duration::from_millis(300) }),
    ];
    for (words, effect) in effects {
        let words = format!(r#"{{"match":{{"name":"*","types":[],"share_ppm":1000000,"seed":0}},"effect":{words}}}"#);
        assert_eq!(said(&words), rule(DnsMatching::default(), effect));
        assert_eq!(serde_json::to_string(&said(&words)).expect("it can be said"), words);
    }
    let some = r#"{"match":{"name":"*.shop","types":["A","AAAA"],"share_ppm":200000,"seed":3},"effect":"nxdomain"}"#;
    let matching = DnsMatching { name: "*.shop".into(), types: vec!["A".into(), "AAAA".into()], share: 0.2, seed: 3 };
    assert_eq!(said(some), rule(matching, DnsEffect::NxDomain));
    assert_eq!(said(r#"{"effect":"refused"}"#), rule(DnsMatching::default(), DnsEffect::Refused));
}

#[test]
fn what_is_no_dns_rule_is_refused_with_its_reason() {
    let wrong = [
        (r#"{"effect":"nodata"}"#, "unknown variant"),
        (r#"{"effect":{"address":{}}}"#, "an address is needed"),
        (r#"{"effect":{"address":{"v4":"::1"}}}"#, "invalid IPv4"),
        (r#"{"effect":{"delay":{"delay_ms":1}}}"#, "unknown field"),
        (r#"{"match":{"nam":"x"},"effect":"refused"}"#, "unknown field"),
        (r#"{"match":{"types":["AX"]},"effect":"refused"}"#, "not a record type"),
        (r#"{"match":{"share_ppm":1000001},"effect":"refused"}"#, "share must be from 0 to 1"),
        (r#"{"match":{}}"#, "missing field"),
    ];
    for (words, why) in wrong {
        let error = serde_json::from_str::<DnsRule>(words).expect_err(words).to_string();
        assert!(error.contains(why), "{words}: {error}");
    }
}
