//! How the requests of one load are made: its texts compiled once, cooked for each request. It must not know when or to whom they are sent.

use crate::{
    error::LoadError,
    seed,
    template::{self, Template},
    trace::{TraceContext, Traces},
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Uri,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING},
    http::uri::PathAndQuery,
};
use minijinja::Value;
use rand_chacha::ChaCha8Rng;
use shakedown_model::{event::Phase, experiment::Load, stack::Variant};
use std::sync::Arc;

/// A request as the pool sends it.
pub(crate) type Cooked = Request<Full<Bytes>>;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// The compiled texts of one load.
pub(crate) struct Recipe {
    method: Method,
    host: HeaderValue,
    path: Part<Uri>,
    headers: Vec<(HeaderName, Part<HeaderValue>)>,
    body: Part<Bytes>,
    is_json: bool,
    /// Whether any part has to be rendered.
    renders: bool,
    run: Arc<str>,
    random: ChaCha8Rng,
    traces: Traces,
}

impl Recipe {
    /// Compiles every text and cooks the first request, so that a mistake shows before anything is due.
    pub(crate) fn compile(load: &Load, run: &str, scenario: &str, seed: u64) -> Result<Recipe, LoadError> {
        let method = Method::from_bytes(load.method.as_bytes())
            .map_err(|_| not_http(load, "the method", &load.method, "write one such as `GET` or `POST`"))?;
        let host = format!("{}:{}", load.service, load.port);
        let host = header_value(&host).map_err(|spoilt| spoilt.of(load, "the host"))?;
        let random = seed::stream(seed, &["texts", &load.name]);
        let run: Arc<str> = run.into();
        let first = template::facts(1, &run, seed::of_request(&random, 1));
        let path = Part::compile(&load.path, path, &first).map_err(|spoilt| spoilt.of(load, "the path"))?.0;
        let (body, sample) =
            Part::compile(load.body.as_deref().unwrap_or_default(), body, &first).map_err(|spoilt| spoilt.of(load, "the body"))?;
        let headers = compile_headers(load, &first)?;
        let is_json = is_json(&sample) && headers.iter().all(|(name, _)| name != CONTENT_TYPE);
        let renders = path.renders() || body.renders() || headers.iter().any(|(_, value)| value.renders());
        let traces = Traces::new(seed, &run, scenario, &load.name);
        Ok(Recipe { method, host, path, headers, body, is_json, renders, run, random, traces })
    }

    /// The ids of request `seq`.
    pub(crate) fn trace(&self, seq: u64) -> TraceContext {
        self.traces.context(seq)
    }

    /// Request `seq`. An error is the text's own: one that works for the first request and not for this one.
    pub(crate) fn cook(&self, seq: u64, phase: Phase, variant: Variant, trace: &TraceContext) -> Result<Cooked, String> {
        let facts = if self.renders { template::facts(seq, &self.run, seed::of_request(&self.random, seq)) } else { Value::UNDEFINED };
        let spoilt = |spoilt: Spoilt| spoilt.reason();
        let mut request = Request::new(Full::new(self.body.value(body, &facts).map_err(spoilt)?));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.value(path, &facts).map_err(spoilt)?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        if self.is_json {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.value(header_value, &facts).map_err(spoilt)?);
        }
        headers.insert(TRACEPARENT, header_value(&trace.traceparent).map_err(spoilt)?);
        // The team's own baggage stays; ours is added as another list member.
        headers.append(BAGGAGE, header_value(&self.traces.baggage(phase, variant)).map_err(spoilt)?);
        Ok(request)
    }
}

fn compile_headers(load: &Load, first: &Value) -> Result<Vec<(HeaderName, Part<HeaderValue>)>, LoadError> {
    let compile = |(name, text): (&String, &String)| {
        let known = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| not_http(load, "the name of a header", name, "use letters, digits and `-`"))?;
        if known == CONTENT_LENGTH || known == TRANSFER_ENCODING {
            return Err(not_http(load, "the name of a header", name, "leave it out, it follows from the body"));
        }
        let part = Part::compile(text, header_value, first).map_err(|spoilt| spoilt.of(load, &format!("the header {name}")))?;
        Ok((known, part.0))
    };
    load.headers.iter().map(compile).collect()
}

