//! Which requests an HTTP fault is for, and what it does to them. A rule that exists is valid.

use super::grpc::GrpcStatus;
use crate::wire::{RuleWords, micros, ppm, text};
use bytes::Bytes;
use globset::{GlobBuilder, GlobMatcher};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, time::Duration};

use crate::talk::Context;
use rand::{RngExt, SeedableRng};

/// Which requests; all that is given must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matching {
    /// Method, in any case.
    pub method: Option<String>,
    /// The path of the target as it was sent, without its query.
    pub path: Option<PathPattern>,
    /// Name (in any case) and exact value of a header.
    pub header: Option<(String, String)>,
    /// Key and value of a member of the W3C `baggage` header: the blast radius is then the requests that carry it, and what services pass it on to.
    pub baggage: Option<(String, String)>,
    /// What is asked with it.
    pub protocol: Protocol,
    /// Of the requests for which all of that holds, the share that is chosen, from 0 to 1.
    #[serde(rename = "share_ppm", with = "ppm")]
    pub share: f64,
    /// Of the choice. It is drawn for each connection, in the order of its matching requests: which connection carries a request is the caller's choice.
    pub seed: u64,
}

impl Default for Matching {
    /// Every request.
    fn default() -> Matching {
        Matching { method: None, path: None, header: None, baggage: None, protocol: Protocol::Any, share: 1.0, seed: 0 }
    }
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Whatever it is.
    #[default]
    Any,
    /// Only calls of gRPC: over HTTP/2, and said to be so by their content type. The path is then `/package.Service/Method`.
    Grpc,
}

/// Which paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathPattern {
    /// Those that begin so.
    Prefix(String),
    /// `*` and `?` stay within a segment, `**` does not.
    Glob(String),
}

/// What is done to a request that was chosen, or to its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HttpAction {
    /// It is answered with this status and no body, and never reaches the callee: in HTTP/1.x as soon as its own body has come, in HTTP/2 at once, and
    /// its body is drained. The connection stays usable.
    Abort {
        /// 200 to 599.
        status: u16,
    },
    /// A call of gRPC ends with this status and never reaches the callee. Only calls of gRPC are met, whatever [`Matching::protocol`] is.
    GrpcAbort {
        /// How it ends.
        status: GrpcStatus,
        /// What it says; it may be empty.
        message: String,
    },
    /// In HTTP/1.x it reaches the callee later by this much, counted from the end of its head, and so does what comes behind it on its connection. In
    /// HTTP/2 it reaches the callee at once and its answer arrives later by this much, counted from the answer's first frame; other streams go on.
    Delay {
        /// How much later.
        #[serde(rename = "delay_us", with = "micros")]
        duration: Duration,
    },
    /// Its answer is changed.
    Patch(Patch),
}

/// Changes to an answer. Its length is declared anew where it changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Patch {
    /// 200 to 599.
    pub status: Option<u16>,
    /// Headers that take the place of all of the same name. `grpc-status`, `grpc-message` and `grpc-status-details-bin` of an answer of gRPC are those
    /// behind its messages.
    pub set: Vec<(String, String)>,
    /// Names of headers that are taken away.
    pub remove: Vec<String>,
    /// Takes the place of the body. `Content-Encoding`, `Content-Range`, `ETag` and digests, which are about the old one, are taken away with it.
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub body: Option<Bytes>,
}

/// Requests and what is done to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Words", into = "Words")]
pub struct HttpRule {
    matching: Matching,
    glob: Option<GlobMatcher>,
    action: HttpAction,
}

type Words = RuleWords<Matching, HttpAction>;

impl TryFrom<Words> for HttpRule {
    type Error = HttpRuleError;

    fn try_from(Words { matching, action }: Words) -> Result<HttpRule, HttpRuleError> {
        HttpRule::try_new(matching, action)
    }
}

impl From<HttpRule> for Words {
    fn from(HttpRule { matching, action, glob: _ }: HttpRule) -> Words {
        Words { matching, action }
    }
}

