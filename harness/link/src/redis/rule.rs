//! Which commands a Redis fault is for, and what it does to them. A rule that exists is valid.

use super::keys::{Role, can_miss, keys, role};
use crate::{
    pattern::is_like,
    wire::{RuleWords, micros, ppm},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// Which commands; all that is given must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CommandMatching {
    /// Names, in any case; `*` is every one, and so is an empty list. What sets a connection up (`AUTH`, `HELLO`, `SELECT`, `CLIENT`) and the ends of
    /// transactions but `EXEC` are never met.
    pub commands: Vec<String>,
    /// Of one of the keys: `*` is any run of characters and `?` one.
    pub key: Option<String>,
    /// Of the commands for which all of that holds, the share that is met, from 0 to 1.
    #[serde(rename = "share_ppm", with = "ppm")]
    pub share: f64,
    /// Of the choice, which is drawn for each connection in the order of its commands.
    pub seed: u64,
}

impl Default for CommandMatching {
    /// Every command.
    fn default() -> CommandMatching {
        CommandMatching { commands: Vec::new(), key: None, share: 1.0, seed: 0 }
    }
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RedisAction {
    /// The command is not executed and fails, a transaction around it too, and the connection stays usable.
    Error {
        /// `LOADING`, `OOM`, `READONLY`, `MASTERDOWN`, `CLUSTERDOWN`, `BUSY` or `TRYAGAIN` for what a server says then, or any text of one line
        /// that begins with the error's kind.
        error: String,
    },
    /// A command that reads finds its keys, those that match, not there: it reaches the callee with another name in their place. Others pass.
    Miss,
    /// The command reaches the callee later by this much, and so does what comes behind it on its connection.
    Delay {
        /// How much later.
        #[serde(rename = "delay_us", with = "micros")]
        duration: Duration,
    },
    /// The command is held until the setting ends, and so is what comes behind it. A caller that leaves before takes it along.
    Timeout,
}

/// Commands and what is done to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Words", into = "Words")]
pub struct RedisRule {
    matching: CommandMatching,
    action: RedisAction,
    /// In capitals.
    names: Vec<Vec<u8>>,
    error: Option<String>,
}

type Words = RuleWords<CommandMatching, RedisAction>;

impl TryFrom<Words> for RedisRule {
    type Error = RedisRuleError;

    fn try_from(Words { matching, action }: Words) -> Result<RedisRule, RedisRuleError> {
        RedisRule::try_new(matching, action)
    }
}

impl From<RedisRule> for Words {
    fn from(RedisRule { matching, action, .. }: RedisRule) -> Words {
        Words { matching, action }
    }
}

/// Why a rule is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisRuleError {
    /// Not a fraction.
    Share,
    /// Not the name of a command.
    Command(String),
    /// A command that is never met, because it sets a connection up.
    Session(String),
    /// A command that does not read what could be missed.
    Miss(String),
    /// Not an error of one line.
    Error(String),
    /// A pattern that no key has.
    Key,
}

impl fmt::Display for RedisRuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedisRuleError::Share => write!(f, "the share must be from 0 to 1"),
            RedisRuleError::Command(name) => write!(f, "{name:?} is not the name of a command"),
            RedisRuleError::Session(name) => write!(f, "{name} sets a connection up and is never met"),
            RedisRuleError::Miss(name) => write!(f, "{name} does not read a key that could be missed"),
            RedisRuleError::Error(error) => write!(f, "{error:?} is no error: give one printable line, as \"LOADING\" or \"ERR why\""),
            RedisRuleError::Key => write!(f, "an empty pattern matches no key: leave it out to match all"),
        }
    }
}

impl std::error::Error for RedisRuleError {}

/// A share that was accepted equals itself.
impl Eq for RedisRule {}

