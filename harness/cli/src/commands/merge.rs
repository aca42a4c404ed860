//! `shakedown merge DIR… --out DIR`: the shards of one run under one verdict. What they recorded lies in `shards/` of the new directory, so that it
//! can be judged again.

use super::{judge, report};
use crate::{
    args::MergeOptions,
    failure::{Failure, io},
    outputs,
    terminal::Terminal,
};
use shakedown_judge::shards::{self, Shard};
use shakedown_model::result::RunResult;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the shards of a joined run lie.
const SHARDS: &str = "shards";

pub(crate) fn run(options: &MergeOptions, terminal: &Terminal) -> Result<u8, Failure> {
    let out = &options.out;
    if out.exists() {
        return Err(Failure::usage(format!("{} exists already", out.display()), "name another directory with --out, or remove it"));
    }
    let parts = options.directories.iter().map(|directory| shard(directory, report::read)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<u32> = parts.iter().map(|part| part.index).collect();
    let result = joined(parts)?;
    for (directory, index) in options.directories.iter().zip(names) {
        copy(directory, &out.join(SHARDS).join(index.to_string()))?;
    }
    outputs::write_all(out, &result, &options.files, terminal)?;
    judge::print(&result, out, terminal)?;
    Ok(result.exit_code)
}

/// Whether `merge` made this directory.
pub(crate) fn is_joined(directory: &Path) -> bool {
    directory.join(SHARDS).is_dir() && !directory.join("run.json").exists()
}

/// Judges each shard of a joined run again, and joins them again.
pub(crate) fn judge(directory: &Path, recorded: Option<&Path>) -> Result<RunResult, Failure> {
    let folder = directory.join(SHARDS);
    let mut directories: Vec<PathBuf> =
        fs::read_dir(&folder).map_err(io(&folder))?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    directories.sort();
    let again = |directory: &Path| judge::judge(directory, recorded);
    joined(directories.iter().map(|directory| shard(directory, again)).collect::<Result<Vec<_>, _>>()?)
}

fn shard(directory: &Path, result: impl Fn(&Path) -> Result<RunResult, Failure>) -> Result<Shard, Failure> {
    let meta = shakedown_evidence::run_meta(directory)
        .map_err(|error| Failure::usage(error, "name the directories that `shakedown run --shard i/n` wrote"))?;
    Ok(Shard { index: meta.shard, count: meta.shards, result: result(directory)? })
}

fn joined(shards: Vec<Shard>) -> Result<RunResult, Failure> {
    shards::merge(shards)
        .map_err(|error| Failure::usage(error, "give the directories of all shards of one run: `--shard 1/n` to `--shard n/n`"))
}

/// Files and folders; links are not followed, since somebody else may have packed the directory.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to).map_err(io(to))?;
    for entry in fs::read_dir(from).map_err(io(from))? {
        let entry = entry.map_err(io(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(io(&source))?;
        if kind.is_dir() {
            copy(&source, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).map_err(io(&source))?;
        }
    }
    Ok(())
}
