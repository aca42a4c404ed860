//! Real servers for the tests, each in a directory of its own, gone with the test. It must not know what is asked of them.

use crate::rig::{Rig, soon};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};

/// A server that runs.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    process: Child,
    /// How it is asked to stop.
    farewell: Signal,
    log: Option<JoinHandle<()>>,
    _directory: TempDir,
}

impl Server {
    /// PostgreSQL, with nothing in it.
    pub(crate) async fn postgres() -> Server {
        let programs = postgres_programs();
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("data");
        give_to_postgres(&directory);
        let made = as_postgres(&directory, programs.join("initdb"))
            .args(["--no-sync", "--no-instructions", "--auth=trust", "--username=shop", "--locale=C", "--encoding=UTF8", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let address = free_address();
        let mut command = as_postgres(&directory, programs.join("postgres"));
        command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &address.port().to_string()]);
        for setting in ["unix_socket_directories=", "fsync=off", "shared_buffers=8MB", "max_prepared_transactions=4"] {
            command.args(["-c", setting]);
        }
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        // A fast end of PostgreSQL takes its shared memory away with it, which a killed one leaves.
        Server::start(command, Signal::INT, address, directory, |process| Box::new(process.stderr.take().unwrap())).await
    }

    /// Redis, with nothing in it.
    pub(crate) async fn redis() -> Server {
        let program = find("redis-server", &["/usr/bin", "/usr/local/bin"])
            .expect("no redis-server: apt-get install -y --no-install-recommends redis-server");
        let directory = TempDir::new().unwrap();
        let address = free_address();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program).current_dir(directory.path());
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &address.port().to_string()]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        Server::start(command, Signal::TERM, address, directory, |process| Box::new(process.stdout.take().unwrap())).await
    }

    /// Starts it, and waits until it says that it is ready.
    async fn start(
        mut command: Command,
        farewell: Signal,
        address: SocketAddr,
        directory: TempDir,
        log: impl FnOnce(&mut Child) -> Box<dyn Read + Send>,
    ) -> Server {
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = BufReader::new(log(&mut process)).lines();
        let (tell, told) = oneshot::channel();
        let log = thread::spawn(move || {
            let (mut tell, mut said) = (Some(tell), String::new());
            for line in lines.map_while(Result::ok) {
                if line.to_lowercase().contains("ready to accept connections")
                    && let Some(tell) = tell.take()
                {
                    tell.send(Ok(())).unwrap();
                }
                if tell.is_some() {
                    said += &(line + "\n");
                }
            }
            if let Some(tell) = tell {
                let _ = tell.send(Err(said));
            }
        });
        let server = Server { address, process, farewell, log: Some(log), _directory: directory };
        soon(told).await.unwrap().unwrap_or_else(|said| panic!("the server did not start: {said}"));
        server
    }

    /// A link in front of it.
    pub(crate) async fn behind_link(&self) -> Rig {
        Rig::leading_to(self.address, TcpListener::bind("127.0.0.1:0").await.unwrap()).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), self.farewell);
        let _ = self.process.wait();
        if let Some(log) = self.log.take() {
            let _ = log.join();
        }
    }
}

fn free_address() -> SocketAddr {
    StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn find(program: &str, directories: &[&str]) -> Option<PathBuf> {
    directories.iter().map(|directory| PathBuf::from(directory).join(program)).find(|path| path.exists())
}

/// Debian keeps them apart by version, and out of the search path.
pub(crate) fn postgres_programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin"));
    let newest = versions.filter(|programs| programs.join("initdb").exists()).max();
    newest.expect("no PostgreSQL: apt-get install -y --no-install-recommends postgresql")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// It refuses to run as root.
fn as_postgres(directory: &TempDir, program: PathBuf) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    // Where the test is killed, so is the server.
    command.args(["--pdeathsig", "INT"]).arg(program).current_dir(directory.path()).env("LC_ALL", "C");
    command
}

fn give_to_postgres(directory: &TempDir) {
    if is_root() {
        let given = Command::new("chown").arg("postgres:").arg(directory.path()).status().unwrap();
        assert!(given.success(), "no user postgres: apt-get install -y --no-install-recommends postgresql");
    }
}