/// Why a rule is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpRuleError {
    /// Not a fraction.
    Share,
    /// Not a method or a name of a header.
    Token(String),
    /// A line break or another control character in the value of this header.
    Value(String),
    /// The link declares lengths and connections itself.
    Framing(String),
    /// Not the status of a final answer.
    Status(u16),
    /// Not a glob, and why.
    Glob(String),
    /// Nothing would change.
    EmptyPatch,
}

impl fmt::Display for HttpRuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpRuleError::Share => write!(f, "the share must be from 0 to 1"),
            HttpRuleError::Token(token) => write!(f, "{token:?} is not a method or the name of a header"),
            HttpRuleError::Value(name) => write!(f, "the value of {name} has a control character"),
            HttpRuleError::Framing(name) => write!(f, "{name} says where a message ends, which the link sees to itself"),
            HttpRuleError::Status(status) => write!(f, "{status} is not the status of a final answer: use 200 to 599"),
            HttpRuleError::Glob(why) => write!(f, "not a glob: {why}"),
            HttpRuleError::EmptyPatch => write!(f, "the patch changes nothing: give a status, a header or a body"),
        }
    }
}

impl std::error::Error for HttpRuleError {}

impl PartialEq for HttpRule {
    fn eq(&self, other: &HttpRule) -> bool {
        self.matching == other.matching && self.action == other.action
    }
}

/// A share that was accepted equals itself.
impl Eq for HttpRule {}

/// What an answer is framed with.
const FRAMING: [&str; 6] = ["content-length", "transfer-encoding", "connection", "keep-alive", "trailer", "upgrade"];

impl HttpRule {
    /// Refuses what no request could match, and what would break the framing of an answer.
    pub fn try_new(matching: Matching, action: HttpAction) -> Result<HttpRule, HttpRuleError> {
        if !(0.0..=1.0).contains(&matching.share) {
            return Err(HttpRuleError::Share);
        }
        let names = matching.method.iter().chain(matching.header.iter().map(|(name, _)| name));
        names.chain(matching.baggage.iter().map(|(key, _)| key)).try_for_each(|token| is_token(token))?;
        match &action {
            HttpAction::Abort { status } => is_final(*status)?,
            HttpAction::Delay { .. } | HttpAction::GrpcAbort { .. } => {}
            HttpAction::Patch(patch) => patch.check()?,
        }
        let glob = match &matching.path {
            Some(PathPattern::Glob(glob)) => Some(compile(glob)?),
            _ => None,
        };
        Ok(HttpRule { matching, glob, action })
    }

    /// What is done.
    pub(crate) fn action(&self) -> &HttpAction {
        &self.action
    }

    /// The patch, if that is what is done.
    pub(crate) fn patch(&self) -> Option<&Patch> {
        match &self.action {
            HttpAction::Patch(patch) => Some(patch),
            _ => None,
        }
    }

    /// Whether all but the share holds.
    pub(crate) fn matches(&self, request: &impl Asked) -> bool {
        let Matching { method, path, header, baggage, protocol: _, share: _, seed: _ } = &self.matching;
        let has_header = |(name, value): &(String, String)| request.values(name).any(|sent| sent == value.as_bytes());
        let has_baggage = |(key, value): &(String, String)| request.values("baggage").any(|sent| carries(sent, key, value));
        (!self.is_for_grpc() || request.is_grpc())
            && method.as_ref().is_none_or(|method| request.method().eq_ignore_ascii_case(method.as_bytes()))
            && path.as_ref().is_none_or(|pattern| self.is_path(pattern, path_of(&request.target())))
            && header.as_ref().is_none_or(has_header)
            && baggage.as_ref().is_none_or(has_baggage)
    }

    fn is_for_grpc(&self) -> bool {
        self.matching.protocol == Protocol::Grpc || matches!(self.action, HttpAction::GrpcAbort { .. })
    }

    fn is_path(&self, pattern: &PathPattern, path: &str) -> bool {
        match pattern {
            PathPattern::Prefix(prefix) => path.starts_with(prefix.as_str()),
            PathPattern::Glob(_) => self.glob.as_ref().is_some_and(|glob| glob.is_match(path)),
        }
    }

