//! The target of a load: a workload that models serve, or a server that is already running.

use std::{cell::OnceCell, fmt, net::SocketAddr, slice, time::Duration};

use super::{CONNECTIONS, Order, Url, described};
use crate::{
    output::{count, counted, rate},
    plan::Planned,
    record::{Cell, GeneratorFigures, LoadFigures, Ramp, State},
    session::Session,
    stats::FEWEST_TRIALS,
};
use paceline_core::{
    generator::{Drive, Request, Share, too_few_connections},
    job::{Demand, Jobs, Steps, Workload, bounds, is_chosen},
    models::{Entry, PARK, ROOM},
    perform::Placement,
    prepared::ServerSeen,
    process::{Host, HostError},
};

/// The target of a load.
#[derive(Clone, Debug)]
pub enum Target {
    /// A workload, whose jobs each model serves.
    Workload(Box<Workload>),
    /// A server that is already running.
    Url(Url),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Workload(workload) => f.write_str(&workload.name),
            Target::Url(url) => write!(f, "http://{}{}", url.authority(), url.path),
        }
    }
}

impl Target {
    /// Returns requests for some jobs of each definition in the workload, with the receipts that must come back.
    fn jobs(workload: &Workload) -> RequestSet {
        const EACH: usize = 16;
        let jobs = Jobs::load(workload);
        let one =
            |index: usize| Request::get(format!("/{index}"), Some(jobs.expected(index).body()));
        let Some((nth, _)) = &workload.every else {
            return RequestSet { list: (0..EACH).map(one).collect(), ..RequestSet::default() };
        };
        let first = |other: bool| {
            let of_this_sort = (0..).filter(|index| is_chosen(*index, *nth) == other);
            of_this_sort.take(EACH).map(one).collect()
        };
        RequestSet { list: first(false), every: Some((*nth, first(true))), ..RequestSet::default() }
    }

    pub(super) fn workloads(&self) -> &[Workload] {
        match self {
            Target::Workload(workload) => slice::from_ref(workload),
            Target::Url(_) => &[],
        }
    }
}

/// The requests to a server: the fields of [`Order`](paceline_core::generator::Order) of the same names.
#[derive(Default)]
pub(super) struct RequestSet {
    pub(super) list: Vec<Request>,
    pub(super) every: Option<(usize, Vec<Request>)>,
    pub(super) weights: Vec<u32>,
    /// What a record has as the workload if the target is a URL.
    name: String,
}

/// A server under load.
pub(super) struct Served<'a> {
    kind: ServerKind<'a>,
    pub(super) requests: &'a RequestSet,
    pub(super) connections: usize,
    /// The threads that ran its jobs, once they were counted; `None` where they cannot be.
    pub(super) job_threads: OnceCell<Option<u32>>,
}

enum ServerKind<'a> {
    /// A model's server, as a cell whose scale is the number of connections.
    Model(Planned<'a>),
    /// A server that was already running.
    Running(&'a Url),
}

/// The process of a model that serves.
pub(super) struct Serving {
    pub(super) host: Host,
    pub(super) address: SocketAddr,
}

impl Serving {
    /// Starts the server of `cell`.
    pub(super) fn start(
        session: &Session,
        cell: &Planned<'_>,
        patience: Duration,
    ) -> Result<Self, HostError> {
        let mut host = session.host(cell)?;
        let address = session.serve(&mut host, cell, patience)?;
        Ok(Serving { host, address })
    }
}

/// Returns how many connections a model can serve at once; `None` without a bound.
pub(super) fn most_connections(cell: &Planned<'_>) -> Option<usize> {
    cell.entry.info.connections(cell.workers.unwrap_or(1))
}

/// Returns a model's server as a cell. By default it has a worker for each core, if it has workers, and as many
/// connections as it can serve or an open loop may need.
pub(super) fn planned<'a>(
    workload: &'a Workload,
    entry: &'static Entry,
    workers: Option<usize>,
    connections: Option<usize>,
    cores: usize,
) -> Planned<'a> {
    let info = &entry.info;
    let workers = workers.map_or_else(|| info.workers(&[cores])[0], Some);
    let cell = Planned { workload, entry, workers, placement: info.placements[0], scale: 1 };
    let scale = connections.or_else(|| most_connections(&cell)).unwrap_or(CONNECTIONS);
    Planned { scale, ..cell }
}

impl<'a> Served<'a> {
    /// Returns every server of `target`. All get the same requests.
    pub(super) fn all(order: &'a Order, target: &'a Target, requests: &'a RequestSet) -> Vec<Self> {
        let (workers, connections) = (order.workers, order.connections);
        let served = |kind, connections| Served {
            kind,
            requests,
            connections,
            job_threads: OnceCell::new(),
        };
        match target {
            Target::Url(url) => {
                vec![served(ServerKind::Running(url), connections.unwrap_or(CONNECTIONS))]
            }
            Target::Workload(workload) => order
                .models
                .iter()
                .map(|entry| planned(workload, entry, workers, connections, order.cores))
                .map(|cell| served(ServerKind::Model(cell), cell.scale))
                .collect(),
        }
    }

