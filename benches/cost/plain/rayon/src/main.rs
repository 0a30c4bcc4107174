//! The plain program of rayon: its thread pool.

#[macro_use]
#[path = "../../common.rs"]
mod common;

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread::{sleep, yield_now},
    time::Duration,
};

use common::*;
use rayon::prelude::*;

borrowing!(TcpStream, [], []);

fn offload(work: impl FnOnce() -> u64) -> u64 {
    work()
}

fn hop(_: u64, _: u64) -> u64 {
    unreachable!("a job that waits for another job on the same worker never ends")
}

fn gather(width: u64, child: impl Fn(u64) -> u64 + Send + Sync) -> Vec<u64> {
    (0..width as usize).into_par_iter().map(|index| child(index as u64)).collect()
}

fn main() {
    let plan = &Plan::told();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(plan.workers).build().expect("a pool");
    works!(plan, [], [], |job| plan.repeat(|| pool.install(|| {
        let start = now();
        let outputs = gather(plan.jobs, job);
        (start.elapsed(), outputs)
    })));
}