/// What a server says.
const KNOWN: [(&str, &str); 7] = [
    ("LOADING", "Redis is loading the dataset in memory"),
    ("OOM", "command not allowed when used memory > 'maxmemory'."),
    ("READONLY", "You can't write against a read only replica."),
    ("MASTERDOWN", "Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
    ("CLUSTERDOWN", "The cluster is down"),
    ("BUSY", "Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."),
    ("TRYAGAIN", "Multiple keys request during rehashing of slot"),
];

impl RedisRule {
    /// Refuses what no command could match, and errors that are none.
    pub fn try_new(matching: CommandMatching, action: RedisAction) -> Result<RedisRule, RedisRuleError> {
        if !(0.0..=1.0).contains(&matching.share) {
            return Err(RedisRuleError::Share);
        }
        if matching.key.as_ref().is_some_and(String::is_empty) {
            return Err(RedisRuleError::Key);
        }
        let all = matching.commands.iter().any(|name| name == "*");
        let names = matching.commands.iter().filter(|_| !all).map(|name| named(name, &action)).collect::<Result<_, _>>()?;
        let error = if let RedisAction::Error { error } = &action { Some(line(error)?) } else { None };
        Ok(RedisRule { matching, action, names, error })
    }

    pub(super) fn action(&self) -> &RedisAction {
        &self.action
    }

    /// What is replied, without letter and line break, if that is what is done.
    pub(super) fn error(&self) -> &str {
        self.error.as_deref().unwrap_or_default()
    }

    /// Whether it is for a command of this name, in capitals, with these arguments.
    pub(super) fn matches(&self, name: &[u8], arguments: &[Vec<u8>]) -> bool {
        let is_named = self.names.is_empty() || self.names.iter().any(|other| other == name);
        is_named && (self.matching.key.is_none() || keys(name, arguments).into_iter().any(|at| self.is_for(&arguments[at])))
    }

    /// Whether it is for this key.
    pub(super) fn is_for(&self, key: &[u8]) -> bool {
        self.matching.key.as_ref().is_none_or(|pattern| is_like(pattern.as_bytes(), key))
    }

    pub(super) fn share(&self) -> f64 {
        self.matching.share
    }

    pub(super) fn seed(&self) -> u64 {
        self.matching.seed
    }
}

/// An error as a reply.
pub(super) fn reply(error: &str) -> Bytes {
    format!("-{error}\r\n").into()
}

fn named(name: &str, action: &RedisAction) -> Result<Vec<u8>, RedisRuleError> {
    let capitals = name.to_ascii_uppercase().into_bytes();
    if capitals.is_empty() || !capitals.iter().all(u8::is_ascii_graphic) || capitals.contains(&b'*') {
        return Err(RedisRuleError::Command(name.to_owned()));
    }
    match role(&capitals, &[]) {
        Role::Plain | Role::Exec => {}
        _ => return Err(RedisRuleError::Session(name.to_owned())),
    }
    if *action == RedisAction::Miss && !can_miss(&capitals) {
        return Err(RedisRuleError::Miss(name.to_owned()));
    }
    Ok(capitals)
}

fn line(error: &str) -> Result<String, RedisRuleError> {
    let text = error.strip_prefix('-').unwrap_or(error);
    if text.trim().is_empty() || text.starts_with(' ') || text.chars().any(char::is_control) {
        return Err(RedisRuleError::Error(error.to_owned()));
    }
    let known = KNOWN.iter().find(|(kind, _)| *kind == text);
    Ok(known.map_or_else(|| text.to_owned(), |(kind, says)| format!("{kind} {says}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(commands: &[&str], key: Option<&str>) -> CommandMatching {
        let commands = commands.iter().map(|name| (*name).to_owned()).collect();
        CommandMatching { commands, key: key.map(str::to_owned), ..CommandMatching::default() }
    }

    fn matches(commands: &[&str], key: Option<&str>, line: &str) -> bool {
        let arguments: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let rule = RedisRule::try_new(matching(commands, key), RedisAction::Timeout).expect("the rule of the test is one");
        rule.matches(&arguments[0].to_ascii_uppercase(), &arguments)
    }

    #[test]
    fn command_and_key_must_both_hold() {
        assert!(matches(&["get", "MGET"], Some("cart:*"), "GET cart:7") && matches(&["get"], None, "Get x"));
        assert!(matches(&["mget"], Some("cart:*"), "MGET a cart:7") && matches(&["*"], Some("cart:*"), "SET cart:7 1"));
        assert!(!matches(&["get"], Some("cart:*"), "GET user:7") && !matches(&["get"], None, "SET cart:7 1"));
        assert!(!matches(&[], Some("*"), "PING") && matches(&[], None, "PING"));
    }

    #[test]
    fn errors_are_what_a_server_says_or_any_line() {
        let error = |error: &str| {
            let rule = RedisRule::try_new(CommandMatching::default(), RedisAction::Error { error: error.into() });
            rule.map(|rule| rule.error().to_owned())
        };
        assert_eq!(error("LOADING"), Ok("LOADING Redis is loading the dataset in memory".into()));
        assert_eq!(error("-ERR my own"), Ok("ERR my own".into()));
        assert_eq!(error("LOADING soon"), Ok("LOADING soon".into()));
        for text in ["", "-", " x", "a\r\nb", "a\0"] {
            assert_eq!(error(text), Err(RedisRuleError::Error(text.into())));
        }
    }

    #[test]
    fn what_could_never_match_is_refused() {
        let refused = |matching, action| RedisRule::try_new(matching, action).err();
        assert_eq!(refused(matching(&["auth"], None), RedisAction::Timeout), Some(RedisRuleError::Session("auth".into())));
        assert_eq!(refused(matching(&["CONFIG GET"], None), RedisAction::Timeout), Some(RedisRuleError::Command("CONFIG GET".into())));
        assert_eq!(refused(matching(&["SET"], None), RedisAction::Miss), Some(RedisRuleError::Miss("SET".into())));
        assert_eq!(refused(matching(&[], Some("")), RedisAction::Miss), Some(RedisRuleError::Key));
        assert_eq!(refused(CommandMatching { share: -0.1, ..matching(&[], None) }, RedisAction::Miss), Some(RedisRuleError::Share));
        assert_eq!(refused(matching(&["EXEC"], None), RedisAction::Timeout), None);
    }
}