    /// Returns whether paceline started it, and so can measure what it uses.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self.kind, ServerKind::Model(_))
    }

    /// Checks that its process is what the label of its model says.
    pub(super) fn is_as_labelled(&self, seen: &ServerSeen) -> Result<(), String> {
        let ServerKind::Model(cell) = &self.kind else { return Ok(()) };
        seen.check(&cell.entry.info, cell.workload, cell.workers)
    }

    /// Returns the minimum time of a request: the wait that its job defines.
    pub(super) fn floor(&self) -> Duration {
        let ServerKind::Model(cell) = &self.kind else { return Duration::ZERO };
        let floor = |steps: &Steps| Demand::of(steps).floor;
        let other = cell.workload.every.as_ref().map(|(_, steps)| floor(steps));
        let usual = floor(&cell.workload.job);
        other.map_or(usual, |other| usual.min(other))
    }

    /// Returns the most requests a second that it can answer if `offered` a second are sent. Nothing else is known of a
    /// server that was already running.
    pub(super) fn bound(&self, compute_ns: f64, offered: f64) -> f64 {
        match &self.kind {
            ServerKind::Model(cell) => cell.bound_under_load(compute_ns, offered),
            ServerKind::Running(_) => offered,
        }
    }

    /// Returns whether its jobs open connections.
    pub(super) fn connects(&self) -> bool {
        matches!(&self.kind, ServerKind::Model(cell) if cell.workload.demand().connects > 0)
    }

    pub(super) fn label(&self, drive: Drive) -> String {
        let how = match drive {
            Drive::Open { rate: of, .. } => format!("{} requests per second", rate(of)),
            Drive::Ramp { from, to, .. } => {
                format!("{} to {} requests per second", rate(from), rate(to))
            }
            Drive::Closed => counted(self.connections, "connection"),
        };
        match &self.kind {
            ServerKind::Model(cell) => {
                format!("{} on {}, {how}", cell.workload.name, cell.entry.info.name)
            }
            ServerKind::Running(url) => format!("{url}, {how}"),
        }
    }

    /// Returns why it cannot be put under this load, if it cannot.
    pub(super) fn refusal(&self, session: &Session, generators: usize) -> Option<String> {
        let connections = self.connections;
        if connections < generators {
            return Some(too_few_connections(connections, generators));
        }
        let ServerKind::Model(cell) = &self.kind else {
            return session.lacks_files(connections).or_else(|| session.lacks_ports(connections));
        };
        let name = cell.entry.info.name;
        if let Some(most) = most_connections(cell).filter(|most| connections > *most) {
            let (served, asked) = (counted(most, "connection at once"), count(connections));
            return Some(format!(
                "{name} serves at most {served}, not {asked}: give --connections {most}"
            ));
        }
        let sockets = usize::try_from(cell.workload.demand().sockets).unwrap_or(usize::MAX);
        session
            .refusal(cell)
            .or_else(|| cell.entry.info.unsupported_as_server_step(cell.workload))
            .or_else(|| session.lacks_files(connections.saturating_mul(sockets.saturating_add(1))))
            .or_else(|| session.lacks_ports(connections))
    }

    /// Starts the model's server; `None` if the server is already running.
    pub(super) fn start(
        &self,
        session: &Session,
        patience: Duration,
    ) -> Result<Option<Serving>, HostError> {
        let ServerKind::Model(cell) = &self.kind else { return Ok(None) };
        Serving::start(session, cell, patience).map(Some)
    }

    /// Returns where it listens. A server that was already running is at one of these addresses.
    pub(super) fn addresses(&self, serving: Option<&Serving>) -> Vec<SocketAddr> {
        match (serving, &self.kind) {
            (Some(serving), _) => vec![serving.address],
            (None, ServerKind::Running(url)) => url.addresses.clone(),
            (None, ServerKind::Model(_)) => unreachable!("a model's server was started"),
        }
    }

    /// Returns its `Host` field, if that is not its address.
    pub(super) fn host(&self) -> Option<String> {
        match &self.kind {
            ServerKind::Model(_) => None,
            ServerKind::Running(url) => Some(url.authority()),
        }
    }

    pub(super) fn blank(&self, state: State) -> Cell {
        match &self.kind {
            ServerKind::Model(cell) => cell.cell_with_time(state, None, String::new()),
            ServerKind::Running(url) => {
                let (name, connections) = (url.to_string(), self.connections);
                Cell::new(&self.requests.name, &name, connections, None, Placement::Outside, state)
            }
        }
    }

    pub(super) fn ended(&self, state: State, why: String, drive: Drive, order: &Order) -> Cell {
        let load = Some(self.figures(drive, order));
        Cell { reason: Some(why), load, ..self.blank(state) }
    }

    /// Returns the figures of one generator before it has measured anything: its share of the connections.
    fn share(&self, index: u32, order: &Order) -> GeneratorFigures {
        let share = Share { index, of: order.generators as u32 };
        let connections = share.part(self.connections) as u64;
        GeneratorFigures { connections, ..GeneratorFigures::default() }
    }

    /// Returns the settings of the load, without any measured figure.
    pub(super) fn figures(&self, drive: Drive, order: &Order) -> LoadFigures {
        let (looped, rate, arrivals) = described(drive);
        LoadFigures {
            duration_seconds: order.duration.as_secs_f64(),
            timeout_seconds: order.timeout.map(|timeout| timeout.as_secs_f64()),
            warm_up_seconds: order.warm_up.as_secs_f64(),
            ramp: match drive {
                Drive::Ramp { from, to, .. } => Some(Ramp { from, to }),
                Drive::Open { .. } | Drive::Closed => None,
            },
            generators: (0..order.generators as u32)
                .map(|index| self.share(index, order))
                .collect(),
            ..LoadFigures::new(looped, rate, arrivals, self.connections as u64)
        }
    }
}

