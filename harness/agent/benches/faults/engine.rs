//! The engine's API, as far as the life of one helper container needs it: what a tool pays that hurts a network by starting a container beside it.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

const SOCKET: &str = "/var/run/docker.sock";

/// Creates a container of an image, starts it, runs `true` in it, removes it.
pub(crate) fn helper_cycle(image: &str) -> io::Result<()> {
    let sleeps = json!({ "Image": image, "Cmd": ["/busybox", "sleep", "60"], "HostConfig": { "NetworkMode": "none" }, "Labels": { "dev.shakedown.bench": "" } });
    let id = ask("POST", "/containers/create", &sleeps)?["Id"].as_str().unwrap_or_default().to_owned();
    let done = ask("POST", &format!("/containers/{id}/start"), &Value::Null).and_then(|_| run_true(&id));
    ask("DELETE", &format!("/containers/{id}?force=true"), &Value::Null)?;
    done
}

fn run_true(container: &str) -> io::Result<()> {
    let created = ask("POST", &format!("/containers/{container}/exec"), &json!({ "AttachStdout": true, "Cmd": ["/busybox", "true"] }))?;
    let id = created["Id"].as_str().unwrap_or_default();
    // The answer ends when the command does.
    ask("POST", &format!("/exec/{id}/start"), &json!({ "Detach": false, "Tty": false }))?;
    let code = &ask("GET", &format!("/exec/{id}/json"), &Value::Null)?["ExitCode"];
    if *code == json!(0) { Ok(()) } else { Err(io::Error::other(format!("the helper ended with {code}"))) }
}

fn ask(method: &str, path: &str, body: &Value) -> io::Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = UnixStream::connect(SOCKET)?;
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if !head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')) {
        return Err(io::Error::other(format!("{method} {path}: {head} {body}")));
    }
    Ok(serde_json::from_str(body).unwrap_or_default())
}
