//! A host: the child process that runs the batches of one model, controlled by lines of JSON.
//!
//! Each model gets its own process, under criterion too. Whatever a model leaves behind (spinning pools, runtimes that
//! cannot stop, memory) ends with its process, a crash costs one cell, and the process can attest what ran in it.

pub(crate) mod count;
pub(crate) mod interpreter;
mod panics;
mod process_group;
mod serve;

use std::{
    io::{self, BufRead, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{
    clock::{nanoseconds, now},
    job::{Jobs, Workload},
    model::{Settings, set_listen, set_servers},
    models::{self, Entry},
    perform::StartedModel,
    prepared::{Fault, Prepared, thread_name, thread_names},
    protocol::{CellSpec, Reply, Request},
    quantity::counted,
    usage::Usage,
};
use interpreter::Interpreter;
use panics::{keep_panics, last_panic};

/// Received request lines.
type Requests = mpsc::Receiver<String>;

/// The name of the thread that reads requests.
const READER: &str = "requests";
/// How long threads that were asked to end may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Answers requests on standard input until it ends. The `main` of a child process calls this.
pub fn serve() -> io::Result<()> {
    let (give, requests) = mpsc::channel::<String>();
    // A separate thread, so that a host ends with its parent even in the middle of a batch.
    thread::Builder::new().name(READER.into()).spawn(move || {
        for line in io::stdin().lock().lines() {
            if line.is_err() || line.is_ok_and(|line| give.send(line).is_err()) {
                break;
            }
        }
        interpreter::end_all();
        std::process::exit(0);
    })?;
    keep_panics();
    let mut host = Host::default();
    while let Ok(line) = requests.recv() {
        if let Some(refusal) = count::refusal() {
            say(&refusal)?;
            continue;
        }
        let reply = match serde_json::from_str(&line) {
            Ok(Request::Serve(cell)) => {
                match catch_unwind(AssertUnwindSafe(|| host.prepare_to_serve(cell)))
                    .unwrap_or_else(|_| Err(Fault::Failed(last_panic())))
                {
                    Ok(Server::Here(model, jobs)) => serve::serve(model, jobs, requests),
                    Ok(Server::Foreign(interpreter, serving)) => {
                        say(&serving)?;
                        serve::answer(interpreter, requests);
                    }
                    Err(fault) => Reply::Fault(fault),
                }
            }
            Ok(request) => catch_unwind(AssertUnwindSafe(|| host.answer(request)))
                .unwrap_or_else(|_| Err(Fault::Failed(last_panic())))
                .unwrap_or_else(Reply::Fault),
            Err(error) => Reply::Fault(Fault::Failed(format!("not a request: {error}"))),
        };
        say(&reply)?;
        if matches!(reply, Reply::Stopped { .. }) {
            break;
        }
    }
    Ok(())
}

fn say(reply: &Reply) -> io::Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, reply)?;
    writeln!(output)?;
    output.flush()
}

#[derive(Default)]
struct Host {
    started: Option<Started>,
    /// The prepared cell.
    prepared: Option<Prepared>,
}

struct Started {
    entry: &'static Entry,
    workers: Option<usize>,
    engine: Engine,
    /// For a model out of process, whether its number of workers has been checked.
    attested: bool,
}

/// What runs the batches.
enum Engine {
    /// The model, in this process.
    Here(Box<dyn StartedModel>),
    /// The interpreter of a model out of process.
    Foreign(Interpreter),
}

