//! The `shakedown` binary: parse, wire, print, exit code. Decides nothing that another room could decide.

mod args;
mod board;
mod commands;
mod console;
mod context;
mod failure;
mod files;
mod helpers;
mod otlp;
mod outputs;
mod terminal;

use args::{Arguments, Command};
use clap::Parser as _;
use std::process::ExitCode;
use terminal::Terminal;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // `--help` and `--version` are no errors; clap prints to the right stream.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()) * 2);
        }
    };
    let terminal = Terminal::new(&arguments.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.error(&format!("no async runtime: {error}"), None);
            return ExitCode::from(4);
        }
    };
    let result = runtime.block_on(dispatch(&arguments, &terminal));
    // Nothing is waited for: whatever is still blocked (a read of stdin, a lookup) holds nothing that lasts.
    runtime.shutdown_background();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            terminal.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn dispatch(arguments: &Arguments, terminal: &Terminal) -> Result<u8, failure::Failure> {
    let global = &arguments.global;
    match &arguments.command {
        Command::Init(options) => commands::init::run(global, options, terminal),
        Command::Doctor => commands::doctor::run(global, terminal).await,
        Command::Validate => commands::validate::run(global, terminal),
        Command::Plan(selection) => commands::plan::run(global, selection, terminal).await,
        Command::Run(options) => Box::pin(commands::run::run(global, options, terminal)).await,
        Command::Calibrate(options) => Box::pin(commands::calibrate::run(global, options, terminal)).await,
        Command::Judge(options) => commands::judge::run(options, terminal),
        Command::Report(options) => commands::report::run(options, terminal),
        Command::Release(options) => commands::release::run(global, options, terminal).await,
        Command::Diff(options) => commands::diff::run(options, terminal),
        Command::Merge(options) => commands::merge::run(options, terminal),
        Command::Import(options) => commands::import::run(options, terminal).await,
        Command::Recover(options) => commands::recover::run(global, options, terminal).await,
        Command::Baseline(action) => commands::baseline::run(global, action, terminal),
        Command::History(action) => commands::history::run(global, action, terminal).await,
        Command::Schema => commands::schema::config(terminal),
        Command::Completions { shell } => commands::schema::completions(*shell, terminal),
        Command::Man => commands::schema::man(terminal),
    }
}
