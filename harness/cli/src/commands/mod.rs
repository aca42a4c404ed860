//! One file a command.

pub(crate) mod baseline;
pub(crate) mod calibrate;
pub(crate) mod diff;
pub(crate) mod doctor;
mod examine;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod judge;
mod look;
pub(crate) mod merge;
pub(crate) mod plan;
pub(crate) mod recover;
mod recover_all;
pub(crate) mod release;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod validate;
