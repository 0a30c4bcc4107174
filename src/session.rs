//! The context that instruments share while they measure: the suite's server, limits, the cost of a round of `compute`,
//! and the hosts.

use std::{cell::RefCell, io, net::SocketAddr, time::Duration};

use crate::{
    machine::{HostActivity, Limits, cpus_by_core, dropped_connections, pin},
    output::{count, counted},
    plan::Planned,
    record::{Cell, ModelRecord, State, Trial},
};
use paceline_core::{
    clock::{compute_ns, nanoseconds},
    network::Listen,
    prepared::{Attestation, Fault},
    process::{Host, HostError, Program},
    protocol::CellSpec,
    soft_limits::{hard_limit, raise_limits},
    suite_server::EchoServer,
};

/// The context of a run.
pub struct Session {
    program: Program,
    echo: RefCell<EchoServer>,
    limits: Limits,
    /// The time of a round of `compute` here, in nanoseconds.
    pub compute_ns: f64,
    /// This node's name in a cluster, for its trials.
    pub node: Option<String>,
    /// Where servers listen for generators on other nodes; `None` for loopback.
    pub listen: Option<Listen>,
    models: Vec<ModelRecord>,
    /// The CPUs to pin hosts to; empty without pinning.
    cpus: Vec<usize>,
}

impl Session {
    /// Raises the soft limits as far as allowed, and starts the echo server. Which of `models` can run was determined
    /// when the record was begun.
    pub fn start(program: Program, models: &[ModelRecord]) -> Result<Self, String> {
        raise_limits();
        Ok(Session {
            echo: RefCell::new(start_server(&program)?),
            program,
            limits: Limits::here(),
            compute_ns: compute_ns(),
            node: None,
            listen: None,
            models: models.to_vec(),
            cpus: vec![],
        })
    }

    /// Pins every host to as many CPUs as it has workers, and the echo server to the others, if there are any.
    pub fn pin_hosts(&mut self) -> Result<(), String> {
        self.cpus = cpus_by_core();
        if self.cpus.is_empty() {
            return Err("processes can be pinned on Linux alone: leave --pin out".into());
        }
        Ok(())
    }

    /// Returns the CPUs of a host with `workers`, and those of its peers. With a thread per job, both may use all.
    fn split(&self, workers: Option<usize>) -> (&[usize], &[usize]) {
        let workers = workers.unwrap_or(self.cpus.len()).min(self.cpus.len());
        let (own, others) = self.cpus.split_at(workers);
        (own, if others.is_empty() { own } else { others })
    }

    /// Returns why a cell cannot run, if it cannot.
    pub fn refusal(&self, cell: &Planned<'_>) -> Option<String> {
        let workers = cell.workers.unwrap_or(1);
        if !self.cpus.is_empty() && workers > self.cpus.len() {
            return Some(format!(
                "--pin needs a CPU for each of {}, has {}: give fewer --workers, or leave --pin out",
                counted(workers, "worker"),
                count(self.cpus.len())
            ));
        }
        let model = self.models.iter().find(|model| model.name == cell.entry.info.name);
        cell.refusal(&self.limits, model.and_then(|model| model.reason.as_ref()))
    }

    /// Restarts the suite's server if it has ended or does not answer. Returns whether it had to.
    pub fn revive(&self) -> Result<bool, String> {
        let gone = self.echo.borrow_mut().cpu_time().is_err();
        if gone {
            self.echo.replace(start_server(&self.program)?);
        }
        Ok(gone)
    }

    /// Starts a host for cells of this model and worker count.
    pub fn host(&self, cell: &Planned<'_>) -> Result<Host, HostError> {
        self.host_of(&self.program, cell)
    }

    /// Starts a host of another program, built from other sources.
    pub fn host_of(&self, program: &Program, cell: &Planned<'_>) -> Result<Host, HostError> {
        // A server that ended in another cell is not a fault of this one.
        self.revive().map_err(|why| HostError::Fault(Fault::Failed(why)))?;
        let host =
            program.host(cell.entry, cell.workers).map_err(|error| HostError::unstarted(&error))?;
        if !self.cpus.is_empty() {
            let (own, others) = self.split(cell.workers);
            pin(host.id(), own)
                .and_then(|()| pin(self.echo.borrow().id(), others))
                .map_err(|error| unpinned(&error))?;
        }
        Ok(host)
    }

    /// Starts a host of another program for its custom cells. Pinning keeps it on one CPU: nothing says how many threads
    /// such a cell has, and where they run is what pinning is to fix.
    pub fn host_of_custom_cells(&self, program: &Program) -> Result<Host, HostError> {
        let host = program.host_of_custom_cells().map_err(|error| HostError::unstarted(&error))?;
        if let Some(first) = self.cpus.first() {
            pin(host.id(), &[*first]).map_err(|error| unpinned(&error))?;
        }
        Ok(host)
    }

