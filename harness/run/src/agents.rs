//! The harness's end of the pipe to an agent: one request at a time, each with a deadline.

use shakedown_agent::wire::{Answer, Applied, Dose, FaultSpec, Line, MAX_LINE_BYTES, Request, Reverted};
use shakedown_runtime::Pipe;
use std::time::Duration;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    time::timeout,
};

/// Longer than any answer takes on a busy machine; an agent that is silent for so long is taken for dead.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why an agent did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    #[error("the agent beside {service} refused: {message}; {hint}")]
    Refused { service: String, message: String, hint: String },
    #[error("the agent beside {service} is gone ({why}); its faults went with it")]
    Gone { service: String, why: String },
}

/// One agent.
pub(crate) struct Agent {
    service: String,
    /// When its service was started, in the runtime's words: one that was started again has another network namespace.
    beside: String,
    input: Box<dyn AsyncWrite + Send + Unpin>,
    output: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    last_id: u64,
}

impl Agent {
    /// An agent beside `service` as it was started at `beside`.
    pub(crate) fn new(service: &str, beside: String, pipe: Pipe) -> Agent {
        Agent { service: service.to_owned(), beside, input: pipe.input, output: BufReader::new(pipe.output), last_id: 0 }
    }

    pub(crate) async fn apply(&mut self, fault: FaultSpec) -> Result<Applied, AgentError> {
        match self.ask(|id| Request::Apply { id, fault }).await? {
            Answer::Applied(applied) => Ok(applied),
            other => Err(self.gone(format!("it answered {other:?}"))),
        }
    }

    pub(crate) async fn revert(&mut self, name: &str) -> Result<Reverted, AgentError> {
        let name = name.to_owned();
        match self.ask(|id| Request::Revert { id, name }).await? {
            Answer::Reverted(reverted) => Ok(reverted),
            other => Err(self.gone(format!("it answered {other:?}"))),
        }
    }

    /// Whether it still stands beside the service that was started at `beside`, and answers.
    pub(crate) async fn stands_beside(&mut self, beside: &str) -> bool {
        self.beside == beside && self.beat().await.is_ok()
    }

    async fn beat(&mut self) -> Result<(), AgentError> {
        self.ask(|id| Request::Beat { id }).await.map(|_| ())
    }

    async fn ask(&mut self, request: impl FnOnce(u64) -> Request) -> Result<Answer, AgentError> {
        self.last_id += 1;
        let id = self.last_id;
        let mut line = serde_json::to_vec(&request(id)).map_err(|error| self.gone(error))?;
        line.push(b'\n');
        match timeout(DEADLINE, self.exchange(&line, id)).await {
            Ok(Ok(line)) => self.answer(line),
            Ok(Err(error)) => Err(self.gone(error)),
            Err(_) => Err(self.gone(format!("no answer within {} s", DEADLINE.as_secs()))),
        }
    }

    async fn exchange(&mut self, line: &[u8], id: u64) -> std::io::Result<Line> {
        self.input.write_all(line).await?;
        self.input.flush().await?;
        loop {
            let mut text = String::new();
            let read = (&mut self.output).take(MAX_LINE_BYTES as u64 + 1).read_line(&mut text).await?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            // Lines that are not the answer are events (a fault that expired): the revert that follows tells the same.
            if let Ok(line) = serde_json::from_str::<Line>(&text)
                && line.id == Some(id)
            {
                return Ok(line);
            }
        }
    }

    fn answer(&self, line: Line) -> Result<Answer, AgentError> {
        match (line.ok, line.error) {
            (Some(answer), _) => Ok(answer),
            (None, Some(failure)) => {
                Err(AgentError::Refused { service: self.service.clone(), message: failure.message, hint: failure.hint })
            }
            (None, None) => Err(self.gone("it answered neither ok nor error")),
        }
    }

    fn gone(&self, why: impl std::fmt::Display) -> AgentError {
        AgentError::Gone { service: self.service.clone(), why: why.to_string() }
    }
}

/// An agent's dose in the words of the result.
pub(crate) fn figures(dose: &Dose) -> Vec<(&'static str, f64)> {
    let mut figures = vec![("packets", dose.packets as f64), ("bytes", dose.bytes as f64)];
    if let Some(connections) = dose.connections {
        figures.push(("connections", connections as f64));
    }
    if let Some(mean) = dose.mean_delay_us {
        figures.push(("delay_ms", mean as f64 / 1e3));
    }
    if let Some(p99) = dose.p99_delay_us {
        figures.push(("delay_p99_ms", p99 as f64 / 1e3));
    }
    let counts = [("lost", dose.lost), ("reordered", dose.reordered), ("corrupted", dose.corrupted), ("duplicated", dose.duplicated)];
    figures.extend(counts.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, count as f64)));
    if dose.dropped_by_queue > 0 {
        figures.push(("lost_by_queue", dose.dropped_by_queue as f64));
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent_that_says(lines: &'static [u8]) -> Agent {
        let pipe = Pipe { input: Box::new(tokio::io::sink()), output: Box::new(lines) };
        Agent::new("orders", "then".to_owned(), pipe)
    }

    #[tokio::test]
    async fn noise_and_events_before_the_answer_are_passed_over() {
        let mut agent = agent_that_says(b"not json\n{\"id\":null}\n{\"id\":1,\"ok\":{\"beat\":{\"at_unix_ns\":1,\"faults\":[]}}}\n");
        agent.beat().await.unwrap();
    }

    #[tokio::test]
    async fn an_agent_beside_a_service_that_was_started_again_stands_beside_nobody() {
        let answer = b"{\"id\":1,\"ok\":{\"beat\":{\"at_unix_ns\":1,\"faults\":[]}}}\n";
        assert!(!agent_that_says(answer).stands_beside("later").await);
        assert!(agent_that_says(answer).stands_beside("then").await);
    }

    #[tokio::test]
    async fn a_refusal_carries_its_hint_and_an_end_of_file_says_that_the_agent_is_gone() {
        let mut refusing = agent_that_says(b"{\"id\":1,\"error\":{\"code\":\"kernel\",\"message\":\"no\",\"hint\":\"do this\"}}\n");
        assert!(refusing.beat().await.unwrap_err().to_string().contains("do this"));
        let mut dead = agent_that_says(b"");
        assert!(dead.beat().await.unwrap_err().to_string().contains("is gone"));
    }
}
