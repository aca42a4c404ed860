//! `shakedown schema`, `completions`, `man`.

use crate::{args::Arguments, failure::Failure, terminal::Terminal};
use clap::CommandFactory as _;

pub(crate) fn config(terminal: &Terminal) -> Result<u8, Failure> {
    terminal.json(&shakedown_model::config::schema());
    Ok(0)
}

pub(crate) fn completions(shell: clap_complete::Shell, terminal: &Terminal) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "shakedown", &mut text);
    terminal.out(&String::from_utf8_lossy(&text));
    Ok(0)
}

pub(crate) fn man(terminal: &Terminal) -> Result<u8, Failure> {
    let mut text = Vec::new();
    let rendered = clap_mangen::Man::new(Arguments::command()).render(&mut text);
    rendered.map_err(|error| Failure::Bug(format!("manual page: {error}")))?;
    terminal.out(&String::from_utf8_lossy(&text));
    Ok(0)
}
