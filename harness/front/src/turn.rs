//! One experiment at a time on a machine, over all processes: `cargo nextest` starts one for each test.

use std::{fs::File, io};

/// Held while an experiment runs; the end of the process gives it back, too.
pub(crate) struct Turn(File);

impl Turn {
    /// Waits for it, as long as it takes.
    pub(crate) async fn take() -> io::Result<Turn> {
        let path = std::env::temp_dir().join("shakedown-front.lock");
        let waiting = tokio::task::spawn_blocking(move || {
            let file = File::options().create(true).append(true).open(path)?;
            file.lock()?;
            Ok(Turn(file))
        });
        waiting.await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Closing does it as well; who forked meanwhile may hold a copy.
        let _ = self.0.unlock();
    }
}
