//! Requests through a world, as spans.

use crate::{
    chance::Chance,
    trouble::{Conditions, Defect, Fault, Incident, call_name},
    world::{Step, World},
};
use shakedown_model::{
    evidence::{Attributes, LogRecord, SpanKind, SpanRecord},
    ids::{SpanId, TraceId},
    text::Text,
    time::UnixNanos,
};
use std::time::Duration;

/// A call over the disturbed edge is given up after so many seconds …
const TIMEOUT: f64 = 0.25;
/// … and, by mistake, after so many; as is any other.
const NO_TIMEOUT: f64 = 3.0;
/// Spread of the logarithm of everything that takes time.
const SPREAD: f64 = 0.25;
/// One piece of work in so many takes eight times as long.
const HICCUPS: f64 = 0.004;
/// Median seconds on the network, there and back.
const WAY: f64 = 0.000_3;

/// One variant: its names, and its luck, by service.
pub(crate) struct Variant<'w> {
    world: &'w World,
    services: Vec<Text>,
    operations: Vec<Text>,
    calls: Vec<Text>,
    luck: Vec<f64>,
}

impl<'w> Variant<'w> {
    pub(crate) fn of(world: &'w World, chance: &mut Chance) -> Variant<'w> {
        let text = |name: &str| Text::from(name);
        Variant {
            world,
            services: world.services.iter().map(|name| text(name)).collect(),
            operations: world.operations.iter().map(|operation| text(&operation.name)).collect(),
            calls: (0..world.operations.len()).map(|callee| text(&call_name(world, callee))).collect(),
            luck: world.services.iter().map(|_| (0.015 * chance.normal()).exp()).collect(),
        }
    }
}

/// One request on its way.
pub(crate) struct Request<'r, 'w> {
    pub(crate) variant: &'r Variant<'w>,
    pub(crate) conditions: &'r Conditions,
    pub(crate) chance: &'r mut Chance,
    pub(crate) trace_id: TraceId,
    pub(crate) begin: UnixNanos,
    /// What the machine does to everything at this time.
    pub(crate) weather: f64,
    pub(crate) spans: Vec<SpanRecord>,
    pub(crate) logs: Vec<LogRecord>,
    pub(crate) next: u64,
}

impl Request<'_, '_> {
    /// Serves an operation from `at` on; when it was done, and whether it failed.
    pub(crate) fn serve(&mut self, operation: usize, parent: Option<SpanId>, at: f64) -> (f64, bool) {
        let world = self.variant.world;
        let Some(known) = world.operations.get(operation) else { return (at, false) };
        let (place, id) = self.open();
        let incident = self.conditions.incident.filter(|(service, _)| *service == known.service).map(|(_, incident)| incident);
        let defect = self.conditions.defect.filter(|(spot, _)| *spot == operation).map(|(_, defect)| defect);
        let busy = if incident == Some(Incident::Cpu) { 12.0 } else { 1.0 };
        let mut now = at + self.takes(known.own * busy, known.service) / 2.0;
        let (mut failed, breaks) = (false, incident == Some(Incident::Exceptions) && self.chance.share() < 0.5);
        let steps = match incident {
            Some(Incident::ReturnsEarly) => 0,
            _ if breaks => known.steps.len() / 2,
            _ => known.steps.len(),
        };
        for step in &known.steps[..steps] {
            if failed {
                break;
            }
            match step {
                Step::Calls(callees) => (now, failed) = self.calls(operation, callees, id, now),
                Step::Store(name, seconds) => now = self.ask(known.service, name, *seconds, id, now, incident, defect),
            }
        }
        failed |= breaks;
        now += self.takes(known.own * busy, known.service) / 2.0;
        self.close(place, id, parent, known.service, self.variant.operations[operation].clone(), SpanKind::Server, (at, now), failed);
        (now, failed)
    }

    fn calls(&mut self, caller: usize, callees: &[usize], parent: SpanId, at: f64) -> (f64, bool) {
        let serial = self.conditions.defect == Some((caller, Defect::Serial));
        let (mut end, mut failed) = (at, false);
        for callee in callees {
            let begin = if serial { end } else { at };
            let (done, broke) = self.call(caller, *callee, parent, begin);
            (end, failed) = (end.max(done), failed || broke);
        }
        (end, failed)
    }

    /// A call with its retries.
    fn call(&mut self, caller: usize, callee: usize, parent: SpanId, at: f64) -> (f64, bool) {
        let world = self.variant.world;
        let from = world.operations[caller].service;
        let defect = self.conditions.defect.filter(|(spot, _)| *spot == caller).map(|(_, defect)| defect);
        let attempts = if defect == Some(Defect::RetryStorm) { 8 } else { 2 };
        let mut now = at;
        for attempt in 0..attempts {
            let (done, failed) = self.attempt(caller, callee, parent, now, defect);
            now = done;
            if !failed {
                return (now, false);
            }
            if attempt + 1 < attempts {
                now += 0.002;
            }
        }
        if defect == Some(Defect::SlowFallback) {
            now += self.takes(0.06, from);
        }
        let disturbed = self.fault(from, world.operations[callee].service).is_some();
        (now, !(disturbed && self.conditions.tolerant && defect != Some(Defect::NoFallback)))
    }

