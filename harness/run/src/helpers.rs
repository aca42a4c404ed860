//! The harness's end of the pipe to a helper (an agent, a relay or a disk) in the manner of [`shakedown_line`]: one request at a time, each
//! with a deadline.

use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use shakedown_agent::wire as agent;
use shakedown_disk::wire as disk;
use shakedown_line::{Line, said};
use shakedown_link::wire as relay;
use shakedown_runtime::Pipe;
use std::{marker::PhantomData, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    time::timeout,
};

/// Longer than any answer takes on a busy machine; an agent that is silent for so long is taken for dead.
const DEADLINE: Duration = Duration::from_secs(10);

/// Longest line that is read: the relay's, which is the longer one.
const MAX_LINE_BYTES: usize = relay::MAX_LINE_BYTES;

/// An agent.
pub(crate) type Agent = Helper<agent::Answer>;
/// A relay.
pub(crate) type Relay = Helper<relay::Answer>;
/// A service's file system.
pub(crate) type Disk = Helper<disk::Answer>;

/// Why a helper did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelperError {
    #[error("the {who} refused: {message}; {hint}")]
    Refused { who: String, message: String, hint: String },
    #[error("the {who} is gone ({why}); what it did went with it")]
    Gone { who: String, why: String },
}

/// A helper whose answers are `A`.
pub(crate) struct Helper<A> {
    /// `agent beside orders`
    who: String,
    /// When its service was started, in the runtime's words: one that was started again has other namespaces.
    beside: String,
    input: Box<dyn AsyncWrite + Send + Unpin>,
    output: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    last_id: u64,
    answers: PhantomData<fn() -> A>,
}

/// A line from a helper, as far as it is read: events tell what the revert that follows tells as well.
type Reply<A> = Line<A, IgnoredAny>;

impl<A: DeserializeOwned + std::fmt::Debug> Helper<A> {
    /// The helper `who`, beside a service as it was started at `beside`.
    pub(crate) fn new(who: String, beside: String, pipe: Pipe) -> Helper<A> {
        Helper { who, beside, input: pipe.input, output: BufReader::new(pipe.output), last_id: 0, answers: PhantomData }
    }

    /// Asks, and picks what was asked for out of the answer.
    pub(crate) async fn ask<R: Serialize, T>(
        &mut self,
        request: impl FnOnce(u64) -> R,
        pick: impl FnOnce(A) -> Option<T>,
    ) -> Result<T, HelperError> {
        self.last_id += 1;
        let id = self.last_id;
        let line = said(&request(id)).map_err(|error| self.gone(error))?;
        let reply = match timeout(DEADLINE, self.exchange(&line, id)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => return Err(self.gone(error)),
            Err(_) => return Err(self.gone(format!("no answer within {} s", DEADLINE.as_secs()))),
        };
        match (reply.ok, reply.error) {
            (Some(answer), _) => pick(answer).ok_or_else(|| self.gone("it answered something else than it was asked")),
            (None, Some(failure)) => Err(HelperError::Refused { who: self.who.clone(), message: failure.message, hint: failure.hint }),
            (None, None) => Err(self.gone("it answered neither ok nor error")),
        }
    }

    async fn exchange(&mut self, line: &[u8], id: u64) -> std::io::Result<Reply<A>> {
        self.input.write_all(line).await?;
        self.input.flush().await?;
        loop {
            let mut text = String::new();
            let read = (&mut self.output).take(MAX_LINE_BYTES as u64 + 1).read_line(&mut text).await?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            // Lines that are not the answer are events.
            if let Ok(reply) = serde_json::from_str::<Reply<A>>(&text)
                && reply.id == Some(id)
            {
                return Ok(reply);
            }
        }
    }

    /// Whether it stands beside the service as that was started at `beside`.
    pub(crate) fn is_beside(&self, beside: &str) -> bool {
        self.beside == beside
    }

    fn gone(&self, why: impl std::fmt::Display) -> HelperError {
        HelperError::Gone { who: self.who.clone(), why: why.to_string() }
    }
}

impl Agent {
    pub(crate) async fn apply(&mut self, fault: agent::FaultSpec) -> Result<agent::Applied, HelperError> {
        let request = |id| agent::Request::Apply { id, fault };
        self.ask(request, |answer| if let agent::Answer::Applied(applied) = answer { Some(applied) } else { None }).await
    }

    pub(crate) async fn revert(&mut self, name: &str) -> Result<agent::Reverted, HelperError> {
        let request = |id| agent::Request::Revert { id, name: name.to_owned() };
        self.ask(request, |answer| if let agent::Answer::Reverted(reverted) = answer { Some(reverted) } else { None }).await
    }

    /// What stands in its namespaces.
    pub(crate) async fn survey(&mut self) -> Result<agent::Survey, HelperError> {
        let request = |id| agent::Request::Survey { id };
        self.ask(request, |answer| if let agent::Answer::Survey(survey) = answer { Some(survey) } else { None }).await
    }

