//! Which queries a PostgreSQL fault is for, and what it does to them. A rule that exists is valid.

use super::{
    error::{SqlError, UnknownSqlState},
    text,
};
use crate::{
    pattern::is_like,
    wire::{RuleWords, micros, ppm},
};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// Which queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryMatching {
    /// Of their text: `*` is any run of characters and `?` one, in any case; runs of white space are one blank, and comments before and semicolons
    /// behind the text are not there. Nothing is every query.
    pub query: Option<String>,
    /// Of the queries that are so, the share that is met, from 0 to 1.
    #[serde(rename = "share_ppm", with = "ppm")]
    pub share: f64,
    /// Of the choice, which is drawn for each connection in the order of its queries.
    pub seed: u64,
}

impl Default for QueryMatching {
    /// Every query.
    fn default() -> QueryMatching {
        QueryMatching { query: None, share: 1.0, seed: 0 }
    }
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PostgresAction {
    /// The query is not executed and fails with this error, a transaction around it fails as after any error, and the connection stays usable; after
    /// an error that ends a session (as `admin_shutdown` does) it is closed. A commit that fails has rolled back.
    Error {
        /// A name as `serialization_failure`, or five characters as `40001`.
        error: String,
        /// In place of the message that PostgreSQL has for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// The query reaches the callee later by this much, and so does what comes behind it on its connection.
    Delay {
        /// How much later.
        #[serde(rename = "delay_us", with = "micros")]
        duration: Duration,
    },
    /// The query is held until the setting ends, and so is what comes behind it. A caller that leaves before takes it along.
    Timeout,
    /// Not queries, but new connections: they are refused where they introduce themselves.
    Refuse {
        /// As for a query; `too_many_connections` and `cannot_connect_now` are what a server says there.
        error: String,
        /// As for a query.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
}

/// Queries, or connections, and what is done to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Words", into = "Words")]
pub struct PostgresRule {
    matching: QueryMatching,
    action: PostgresAction,
    pattern: Option<Vec<u8>>,
    error: Option<SqlError>,
}

type Words = RuleWords<QueryMatching, PostgresAction>;

impl TryFrom<Words> for PostgresRule {
    type Error = PostgresRuleError;

    fn try_from(Words { matching, action }: Words) -> Result<PostgresRule, PostgresRuleError> {
        PostgresRule::try_new(matching, action)
    }
}

impl From<PostgresRule> for Words {
    fn from(PostgresRule { matching, action, .. }: PostgresRule) -> Words {
        Words { matching, action }
    }
}

/// Why a rule is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostgresRuleError {
    /// Not a fraction.
    Share,
    /// Neither the name of an error that is known here nor an SQLSTATE.
    Error(String),
    /// The message of an error has a zero byte, which ends it.
    Message,
    /// A text that no query has.
    Query,
    /// A connection that begins has no query yet.
    QueryOfConnection,
}

impl fmt::Display for PostgresRuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PostgresRuleError::Share => write!(f, "the share must be from 0 to 1"),
            PostgresRuleError::Error(error) => {
                write!(f, "{error:?} is no error: give an SQLSTATE (five of A-Z and 0-9) or one of {}", SqlError::names())
            }
            PostgresRuleError::Message => write!(f, "the message of an error cannot have a zero byte"),
            PostgresRuleError::Query => write!(f, "an empty text matches no query: leave it out to match all"),
            PostgresRuleError::QueryOfConnection => write!(f, "a connection is refused before its first query: leave the query out"),
        }
    }
}

impl std::error::Error for PostgresRuleError {}

/// A share that was accepted equals itself.
impl Eq for PostgresRule {}

