//! A folder behind HTTP with a Content-Security-Policy, as artifact pages of CI servers have it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Serves until it is dropped.
pub(crate) struct Served {
    pub(crate) address: String,
    ended: Arc<AtomicBool>,
}

impl Served {
    pub(crate) fn with_policy(folder: &Path, policy: &'static str) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("an address").to_string();
        let ended = Arc::new(AtomicBool::new(false));
        let (folder, end) = (folder.to_owned(), Arc::clone(&ended));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                let folder = folder.clone();
                // A browser opens connections that it does not use: each has a thread, so that none waits for another.
                std::thread::spawn(move || answer(&stream, &folder, policy));
            }
        });
        Served { address: format!("http://{host}"), ended }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address.trim_start_matches("http://"));
    }
}

fn answer(mut stream: &TcpStream, folder: &Path, policy: &str) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let path: PathBuf = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').into();
    let (status, body) = fs::read(folder.join(&path)).map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let kind = match path.extension().and_then(|extension| extension.to_str()) {
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        _ => "text/html",
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nContent-Security-Policy: {policy}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}
