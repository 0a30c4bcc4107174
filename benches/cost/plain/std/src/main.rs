//! The plain programs of the standard library: jobs one after another, and a thread for each.

#[macro_use]
#[path = "../../common.rs"]
mod common;

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::mpsc,
    thread::{self, sleep, yield_now},
    time::Duration,
};

use common::*;

borrowing!(TcpStream, [], []);

fn offload(work: impl FnOnce() -> u64) -> u64 {
    work()
}

fn hop(times: u64, mut message: u64) -> u64 {
    let ((to, inbox), (back, replies)) = (mpsc::sync_channel(1), mpsc::sync_channel(1));
    let partner =
        thread::spawn(move || inbox.iter().try_for_each(|message| back.send(mix(message))));
    for _ in 0..times {
        to.send(message).expect("the partner left");
        message = replies.recv().expect("the partner left");
    }
    drop(to);
    let _ = partner.join();
    message
}

fn one_by_one(plan: &Plan) {
    fn gather(width: u64, child: impl Fn(u64) -> u64) -> Vec<u64> {
        (0..width).map(child).collect()
    }
    works!(plan, [], [], |job| plan.repeat(|| {
        let start = now();
        let outputs = gather(plan.jobs, job);
        (start.elapsed(), outputs)
    }));
}

fn threads(plan: &Plan) {
    fn gather(width: u64, child: impl Fn(u64) -> u64 + Copy + Send + 'static) -> Vec<u64> {
        let threads: Vec<_> = (0..width).map(|index| thread::spawn(move || child(index))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a job panicked")).collect()
    }
    works!(plan, [], [], |job| plan.repeat(|| {
        let start = now();
        let outputs = gather(plan.jobs, job);
        (start.elapsed(), outputs)
    }));
}

fn main() {
    let plan = Plan::told();
    match &*plan.model {
        "sequential" => one_by_one(&plan),
        "threads" => threads(&plan),
        other => panic!("nobody wrote {other}"),
    }
}
