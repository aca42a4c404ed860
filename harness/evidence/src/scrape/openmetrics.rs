//! What OpenMetrics text (1.0, <https://prometheus.io/docs/specs/om/open_metrics_spec/>) has beyond the Prometheus text format: exemplars, and
//! counters that are typed by the name of their family.
//!
//! prometheus-parse knows neither. So exemplars are lifted off the page before it is parsed, and each line that had one carries its number as
//! a label, which is taken off afterwards.

use opentelemetry_proto::tonic::metrics::v1::{Exemplar, exemplar::Value};
use shakedown_model::{
    ids::{SpanId, TraceId},
    time::UnixNanos,
};

use super::exposition::pair;

/// The label that carries the number of an exemplar.
pub(super) const MARK: &str = "shakedown_exemplar";
/// Most exemplars of one page.
const EXEMPLARS: usize = 10_000;
/// Characters of all labels of an exemplar, by the specification.
const LABELS: usize = 128;

/// The page as prometheus-parse understands it, and the exemplars that its marks number.
pub(super) fn lift(page: &str) -> (String, Vec<Exemplar>) {
    let (mut plain, mut exemplars) = (String::with_capacity(page.len()), Vec::new());
    for line in page.lines() {
        match (family_of_counter(line), exemplar_at(line)) {
            (Some(family), _) => plain.push_str(&format!("# TYPE {family}_total counter")),
            (None, Some(at)) if exemplars.len() < EXEMPLARS => {
                let sample = &line[..at];
                match exemplar(&line[at..]) {
                    Some(exemplar) => {
                        plain.push_str(&marked(sample, exemplars.len()));
                        exemplars.push(exemplar);
                    }
                    None => plain.push_str(sample),
                }
            }
            _ => plain.push_str(line),
        }
        plain.push('\n');
    }
    (plain, exemplars)
}

/// `# TYPE requests counter`, whose samples are called `requests_total`.
fn family_of_counter(line: &str) -> Option<&str> {
    let family = line.strip_prefix("# TYPE ")?.strip_suffix(" counter")?.trim();
    (!family.ends_with("_total")).then_some(family)
}

/// Where ` # {` stands outside of quotes.
fn exemplar_at(line: &str) -> Option<usize> {
    if line.starts_with('#') {
        return None;
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' if !escaped => quoted ^= true,
            b' ' if !quoted && line[at..].starts_with(" # {") => return Some(at),
            _ => {}
        }
        escaped = quoted && byte == b'\\' && !escaped;
    }
    None
}

/// The line with the number of its exemplar among its labels.
fn marked(sample: &str, number: usize) -> String {
    let end_of_name = sample.find(['{', ' ']).unwrap_or(sample.len());
    let (name, rest) = sample.split_at(end_of_name);
    match rest.strip_prefix('{') {
        Some(labels) => format!("{name}{{{MARK}=\"{number}\",{labels}"),
        None => format!("{name}{{{MARK}=\"{number}\"}}{rest}"),
    }
}

/// ` # {trace_id="…"} 0.5 1700000000.25`
fn exemplar(text: &str) -> Option<Exemplar> {
    let (labels, rest) = labels(text.strip_prefix(" # {")?)?;
    let mut numbers = rest.split_ascii_whitespace();
    let value = numbers.next()?.parse().ok().filter(|value: &f64| value.is_finite())?;
    let at = numbers.next().and_then(|seconds| seconds.parse().ok()).map_or(UnixNanos(0), UnixNanos::from_seconds);
    Some(of(labels, value, at.0))
}

/// An exemplar as OTLP has it: what links to a trace apart from the other labels.
pub(super) fn of(labels: Vec<(String, String)>, value: f64, at: u64) -> Exemplar {
    let mut exemplar = Exemplar { time_unix_nano: at, value: Some(Value::AsDouble(value)), ..Exemplar::default() };
    for (key, value) in labels {
        match key.to_ascii_lowercase().replace(['_', '.'], "").as_str() {
            "traceid" => exemplar.trace_id = TraceId::from_hex(&value).map_or_else(Vec::new, |id| id.bytes().to_vec()),
            "spanid" => exemplar.span_id = SpanId::from_hex(&value).map_or_else(Vec::new, |id| id.bytes().to_vec()),
            _ => exemplar.filtered_attributes.push(pair(key, value)),
        }
    }
    exemplar
}

/// Labels up to the closing brace, and what stands behind it.
fn labels(mut text: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start_matches([' ', ',']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (key, rest) = text.split_once("=\"")?;
        let (mut value, mut chars) = (String::new(), rest.char_indices());
        text = loop {
            match chars.next()? {
                (at, '"') => break &rest[at + 1..],
                (_, '\\') => value.push(chars.next().map(|(_, char)| if char == 'n' { '\n' } else { char })?),
                (_, char) => value.push(char),
            }
        };
        if value.len() + key.len() > LABELS {
            return None;
        }
        labels.push((key.trim().to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn an_exemplar_is_lifted_off_its_line_and_the_line_carries_its_number() {
        let page = format!(
            "# TYPE took histogram\ntook_bucket{{le=\"0.1\"}} 8 # {{trace_id=\"{TRACE}\",user=\"a \\\"b\\\"\"}} 0.067 1700000000.25\n\
             n_total 17 1700000000 # {{span_id=\"b7ad6b7169203331\"}} 1\nplain{{q=\" # {{\"}} 3\n# EOF\n"
        );
        let (plain, exemplars) = lift(&page);
        let expected = "# TYPE took histogram\ntook_bucket{shakedown_exemplar=\"0\",le=\"0.1\"} 8\n\
                        n_total{shakedown_exemplar=\"1\"} 17 1700000000\nplain{q=\" # {\"} 3\n# EOF\n";
        assert_eq!(plain, expected);
        let [first, second] = &exemplars[..] else { panic!("{exemplars:?}") };
        assert_eq!(shakedown_model::ids::hex(&first.trace_id), TRACE);
        assert_eq!((first.value, first.time_unix_nano), (Some(Value::AsDouble(0.067)), 1_700_000_000_250_000_000));
        assert_eq!(first.filtered_attributes, [pair("user".to_owned(), "a \"b\"".to_owned())]);
        assert_eq!((second.span_id.len(), second.time_unix_nano), (8, 0));
    }

    #[test]
    fn what_only_looks_like_an_exemplar_is_left_out_and_its_sample_stays() {
        for broken in ["{", "{}", "{} NaN", "{a} 1", "{a=\"b} 1", "{a=\"b\" 1", "{a=\"b\"}", &format!("{{a=\"{}\"}} 1", "x".repeat(200))] {
            let (plain, exemplars) = lift(&format!("n_total 1 # {broken}"));
            assert_eq!((plain.as_str(), exemplars.len()), ("n_total 1\n", 0), "{broken}");
        }
    }

    #[test]
    fn a_counter_is_typed_by_the_name_that_its_samples_have() {
        assert_eq!(
            lift("# TYPE requests counter\n# TYPE b_total counter\n# TYPE c gauge").0,
            "# TYPE requests_total counter\n# TYPE b_total counter\n# TYPE c gauge\n"
        );
    }
}
