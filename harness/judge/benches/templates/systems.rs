//! Messages in the manner of systems that are widely run. `‹kind›` is a value.

use crate::values::value;
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::fmt::Write as _;

/// One system: what stands before each message, and the messages, the frequent ones first.
pub(crate) struct System {
    pub(crate) name: &'static str,
    head: &'static str,
    messages: &'static [&'static str],
}

impl System {
    /// Lines and the message that each is of. The message of rank r is drawn with weight 1/r, and the second half of the ranks is shuffled.
    pub(crate) fn lines(&self, count: usize, seed: u64) -> Vec<(String, String)> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut messages = self.messages.to_vec();
        let half = messages.len() / 2;
        messages[half..].shuffle(&mut random);
        let total: f64 = (1..=messages.len()).map(|rank| 1.0 / rank as f64).sum();
        let mut line = || {
            let mut left = random.random_range(0.0..total);
            let drawn = messages.iter().enumerate().find(|(index, _)| {
                left -= 1.0 / (index + 1) as f64;
                left <= 0.0
            });
            let message = drawn.map_or(messages[0], |(_, message)| *message);
            (message.to_owned(), filled(self.head, &mut random) + &filled(message, &mut random))
        };
        (0..count).map(|_| line()).collect()
    }
}

fn filled(message: &str, random: &mut ChaCha8Rng) -> String {
    let mut text = String::new();
    let mut rest = message;
    while let Some((before, behind)) = rest.split_once('‹') {
        let (kind, behind) = behind.split_once('›').expect("every ‹ has its ›");
        let _ = write!(text, "{before}{}", value(kind, random));
        rest = behind;
    }
    text + rest
}