impl Order {
    /// Returns the requests to the servers of `target`.
    pub(super) fn requests(&self, target: &Target) -> RequestSet {
        match target {
            Target::Workload(workload) => Target::jobs(workload),
            Target::Url(url) => {
                let (requests, weights) = self.request_options.requests(url);
                let name =
                    self.request_options.urls.as_ref().map_or(&url.path, |urls| &urls.name).clone();
                RequestSet { list: requests, every: None, weights, name }
            }
        }
    }

    /// Checks what the command line alone cannot.
    ///
    /// # Errors
    ///
    /// Returns a sentence with the setting that cannot be honoured.
    pub fn check(&self) -> Result<(), String> {
        const MOST_NTH: usize = 10_000;
        if let Target::Workload(workload) = &self.target
            && workload.has("connect.room")
        {
            return Err(ROOM.into());
        }
        if let Target::Workload(workload) = &self.target
            && workload.has("park")
        {
            return Err(PARK.into());
        }
        if let Target::Workload(workload) = &self.target
            && let Some((nth, _)) = &workload.every
            && *nth > MOST_NTH
        {
            return Err(format!("load needs an every.nth of at most {MOST_NTH}, not {nth}"));
        }
        if !self.accept.is_empty() && matches!(self.target, Target::Workload(_)) {
            return Err("a model answers with status 200: --expect is for a URL".into());
        }
        if !self.request_options.is_plain() && matches!(self.target, Target::Workload(_)) {
            return Err(
                "--method, --header and --body are for a URL: a model serves the jobs of its workload".into(),
            );
        }
        if self.pin && matches!(self.target, Target::Url(_)) {
            return Err("a running server cannot be pinned: leave --pin out with a URL".into());
        }
        if let Some(connections) = self.connections.filter(|count| *count < self.generators) {
            return Err(too_few_connections(connections, self.generators));
        }
        self.check_intervals()?;
        if self.paired && (self.trials as usize) < FEWEST_TRIALS {
            return Err(format!(
                "--against needs at least {FEWEST_TRIALS} --trials for an interval"
            ));
        }
        bounds::SCALE.check(self.connections.unwrap_or(1) as u64).map(|_| ())
    }

    /// Returns the name of the second of two servers, for the record.
    pub(super) fn against(&self) -> Option<String> {
        let model = self.models.get(1).filter(|_| self.paired).map(|entry| entry.info.name.into());
        model.or_else(|| self.other.as_ref().map(Target::to_string))
    }

    /// Returns the setting that one of the models cannot honour, if there is one.
    #[must_use]
    pub fn cannot_honour(&self) -> Option<String> {
        let Target::Workload(workload) = &self.target else { return None };
        let cell = |entry| planned(workload, entry, self.workers, self.connections, self.cores);
        self.models.iter().find_map(|entry| cell(entry).cannot_honour())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_with_every_is_asked_for_jobs_of_both_sorts() {
        let text =
            "name = \"two\"\njob = [{ yield = 1 }]\nevery = { nth = 3, job = [{ yield = 5 }] }";
        let requests = |text: &str| Target::jobs(&Workload::parse("two", text).unwrap());
        let all = |list: &[Request], units: &str| {
            list.iter().all(|one| one.expect.as_ref().unwrap().starts_with(units))
        };
        let two = requests(text);
        let (nth, others) = two.every.unwrap();
        assert_eq!((nth, two.list.len(), others.len()), (3, 16, 16));
        assert!(all(&two.list, "1 ") && all(&others, "5 "));
        assert_eq!((&*others[0].path, &*two.list[0].path), ("/0", "/1"));
        let one = requests("name = \"one\"\njob = [{ yield = 1 }]");
        assert!(one.every.is_none() && one.list.len() == 16 && all(&one.list, "1 "));
    }
}