    /// Prepares `cell` in `host`.
    pub fn prepare(
        &self,
        host: &mut Host,
        cell: &Planned<'_>,
        patience: Duration,
    ) -> Result<(), HostError> {
        host.prepare(cell.for_host(self.echo.borrow().addresses()), patience)
    }

    /// Prepares `cell` in `host` and runs its warm-up batch, which checks that it is what its label says.
    pub fn warm_up(
        &self,
        host: &mut Host,
        cell: &Planned<'_>,
        patience: Duration,
    ) -> Result<Attestation, HostError> {
        self.prepare(host, cell, patience)?;
        host.attest(patience)
    }

    /// Makes `host` a server of the cell's jobs, and returns the address on which it listens.
    pub fn serve(
        &self,
        host: &mut Host,
        cell: &Planned<'_>,
        patience: Duration,
    ) -> Result<SocketAddr, HostError> {
        let spec = cell.for_host(self.echo.borrow().addresses());
        host.serve(CellSpec { listen: self.listen.clone(), ..spec }, patience)
    }

    /// Returns why this number of connections cannot be open at once in one process, if it cannot.
    pub fn lacks_files(&self, connections: usize) -> Option<String> {
        const OTHERS: u64 = 64;
        let needs = (connections as u64).saturating_add(OTHERS);
        let has = self.limits.files.filter(|has| needs > *has)?;
        let [need, has] = [needs, has].map(|number| count(number as usize));
        Some(format!("needs {need} open files, has {has}; {}", hard_limit("--nofile", needs)))
    }

    /// Returns why this number of connections to one address cannot be open at once on this machine, if they cannot: each
    /// takes a local port. Generators on other nodes have ports of their own.
    pub fn lacks_ports(&self, connections: usize) -> Option<String> {
        let needs = connections as u64;
        let has = self.limits.ports.filter(|has| self.listen.is_none() && needs > *has)?;
        let [need, shown] = [needs, has].map(|number| count(number as usize));
        Some(format!(
            "needs {need} local ports, has {shown}; give --connections {has}, or lift it with: sysctl -w \
             net.ipv4.ip_local_port_range=\"1024 65535\""
        ))
    }

    /// Returns the counters of the echo server and the machine so far; dropped connections matter only for jobs that
    /// connect.
    pub fn mark(&mut self, connects: bool) -> Result<Mark, HostError> {
        let echo = self.echo.get_mut();
        let server_cpu =
            echo.cpu_time().map_err(|error| HostError::Fault(Fault::Failed(error.to_string())))?;
        let (dropped, machine) =
            (connects.then(dropped_connections).flatten(), HostActivity::now());
        let server_threads = echo.thread_times().filter(|_| connects);
        Ok(Mark { server_cpu, server_threads, dropped, machine })
    }

    /// Runs timed batches in `host`, which has warmed up with `attest`: `batches` is how many, and the time limit.
    /// Returns the trial, as number 0 and with nothing recorded, and the state before it.
    ///
    /// # Errors
    ///
    /// Returns an error if a batch fails, or as [`Self::since`] does.
    pub fn timed(
        &mut self,
        host: &mut Host,
        cell: &Planned<'_>,
        (batches, patience): (u64, Duration),
        attest: Attestation,
    ) -> Result<(Trial, Mark), HostError> {
        let before = self.mark(cell.workload.demand().connects > 0)?;
        let (times, used) = host.batches(batches, patience)?;
        let (server, host_activity) = self.since(&before)?;
        let now = self.echo.borrow().thread_times();
        let busy =
            before.server_threads.as_ref().zip(now).and_then(|(old, new)| busiest(old, &new));
        let measured: Duration = times.iter().sum();
        let trial = Trial {
            workload: cell.workload.name.clone(),
            model: cell.entry.info.name.into(),
            scale: cell.scale,
            workers: cell.workers,
            placement: cell.placement,
            times_ns: times.into_iter().map(nanoseconds).collect(),
            attest,
            used,
            server_cpu_ns: nanoseconds(server),
            server_busy_share: busy.map(|busy| busy.div_duration_f64(measured)),
            host_activity,
            node: self.node.clone(),
            ..Trial::default()
        };
        Ok((trial, before))
    }

    /// Returns CPU time that the echo server has used since `before`, and the machine's activity.
    ///
    /// # Errors
    ///
    /// Returns a fault if connections were dropped since: each was retried after a second, so the time is the
    /// queue's and not the model's.
    pub fn since(&mut self, before: &Mark) -> Result<(Duration, HostActivity), HostError> {
        let after = self.mark(before.dropped.is_some())?;
        match (before.dropped, after.dropped) {
            (Some(before), Some(after)) if after > before => {
                Err(HostError::Fault(Fault::Invalid(format!(
                    "a queue of connections was full, that of the echo server or of another program (the kernel counts them \
                     together), and {} came again a second later: end other programs that accept connections, and raise \
                     net.core.somaxconn if it is below 4096",
                    counted((after - before) as usize, "connection")
                ))))
            }
            _ => Ok((
                after.server_cpu.saturating_sub(before.server_cpu),
                after.machine.since(before.machine),
            )),
        }
    }
}