fn is_json(body: &Bytes) -> bool {
    // Numbers and words are JSON too, but nobody who writes them into a body means so.
    let opens = body.trim_ascii_start().first().is_some_and(|byte| b"{[".contains(byte));
    opens && serde_json::from_slice::<serde_json::Value>(body).is_ok()
}

/// One text of a request: parsed once where it holds no template.
enum Part<T> {
    Fixed(T),
    Rendered(Template),
}

impl<T: Clone> Part<T> {
    /// The part and its value with the facts of the first request.
    fn compile(text: &str, parse: fn(&str) -> Result<T, Spoilt>, first: &Value) -> Result<(Part<T>, T), Spoilt> {
        let template = Template::compile(text).map_err(Spoilt::Template)?;
        if template.is_plain() {
            let value = parse(text)?;
            return Ok((Part::Fixed(value.clone()), value));
        }
        let part = Part::Rendered(template);
        let sample = part.value(parse, first)?;
        Ok((part, sample))
    }

    fn renders(&self) -> bool {
        matches!(self, Part::Rendered(_))
    }

    fn value(&self, parse: fn(&str) -> Result<T, Spoilt>, facts: &Value) -> Result<T, Spoilt> {
        match self {
            Part::Fixed(value) => Ok(value.clone()),
            Part::Rendered(template) => parse(&template.render(facts).map_err(Spoilt::Template)?),
        }
    }
}

/// Why a text gave no part of a request.
enum Spoilt {
    Template(minijinja::Error),
    NotHttp { text: String, way_out: &'static str },
}

impl Spoilt {
    fn of(self, load: &Load, part: &str) -> LoadError {
        match self {
            Spoilt::Template(error) => LoadError::Template { load: load.name.clone(), part: part.to_owned(), reason: error.to_string() },
            Spoilt::NotHttp { text, way_out } => not_http(load, part, &text, way_out),
        }
    }