    fn attempt(&mut self, caller: usize, callee: usize, parent: SpanId, at: f64, defect: Option<Defect>) -> (f64, bool) {
        let world = self.variant.world;
        let (from, to) = (world.operations[caller].service, world.operations[callee].service);
        let (place, id) = self.open();
        let name = self.variant.calls[callee].clone();
        let fault = self.fault(from, to);
        let patience = if fault.is_none() || defect == Some(Defect::NoTimeout) { NO_TIMEOUT } else { TIMEOUT };
        let dead = self.conditions.incident == Some((to, Incident::Dead));
        let refused = dead || matches!(fault, Some(Fault::Refused(share)) if self.chance.share() < share);
        let (end, failed) = if refused {
            (at + self.takes(0.000_5, from), true)
        } else if fault == Some(Fault::Silent) {
            (at + patience, true)
        } else {
            let network =
                self.conditions.incident.is_some_and(|(service, kind)| kind == Incident::Network && (service == from || service == to));
            let busy = self.conditions.incident == Some((to, Incident::Cpu));
            let mut way =
                self.takes(WAY, from) + if network { self.takes(0.04, to) } else { 0.0 } + if busy { self.takes(0.002, to) } else { 0.0 };
            if let Some(Fault::Slow(seconds)) = fault {
                way += seconds;
            }
            let (done, failed) = self.serve(callee, Some(id), at + way / 2.0);
            let end = done + way / 2.0;
            if end - at > patience { (at + patience, true) } else { (end, failed) }
        };
        self.close(place, id, Some(parent), from, name, SpanKind::Client, (at, end), failed);
        (end, failed)
    }

    #[expect(clippy::too_many_arguments, reason = "a step with all that may go wrong in it")]
    fn ask(
        &mut self,
        service: usize,
        name: &str,
        seconds: f64,
        parent: SpanId,
        at: f64,
        incident: Option<Incident>,
        defect: Option<Defect>,
    ) -> f64 {
        // What a defect costs shows where the fault makes requests stay longer.
        let under_fault = self.conditions.fault.is_some();
        let mut now = at + if defect == Some(Defect::Pool) && under_fault { self.takes(0.03, service) } else { 0.0 };
        for _ in 0..if defect == Some(Defect::NPlusOne) { 15 } else { 1 } {
            let (place, id) = self.open();
            let begin = now;
            now += self.takes(seconds, service);
            if incident == Some(Incident::SlowStore) || (defect == Some(Defect::Lock) && under_fault) {
                now += self.takes(0.04, service);
            }
            self.close(place, id, Some(parent), service, Text::from(name), SpanKind::Client, (begin, now), false);
        }
        now
    }

    fn fault(&self, from: usize, to: usize) -> Option<Fault> {
        self.conditions.fault.as_ref().filter(|(caller, callees, _)| *caller == from && callees.contains(&to)).map(|(_, _, fault)| *fault)
    }

    /// How long a piece of work takes at a service.
    fn takes(&mut self, median: f64, service: usize) -> f64 {
        let hiccup = if self.chance.share() < HICCUPS { 8.0 } else { 1.0 };
        median * hiccup * self.variant.luck[service] * (self.weather + SPREAD * self.chance.normal()).exp()
    }

    /// Room for a span that is written when it ends.
    fn open(&mut self) -> (usize, SpanId) {
        self.next += 1;
        let id = SpanId::of(&self.next.to_be_bytes()).expect("not zero");
        self.spans.push(SpanRecord {
            trace_id: self.trace_id,
            span_id: id,
            parent_id: None,
            service: self.variant.services[0].clone(),
            name: self.variant.services[0].clone(),
            kind: SpanKind::Internal,
            start: self.begin,
            end: self.begin,
            error: false,
            attributes: Attributes::default(),
        });
        (self.spans.len() - 1, id)
    }

    #[expect(clippy::too_many_arguments, reason = "all that a span is")]
    fn close(
        &mut self,
        place: usize,
        span_id: SpanId,
        parent_id: Option<SpanId>,
        service: usize,
        name: Text,
        kind: SpanKind,
        (from, to): (f64, f64),
        error: bool,
    ) {
        let at = |seconds: f64| self.begin + Duration::from_secs_f64(seconds.max(0.0));
        let (start, end) = (at(from), at(to));
        let service = self.variant.services[service].clone();
        // A line for every request that is served, and one for every failure, as services write them.
        let severity = if error { Some("ERROR") } else { (kind == SpanKind::Server).then_some("INFO") };
        if let Some(severity) = severity {
            let how = if error { "failed after" } else { "took" };
            self.logs.push(LogRecord {
                at: end,
                service: service.clone(),
                severity: Some(Text::from(severity)),
                body: format!("{name} {how} {:.1} ms", (to - from) * 1e3),
                trace_id: Some(self.trace_id),
            });
        }
        self.spans[place] = SpanRecord { span_id, parent_id, service, name, kind, start, end, error, ..self.spans[place].clone() };
    }
}