impl PostgresRule {
    /// Refuses what no query could match, and errors that are none.
    pub fn try_new(matching: QueryMatching, action: PostgresAction) -> Result<PostgresRule, PostgresRuleError> {
        if !(0.0..=1.0).contains(&matching.share) {
            return Err(PostgresRuleError::Share);
        }
        let pattern = matching.query.as_ref().map(|query| text::normalised(query.as_bytes()).into_bytes());
        if pattern.as_ref().is_some_and(Vec::is_empty) {
            return Err(PostgresRuleError::Query);
        }
        let error = match &action {
            PostgresAction::Refuse { .. } if pattern.is_some() => return Err(PostgresRuleError::QueryOfConnection),
            PostgresAction::Refuse { error, message } => Some(named(error, message.as_deref())?.fatal()),
            PostgresAction::Error { error, message } => Some(named(error, message.as_deref())?),
            PostgresAction::Delay { .. } | PostgresAction::Timeout => None,
        };
        Ok(PostgresRule { matching, action, pattern, error })
    }

    pub(super) fn action(&self) -> &PostgresAction {
        &self.action
    }

    /// The error that is answered, if that is what is done.
    pub(super) fn error(&self) -> Option<&SqlError> {
        self.error.as_ref()
    }

    /// Whether it is for new connections.
    pub(super) fn refuses(&self) -> bool {
        matches!(self.action, PostgresAction::Refuse { .. })
    }

    /// Whether it is for queries of this text. One that is not known here is only met where all are.
    pub(super) fn matches(&self, text: Option<&str>) -> bool {
        let Some(pattern) = &self.pattern else { return true };
        text.map_or(pattern == b"*", |text| is_like(pattern, text.as_bytes()))
    }

    pub(super) fn share(&self) -> f64 {
        self.matching.share
    }

    pub(super) fn seed(&self) -> u64 {
        self.matching.seed
    }
}

fn named(error: &str, message: Option<&str>) -> Result<SqlError, PostgresRuleError> {
    if message.is_some_and(|message| message.contains('\0')) {
        return Err(PostgresRuleError::Message);
    }
    SqlError::try_new(error, message).map_err(|UnknownSqlState| PostgresRuleError::Error(error.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(query: &str) -> PostgresRule {
        let matching = QueryMatching { query: Some(query.into()), ..QueryMatching::default() };
        PostgresRule::try_new(matching, PostgresAction::Timeout).expect("the rule of the test is one")
    }

    fn error(error: &str, message: Option<&str>) -> PostgresAction {
        PostgresAction::Error { error: error.into(), message: message.map(str::to_owned) }
    }

    #[test]
    fn a_query_is_matched_in_any_case_and_spacing() {
        let matches = |query: &str, sent: &str| rule(query).matches(Some(&text::normalised(sent.as_bytes())));
        assert!(matches("SELECT * FROM  stock*", "/* shop */ select id, n\n\tfrom stock where id = $1;"));
        assert!(matches("*stock*", "UPDATE Stock SET n = n - 1"));
        assert!(matches("select ?", "SELECT 1 ; "));
        assert!(!matches("SELECT * FROM stock", "select * from stock where id = 1"));
        assert!(!matches("DELETE*", "select 1"));
    }

    #[test]
    fn a_text_that_is_not_known_is_met_only_where_all_are() {
        assert!(rule("*").matches(None) && !rule("select*").matches(None));
    }

    #[test]
    fn what_could_never_match_or_is_no_error_is_refused() {
        let refused = |matching, action| PostgresRule::try_new(matching, action).err();
        let all = QueryMatching::default;
        assert_eq!(refused(QueryMatching { share: f64::NAN, ..all() }, PostgresAction::Timeout), Some(PostgresRuleError::Share));
        assert_eq!(refused(QueryMatching { query: Some(" ; ".into()), ..all() }, PostgresAction::Timeout), Some(PostgresRuleError::Query));
        assert_eq!(refused(all(), error("no_such", None)), Some(PostgresRuleError::Error("no_such".into())));
        assert_eq!(refused(all(), error("40001", Some("a\0b"))), Some(PostgresRuleError::Message));
        let refuse = PostgresAction::Refuse { error: "too_many_connections".into(), message: None };
        let with_query = QueryMatching { query: Some("*".into()), ..all() };
        assert_eq!(refused(with_query, refuse), Some(PostgresRuleError::QueryOfConnection));
    }
}
