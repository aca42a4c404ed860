//! Parameters of kinds that speak a protocol.

use super::OneOrMore;
use crate::units::{Percent, Span};
use schemars::JsonSchema;

/// Which gRPC calls, and exactly one of `status` and `delay`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct GrpcEntry {
    /// `package.Service/Method`; `*` stays within a part. Default: any.
    pub method: Option<String>,
    /// Of these. Default: 100%.
    pub share: Option<Percent>,
    /// Name or number of the status that they are answered with, without the callee.
    pub status: Option<String>,
    /// What goes with the status.
    pub message: Option<String>,
    /// How long their answers are held.
    pub delay: Option<Span>,
}

/// Which PostgreSQL queries, and exactly one of `error`, `delay` and `timeout`; or `connect`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PostgresEntry {
    /// Pattern of the query's text. Default: any.
    pub query: Option<String>,
    /// Of these. Default: 100%.
    pub share: Option<Percent>,
    /// Name (`serialization_failure`) or SQLSTATE (`40001`) of the error that they get.
    pub error: Option<String>,
    /// How long they are held.
    pub delay: Option<Span>,
    /// `true`: they are never answered.
    pub timeout: Option<bool>,
    /// Name or SQLSTATE of the error that new sessions get.
    pub connect: Option<String>,
}

/// Which Redis commands, and exactly one of `error`, `miss`, `delay` and `timeout`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RedisEntry {
    /// Names of commands. Default: any.
    pub command: Option<OneOrMore<String>>,
    /// Pattern of the first key. Default: any.
    pub key: Option<String>,
    /// Of these. Default: 100%.
    pub share: Option<Percent>,
    /// Code (`LOADING`, `OOM`, `READONLY`, …) or whole text of the error that they get.
    pub error: Option<String>,
    /// `true`: they are answered as if the key were not there.
    pub miss: Option<bool>,
    /// How long they are held.
    pub delay: Option<Span>,
    /// `true`: they are never answered.
    pub timeout: Option<bool>,
}

/// Which DNS queries, and exactly one of `answer` and `delay`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DnsEntry {
    /// Pattern of the name that is asked for. Default: any.
    pub name: Option<String>,
    /// Types of record such as `A`. Default: any.
    pub types: Option<OneOrMore<String>>,
    /// Of these. Default: 100%.
    pub share: Option<Percent>,
    /// `nxdomain`, `servfail`, `refused`, `timeout`, `truncated`, or an address.
    pub answer: Option<String>,
    /// How long the answer is held.
    pub delay: Option<Span>,
}
