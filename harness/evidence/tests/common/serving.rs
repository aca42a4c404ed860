//! A server that gives known answers over HTTP/1.1, or one that never ends.

use serde_json::Value;
use shakedown_evidence::import::Origin;
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Serves until it is dropped.
pub(crate) struct Serving {
    address: SocketAddr,
    _task: JoinSet<()>,
}

impl Serving {
    /// Each answer for what begins with its path; the longest one wins.
    pub(crate) async fn json(answers: Vec<(String, Value)>) -> Serving {
        let answers = Arc::new(answers);
        Serving::with(move |stream| {
            let answers = Arc::clone(&answers);
            async move { answer(stream, &answers).await }
        })
        .await
    }

    /// Answers with a document that has no end.
    pub(crate) async fn endless() -> Serving {
        Serving::with(|mut stream: TcpStream| async move {
            let _asked = path(&mut stream).await;
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"data\": [").await;
            let more = vec![b' '; 1 << 20];
            while sent.is_ok() {
                sent = stream.write_all(&more).await;
            }
        })
        .await
    }

    async fn with<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Serving {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream));
            }
        });
        Serving { address, _task: task }
    }

    pub(crate) fn origin(&self, path: &str) -> Origin {
        format!("http://{}{path}", self.address).parse().unwrap()
    }
}

async fn answer(mut stream: TcpStream, answers: &[(String, Value)]) {
    let path = path(&mut stream).await;
    let found = answers.iter().filter(|(prefix, _)| path.starts_with(prefix.as_str())).max_by_key(|(prefix, _)| prefix.len());
    let (status, body) = found.map_or(("404 Not Found", "nothing here".to_owned()), |(_, body)| ("200 OK", body.to_string()));
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    let _gone = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await;
}

/// The path of the request, whose head is read to its end.
async fn path(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned()
}