fn unpinned(error: &io::Error) -> HostError {
    HostError::Fault(Fault::Failed(format!("cannot pin a process: {error}")))
}

fn start_server(program: &Program) -> Result<EchoServer, String> {
    program.echo().map_err(|error| error.to_string())
}

/// The longest warm-up of a cell, with its first batch, if batches keep changing.
const WARM_UP: Duration = Duration::from_millis(100);
/// The greatest relative difference between the means of two groups of batches for the cell to be warm.
const STABLE: f64 = 0.1;

/// Warms a cell up after its `first` batch, in groups of 1, 2, 4 … `batches`, until the mean of a group is within 10 %
/// of the previous one, or 100 ms have passed. Returns the last mean: the time of a warm batch.
pub fn warm<E>(
    first: Duration,
    mut batches: impl FnMut(u64) -> Result<Vec<Duration>, E>,
) -> Result<Duration, E> {
    let (mut last, mut spent) = (first, first);
    let mut count = 1;
    while spent < WARM_UP {
        let sum: Duration = batches(count)?.iter().sum();
        let mean = sum / u32::try_from(count).unwrap_or(u32::MAX);
        spent += sum;
        let change = mean.abs_diff(last).div_duration_f64(last.max(Duration::from_nanos(1)));
        last = mean;
        if change <= STABLE {
            break;
        }
        count *= 2;
    }
    Ok(last)
}

/// The state before a measurement.
pub struct Mark {
    /// CPU time that the echo server has used so far.
    pub server_cpu: Duration,
    server_threads: Option<Vec<Duration>>,
    dropped: Option<u64>,
    machine: HostActivity,
}

/// Returns the greatest time that any thread has used; `None` if the threads have changed.
fn busiest(before: &[Duration], after: &[Duration]) -> Option<Duration> {
    let used = before.iter().zip(after).map(|(before, after)| after.saturating_sub(*before));
    used.max().filter(|_| before.len() == after.len())
}

/// Why a cell has no more trials.
pub const USED_UP: &str = " before the budget was used up";
/// The same, after Ctrl-C.
pub const INTERRUPTED: &str = " before it was interrupted";

/// Returns a cell with the reason that fewer trials `ran` than were `wanted`, and `why` there are no more. A reason that it
/// has says more.
pub fn some_ran(cell: Cell, ran: usize, wanted: u32, why: &str) -> Cell {
    let some = || format!("{ran} of {} ran{why}", counted(wanted as usize, "trial"));
    Cell { reason: cell.reason.clone().or_else(|| Some(some())), ..cell }
}

/// Returns the state of a cell whose process gave this error instead of a figure.
pub fn state_of(error: &HostError) -> State {
    match error {
        HostError::Fault(Fault::Invalid(_)) => State::Invalid,
        _ => State::Failed,
    }
}

/// Returns the cell of the record for a cell whose host gave no figure.
pub fn failed_cell(cell: &Planned<'_>, error: &HostError) -> Cell {
    let label = format!("{} on {}", cell.workload.name, cell.entry.info.name);
    cell.cell_with_reason(state_of(error), format!("{error} (of {label})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_warm_when_its_batches_have_settled_and_long_ones_are_from_the_first() {
        let us = Duration::from_micros;
        let warmed = |first, times: &dyn Fn(u64) -> u64| {
            let mut done = 0;
            let last = warm(first, |count| {
                let group = done..done + count;
                done += count;
                Ok::<_, ()>(group.map(|batch| us(times(batch))).collect())
            });
            (last.unwrap(), done)
        };
        // The first takes 40 times as long as those after the seventh: a sample sized by it would be too short.
        let settling = |batch: u64| 800 >> batch.min(5);
        assert_eq!(warmed(us(1000), &settling), (us(25), 31));
        assert_eq!(warmed(us(1000), &|_| 950), (us(950), 1));
        assert_eq!(warmed(us(100_000), &|_| 950), (us(100_000), 0));
        // A batch that never settles is ended by the time limit.
        let (_, batches) = warmed(us(1000), &|batch| 1000 * (batch + 1));
        assert!(batches < 40);
    }

    #[test]
    fn the_busiest_thread_counts_and_threads_that_came_or_went_do_not_compare() {
        let ms =
            |times: &[u64]| times.iter().copied().map(Duration::from_millis).collect::<Vec<_>>();
        assert_eq!(busiest(&ms(&[5, 5]), &ms(&[6, 8])), Some(Duration::from_millis(3)));
        assert_eq!(busiest(&ms(&[5, 5]), &ms(&[6, 8, 9])), None);
    }
}
