//! A binary inside a service: put into its file system and run by the engine, so that it lives in the service's cgroup and namespaces.
//! The engine closes its stdin when we are gone, also when we were killed.

use super::{beside::stdout_of, engine::Engine};
use crate::{Notices, Pipe, RuntimeError, Within};
use bollard::{
    body_full,
    exec::{CreateExecOptions, StartExecResults},
    query_parameters::UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use tokio_util::io::StreamReader;

/// The binary takes itself away when it runs: nothing else may have this name.
const NAME: &str = ".shakedown-within";

/// Whether a process of this name is one of ours. The kernel keeps 15 characters of it.
pub(super) fn is_ours(comm: &str) -> bool {
    comm.len() >= 12 && NAME.starts_with(comm)
}

pub(crate) async fn run(
    engine: &Engine,
    service: &str,
    container: &str,
    within: &Within<'_>,
    notices: &Notices,
) -> Result<Pipe, RuntimeError> {
    let doing = |what: &str| RuntimeError::engine(format!("{what} service `{service}`"));
    let tar = binary_tar(within.binary).map_err(RuntimeError::io("pack a helper"))?;
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    let uploaded = engine.docker.upload_to_container(container, Some(options), body_full(Bytes::from(tar))).await;
    uploaded.map_err(doing("put a helper into (which needs a root file system that can be written)"))?;
    let command = std::iter::once(format!("/{NAME}")).chain(within.arguments.iter().cloned()).collect();
    execute(engine, service, container, command, notices).await
}

/// Runs what lies in the container already, as root.
pub(crate) async fn execute(
    engine: &Engine,
    service: &str,
    container: &str,
    command: Vec<String>,
    notices: &Notices,
) -> Result<Pipe, RuntimeError> {
    let doing = |what: &str| RuntimeError::engine(format!("{what} service `{service}`"));
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command),
        user: Some("0:0".to_owned()),
        ..CreateExecOptions::default()
    };
    let exec = engine.docker.create_exec(container, options).await.map_err(doing("prepare a helper in"))?;
    match engine.docker.start_exec(&exec.id, None).await.map_err(doing("run a helper in"))? {
        StartExecResults::Attached { output, input } => {
            let output = stdout_of(output, format!("helper in `{service}`"), notices.clone());
            Ok(Pipe { input: Box::new(input), output: Box::new(StreamReader::new(Box::pin(output))) })
        }
        StartExecResults::Detached => Err(RuntimeError::Unsupported {
            runtime: "docker",
            what: format!("talk to a helper in service `{service}`: the engine did not attach to it"),
            way_out: "use another engine".to_owned(),
        }),
    }
}

fn binary_tar(binary: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::with_capacity(binary.len() + 4096));
    let mut header = tar::Header::new_gnu();
    header.set_size(binary.len() as u64);
    header.set_mode(0o755);
    archive.append_data(&mut header, NAME, binary)?;
    archive.into_inner()
}
