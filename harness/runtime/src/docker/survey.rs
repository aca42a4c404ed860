//! How a container stands, as the engine tells it: what it is doing, what it may use, and whether anything of ours runs inside.

use super::{engine::Engine, inspect::state_of, limits::granted, within};
use crate::{Depth, RuntimeError, StateWord, Survey};
use bollard::{models::ContainerInspectResponse, query_parameters::TopOptionsBuilder};

impl Engine {
    /// Asked anew each time.
    pub(crate) async fn survey(&self, container: &str, depth: Depth) -> Result<Survey, RuntimeError> {
        let found = self.inspect(container).await?;
        let state = state_of(&found);
        let mut survey = Survey { limits: granted(found.host_config.as_ref()), state, is_stopped: false, ours: Vec::new() };
        if depth == Depth::Outside || !matches!(survey.state.word, StateWord::Running | StateWord::Paused) {
            return Ok(survey);
        }
        let options = TopOptionsBuilder::new().ps_args("-o pid,stat,comm").build();
        match self.docker.top_processes(container, Some(options)).await {
            Ok(top) => read(&mut survey, &found, &top.processes.unwrap_or_default()),
            // It may have ended since.
            Err(error) => {
                survey.state = state_of(&self.inspect(container).await?);
                if survey.state.word == StateWord::Running {
                    return Err(RuntimeError::engine(format!("look at the processes of container {container}"))(error));
                }
            }
        }
        Ok(survey)
    }
}

/// Rows of pid, state and name.
fn read(survey: &mut Survey, found: &ContainerInspectResponse, rows: &[Vec<String>]) {
    let main = found.state.as_ref().and_then(|state| state.pid).unwrap_or_default().to_string();
    for row in rows {
        let [pid, state, name] = row.as_slice() else { continue };
        // A frozen process looks like any other here.
        survey.is_stopped |= *pid == main && state.starts_with('T');
        if within::is_ours(name) && !state.starts_with('Z') {
            survey.ours.push(name.clone());
        }
    }
    survey.ours.sort();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServiceState;
    use bollard::models::ContainerState;

    #[test]
    fn a_main_process_that_stands_still_and_helpers_inside_are_told_apart_from_the_services_own() {
        let state =
            ServiceState { word: StateWord::Running, exit_code: None, out_of_memory: false, health: None, started_at: String::new() };
        let mut survey = Survey { state, is_stopped: false, limits: Vec::new(), ours: Vec::new() };
        let found =
            ContainerInspectResponse { state: Some(ContainerState { pid: Some(7), ..ContainerState::default() }), ..Default::default() };
        let row = |pid: &str, state: &str, name: &str| [pid, state, name].map(str::to_owned).to_vec();
        read(&mut survey, &found, &[row("7", "Ssl", "postgres"), row("8", "T", "postgres"), row("9", "Z", ".shakedown-with")]);
        assert_eq!((survey.is_stopped, survey.ours.len()), (false, 0));
        read(&mut survey, &found, &[row("7", "Tsl", "postgres"), row("10", "S", ".shakedown-with")]);
        assert_eq!((survey.is_stopped, survey.ours), (true, vec![".shakedown-with".to_owned()]));
    }
}