    /// The draws of a connection.
    fn draws(&self, connection: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.matching.seed);
        random.set_stream(connection);
        random
    }

    /// Whether the next request for which all else holds is chosen.
    fn chooses(&self, random: &mut ChaCha8Rng) -> bool {
        random.random::<f64>() < self.matching.share
    }
}

/// A request as a rule sees it.
pub(crate) trait Asked {
    fn method(&self) -> &[u8];

    fn target(&self) -> Cow<'_, str>;

    /// The values of all headers of this name.
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]>;

    /// Whether it is a call of gRPC.
    fn is_grpc(&self) -> bool;
}

/// What the share of a rule chose on one connection, one setting after the other.
#[derive(Default)]
pub(crate) struct Draws(Option<(u64, ChaCha8Rng)>);

impl Draws {
    /// Whether the rule is for the next request, of which all but the share is known. Counts it.
    pub(crate) fn chooses(&mut self, rule: &HttpRule, matches: bool, context: Context<'_>) -> bool {
        let Context { epoch, connection, counter, behaviour: _ } = context;
        if self.0.as_ref().is_none_or(|(drawn_for, _)| *drawn_for != epoch) {
            self.0 = Some((epoch, rule.draws(connection)));
        }
        let chosen = matches && self.0.as_mut().is_some_and(|(_, random)| rule.chooses(random));
        counter.request(epoch, connection, chosen);
        chosen
    }
}

impl Patch {
    fn check(&self) -> Result<(), HttpRuleError> {
        let Patch { status, set, remove, body } = self;
        if status.is_none() && set.is_empty() && remove.is_empty() && body.is_none() {
            return Err(HttpRuleError::EmptyPatch);
        }
        status.map_or(Ok(()), is_final)?;
        for name in set.iter().map(|(name, _)| name).chain(remove) {
            is_token(name)?;
            if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
                return Err(HttpRuleError::Framing(name.clone()));
            }
        }
        match set.iter().find(|(_, value)| value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')) {
            Some((name, _)) => Err(HttpRuleError::Value(name.clone())),
            None => Ok(()),
        }
    }
}

fn is_final(status: u16) -> Result<(), HttpRuleError> {
    if (200..600).contains(&status) { Ok(()) } else { Err(HttpRuleError::Status(status)) }
}

fn is_token(text: &str) -> Result<(), HttpRuleError> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_part) { Ok(()) } else { Err(HttpRuleError::Token(text.to_owned())) }
}

fn compile(glob: &str) -> Result<GlobMatcher, HttpRuleError> {
    let built = GlobBuilder::new(glob).literal_separator(true).build();
    built.map(|glob| glob.compile_matcher()).map_err(|error| HttpRuleError::Glob(error.to_string()))
}

/// The path of a target, whose form may be absolute.
fn path_of(target: &str) -> &str {
    let rest = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    rest.split(['?', '#']).next().unwrap_or_default()
}