    fn reason(self) -> String {
        match self {
            Spoilt::Template(error) => error.to_string(),
            Spoilt::NotHttp { text, way_out } => format!("{text:?} is not HTTP: {way_out}"),
        }
    }
}

fn not_http(load: &Load, part: &str, text: &str, way_out: &'static str) -> LoadError {
    LoadError::NotHttp { load: load.name.clone(), part: part.to_owned(), text: text.to_owned(), way_out }
}

fn path(text: &str) -> Result<Uri, Spoilt> {
    let wrong = || Spoilt::NotHttp { text: text.to_owned(), way_out: "begin with `/`, and encode a value with `{{ value | urlencode }}`" };
    if !text.starts_with('/') {
        return Err(wrong());
    }
    PathAndQuery::try_from(text).map(Uri::from).map_err(|_| wrong())
}

fn header_value(text: &str) -> Result<HeaderValue, Spoilt> {
    HeaderValue::from_str(text)
        .map_err(|_| Spoilt::NotHttp { text: text.to_owned(), way_out: "use visible characters without line breaks" })
}

#[expect(clippy::unnecessary_wraps, reason = "has the form of the parsers of the other parts")]
fn body(text: &str) -> Result<Bytes, Spoilt> {
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::sample;
    use http_body_util::BodyExt;
    use indexmap::IndexMap;

    fn cook(load: &Load, seq: u64) -> Cooked {
        let recipe = Recipe::compile(load, "run-1", "slow-payment", 7).unwrap();
        recipe.cook(seq, Phase::Fault, Variant::Baseline, &recipe.trace(seq)).unwrap()
    }

    async fn text(request: Cooked) -> String {
        String::from_utf8(request.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    fn complaint(load: &Load) -> String {
        Recipe::compile(load, "run-1", "slow-payment", 7).err().expect("a mistake must be found").to_string()
    }

    #[tokio::test]
    async fn path_headers_and_body_are_rendered_for_each_request_and_the_same_for_the_same_seed() {
        let load = Load {
            path: "/products/{{ seq }}?q={{ 'a b' | urlencode }}".to_owned(),
            headers: IndexMap::from([("Idempotency-Key".to_owned(), "{{ uuid }}".to_owned())]),
            body: Some("{\"sku\": {{ rand(1, 500) }}, \"key\": \"{{ uuid }}\"}".to_owned()),
            ..sample("checkout")
        };
        let request = cook(&load, 42);
        assert_eq!(request.uri(), "/products/42?q=a%20b");
        let key = request.headers()["idempotency-key"].to_str().unwrap().to_owned();
        let body = text(request).await;
        assert!(body.contains(&key), "{body} has the uuid of its header {key}");
        assert_eq!(body, text(cook(&load, 42)).await);
        assert_ne!(body, text(cook(&load, 43)).await);
    }

    #[test]
    fn every_request_carries_host_trace_context_and_baggage() {
        let load = Load { headers: IndexMap::from([("baggage".to_owned(), "team=shop".to_owned())]), ..sample("checkout") };
        let request = cook(&load, 1);
        assert_eq!(request.headers()["host"], "gateway:8080");
        assert!(request.headers()["traceparent"].to_str().unwrap().starts_with("00-"));
        let baggage: Vec<&str> = request.headers().get_all("baggage").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(
            baggage,
            ["team=shop", "shakedown.run=run-1,shakedown.scenario=slow-payment,shakedown.phase=fault,shakedown.variant=baseline"]
        );
    }

    #[test]
    fn a_json_body_says_so_unless_the_load_says_otherwise() {
        let with = |body: &str, headers: IndexMap<String, String>| {
            let load = Load { body: Some(body.to_owned()), headers, ..sample("checkout") };
            cook(&load, 1).headers().get("content-type").map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(with("{\"sku\": {{ seq }}}", IndexMap::new()).as_deref(), Some("application/json"));
        assert_eq!(with("{{ seq }}", IndexMap::new()), None);
        assert_eq!(with("sku=1", IndexMap::new()), None);
        let own = IndexMap::from([("Content-Type".to_owned(), "application/cbor".to_owned())]);
        assert_eq!(with("{}", own).as_deref(), Some("application/cbor"));
    }

    #[test]
    fn mistakes_are_found_before_the_first_request_and_name_load_and_part() {
        let header =
            |name: &str, value: &str| Load { headers: IndexMap::from([(name.to_owned(), value.to_owned())]), ..sample("checkout") };
        for (load, words) in [
            (Load { method: "GE T".to_owned(), ..sample("checkout") }, "load checkout: the method"),
            (Load { path: "products".to_owned(), ..sample("checkout") }, "the path is \"products\""),
            (Load { path: "/a b".to_owned(), ..sample("checkout") }, "urlencode"),
            (Load { path: "/{{ sku }}".to_owned(), ..sample("checkout") }, "the path is not a working template"),
            (Load { body: Some("{{ seq".to_owned()), ..sample("checkout") }, "the body is not a working template"),
            (header("x y", "1"), "the name of a header is \"x y\""),
            (header("content-length", "1"), "follows from the body"),
            (header("x-a", "{{ 'a\\nb' }}"), "the header x-a"),
        ] {
            let complaint = complaint(&load);
            assert!(complaint.contains(words), "{complaint}");
        }
    }

    #[test]
    fn a_text_that_breaks_later_is_an_error_of_that_request() {
        let load = Load { path: "/{{ 10 // (3 - seq) }}".to_owned(), ..sample("checkout") };
        let recipe = Recipe::compile(&load, "run-1", "slow", 7).unwrap();
        let cook = |seq| recipe.cook(seq, Phase::Fault, Variant::Candidate, &recipe.trace(seq));
        assert!(cook(2).is_ok());
        assert!(cook(3).is_err());
    }
}
