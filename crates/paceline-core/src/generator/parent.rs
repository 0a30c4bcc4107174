//! The generators of a load from their parent's side: all are ready, or nobody starts; all end, or the load is void.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use super::{Interval, Loaded, MergedLoad, Order, Reply, Share, merge, start::Start};
use crate::{
    clock::{nanoseconds, timer_ns},
    interrupt::interrupted,
    prepared::Fault,
    process::{Host, HostError, LOAD, Program, no_reply},
};

/// How far ahead the common start of several generators is.
const AHEAD: Duration = Duration::from_secs(2);
/// How long each may take to confirm it. Less than [`AHEAD`], so that all can be ended before the start.
const CONFIRMING: Duration = Duration::from_secs(1);

/// How lines go to a generator and come back: through the pipes of a child, or from another node.
pub(super) trait Link: Send {
    /// Sends the order of a load.
    fn send_order(&mut self, order: &Order) -> Result<(), HostError>;
    /// Sends a line about the load that was ordered.
    fn send(&mut self, line: String) -> Result<(), HostError>;
    /// Waits for the next line, unless nobody waits for it any more: the generator is then ended.
    fn line_unless(
        &mut self,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<String, HostError>;
    /// Converts a moment of this machine's clock to the generator's.
    ///
    /// # Errors
    ///
    /// Returns an error if the generator does not answer.
    fn its_time(&mut self, at_ns: u64) -> Result<u64, HostError>;
}

impl Link for Host {
    fn send_order(&mut self, order: &Order) -> Result<(), HostError> {
        Host::send(self, serde_json::to_string(order).expect("orders are plain data"))
    }

    fn send(&mut self, line: String) -> Result<(), HostError> {
        Host::send(self, line)
    }

    fn line_unless(
        &mut self,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<String, HostError> {
        Host::line_unless(self, patience, is_over)
    }

    fn its_time(&mut self, at_ns: u64) -> Result<u64, HostError> {
        Ok(at_ns)
    }
}

impl Program {
    /// Runs `order` in a process of its own. The time limit is that of the order plus `patience`, for starting the
    /// process and opening the connections.
    ///
    /// # Errors
    ///
    /// Returns an error if the order cannot be run, a request had no right answer, or the process has ended.
    pub fn load(&self, order: &Order, patience: Duration) -> Result<Loaded, HostError> {
        Ok(self.load_together(order, 1, patience, &mut |_| ())?.whole)
    }

    /// Runs `order` like [`Self::load`], in `generators` processes that share it. `over` gets each interval in order,
    /// soon after its last request was answered.
    ///
    /// # Errors
    ///
    /// Returns an error as [`Self::load`] does. Nothing is measured if a generator does not report within `patience` or
    /// does not confirm the common start. The load is void if one of them ends before it.
    pub fn load_together(
        &self,
        order: &Order,
        generators: usize,
        patience: Duration,
        over: &mut dyn FnMut(Interval),
    ) -> Result<MergedLoad, HostError> {
        let orders = order.split(generators).map_err(failed)?;
        let start = |order: Order| {
            let share = order.options.share;
            let started = self.generator();
            let link = started
                .map_err(|error| failed(format!("{} cannot be started: {error}", share.name())))?;
            Ok(Generator { link, order, share })
        };
        let mut all = orders.into_iter().map(start).collect::<Result<Vec<_>, HostError>>()?;
        together(&mut all, patience, over)
    }