/// Whether a `baggage` header has this member. Values are percent-encoded, properties follow after a semicolon.
fn carries(list: &[u8], key: &str, value: &str) -> bool {
    list.split(|byte| *byte == b',').any(|member| {
        let pair = member.split(|byte| *byte == b';').next().unwrap_or_default();
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { return false };
        let (sent_key, sent) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        sent_key == key.as_bytes() && (sent == value.as_bytes() || decoded(sent) == value.as_bytes())
    })
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, others)) = rest.split_first() {
        let escaped = others.get(..2).filter(|_| *first == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &others[2..] } else { others };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::Head;

    const ABORT: HttpAction = HttpAction::Abort { status: 503 };

    fn matches(matching: Matching, head: &str) -> bool {
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(head.as_bytes()).expect("the head of the test is one");
        HttpRule::try_new(matching, ABORT).expect("the rule of the test is one").matches(&Head(&request))
    }

    fn on_path(pattern: PathPattern, target: &str) -> bool {
        let matching = Matching { path: Some(pattern), ..Matching::default() };
        matches(matching, &format!("GET {target} HTTP/1.1\r\n\r\n"))
    }

    #[test]
    fn a_path_is_matched_without_its_query_and_host() {
        let (prefix, glob) = (|text: &str| PathPattern::Prefix(text.into()), |text: &str| PathPattern::Glob(text.into()));
        assert!(on_path(prefix("/cart"), "/cart/7?x=/pay") && !on_path(prefix("/pay"), "/cart/7?x=/pay"));
        assert!(on_path(glob("/cart/*"), "http://shop:80/cart/7#top") && !on_path(glob("/cart/*"), "/cart/7/items"));
        assert!(on_path(glob("/**/items"), "/cart/7/items") && on_path(glob("/"), "http://shop"));
        assert!(on_path(prefix("/go"), "/go?to=http://shop/cart"));
    }

    #[test]
    fn method_header_and_baggage_must_all_hold() {
        let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        let matching = Matching {
            method: Some("post".into()),
            header: pair("x-user", "a b"),
            baggage: pair("shakedown", "one two"),
            ..Matching::default()
        };
        let head = "POST / HTTP/1.1\r\nX-User: a b\r\nBaggage: k=v;p=1 , shakedown = one%20two;ttl=3\r\n\r\n";
        assert!(matches(matching.clone(), head));
        for (from, to) in [("POST", "GET"), ("a b", "a"), ("one%20two", "one"), ("shakedown ", "shakedowns ")] {
            assert!(!matches(matching.clone(), &head.replace(from, to)), "{from}");
        }
    }

    #[test]
    fn percent_escapes_that_are_none_stay() {
        assert_eq!(decoded(b"a%2Cb%2%zz%+1"), b"a,b%2%zz%+1");
    }

    #[test]
    fn a_share_is_drawn_for_each_connection_and_repeats() {
        let rule = HttpRule::try_new(Matching { share: 0.3, ..Matching::default() }, ABORT).expect("it is valid");
        let drawn = |connection| {
            let mut random = rule.draws(connection);
            (0..10_000).map(|_| rule.chooses(&mut random)).collect::<Vec<_>>()
        };
        let chosen = drawn(1).into_iter().filter(|chosen| *chosen).count();
        assert!((2_800..3_200).contains(&chosen), "{chosen}");
        assert!(drawn(1) == drawn(1) && drawn(1) != drawn(2));
    }

    #[test]
    fn what_could_never_match_or_would_break_the_framing_is_refused() {
        let refused = |matching, action| HttpRule::try_new(matching, action).err();
        let patch = |patch| refused(Matching::default(), HttpAction::Patch(patch));
        let set = |name: &str, value: &str| patch(Patch { set: vec![(name.into(), value.into())], ..Patch::default() });
        assert_eq!(refused(Matching { share: 1.1, ..Matching::default() }, ABORT), Some(HttpRuleError::Share));
        assert_eq!(refused(Matching { share: f64::NAN, ..Matching::default() }, ABORT), Some(HttpRuleError::Share));
        assert_eq!(
            refused(Matching { method: Some("A B".into()), ..Matching::default() }, ABORT),
            Some(HttpRuleError::Token("A B".into()))
        );
        assert_eq!(refused(Matching::default(), HttpAction::Abort { status: 101 }), Some(HttpRuleError::Status(101)));
        let glob = Matching { path: Some(PathPattern::Glob("[".into())), ..Matching::default() };
        assert!(matches!(refused(glob, ABORT), Some(HttpRuleError::Glob(_))));
        assert_eq!(patch(Patch::default()), Some(HttpRuleError::EmptyPatch));
        assert_eq!(set("Content-Length", "5"), Some(HttpRuleError::Framing("Content-Length".into())));
        assert_eq!(set("X", "a\r\nB: c"), Some(HttpRuleError::Value("X".into())));
        assert_eq!(set("", "a"), Some(HttpRuleError::Token(String::new())));
    }
}
