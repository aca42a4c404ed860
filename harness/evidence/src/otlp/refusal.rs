//! Why an export was not taken, in the words of HTTP, of gRPC and of a person.

use hyper::StatusCode;
use prost::Message as _;
use tonic::Code;

/// Why an export was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the request is larger than {limit} bytes {stage}; let the exporter send smaller batches")]
    TooLarge { limit: usize, stage: &'static str },
    #[error("the request has more than {limit} parts; let the exporter send smaller batches")]
    TooManyParts { limit: usize },
    #[error("the request cannot be read: {0}")]
    Malformed(String),
    #[error("content type {found:?} is not taken; use application/x-protobuf or application/json")]
    ContentType { found: String },
    #[error("content encoding {found:?} is not taken; use gzip or none")]
    ContentEncoding { found: String },
    #[error("the request did not arrive within {seconds} seconds")]
    Slow { seconds: u64 },
    #[error("{path} is not taken; use /v1/traces, /v1/logs or /v1/metrics")]
    Path { path: String },
    #[error("only POST is taken here")]
    Method,
    #[error("the recorder is behind; send it again in a second")]
    Overloaded,
    #[error("reading the request failed inside the receiver")]
    Internal,
}

impl Refusal {
    /// For HTTP. Only 429 makes a client try again.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Refusal::TooLarge { .. } | Refusal::TooManyParts { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
            Refusal::ContentType { .. } | Refusal::ContentEncoding { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::Slow { .. } => StatusCode::REQUEST_TIMEOUT,
            Refusal::Path { .. } => StatusCode::NOT_FOUND,
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// For gRPC, and inside the body of an HTTP answer. A client tries RESOURCE_EXHAUSTED again where a delay stands beside it, and only there
    /// (OTLP 1.x, section "Failures").
    pub(super) fn code(&self) -> Code {
        match self {
            Refusal::TooLarge { .. } | Refusal::TooManyParts { .. } | Refusal::Overloaded => Code::ResourceExhausted,
            Refusal::Malformed(_) | Refusal::ContentType { .. } | Refusal::ContentEncoding { .. } => Code::InvalidArgument,
            Refusal::Slow { .. } => Code::DeadlineExceeded,
            Refusal::Path { .. } | Refusal::Method => Code::Unimplemented,
            Refusal::Internal => Code::Internal,
        }
    }
}

impl From<Refusal> for tonic::Status {
    fn from(refusal: Refusal) -> Self {
        let (code, message) = (refusal.code(), refusal.to_string());
        if !matches!(refusal, Refusal::Overloaded) {
            return tonic::Status::new(code, message);
        }
        let retry = RetryInfo { retry_delay: Some(Duration { seconds: RETRY_SECONDS, nanos: 0 }) };
        let detail = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value: retry.encode_to_vec() };
        let details = RpcStatus { code: code as i32, message: message.clone(), details: vec![detail] };
        tonic::Status::with_details(code, message, details.encode_to_vec().into())
    }
}

/// When an overloaded recorder may be asked again.
pub(super) const RETRY_SECONDS: i64 = 1;

/// `google.rpc.Status`: the body of every failure over HTTP, and what stands beside a status over gRPC.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Duration>,
}

/// `google.protobuf.Duration`
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Duration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}