/// What serves the jobs.
enum Server<'a> {
    /// The model, which starts to serve when it is called.
    Here(&'a dyn StartedModel, Jobs),
    /// The interpreter, which serves already, and its reply.
    Foreign(&'a mut Interpreter, Box<Reply>),
}

impl Host {
    fn answer(&mut self, request: Request) -> Result<Reply, Fault> {
        match request {
            Request::Prepare(cell) => self.prepare(cell).map(|()| Reply::Prepared),
            Request::Cells => Ok(Reply::Cells { names: vec![], with_head: vec![] }),
            Request::Custom { name, .. } => {
                Err(Fault::Failed(format!("no cell is called `{name}`")))
            }
            Request::Attest => match self.ready()? {
                // The first batch runs cold and its memory is recorded, so the workers are checked after it.
                (prepared, Engine::Here(model)) => prepared
                    .attest(&**model)
                    .and_then(|seen| prepared.attest_width(&**model).map(|()| seen)),
                (prepared, Engine::Foreign(interpreter)) => interpreter.attest(prepared),
            }
            .map(Reply::Attested),
            Request::Batches { count } => match self.ready()? {
                (prepared, Engine::Here(model)) => {
                    let before = Usage::now();
                    let times = (0..count).map(|_| Ok(nanoseconds(prepared.batch(&**model)?)));
                    let batch_ns = times.collect::<Result<_, Fault>>()?;
                    Ok(Reply::Batches { batch_ns, used: Usage::now().since(before) })
                }
                (prepared, Engine::Foreign(interpreter)) => {
                    let (batch_ns, used) = interpreter.batches(prepared, count)?;
                    Ok(Reply::Batches { batch_ns, used })
                }
            },
            Request::Record { count, ticks_per_ns } => match self.ready()? {
                (prepared, Engine::Here(model)) => prepared.record(&**model, count, ticks_per_ns),
                (prepared, Engine::Foreign(interpreter)) => interpreter.record(prepared, count),
            }
            .map(Reply::Recorded),
            Request::Idle { ns } => {
                let before = self.used().map_err(Fault::Failed)?;
                thread::sleep(Duration::from_nanos(ns));
                Ok(Reply::Idled(self.used().map_err(Fault::Failed)?.since(before)))
            }
            Request::Probe { what } => match self.ready()? {
                (_, Engine::Here(model)) => Ok(model.probe(what, now)),
                (_, Engine::Foreign(interpreter)) => interpreter.probe(what),
            }
            .map(Reply::Probed),
            Request::Stop => Ok(Reply::Stopped { threads_left: self.stop() }),
            Request::Usage => Ok(serve::usage()),
            Request::Watch { .. } | Request::Seen => {
                Err(Fault::Failed("this process does not serve".into()))
            }
            Request::Serve(_) => unreachable!("it is answered by whoever can give up the requests"),
        }
    }

    /// Returns the resources used so far by the processes that run the jobs.
    fn used(&mut self) -> Result<Usage, String> {
        match self.started.as_mut().map(|started| &mut started.engine) {
            Some(Engine::Foreign(interpreter)) => interpreter.usage(),
            _ => Ok(Usage::now()),
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "by value, the closure that calls it is called once and may return what it borrows"
    )]
    fn prepare_to_serve(&mut self, cell: CellSpec) -> Result<Server<'_>, Fault> {
        serve::check(&cell).map_err(Fault::Failed)?;
        if let Some(listen) = &cell.listen {
            set_listen(listen.clone()).map_err(Fault::Failed)?;
        }
        // The client checks the receipts, so none are computed here.
        self.prepare(CellSpec { scale: 0, ..cell.clone() })?;
        match self.ready()? {
            (prepared, Engine::Here(model)) => Ok(Server::Here(&**model, prepared.jobs())),
            (_, Engine::Foreign(interpreter)) => {
                let workload = parse(&cell).map_err(Fault::Failed)?;
                let serving = interpreter.serve(&cell, &workload)?;
                Ok(Server::Foreign(interpreter, Box::new(serving)))
            }
        }
    }

    fn ready(&mut self) -> Result<(&Prepared, &mut Engine), Fault> {
        match (&self.prepared, &mut self.started) {
            (Some(prepared), Some(started)) => Ok((prepared, &mut started.engine)),
            _ => Err(Fault::Failed("no cell is prepared".into())),
        }
    }

    fn prepare(&mut self, cell: CellSpec) -> Result<(), Fault> {
        self.prepared = None;
        let workload = parse(&cell)?;
        if self.started.is_none() {
            let entry = models::find(&cell.model)?;
            let engine = start(entry, cell.workers)?;
            self.started = Some(Started { entry, workers: cell.workers, engine, attested: false });
        }
        let started = self.started.as_mut().expect("it was just started");
        let info = &started.entry.info;
        if info.name != cell.model || started.workers != cell.workers {
            return Err(format!("this process runs {} already", info.name).into());
        }
        let CellSpec { scale, workers, placement, .. } = cell;
        if !info.placements.contains(&placement) {
            return Err(format!("{} cannot be offered jobs {placement}", info.name).into());
        }
        if !info.workers(&[workers.unwrap_or(1)]).contains(&workers) {
            let workers = workers.map_or_else(|| "no workers".into(), |of| counted(of, "worker"));
            return Err(format!("{} cannot have {workers}", info.name).into());
        }
        match &mut started.engine {
            Engine::Here(_) => set_servers(cell.servers),
            // A server has no scale; it is prepared when it starts to serve.
            Engine::Foreign(_) if scale == 0 => {}
            Engine::Foreign(interpreter) => {
                if !std::mem::replace(&mut started.attested, true) {
                    interpreter.attest_width(info, &cell)?;
                }
                interpreter.prepare(&cell, &workload)?;
            }
        }
        self.prepared = Some(Prepared::new(info, &workload, scale, workers, placement));
        Ok(())
    }

    /// Stops the model. Returns the names of threads that remain although they should have ended. It waits first,
    /// because some threads are only asked to end, and blocking pools keep idle threads for some seconds.
    fn stop(&mut self) -> Vec<String> {
        self.prepared = None;
        let Some(Started { entry, engine, .. }) = self.started.take() else { return vec![] };
        match engine {
            Engine::Here(model) => drop(model),
            Engine::Foreign(interpreter) => return interpreter.stop(),
        }
        let Some(known) = entry.info.leaves else { return vec![] };
        let own = thread_name();
        let deadline = now() + PATIENCE;
        loop {
            let mut left = thread_names().unwrap_or_default();
            left.retain(|name| !known.iter().any(|known| name.starts_with(known)));
            // The kernel names a process's first thread after the program.
            if let Some(main) = left.iter().position(|name| *name == own) {
                left.swap_remove(main);
            }
            left.retain(|name| name != READER);
            if left.is_empty() || now() > deadline {
                return left;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn parse(cell: &CellSpec) -> Result<Workload, String> {
    Workload::parse(&cell.workload, &cell.source).map_err(|error| error.to_string())
}

fn start(entry: &Entry, workers: Option<usize>) -> Result<Engine, String> {
    if entry.info.foreign.is_some() {
        return Interpreter::start(entry).map(Engine::Foreign);
    }
    let settings = Settings { workers: workers.unwrap_or(1) };
    entry.start(&settings).map(Engine::Here).map_err(|error| format!("cannot start: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a test of this module in a process of its own: CPU time, and the threads that run jobs, are counted per
    /// process.
    fn alone(name: &str) {
        let name = format!("host::tests::{name}");
        let test = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", &name])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&test.stdout);
        assert!(test.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    fn a_pool_that_spins_shows_in_the_cpu_time_without_jobs() {
        alone("idle_with_a_pool_that_spins");
    }

    #[test]
    #[ignore = "in a process of its own, started by the test above"]
    fn idle_with_a_pool_that_spins() {
        const IDLE: Duration = Duration::from_millis(50);
        let entry = models::find("threads").unwrap();
        let engine = Engine::Here(entry.start(&Settings { workers: 1 }).unwrap());
        let started = Started { entry, workers: Some(1), engine, attested: false };
        let mut host = Host { started: Some(started), prepared: None };
        let mut cpu = || match host.answer(Request::Idle { ns: IDLE.as_nanos() as u64 }) {
            Ok(Reply::Idled(used)) => Duration::from_nanos(used.cpu_ns()),
            _ => panic!("another answer"),
        };
        assert!(cpu() < IDLE / 5);
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let told = stop.clone();
        let pool = thread::spawn(move || while !told.load(std::sync::atomic::Ordering::Relaxed) {});
        // On a busy machine the thread gets little of a CPU.
        let mut used = Duration::ZERO;
        assert!((0..200).any(|_| {
            used += cpu();
            used > IDLE
        }));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        pool.join().unwrap();
    }

    #[test]
    fn a_model_with_fewer_workers_than_its_label_is_invalid() {
        alone("fewer_workers_than_the_label");
    }

    #[test]
    #[ignore = "in a process of its own, started by the test above"]
    fn fewer_workers_than_the_label() {
        for name in ["pool", "tokio"] {
            let attested = [1, 2].map(|workers| {
                let entry = models::find(name).unwrap();
                let engine = Engine::Here(entry.start(&Settings { workers }).unwrap());
                let started = Started { entry, workers: Some(2), engine, attested: false };
                let mut host = Host { started: Some(started), prepared: None };
                let placement = entry.info.placements[0];
                let cell = CellSpec { workers: Some(2), placement, ..CellSpec::simplest() };
                host.prepare(CellSpec { model: name.into(), ..cell }).unwrap();
                host.answer(Request::Attest).map(drop).map_err(|fault| fault.to_string())
            });
            let why = attested[0].as_ref().unwrap_err();
            assert!(why.contains("to have 2 workers, and at most 1 of them"), "{why}");
            assert_eq!(attested[1], Ok(()), "{name}");
        }
    }
}
