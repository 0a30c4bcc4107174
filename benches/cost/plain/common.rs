//! Code that the plain programs in Rust share: their arguments, the clock around a batch, and the jobs. The jobs call
//! functions that each program defines with its own runtime. Nothing depends on paceline.
#![allow(dead_code, unused_macros, reason = "no program needs all of it")]

use std::{
    collections::hash_map::RandomState,
    env, fs,
    hash::BuildHasher,
    hint::black_box,
    net::SocketAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};

pub const BYTES: usize = 100;
static SERVERS: OnceLock<Vec<SocketAddr>> = OnceLock::new();

/// The work of one process: the number of batches, and of jobs in each.
pub struct Plan {
    pub work: String,
    pub jobs: u64,
    pub batches: usize,
    pub model: String,
    pub workers: usize,
}

impl Plan {
    /// Reads the arguments: work, jobs, batches, addresses of the echo server, model, workers.
    pub fn told() -> Self {
        // A heap layout of its own, as in the suite's hosts.
        let bytes = (RandomState::new().hash_one(0) % 256 + 1) as usize * 16;
        black_box(Box::leak(vec![0_u8; bytes].into_boxed_slice()));
        let arguments: Vec<String> = env::args().skip(1).collect();
        let [work, jobs, batches, servers, model, workers] = &arguments[..] else {
            panic!("told {} things instead of 6", arguments.len());
        };
        let servers = servers.split(',').map(|at| at.parse().expect("an address")).collect();
        SERVERS.set(servers).expect("set once");
        Plan {
            work: work.clone(),
            jobs: jobs.parse().expect("how many jobs"),
            batches: batches.parse().expect("how many batches"),
            model: model.clone(),
            workers: workers.parse().expect("how many workers"),
        }
    }

    /// Repeats `batch`, which times itself. Prints a line with the nanoseconds of each batch, then one with the sum of a
    /// batch's outputs, and the peak memory in KiB before and after.
    pub fn repeat(&self, mut batch: impl FnMut() -> (Duration, Vec<u64>)) {
        let before = peak_memory();
        let sums: Vec<(Duration, u64)> = (0..self.batches)
            .map(|_| {
                let (elapsed, outputs) = batch();
                assert_eq!(outputs.len() as u64, self.jobs);
                (elapsed, outputs.into_iter().fold(0, u64::wrapping_add))
            })
            .collect();
        let after = peak_memory();
        assert!(sums.iter().all(|(_, sum)| *sum == sums[0].1), "batches differ");
        sums.iter().for_each(|(elapsed, _)| println!("{}", elapsed.as_nanos()));
        println!("{} {before} {after}", sums[0].1);
    }
}

fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

#[inline]
pub fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[inline]
pub fn compute(mut value: u64, rounds: u64) -> u64 {
    for _ in 0..rounds {
        value = mix(value);
    }
    value
}

pub fn sum(value: u64, children: Vec<u64>) -> u64 {
    children.into_iter().fold(value, u64::wrapping_add)
}

pub fn server(index: u64) -> SocketAddr {
    let servers = SERVERS.get().expect("set at the start");
    servers[mix(index) as usize % servers.len()]
}

pub fn head(message: &[u8]) -> u64 {
    u64::from_le_bytes(*message.first_chunk().expect("a message has 100 bytes"))
}

/// Returns whether a job blocks: one of each 20 does, chosen by a hash as in the workload `stall`.
pub fn blocks(index: u64) -> bool {
    let value = (index / 20) as u32;
    let value = (value ^ (value >> 16)).wrapping_mul(0x85EB_CA6B);
    let value = (value ^ (value >> 13)).wrapping_mul(0xC2B2_AE35);
    index % 20 == u64::from((value ^ (value >> 16)) % 20)
}

pub fn now() -> Instant {
    Instant::now()
}