    /// Whether it stands beside the service that was started at `beside`, and answers.
    pub(crate) async fn answers_beside(&mut self, beside: &str) -> bool {
        self.is_beside(beside) && self.ask(|id| agent::Request::Beat { id }, Some).await.is_ok()
    }
}

impl Disk {
    pub(crate) async fn apply(&mut self, fault: disk::FaultSpec) -> Result<disk::Applied, HelperError> {
        let request = |id| disk::Request::Apply { id, fault };
        self.ask(request, |answer| if let disk::Answer::Applied(applied) = answer { Some(applied) } else { None }).await
    }

    pub(crate) async fn revert(&mut self, name: &str) -> Result<disk::Reverted, HelperError> {
        let request = |id| disk::Request::Revert { id, name: name.to_owned() };
        self.ask(request, |answer| if let disk::Answer::Reverted(reverted) = answer { Some(reverted) } else { None }).await
    }
}

impl Relay {
    pub(crate) async fn open(&mut self, name: &str, to: shakedown_link::Target) -> Result<relay::Opened, HelperError> {
        let request = |id| relay::Request::Open { id, name: name.to_owned(), to };
        self.ask(request, |answer| if let relay::Answer::Opened(opened) = answer { Some(opened) } else { None }).await
    }

    pub(crate) async fn set(
        &mut self,
        name: &str,
        behaviour: shakedown_link::Behaviour,
        connections: Option<shakedown_link::Toxicity>,
        ttl_ms: u64,
    ) -> Result<relay::Set, HelperError> {
        let request = |id| relay::Request::Set { id, name: name.to_owned(), behaviour, connections, ttl_ms };
        self.ask(request, |answer| if let relay::Answer::Set(set) = answer { Some(set) } else { None }).await
    }

    pub(crate) async fn open_dns(&mut self, name: &str, upstream: std::net::SocketAddr) -> Result<relay::Opened, HelperError> {
        let request = |id| relay::Request::OpenDns { id, name: name.to_owned(), upstream };
        self.ask(request, |answer| if let relay::Answer::Opened(opened) = answer { Some(opened) } else { None }).await
    }

    pub(crate) async fn set_dns(&mut self, name: &str, rule: shakedown_link::DnsRule, ttl_ms: u64) -> Result<relay::Set, HelperError> {
        let request = |id| relay::Request::SetDns { id, name: name.to_owned(), rule, ttl_ms };
        self.ask(request, |answer| if let relay::Answer::Set(set) = answer { Some(set) } else { None }).await
    }

    pub(crate) async fn clear(&mut self, name: &str) -> Result<relay::Cleared, HelperError> {
        let request = |id| relay::Request::Clear { id, name: name.to_owned() };
        self.ask(request, |answer| if let relay::Answer::Cleared(cleared) = answer { Some(cleared) } else { None }).await
    }

    pub(crate) async fn close(&mut self, name: &str) -> Result<relay::Closed, HelperError> {
        let request = |id| relay::Request::Close { id, name: name.to_owned() };
        self.ask(request, |answer| if let relay::Answer::Closed(closed) = answer { Some(closed) } else { None }).await
    }

    /// Whether it stands beside the service that was started at `beside`, and answers.
    pub(crate) async fn answers_beside(&mut self, beside: &str) -> bool {
        self.is_beside(beside) && self.ask(|id| relay::Request::Beat { id }, Some).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent_that_says(lines: &'static [u8]) -> Agent {
        let pipe = Pipe { input: Box::new(tokio::io::sink()), output: Box::new(lines) };
        Agent::new("agent beside orders".to_owned(), "then".to_owned(), pipe)
    }

    #[tokio::test]
    async fn noise_and_events_before_the_answer_are_passed_over() {
        let lines = b"not json\n{\"id\":null}\n{\"id\":1,\"ok\":{\"beat\":{\"at_unix_ns\":1,\"faults\":[]}}}\n";
        assert!(agent_that_says(lines).answers_beside("then").await);
    }

    #[tokio::test]
    async fn an_agent_beside_a_service_that_was_started_again_stands_beside_nobody() {
        let answer = b"{\"id\":1,\"ok\":{\"beat\":{\"at_unix_ns\":1,\"faults\":[]}}}\n";
        assert!(!agent_that_says(answer).answers_beside("later").await);
        assert!(agent_that_says(answer).answers_beside("then").await);
    }

    #[tokio::test]
    async fn a_refusal_carries_its_hint_and_an_end_of_file_says_that_the_agent_is_gone() {
        let refusal = b"{\"id\":1,\"error\":{\"code\":\"kernel\",\"message\":\"no\",\"hint\":\"do this\"}}\n";
        assert!(agent_that_says(refusal).revert("f").await.unwrap_err().to_string().contains("do this"));
        assert!(agent_that_says(b"").revert("f").await.unwrap_err().to_string().contains("is gone"));
    }
}
