//! The nouns of shakedown: what words mean, the config language, the file formats.
//!
//! This room is plain data and pure functions. It knows neither clock nor disk nor network: what it needs from outside (the text of a
//! file, the environment) is handed in by the caller.

pub mod compose;
pub mod config;
pub mod event;
pub mod evidence;
pub mod experiment;
pub mod fault;
pub mod history;
pub mod ids;
pub mod operation;
pub mod plan;
pub mod release;
pub mod result;
pub mod run;
pub mod stack;
pub mod text;
pub mod time;
pub mod units;
pub mod verdict;