pub(crate) const ALL: &[System] = &[
    System {
        name: "HDFS",
        head: "261122 ‹port› ‹small› INFO dfs.",
        messages: &[
            "DataNode$PacketResponder: PacketResponder ‹small› for block ‹block› terminating",
            "DataNode$PacketResponder: Received block ‹block› of size ‹n› from /‹ip›",
            "DataNode$DataXceiver: Receiving block ‹block› src: /‹ipport› dest: /‹ipport›",
            "FSNamesystem: BLOCK* NameSystem.addStoredBlock: blockMap updated: ‹ipport› is added to ‹block› size ‹n›",
            "FSNamesystem: BLOCK* NameSystem.allocateBlock: ‹path›. ‹block›",
            "FSDataset: Deleting block ‹block› file ‹path›",
            "DataNode: ‹ipport› Served block ‹block› to /‹ip›",
            "DataNode$DataXceiver: ‹ipport›:Got exception while serving ‹block› to /‹ip›:",
            "FSNamesystem: BLOCK* NameSystem.delete: ‹block› is added to invalidSet of ‹ipport›",
            "DataBlockScanner: Verification succeeded for ‹block›",
            "DataNode: ‹ipport› Starting thread to transfer block ‹block› to ‹peers›",
            "FSNamesystem: BLOCK* ask ‹ipport› to replicate ‹block› to datanode(s) ‹peers›",
            "DataNode$DataXceiver: writeBlock ‹block› received exception ‹class›: Connection reset by peer",
            "DataNode$BlockReceiver: Exception in receiveBlock for block ‹block› ‹class›: Broken pipe",
        ],
    },
    System {
        name: "BGL",
        head: "- 1117838570 2026.06.03 R0‹small›-M1-N‹small›-C:J12-U11 ‹date› RAS KERNEL ",
        messages: &[
            "INFO generating core.‹n›",
            "INFO instruction cache parity error corrected",
            "INFO ‹n› double-hummer alignment exceptions",
            "INFO CE sym ‹small›, at ‹hex›, mask ‹hex›",
            "FATAL data TLB error interrupt",
            "FATAL ciod: Error reading message prefix on CioStream socket to ‹ipport›, Link has been severed",
            "INFO ‹small› ddr errors(s) detected and corrected on rank ‹small›, symbol ‹small›, bit ‹small›",
            "FATAL ciod: failed to read message prefix on control stream (CioStream socket to ‹ipport›",
            "INFO total of ‹small› ddr error(s) detected and corrected over ‹n› seconds",
            "INFO ciod: generated ‹small› core files for program ‹path›",
            "FATAL rts: kernel terminated for reason ‹n›",
            "FATAL data storage interrupt",
            "INFO instruction address: ‹hex›",
            "INFO data address: ‹hex›",
            "INFO core configuration register: ‹hex›",
            "INFO machine state register: ‹hex›",
            "INFO auxiliary processor.........................‹small›",
            "INFO store operation.............................‹small›",
            "FATAL ciod: Error loading ‹path›: program image too big, ‹n› > ‹n›",
            "FATAL ciod: LOGIN chdir(‹path›) failed: No such file or directory",
            "FATAL ciod: LOGIN chdir(‹path›) failed: Input/output error",
            "ERROR ‹small› L3 EDRAM error(s) (dcr ‹hex›) detected and corrected",
            "FATAL lr:‹hash› cr:‹hex› xer:‹hex› ctr:‹hash›",
        ],
    },
    System {
        name: "OpenSSH",
        head: "‹syslog› ‹host› sshd[‹n›]: ",
        messages: &[
            "Failed password for ‹user› from ‹ip› port ‹port› ssh2",
            "Received disconnect from ‹ip›: 11: Bye Bye [preauth]",
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=‹ip›",
            "Failed password for invalid user ‹user› from ‹ip› port ‹port› ssh2",
            "Invalid user ‹user› from ‹ip›",
            "input_userauth_request: invalid user ‹user› [preauth]",
            "pam_unix(sshd:auth): check pass; user unknown",
            "Accepted password for ‹user› from ‹ip› port ‹port› ssh2",
            "Connection closed by ‹ip› [preauth]",
            "reverse mapping checking getaddrinfo for ‹host› [‹ip›] failed - POSSIBLE BREAK-IN ATTEMPT!",
            "PAM ‹small› more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=‹ip›  user=root",
            "Did not receive identification string from ‹ip›",
            "error: Received disconnect from ‹ip›: 3: ‹class›: Auth fail [preauth]",
            "fatal: Write failed: Connection reset by peer [preauth]",
            "pam_unix(sshd:session): session opened for user ‹user› by (uid=0)",
            "pam_unix(sshd:session): session closed for user ‹user›",
            "Too many authentication failures for ‹user› [preauth]",
        ],
    },
    System {
        name: "Linux",
        head: "‹syslog› ‹host› ",
        messages: &[
            "su(pam_unix)[‹n›]: session opened for user ‹user› by (uid=‹small›)",
            "su(pam_unix)[‹n›]: session closed for user ‹user›",
            "ftpd[‹n›]: connection from ‹ip› (‹host›) at Mon Nov 22 04:02:11 2026",
            "CRON[‹n›]: (‹user›) CMD (‹path›)",
            "kernel: [‹ms›] usb ‹small›-‹small›: new high-speed USB device number ‹small› using xhci_hcd",
            "kernel: [‹ms›] Out of memory: Killed process ‹n› (‹thing›) total-vm:‹n›kB, anon-rss:‹n›kB",
            "kernel: [‹ms›] eth‹small›: link up, 1000Mbps, full-duplex",
            "kernel: [‹ms›] eth‹small›: link down",
            "systemd[1]: Started ‹thing›.service.",
            "systemd[1]: Stopped ‹thing›.service.",
            "systemd[1]: ‹thing›.service: Main process exited, code=exited, status=‹small›/FAILURE",
            "systemd[1]: ‹thing›.service: Failed with result 'exit-code'.",
            "dhclient[‹n›]: DHCPREQUEST on eth‹small› to ‹ip› port 67",
            "dhclient[‹n›]: bound to ‹ip› -- renewal in ‹n› seconds.",
            "kernel: [‹ms›] EXT4-fs (sda‹small›): mounted filesystem with ordered data mode. Opts: (null)",
            "logrotate: ALERT exited abnormally with [‹small›]",
            "kernel: [‹ms›] audit: type=‹n› audit(‹ms›:‹n›): apparmor=\"STATUS\" operation=\"profile_load\" name=\"‹thing›\" pid=‹n›",
            "syslogd 1.4.1: restart.",
        ],
    },
    System {
        name: "Apache error",
        head: "[Sun Nov 22 04:04:05 2026] ",
        messages: &[
            "[error] [client ‹ip›] File does not exist: ‹path›",
            "[error] mod_jk child workerEnv in error state ‹small›",
            "[notice] workerEnv.init() ok ‹path›",
            "[notice] jk2_init() Found child ‹n› in scoreboard slot ‹small›",
            "[error] [client ‹ip›] Directory index forbidden by rule: ‹path›",
            "[error] jk2_init() Can't find child ‹n› in scoreboard",
            "[error] mod_jk child init ‹small› ‹small›",
            "[notice] caught SIGTERM, shutting down",
            "[error] [client ‹ip›] script not found or unable to stat: ‹path›",
        ],
    },
    System {
        name: "nginx",
        head: "",
        messages: &[
            "‹ip› - - [22/Nov/2026:04:02:11 +0000] \"GET ‹route› HTTP/1.1\" ‹small› ‹n› \"-\" \"‹agent›\"",
            "‹ip› - - [22/Nov/2026:04:02:11 +0000] \"POST ‹route› HTTP/1.1\" ‹small› ‹n› \"-\" \"‹agent›\"",
            "2026/11/22 04:02:11 [error] ‹n›#‹small›: *‹n› connect() failed (111: Connection refused) while connecting to upstream, client: ‹ip›, server: shop.example, request: \"GET ‹route› HTTP/1.1\", upstream: \"http://‹ipport›‹route›\", host: \"shop.example\"",
            "2026/11/22 04:02:11 [error] ‹n›#‹small›: *‹n› upstream timed out (110: Connection timed out) while reading response header from upstream, client: ‹ip›, server: shop.example, request: \"GET ‹route› HTTP/1.1\", upstream: \"http://‹ipport›‹route›\", host: \"shop.example\"",
            "2026/11/22 04:02:11 [warn] ‹n›#‹small›: *‹n› a client request body is buffered to a temporary file ‹path›, client: ‹ip›, server: shop.example",
            "2026/11/22 04:02:11 [notice] ‹n›#‹small›: signal process started",
            "2026/11/22 04:02:11 [notice] ‹n›#‹small›: worker process ‹n› exited with code ‹small›",
            "2026/11/22 04:02:11 [error] ‹n›#‹small›: *‹n› open() \"‹path›\" failed (2: No such file or directory), client: ‹ip›, server: shop.example",
        ],
    },
    System {
        name: "Zookeeper",
        head: "‹date› - ",
        messages: &[
            "INFO  [/‹ipport›:QuorumCnxManager$Listener@493] - Received connection request /‹ipport›",
            "WARN  [RecvWorker:‹n›:QuorumCnxManager$RecvWorker@765] - Interrupting SendWorker",
            "WARN  [SendWorker:‹n›:QuorumCnxManager$SendWorker@679] - Interrupted while waiting for message on queue",
            "INFO  [NIOServerCxn.Factory:0.0.0.0/0.0.0.0:2181:NIOServerCnxnFactory@197] - Accepted socket connection from /‹ipport›",
            "INFO  [NIOServerCxn.Factory:0.0.0.0/0.0.0.0:2181:NIOServerCnxn@1001] - Closed socket connection for client /‹ipport› which had sessionid ‹hex›",
            "INFO  [NIOServerCxn.Factory:0.0.0.0/0.0.0.0:2181:NIOServerCnxn@1001] - Closed socket connection for client /‹ipport› (no session established for client)",
            "INFO  [CommitProcessor:‹small›:ZooKeeperServer@595] - Established session ‹hex› with negotiated timeout ‹n› for client /‹ipport›",
            "INFO  [SessionTracker:ZooKeeperServer@325] - Expiring session ‹hex›, timeout of ‹n›ms exceeded",
            "INFO  [ProcessThread:-1:PrepRequestProcessor@476] - Processed session termination for sessionid: ‹hex›",
            "WARN  [RecvWorker:‹n›:QuorumCnxManager$RecvWorker@762] - Connection broken for id ‹n›, my id = ‹small›, error =",
            "INFO  [WorkerReceiver[myid=‹small›]:FastLeaderElection@542] - Notification: ‹small› (n.leader), ‹hex› (n.zxid), ‹small› (n.round), LOOKING (n.state), ‹small› (n.sid), ‹hex› (n.peerEPoch), LOOKING (my state)",
            "WARN  [QuorumPeer[myid=‹small›]:Follower@89] - Exception when following the leader",
            "INFO  [QuorumPeer[myid=‹small›]:FileSnap@83] - Reading snapshot ‹path›",
            "INFO  [main:QuorumPeerConfig@101] - Reading configuration from: ‹path›",
            "ERROR [LearnerHandler-/‹ipport›:LearnerHandler@562] - Unexpected exception causing shutdown while sock still open",
        ],
    },
    System {
        name: "Spark",
        head: "26/11/22 04:02:11 ",
        messages: &[
            "INFO executor.Executor: Finished task ‹small›.0 in stage ‹small›.0 (TID ‹n›). ‹n› bytes result sent to driver",
            "INFO executor.Executor: Running task ‹small›.0 in stage ‹small›.0 (TID ‹n›)",
            "INFO executor.CoarseGrainedExecutorBackend: Got assigned task ‹n›",
            "INFO storage.MemoryStore: Block broadcast_‹n›_piece0 stored as bytes in memory (estimated size ‹ms› KB, free ‹ms› KB)",
            "INFO storage.MemoryStore: Block broadcast_‹n› stored as values in memory (estimated size ‹ms› KB, free ‹ms› MB)",
            "INFO storage.BlockManager: Found block rdd_‹n›_‹n› locally",
            "INFO python.PythonRunner: Times: total = ‹n›, boot = ‹n›, init = ‹n›, finish = ‹n›",
            "INFO broadcast.TorrentBroadcast: Started reading broadcast variable ‹n›",
            "INFO broadcast.TorrentBroadcast: Reading broadcast variable ‹n› took ‹n› ms",
            "INFO storage.ShuffleBlockFetcherIterator: Getting ‹n› non-empty blocks out of ‹n› blocks",
            "INFO storage.ShuffleBlockFetcherIterator: Started ‹n› remote fetches in ‹n› ms",
            "INFO rdd.HadoopRDD: Input split: hdfs://‹hostport›‹path›:‹n›+‹n›",
            "INFO spark.SecurityManager: Changing view acls to: ‹user›",
            "INFO spark.SecurityManager: Changing modify acls to: ‹user›",
            "INFO spark.SecurityManager: SecurityManager: authentication disabled; ui acls disabled; users with view permissions: Set(‹user›); users with modify permissions: Set(‹user›)",
            "INFO util.Utils: Successfully started service 'sparkExecutorActorSystem' on port ‹port›.",
            "INFO output.FileOutputCommitter: Saved output of task 'attempt_‹n›_0001_m_‹n›_0' to ‹url›",
            "ERROR executor.CoarseGrainedExecutorBackend: RECEIVED SIGNAL ‹small›: SIGTERM",
            "WARN scheduler.TaskSetManager: Lost task ‹small›.0 in stage ‹small›.0 (TID ‹n›, ‹host›): ‹class›: Connection refused",
        ],
    },
    System {
        name: "PostgreSQL",
        head: "‹date› UTC [‹n›] ‹user›@‹thing› ",
        messages: &[
            "LOG:  duration: ‹ms› ms  statement: SELECT id, name FROM ‹thing› WHERE id = ‹n›",
            "LOG:  connection received: host=‹ip› port=‹port›",
            "LOG:  connection authorized: user=‹user› database=‹thing›",
            "LOG:  disconnection: session time: 0:00:‹ms› user=‹user› database=‹thing› host=‹ip› port=‹port›",
            "LOG:  checkpoint starting: time",
            "LOG:  checkpoint complete: wrote ‹n› buffers (‹ms›%); 0 WAL file(s) added, ‹small› removed, ‹small› recycled; write=‹ms› s, sync=‹ms› s, total=‹ms› s",
            "ERROR:  duplicate key value violates unique constraint \"‹thing›_pkey\"",
            "DETAIL:  Key (id)=(‹n›) already exists.",
            "ERROR:  deadlock detected",
            "DETAIL:  Process ‹n› waits for ShareLock on transaction ‹n›; blocked by process ‹n›.",
            "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
            "FATAL:  password authentication failed for user \"‹user›\"",
            "ERROR:  canceling statement due to statement timeout",
            "ERROR:  relation \"‹thing›\" does not exist at character ‹small›",
            "LOG:  automatic vacuum of table \"shop.public.‹thing›\": index scans: ‹small›",
            "LOG:  could not receive data from client: Connection reset by peer",
            "LOG:  unexpected EOF on client connection with an open transaction",
        ],
    },
    System {
        name: "Spring",
        head: "‹iso›  ",
        messages: &[
            "INFO 1 --- [nio-8080-exec-‹small›] c.e.shop.orders.OrderController          : Order ‹uuid› placed by ‹user› for ‹ms› EUR",
            "INFO 1 --- [nio-8080-exec-‹small›] c.e.shop.payment.PaymentClient           : Charged order ‹uuid› in ‹n› ms",
            "WARN 1 --- [nio-8080-exec-‹small›] c.e.shop.payment.PaymentClient           : Retry ‹small› of payment ‹uuid› after ‹class›: Read timed out",
            "ERROR 1 --- [nio-8080-exec-‹small›] o.a.c.c.C.[.[.[/].[dispatcherServlet]    : Servlet.service() for servlet [dispatcherServlet] threw exception [Request processing failed; nested exception is ‹class›] with root cause",
            "INFO 1 --- [   scheduling-‹small›] c.e.shop.stock.StockRefresher            : Refreshed ‹n› items of ‹thing› in ‹dur›",
            "DEBUG 1 --- [nio-8080-exec-‹small›] org.hibernate.SQL                        : select ‹thing›0_.id as id1_0_ from ‹thing› where id=?",
            "WARN 1 --- [onnection adder] com.zaxxer.hikari.pool.PoolBase          : HikariPool-1 - Failed to validate connection org.postgresql.jdbc.PgConnection@‹hex› (This connection has been closed.). Possibly consider using a shorter maxLifetime value.",
            "ERROR 1 --- [nio-8080-exec-‹small›] c.e.shop.orders.OrderController          : HikariPool-1 - Connection is not available, request timed out after ‹n›ms.",
            "\tat com.example.shop.orders.OrderService.place(OrderService.java:‹small›)",
            "\tat java.base/java.lang.Thread.run(Thread.java:‹small›)",
            "Caused by: ‹class›: Connection refused",
            "\t... ‹small› more",
            "INFO 1 --- [           main] o.s.b.w.embedded.tomcat.TomcatWebServer  : Tomcat started on port(s): ‹port› (http) with context path ''",
            "INFO 1 --- [           main] c.e.shop.ShopApplication                 : Started ShopApplication in ‹ms› seconds (process running for ‹ms›)",
        ],
    },
    System {
        name: "JSON",
        head: "",
        messages: &[
            r#"{"time":"‹iso›","level":"info","service":"orders","msg":"order placed","order":"‹uuid›","user":"‹user›","items":‹small›}"#,
            r#"{"time":"‹iso›","level":"info","service":"orders","msg":"request done","method":"GET","path":"‹route›","status":‹small›,"ms":‹ms›}"#,
            r#"{"time":"‹iso›","level":"info","service":"orders","msg":"request done","method":"POST","path":"‹route›","status":‹small›,"ms":‹ms›}"#,
            r#"{"time":"‹iso›","level":"warn","service":"orders","msg":"payment slow","order":"‹uuid›","ms":‹ms›}"#,
            r#"{"time":"‹iso›","level":"error","service":"orders","msg":"payment failed","order":"‹uuid›","error":"connection refused","peer":"‹ipport›"}"#,
            r#"{"time":"‹iso›","level":"error","service":"orders","msg":"pool timed out","waited":"‹dur›","open":‹small›}"#,
            r#"{"time":"‹iso›","level":"info","service":"orders","msg":"stock refreshed","table":"‹thing›","rows":‹n›}"#,
            r#"{"time":"‹iso›","level":"debug","service":"orders","msg":"cache miss","key":"‹thing›:‹n›"}"#,
            r#"{"time":"‹iso›","level":"debug","service":"orders","msg":"cache hit","key":"‹thing›:‹n›"}"#,
            r#"{"time":"‹iso›","level":"info","service":"orders","msg":"shutting down","signal":"SIGTERM"}"#,
        ],
    },
    System {
        name: "logfmt",
        head: "ts=‹iso› ",
        messages: &[
            r#"level=info caller=server.go:‹small› msg="request served" method=GET path=‹route› status=‹small› duration=‹dur›"#,
            r#"level=info caller=server.go:‹small› msg="request served" method=POST path=‹route› status=‹small› duration=‹dur›"#,
            r#"level=warn caller=retry.go:‹small› msg="retrying call" target=‹hostport› attempt=‹small› err="rpc error: code = Unavailable desc = connection refused""#,
            r#"level=error caller=pay.go:‹small› msg="charge failed" order=‹uuid› user=‹user› err="context deadline exceeded""#,
            r#"level=info caller=head.go:‹small› component=tsdb msg="Head GC completed" duration=‹dur›"#,
            r#"level=info caller=compact.go:‹small› component=tsdb msg="write block" mint=‹n› maxt=‹n› ulid=‹hash› duration=‹dur›"#,
            r#"level=info caller=main.go:‹small› msg="listening" addr=:‹port›"#,
            r#"level=error caller=db.go:‹small› msg="query failed" table=‹thing› err="pq: too many connections""#,
            r#"level=debug caller=queue.go:‹small› msg="message taken" queue=‹thing› id=‹id› size=‹n›"#,
        ],
    },
    System {
        name: "Kubernetes",
        head: "I1122 04:02:11.‹n›       1 ",
        messages: &[
            "scheduler.go:‹small›] \"Successfully bound pod to node\" pod=\"shop/‹thing›-‹id›\" node=\"node-‹small›\" evaluatedNodes=‹small› feasibleNodes=‹small›",
            "kubelet.go:‹small›] \"SyncLoop (PLEG): event for pod\" pod=\"shop/‹thing›-‹id›\" event=\"ContainerStarted\"",
            "prober.go:‹small›] \"Probe failed\" probeType=\"Readiness\" pod=\"shop/‹thing›-‹id›\" podUID=‹uuid› containerName=\"app\" probeResult=failure output=\"HTTP probe failed with statuscode: 503\"",
            "garbagecollector.go:‹small›] \"Processing object\" object=\"shop/‹thing›-‹id›\" objectUID=‹uuid› kind=\"Pod\"",
            "replica_set.go:‹small›] Too many replicas for ReplicaSet shop/‹thing›-‹id›, need ‹small›, deleting ‹small›",
            "event.go:‹small›] Event(v1.ObjectReference{Kind:\"Pod\", Namespace:\"shop\", Name:\"‹thing›-‹id›\", UID:\"‹uuid›\"}): type: 'Normal' reason: 'Pulled' Container image already present on machine",
            "trace.go:‹small›] Trace[‹n›]: \"List\" url:‹route› (total time: ‹n›ms):",
            "reflector.go:‹small›] watch of *v1.Pod ended with: very short watch: Unexpected watch close - watch lasted less than a second",
        ],
    },
    System {
        name: "OpenStack",
        head: "nova-compute.log ‹date› ‹n› INFO nova.",
        messages: &[
            "osapi_compute.wsgi.server [req-‹uuid› ‹hash›] ‹ip› \"GET ‹route› HTTP/1.1\" status: ‹small› len: ‹n› time: ‹ms›",
            "osapi_compute.wsgi.server [req-‹uuid› ‹hash›] ‹ip› \"POST ‹route› HTTP/1.1\" status: ‹small› len: ‹n› time: ‹ms›",
            "osapi_compute.wsgi.server [req-‹uuid› ‹hash›] ‹ip› \"DELETE ‹route› HTTP/1.1\" status: ‹small› len: ‹n› time: ‹ms›",
            "compute.manager [req-‹uuid›] [instance: ‹uuid›] VM Started (Lifecycle Event)",
            "compute.manager [req-‹uuid›] [instance: ‹uuid›] VM Paused (Lifecycle Event)",
            "compute.manager [req-‹uuid›] [instance: ‹uuid›] VM Resumed (Lifecycle Event)",
            "virt.libvirt.imagecache [req-‹uuid›] image ‹uuid› at (‹path›): checking",
            "virt.libvirt.imagecache [req-‹uuid›] image ‹uuid› at (‹path›): in use: on this node ‹small› local, ‹small› on other nodes sharing this instance storage",
            "virt.libvirt.imagecache [req-‹uuid›] Active base files: ‹path›",
            "virt.libvirt.imagecache [req-‹uuid›] Unknown base file: ‹path›",
            "virt.libvirt.imagecache [req-‹uuid›] Removable base files: ‹path› ‹path›",
            "compute.manager [req-‹uuid›] [instance: ‹uuid›] Took ‹ms› seconds to spawn the instance on the hypervisor.",
            "compute.manager [req-‹uuid›] [instance: ‹uuid›] Took ‹ms› seconds to build instance.",
            "compute.manager [req-‹uuid›] [instance: ‹uuid›] Terminating instance",
            "compute.claims [req-‹uuid›] [instance: ‹uuid›] Total memory: ‹n› MB, used: ‹ms› MB",
            "compute.claims [req-‹uuid›] [instance: ‹uuid›] memory limit: ‹ms› MB, free: ‹ms› MB",
            "compute.claims [req-‹uuid›] [instance: ‹uuid›] disk limit not specified, defaulting to unlimited",
            "compute.claims [req-‹uuid›] [instance: ‹uuid›] vcpu limit not specified, defaulting to unlimited",
        ],
    },
    System {
        name: "Proxy",
        head: "[11.22 04:02:11] chrome.exe - ",
        messages: &[
            "‹hostport› close, ‹n› bytes sent, ‹n› bytes received, lifetime 00:‹small›",
            "‹hostport› open through proxy ‹hostport› HTTPS",
            "‹hostport› open through proxy ‹hostport› SOCKS5",
            "‹hostport› error : Could not connect through proxy ‹hostport› - Proxy server cannot establish a connection with the target, status code ‹n›",
            "‹hostport› error : Could not connect to proxy ‹hostport› - connection attempt failed with error ‹n›",
            "‹hostport› error : A connection request was canceled before the completion.",
        ],
    },
    System {
        name: "Redis",
        head: "1:M 22 Nov 2026 ‹clock› ",
        messages: &[
            "* Background saving started by pid ‹n›",
            "* Background saving terminated with success",
            "* DB saved on disk",
            "* ‹n› changes in ‹n› seconds. Saving...",
            "* RDB: ‹small› MB of memory used by copy-on-write",
            "# WARNING overcommit_memory is set to 0! Background save may fail under low memory condition.",
            "* Replica ‹ipport› asks for synchronization",
            "* Full resync requested by replica ‹ipport›",
            "# Connection with replica ‹ipport› lost.",
            "- Accepted ‹ipport›",
            "- Client closed connection id=‹n› addr=‹ipport› laddr=‹ipport› fd=‹small› name= age=‹n› idle=‹n›",
            "# Error accepting a client connection: accept: Too many open files",
        ],
    },
];