/// Yields once, for runtimes without such a function.
pub async fn yield_now() {
    let mut has_yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// Evaluates `$batches` with the plan's work as `$job`, a function of an index. Its body begins with `$kind`, which is
/// `async move` or nothing, and each wait ends with `$wait`, which is `.await` or nothing.
macro_rules! works {
    ($plan:ident, [$($kind:tt)*], [$($wait:tt)*], |$job:ident| $batches:expr) => {
        match &*$plan.work {
            "empty" => {
                let $job = |index: u64| $($kind)* { index };
                $batches
            }
            "sleep" => {
                let $job = |index: u64| $($kind)* {
                    sleep(Duration::from_millis(1)) $($wait)*;
                    index
                };
                $batches
            }
            "million" => {
                let $job = |index: u64| $($kind)* {
                    sleep(Duration::from_secs(1)) $($wait)*;
                    index
                };
                $batches
            }
            "compute-50" => {
                let $job = |index: u64| $($kind)* { compute(index, 50) };
                $batches
            }
            "compute" => {
                let $job = |index: u64| $($kind)* { compute(index, 2_500) };
                $batches
            }
            "exchange-1" | "exchange" => {
                let $job = |index: u64| $($kind)* {
                    let mut stream = connect(index) $($wait)*;
                    exchange(&mut stream, 16, index) $($wait)*
                };
                $batches
            }
            "hop" => {
                let $job = |index: u64| $($kind)* { hop(100, index) $($wait)* };
                $batches
            }
            "offload" => {
                let $job = |index: u64| $($kind)* { offload(move || compute(index, 100)) $($wait)* };
                $batches
            }
            "gather" => {
                let $job = |index: u64| $($kind)* {
                    let child = move |child: u64| $($kind)* { compute(index + child, 500) };
                    sum(index, gather(10, child) $($wait)*)
                };
                $batches
            }
            "fanout" => {
                let $job = |index: u64| $($kind)* {
                    let child = move |child: u64| $($kind)* {
                        let value = compute(index + child, 500);
                        let below = move |below: u64| $($kind)* { compute(value ^ below, 500) };
                        sum(value, gather(4, below) $($wait)*)
                    };
                    sum(index, gather(8, child) $($wait)*)
                };
                $batches
            }
            "join" => {
                let $job = |index: u64| $($kind)* {
                    let child = move |child: u64| $($kind)* {
                        yield_now() $($wait)*;
                        compute(index + child, 100)
                    };
                    sum(index, gather(100, child) $($wait)*)
                };
                $batches
            }
            "service" => {
                let $job = |index: u64| $($kind)* {
                    let mut stream = connect(index) $($wait)*;
                    let value = exchange(&mut stream, 4, index) $($wait)*;
                    sleep(Duration::from_millis(5)) $($wait)*;
                    offload(move || compute(value, 20_000)) $($wait)*
                };
                $batches
            }
            "stall" => {
                let $job = |index: u64| $($kind)* {
                    sleep(Duration::from_millis(5)) $($wait)*;
                    if blocks(index) {
                        std::thread::sleep(Duration::from_millis(20));
                        return index;
                    }
                    let value = compute(index, 1_000);
                    sleep(Duration::from_millis(5)) $($wait)*;
                    value
                };
                $batches
            }
            other => panic!("nobody wrote {other}"),
        }
    };
}

/// Runs a batch as a future. Returns its time and its outputs.
macro_rules! batch {
    ($plan:ident, $job:ident) => {{
        let jobs = $plan.jobs;
        async move {
            let start = now();
            let outputs = gather(jobs, $job).await;
            (start.elapsed(), outputs)
        }
    }};
}

/// Runs batches on threads with a runtime each, which `$run` starts with a future. Jobs are dealt out in turn.
macro_rules! dealt {
    ($plan:ident, $job:ident, $run:expr) => {{
        let (jobs, cores) = ($plan.jobs, $plan.workers as u64);
        let mut workers = Vec::new();
        for core in 0..cores {
            let (go, told) = async_channel::unbounded::<()>();
            let (give, share) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                $run(async move {
                    let _ = give.send(Vec::new());
                    while told.recv().await.is_ok() {
                        let count = jobs.saturating_sub(core).div_ceil(cores);
                        let outputs = gather(count, move |index| $job(core + index * cores)).await;
                        let _ = give.send(outputs);
                    }
                })
            });
            share.recv().expect("a runtime");
            workers.push((go, share));
        }
        $plan.repeat(|| {
            let start = now();
            for (go, _) in &workers {
                go.try_send(()).expect("a worker ended early");
            }
            let shares =
                workers.iter().map(|(_, share)| share.recv().expect("a worker ended early"));
            let shares: Vec<Vec<u64>> = shares.collect();
            (start.elapsed(), shares.concat())
        })
    }};
}