    /// Starts a process that waits for an order.
    pub(super) fn generator(&self) -> io::Result<Host> {
        self.command(LOAD).and_then(Host::start)
    }
}

fn failed(why: String) -> HostError {
    HostError::Fault(Fault::Failed(why))
}

/// Has all generators start at once and do their shares of a load.
pub(super) fn together<L: Link>(
    all: &mut [Generator<L>],
    patience: Duration,
    over: &mut dyn FnMut(Interval),
) -> Result<MergedLoad, HostError> {
    let generators = all.len();
    let drive = all.first().map(|one| one.order.drive);
    let drive = drive.ok_or_else(|| failed("a load needs a generator".into()))?;
    at_once(all, |one, is_over| one.get_ready(patience, is_over), || Ok(()))?;
    // One generator alone waits for nobody.
    let (ahead, within) =
        if generators > 1 { (AHEAD, CONFIRMING) } else { (Duration::ZERO, patience) };
    let at_ns = timer_ns() + nanoseconds(ahead);
    at_once(all, |one, is_over| one.agree(at_ns, within, is_over), || Ok(()))?;
    let (give, intervals) = mpsc::channel();
    // The receiver ends when the last generator's sender does.
    let give = Mutex::new(vec![give; generators]);
    let each = at_once(
        all,
        |one, is_over| {
            let give = give.lock().unwrap_or_else(PoisonError::into_inner).pop();
            one.follow(patience, give.as_ref(), is_over)
        },
        || in_order(intervals, generators, over).map_err(failed),
    )?;
    MergedLoad::of(each, drive).map_err(HostError::Fault)
}

/// A generator that was started.
pub(super) struct Generator<L> {
    pub(super) link: L,
    pub(super) order: Order,
    pub(super) share: Share,
}

impl<L: Link> Generator<L> {
    /// Sends the order, and waits until all connections are open.
    fn get_ready(
        &mut self,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<(), HostError> {
        let sent = self.link.send_order(&self.order);
        self.expect(sent, |reply| matches!(reply, Reply::Ready), "report", patience, is_over)
    }

    /// Names the start, and waits until it is confirmed.
    fn agree(
        &mut self,
        at_ns: u64,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<(), HostError> {
        let start = Start { at_ns: self.link.its_time(at_ns)? };
        let start = serde_json::to_string(&start).expect("a start is plain data");
        let agrees = |reply: &Reply| matches!(reply, Reply::Agreed);
        let sent = self.link.send(start);
        self.expect(sent, agrees, "confirm the start", patience, is_over)
    }

    /// Sends on its intervals, until it has its results.
    fn follow(
        &mut self,
        patience: Duration,
        give: Option<&mpsc::Sender<(u32, Box<Interval>)>>,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Loaded, HostError> {
        let most = self.order.time_limit(patience);
        loop {
            match self.link.line_unless(most, is_over).and_then(|line| read(&line)) {
                Ok(Reply::Interval(interval)) => {
                    // Where nobody takes it, the load has failed, and this generator is about to be ended.
                    let _ = give.map(|give| give.send((self.share.index, interval)));
                }
                Ok(Reply::Loaded(loaded)) => return Ok(*loaded),
                other => {
                    return Err(self.lost(other, |name, time| {
                        format!("{name} was lost, with no word within {time}: the load is void")
                    }));
                }
            }
        }
    }

    /// Waits for the wanted reply to what was `sent`. `what` is what the generator does by it.
    fn expect(
        &mut self,
        sent: Result<(), HostError>,
        is_wanted: impl Fn(&Reply) -> bool,
        what: &str,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<(), HostError> {
        let line = sent.and_then(|()| self.link.line_unless(patience, is_over));
        match line.and_then(|line| read(&line)) {
            Ok(reply) if is_wanted(&reply) => Ok(()),
            other => Err(self.lost(other, |name, time| {
                format!("{name} did not {what} within {time}: nothing is measured")
            })),
        }
    }

    /// Returns why there is no reply as it should be. `silent` says it of a name and a time.
    fn lost(
        &self,
        reply: Result<Reply, HostError>,
        silent: impl Fn(&str, humantime::FormattedDuration) -> String,
    ) -> HostError {
        let name = self.share.name();
        HostError::Fault(Fault::Failed(match reply {
            Ok(Reply::Fault(fault)) => return HostError::Fault(fault),
            Ok(other) => format!("{name} said {other:?} out of turn"),
            Err(HostError::Died(how)) => format!("{name} was lost, the load is void: {how}"),
            Err(HostError::Silent(time)) => silent(&name, humantime::format_duration(time)),
            Err(other) => return other,
        }))
    }
}

fn read(line: &str) -> Result<Reply, HostError> {
    serde_json::from_str(line).map_err(|error| no_reply(line, &error))
}

/// Does `each` with all generators at the same time, and `meanwhile` in this thread. Where one fails, the others are
/// ended, and its error is returned.
fn at_once<T: Send, L: Link>(
    all: &mut [Generator<L>],
    each: impl Fn(&mut Generator<L>, &dyn Fn() -> bool) -> Result<T, HostError> + Sync,
    meanwhile: impl FnOnce() -> Result<(), HostError>,
) -> Result<Vec<T>, HostError> {
    let (is_over, first) = (AtomicBool::new(false), Mutex::new(None));
    let ends = |error| {
        first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        is_over.store(true, Relaxed);
    };
    let done = thread::scope(|scope| {
        let one = |generator| {
            let (each, is_over, ends) = (&each, &is_over, &ends);
            scope.spawn(move || {
                each(generator, &|| is_over.load(Relaxed) || interrupted()).map_err(ends).ok()
            })
        };
        let threads: Vec<_> = all.iter_mut().map(one).collect();
        let _ = meanwhile().map_err(ends);
        threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
    });
    match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Option::ok_or_else(done, || HostError::Died("a thread panicked".into())),
    }
}

/// Gives `over` each interval as soon as all generators have told it.
fn in_order(
    told: mpsc::Receiver<(u32, Box<Interval>)>,
    generators: usize,
    over: &mut dyn FnMut(Interval),
) -> Result<(), String> {
    let mut waiting: Vec<VecDeque<Interval>> = vec![VecDeque::new(); generators];
    for (index, interval) in told {
        waiting[index as usize].push_back(*interval);
        while waiting.iter().all(|of| !of.is_empty()) {
            let each: Vec<Interval> = waiting.iter_mut().filter_map(VecDeque::pop_front).collect();
            over(merge::interval(&each)?);
        }
    }
    Ok(())
}
