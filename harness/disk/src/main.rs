//! The binary: choose between beginning a program, controlling its file system, and `--help`.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use shakedown_disk::start::{StartError, start};

const HELP: &str = r#"shakedown-disk: disk faults on directories of one container

usage:
  shakedown-disk disk SETUP -- PROGRAM [ARGUMENT]...
                          mount over directories, give up what that needed, and become the program
  shakedown-disk control  JSON lines on stdin and stdout until stdin ends, then everything passes again
  shakedown-disk --help | --version

beginning needs root (or this binary to be root's and set-user-id), CAP_SYS_ADMIN and /dev/fuse; to try it by hand:
  unshare -mpf --mount-proc shakedown-disk disk '{"mounts":[{"path":"/tmp/data"}],"drop":["sys_admin"]}' -- sh

requests, one a line:
  {"id":1,"op":"facts"}
  {"id":2,"op":"apply","fault":{"name":"slow","ttl_ms":30000,"path":"/tmp/data","ops":["read","write","fsync"],
    "share_ppm":100000,"seed":42,"pattern":"*.wal","effect":{"delay":{"delay_us":20000,"jitter_us":5000}}}}
    (on one line; ops are read, write, fsync, open, metadata; the other effects are
    {"errno":"EIO"}, {"short":{}}, {"corrupt":{}}; a share is of a million operations)
  {"id":3,"op":"dose","name":"slow"}
  {"id":4,"op":"revert","name":"slow"}
  {"id":5,"op":"beat"}

exit codes: the program's; 125 it could not be begun, 126 it cannot be run, 127 it is not there; of control: 0 all taken back, 1 no
file system answers; 2 usage
"#;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    match words[..] {
        ["disk", setup, "--", _, ..] => begin(setup, &arguments[3..]),
        ["control"] => control(),
        ["--help" | "-h" | "help"] => say(HELP),
        ["--version" | "-V"] => say(concat!("shakedown-disk ", env!("CARGO_PKG_VERSION"), "\n")),
        _ => complain(&format!("unknown arguments: {}; see --help", words.join(" ")), 2),
    }
}

fn begin(setup: &str, program: &[OsString]) -> ExitCode {
    let error = start(setup, program);
    let code = match &error {
        StartError::Program { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
        StartError::Program { .. } => 126,
        _ => 125,
    };
    complain(&error.to_string(), code)
}

fn control() -> ExitCode {
    match shakedown_disk::pass_on() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("no file system answers: {error}"), 1),
    }
}

fn say(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "shakedown-disk: {text}");
    ExitCode::from(code)
}