/// Defines `gather`, which starts tasks and waits for all.
macro_rules! gather {
    ([$($send:tt)*], $spawn:path, $join:expr) => {
        async fn gather<F>(width: u64, child: impl Fn(u64) -> F) -> Vec<u64>
        where
            F: Future<Output = u64> + $($send)* 'static,
        {
            let tasks: Vec<_> = (0..width).map(|index| $spawn(child(index))).collect();
            let mut outputs = Vec::with_capacity(tasks.len());
            for task in tasks {
                outputs.push($join(task.await));
            }
            outputs
        }
    };
}

/// Defines `hop`, which passes a message to a partner and back.
macro_rules! hop {
    ($spawn:path, $channel:expr, $some:ident) => {
        #[allow(unused_mut, reason = "some channels receive by shared reference")]
        async fn hop(times: u64, mut message: u64) -> u64 {
            let ((to, mut inbox), (back, mut replies)) = ($channel, $channel);
            let partner = $spawn(async move {
                while let $some(message) = inbox.recv().await {
                    if back.send(mix(message)).await.is_err() {
                        break;
                    }
                }
            });
            for _ in 0..times {
                let _ = to.send(message).await;
                let $some(reply) = replies.recv().await else { panic!("the partner left") };
                message = reply;
            }
            drop(to);
            let _ = partner.await;
            message
        }
    };
}

/// Defines `connect` and `exchange` for a stream whose operations borrow their buffers.
macro_rules! borrowing {
    ($stream:ty, [$($kind:tt)*], [$($wait:tt)*]) => {
        $($kind)* fn connect(index: u64) -> $stream {
            let stream = <$stream>::connect(server(index)) $($wait)*.expect("a connection");
            stream.set_nodelay(true).expect("an option");
            stream
        }

        $($kind)* fn exchange(stream: &mut $stream, times: u64, mut value: u64) -> u64 {
            let mut message = vec![0xA5; BYTES];
            for _ in 0..times {
                message[..8].copy_from_slice(&value.to_le_bytes());
                stream.write_all(&message) $($wait)*.expect("to send");
                stream.read_exact(&mut message) $($wait)*.expect("to receive");
                value = mix(head(&message));
            }
            value
        }
    };
}

/// Defines `connect` and `exchange` for a stream whose operations own their buffers.
macro_rules! owning {
    ($stream:ty, $connect:path) => {
        async fn connect(index: u64) -> $stream {
            let stream = $connect(server(index)).await.expect("a connection");
            stream.set_nodelay(true).expect("an option");
            stream
        }

        async fn exchange(stream: &mut $stream, times: u64, mut value: u64) -> u64 {
            let mut message = vec![0xA5; BYTES];
            for _ in 0..times {
                message[..8].copy_from_slice(&value.to_le_bytes());
                let sent = stream.write_all(message).await;
                sent.0.expect("to send");
                let received = stream.read_exact(sent.1).await;
                received.0.expect("to receive");
                message = received.1;
                value = mix(head(&message));
            }
            value
        }
    };
}
