//! One line from a helper, and how a line to it is read.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::failure::{Failure, malformed};

/// A line from a helper: exactly one of `ok`, `error` and `event` is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line<A, E> {
    /// The id of the request; `null` for events and for requests whose id could not be read.
    pub id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok: Option<A>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<E>,
}

impl<A, E> Line<A, E> {
    /// The reply to request `id`.
    pub fn reply(id: Option<u64>, outcome: Result<A, Failure>) -> Self {
        let (ok, error) = match outcome {
            Ok(answer) => (Some(answer), None),
            Err(failure) => (None, Some(failure)),
        };
        Self { id, ok, error, event: None }
    }

    /// Something that nobody asked for.
    pub fn event(event: E) -> Self {
        Self { id: None, ok: None, error: None, event: Some(event) }
    }
}

/// Something that happened by itself; `R` says what ended, and what it had done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event<R> {
    /// A fault outlived its `ttl_ms` and was taken back.
    Expired(R),
    /// Stdin ended, or a signal asked the helper to end, while a fault was in force.
    TakenBack(R),
}

/// Reads a request off a line, given without its newline, and the id that the reply echoes. `hint` is the way out for one who says
/// something else.
pub fn request<R: DeserializeOwned>(line: &[u8], hint: &str) -> (Option<u64>, Result<R, Failure>) {
    let id = serde_json::from_slice(line).ok().map(|Numbered { id }| id);
    (id, serde_json::from_slice(line).map_err(|error| malformed(error, hint)))
}

/// All that is read of a line which may be no request.
#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

/// A word as it goes over the pipe, with its newline.
pub fn said(word: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(word)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
    enum Request {
        Dose { id: u64, name: String },
    }

    fn words(line: &Line<u8, Event<u8>>) -> String {
        let bytes = said(line).unwrap();
        assert_eq!(serde_json::from_slice::<Line<u8, Event<u8>>>(&bytes).unwrap(), *line);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_are_said_in_these_words() {
        assert_eq!(words(&Line::reply(Some(7), Ok(5))), "{\"id\":7,\"ok\":5}\n");
        let refusal = r#"{"id":null,"error":{"code":"malformed","message":"not a request: no","hint":"say yes"}}"#;
        assert_eq!(words(&Line::reply(None, Err(malformed("no", "say yes")))), format!("{refusal}\n"));
        assert_eq!(words(&Line::event(Event::Expired(5))), "{\"id\":null,\"event\":{\"expired\":5}}\n");
        assert_eq!(words(&Line::event(Event::TakenBack(5))), "{\"id\":null,\"event\":{\"taken_back\":5}}\n");
    }

    #[test]
    fn fields_that_a_younger_helper_adds_are_passed_over() {
        let line: Line<u8, u8> = serde_json::from_str(r#"{"id":1,"ok":2,"mood":"good"}"#).unwrap();
        assert_eq!(line, Line::reply(Some(1), Ok(2)));
    }

    #[test]
    fn a_line_that_is_no_request_is_answered_under_its_id_where_one_can_be_read() {
        let read = |line: &[u8]| request::<Request>(line, "see the help");
        let (id, dose) = read(br#"{"op":"dose","id":3,"name":"f"}"#);
        assert_eq!((id, dose), (Some(3), Ok(Request::Dose { id: 3, name: "f".to_owned() })));
        let wrong: [(&[u8], Option<u64>); 8] = [
            (br#"{"op":"dose","id":3,"nmae":"f"}"#, Some(3)),
            (br#"{"op":"dose","id":3,"name":"f","more":1}"#, Some(3)),
            (br#"{"op":"dance","id":4}"#, Some(4)),
            (br#"{"op":"dose","id":-1,"name":"f"}"#, None),
            (br#"{"op":"dose","name":"f"}"#, None),
            (br#"{"id":5"#, None),
            (b"\xff\xfe", None),
            (b"", None),
        ];
        for (line, expected) in wrong {
            let (id, outcome) = read(line);
            let failure = outcome.expect_err(&String::from_utf8_lossy(line));
            assert_eq!((id, failure.code.as_str(), failure.hint.as_str()), (expected, "malformed", "see the help"));
        }
    }
}
