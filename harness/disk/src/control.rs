//! `shakedown-disk control`: what comes in on stdin goes to the file system, what it says goes to stdout. The end of stdin, of stdout or
//! of this process ends the conversation, and with it its faults.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;

/// Beside the binary, wherever it was put: `/.shakedown-disk.socket` in a container.
pub(crate) fn socket_path() -> io::Result<PathBuf> {
    let mut path = std::env::current_exe()?.into_os_string();
    path.push(".socket");
    Ok(path.into())
}

/// Connects, and passes on until the file system has said its last word. The binary is set-user-id: only root itself may do this.
pub fn pass_on() -> io::Result<()> {
    if !rustix::process::getuid().is_root() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it listens to root only"));
    }
    let stream = UnixStream::connect(socket_path()?)?;
    let mut sending = stream.try_clone()?;
    // It may block on stdin for ever; nobody waits for it.
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut sending);
        let _ = sending.shutdown(Shutdown::Write);
    })?;
    pump(stream)
}

fn pump(mut stream: UnixStream) -> io::Result<()> {
    use io::{Read as _, Write as _};
    let (mut buffer, mut output) = (vec![0; 16 * 1024], io::stdout().lock());
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        output.write_all(&buffer[..length])?;
        output.flush()?;
    }
}
