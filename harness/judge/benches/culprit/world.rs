//! Systems that never were: services, what they serve, and whom they call for it.

use crate::chance::Chance;

/// What an operation does, in order.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Calls these operations at once and waits for all of them.
    Calls(Vec<usize>),
    /// Asks a store that sends no spans; median seconds.
    Store(String, f64),
}

#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) service: usize,
    pub(crate) name: String,
    /// Median seconds of its own work.
    pub(crate) own: f64,
    pub(crate) steps: Vec<Step>,
}

impl Operation {
    /// Operations that it calls.
    pub(crate) fn callees(&self) -> impl Iterator<Item = usize> + '_ {
        self.steps.iter().flat_map(|step| match step {
            Step::Calls(calls) => calls.clone(),
            Step::Store(..) => Vec::new(),
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) services: Vec<String>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) entries: Vec<usize>,
}

const SHOP: &str = "
gateway browse 1.2: catalog/list
gateway checkout 1.5: catalog/price + orders/stock, orders/create
catalog list 1.0: SELECT-products@2
catalog price 0.6: GET-cache@0.3, SELECT-price@1
orders stock 0.5: SELECT-stock@1
orders create 1.5: BEGIN@0.4, INSERT-order@1.5, payment/charge, UPDATE-order@1.2
payment charge 2.5: ask-provider@4";

const BOUTIQUE: &str = "
frontend index 2: currency/list, product/list, cart/get, ads/pick
frontend product 1.5: product/get, currency/convert + cart/get, recommend/list, ads/pick
frontend order 2: checkout/place
checkout place 1.5: cart/get, product/get + currency/convert, shipping/quote, payment/charge, shipping/ship, cart/empty, email/send
recommend list 1.2: product/list
product list 0.8: SELECT-products@1.5
product get 0.5: SELECT-product@0.8
cart get 0.4: HGET-cart@0.4
cart empty 0.4: DEL-cart@0.4
currency list 0.5:
currency convert 0.4:
shipping quote 0.8: SELECT-rates@1
shipping ship 1: INSERT-parcel@1.5
payment charge 2: ask-bank@6
email send 1.5: send-mail@3
ads pick 0.8: SELECT-ads@0.7";

/// A shop of four services, one of ten, and a generated system of 24 in five layers.
pub(crate) fn worlds() -> [World; 3] {
    [parse("4 services", SHOP), parse("10 services", BOUTIQUE), layered("24 services", &[1, 4, 6, 7, 6])]
}

fn parse(name: &'static str, text: &str) -> World {
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(':')).collect();
    let mut services: Vec<String> = Vec::new();
    let heads: Vec<(usize, &str, f64)> = lines
        .iter()
        .map(|(head, _)| {
            let words: Vec<&str> = head.split_whitespace().collect();
            let known = services.iter().position(|service| service == words[0]);
            let service = known.unwrap_or_else(|| {
                services.push(words[0].to_owned());
                services.len() - 1
            });
            (service, words[1], words[2].parse::<f64>().expect("milliseconds") / 1e3)
        })
        .collect();
    let operation = |name: &str| {
        let (service, operation) = name.split_once('/').expect("service/operation");
        heads.iter().position(|head| services[head.0] == service && head.1 == operation).expect("an operation")
    };
    let step = |text: &str| match text.split_once('@') {
        Some((name, millis)) => Step::Store(name.to_owned(), millis.parse::<f64>().expect("milliseconds") / 1e3),
        None => Step::Calls(text.split('+').map(|name| operation(name.trim())).collect()),
    };
    let steps = |text: &str| text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(step).collect();
    let operations = heads.iter().zip(&lines).map(|((service, name, own), (_, tail))| Operation {
        service: *service,
        name: (*name).to_owned(),
        own: *own,
        steps: steps(tail),
    });
    let operations: Vec<Operation> = operations.collect();
    let entries = (0..operations.len()).filter(|index| operations[*index].service == 0).collect();
    World { name, services, operations, entries }
}

/// Two operations a service, each of which calls one to three of the next layer; the last layer asks stores.
fn layered(name: &'static str, layers: &[usize]) -> World {
    let mut chance = Chance::of(&[40]);
    let (mut services, mut operations) = (Vec::new(), Vec::new());
    let firsts: Vec<usize> = layers.iter().scan(0, |sum, count| Some(std::mem::replace(sum, *sum + count))).collect();
    for (layer, count) in layers.iter().enumerate() {
        for number in 0..*count {
            services.push(format!("s{layer}{number}"));
            for operation in ["read", "write"] {
                let steps = match layers.get(layer + 1) {
                    Some(below) => {
                        let fan = 1 + (chance.share() * 2.5) as usize + usize::from(layer == 0);
                        let first = (number * below) / count;
                        let callee = |step: usize| 2 * (firsts[layer + 1] + (first + step) % below) + usize::from(chance.share() < 0.5);
                        let callees: Vec<usize> = (0..fan).map(callee).collect();
                        let together = chance.share() < 0.3;
                        if together {
                            vec![Step::Calls(callees)]
                        } else {
                            callees.into_iter().map(|callee| Step::Calls(vec![callee])).collect()
                        }
                    }
                    None => vec![Step::Store(format!("SELECT-{number}"), 0.001), Step::Store(format!("UPDATE-{number}"), 0.001)],
                };
                let service = services.len() - 1;
                operations.push(Operation { service, name: operation.to_owned(), own: 0.000_5 + 0.001 * chance.share(), steps });
            }
        }
    }
    World { name, services, operations, entries: vec![0, 1] }
}

impl World {
    /// Operations that requests reach.
    pub(crate) fn reached(&self) -> Vec<usize> {
        let mut reached = self.entries.clone();
        let mut at = 0;
        while at < reached.len() {
            for callee in self.operations[reached[at]].callees() {
                if !reached.contains(&callee) {
                    reached.push(callee);
                }
            }
            at += 1;
        }
        reached
    }
}
