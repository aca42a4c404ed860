//! `{{ name }}` in the command line and environment of a process: where it listens, and where it finds the others.

use crate::{RuntimeError, text::did_you_mean};
use regex::{Captures, Regex};
use shakedown_model::fault::Edge;
use std::{collections::HashMap, net::SocketAddr, sync::LazyLock};

#[expect(clippy::unwrap_used, reason = "a constant that the tests below compile")]
static BRACES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{\{\s*([^{}]*?)\s*\}\}").unwrap());

/// What names mean to one service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Template<'a> {
    pub(crate) service: &'a str,
    pub(crate) listen: &'a HashMap<String, SocketAddr>,
    /// Edges that go through the harness.
    pub(crate) wiring: &'a HashMap<Edge, SocketAddr>,
}

impl Template<'_> {
    /// Replaces every name in `text`; `place` says where the text stands, for the error.
    pub(crate) fn fill(&self, text: &str, place: &str) -> Result<String, RuntimeError> {
        let mut unknown = None;
        let filled = BRACES.replace_all(text, |found: &Captures<'_>| {
            self.value(&found[1]).unwrap_or_else(|| {
                unknown.get_or_insert_with(|| found[1].to_owned());
                String::new()
            })
        });
        let Some(name) = unknown else { return Ok(filled.into_owned()) };
        let mut known: Vec<&str> = self.listen.keys().map(String::as_str).collect();
        known.sort_unstable();
        Err(RuntimeError::Template {
            hint: did_you_mean(&name, known.iter().copied().chain(["listen", "port"])),
            name,
            place: format!("{place} of service `{}`", self.service),
            known: known.join(", "),
        })
    }

    fn value(&self, name: &str) -> Option<String> {
        let own = self.listen.get(self.service)?;
        match name {
            "listen" => Some(own.to_string()),
            "port" => Some(own.port().to_string()),
            other => {
                let edge = Edge { from: self.service.to_owned(), to: other.to_owned() };
                self.wiring.get(&edge).or_else(|| self.listen.get(other)).map(SocketAddr::to_string)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String, RuntimeError> {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let listen =
            HashMap::from([("gateway".to_owned(), address(1)), ("orders".to_owned(), address(2)), ("payment".to_owned(), address(3))]);
        let edge = Edge { from: "gateway".to_owned(), to: "payment".to_owned() };
        let wiring = HashMap::from([(edge, address(99))]);
        Template { service: "gateway", listen: &listen, wiring: &wiring }.fill(text, "`run`")
    }

    #[test]
    fn names_become_addresses_and_an_edge_that_is_wired_goes_through_the_harness() {
        assert_eq!(fill("--listen={{ listen }} -p {{port}}").unwrap(), "--listen=127.0.0.1:1 -p 1");
        assert_eq!(fill("http://{{ orders }}/ http://{{ payment }}/").unwrap(), "http://127.0.0.1:2/ http://127.0.0.1:99/");
        assert_eq!(fill("{\"a\": {\"b\": 1}}").unwrap(), "{\"a\": {\"b\": 1}}");
    }

    #[test]
    fn a_name_of_nobody_is_an_error_that_suggests_the_near_one() {
        let error = fill("{{ order }}").unwrap_err().to_string();
        assert_eq!(
            error,
            "`{{ order }}` in `run` of service `gateway` names no service, did you mean `orders`?; \
             known are `listen`, `port` and: gateway, orders, payment"
        );
    }
}
