//! What load is put on: a workload that a model serves, or a server that is there already.

use std::{fmt, net::SocketAddr, slice, time::Duration};

use super::{CONNECTIONS, Order, Url, described};
use crate::{
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
    process::{Host, HostError},
};

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Target {
    /// The jobs of a workload, of each model.
    Workload(Box<Workload>),
    /// A server that is there already.
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
    /// What a workload is asked for: some of its jobs of each sort, with the receipts that must come back.
    fn jobs(workload: &Workload) -> Asked {
        const EACH: usize = 16;
        let jobs = Jobs::load(workload);
        let one =
            |index: usize| Request::get(format!("/{index}"), Some(jobs.expected(index).body()));
        let Some((nth, _)) = &workload.every else {
            return Asked { requests: (0..EACH).map(one).collect(), ..Asked::default() };
        };
        let first = |other: bool| {
            let of_this_sort = (0..).filter(|index| is_chosen(*index, *nth) == other);
            of_this_sort.take(EACH).map(one).collect()
        };
        Asked { requests: first(false), every: Some((*nth, first(true))), ..Asked::default() }
    }

    pub(super) fn workloads(&self) -> &[Workload] {
        match self {
            Target::Workload(workload) => slice::from_ref(workload),
            Target::Url(_) => &[],
        }
    }
}

/// What a server is asked for, as [`Ask`](paceline_core::generator::Order) has it.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) requests: Vec<Request>,
    pub(super) every: Option<(usize, Vec<Request>)>,
    pub(super) weights: Vec<u32>,
    /// What stands for the workload, where there is none.
    name: String,
}

/// A server, as the generator meets it.
pub(super) struct Served<'a> {
    whose: Whose<'a>,
    pub(super) asked: &'a Asked,
    pub(super) connections: usize,
}

enum Whose<'a> {
    /// A model's, as a cell whose scale is the number of connections.
    Model(Planned<'a>),
    There(&'a Url),
}

/// A model that serves.
pub(super) struct Serving {
    pub(super) host: Host,
    pub(super) address: SocketAddr,
}

impl Serving {
    /// Starts the server that `cell` is.
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

/// How many connections a model can serve at once; `None` where nothing bounds them.
pub(super) fn most_connections(cell: &Planned<'_>) -> Option<usize> {
    cell.entry.info.connections(cell.workers.unwrap_or(1))
}

/// A model's server as a cell: with as many workers as there are cores, where it has any, and with as many connections
/// as it can serve or an open loop may need, where nothing else is said.
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
    /// Every server that `order` is for, each of which is asked for the same.
    pub(super) fn all(order: &'a Order, target: &'a Target, asked: &'a Asked) -> Vec<Self> {
        let (workers, connections) = (order.workers, order.connections);
        let served = |whose, connections| Served { whose, asked, connections };
        match target {
            Target::Url(url) => {
                vec![served(Whose::There(url), connections.unwrap_or(CONNECTIONS))]
            }
            Target::Workload(workload) => order
                .models
                .iter()
                .map(|entry| planned(workload, entry, workers, connections, order.cores))
                .map(|cell| served(Whose::Model(cell), cell.scale))
                .collect(),
        }
    }

    /// Whether it is a process of ours, of which we know what it uses.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self.whose, Whose::Model(_))
    }

    /// The least time that a request can take, by what its job waits for.
    pub(super) fn floor(&self) -> Duration {
        let Whose::Model(cell) = &self.whose else { return Duration::ZERO };
        let floor = |steps: &Steps| Demand::of(steps).floor;
        let other = cell.workload.every.as_ref().map(|(_, steps)| floor(steps));
        let usual = floor(&cell.workload.job);
        other.map_or(usual, |other| usual.min(other))
    }

    /// Whether its jobs open connections.
    pub(super) fn connects(&self) -> bool {
        matches!(&self.whose, Whose::Model(cell) if cell.workload.demand().connects > 0)
    }

    pub(super) fn label(&self, drive: Drive) -> String {
        let how = match drive {
            Drive::Open { rate, .. } => format!("{rate:.0} requests per second"),
            Drive::Ramp { from, to, .. } => format!("{from:.0} to {to:.0} requests per second"),
            Drive::Closed => format!("{} connections", self.connections),
        };
        match &self.whose {
            Whose::Model(cell) => {
                format!("{} on {}, {how}", cell.workload.name, cell.entry.info.name)
            }
            Whose::There(url) => format!("{url}, {how}"),
        }
    }

    /// Why it cannot be put under this load, if so.
    pub(super) fn refusal(&self, session: &Session, generators: usize) -> Option<String> {
        let connections = self.connections;
        if connections < generators {
            return Some(too_few_connections(connections, generators));
        }
        let Whose::Model(cell) = &self.whose else {
            return session.lacks_files(connections);
        };
        let name = cell.entry.info.name;
        if session.listen.is_some() && cell.entry.info.foreign.is_some() {
            return Some(format!(
                "{name} runs in an interpreter of another language, whose server is on loopback only: load it on one machine"
            ));
        }
        if let Some(most) = most_connections(cell).filter(|most| connections > *most) {
            let s = if most == 1 { "" } else { "s" };
            return Some(format!(
                "{name} serves {most} connection{s} at once, and {connections} are asked for: --connections {most}"
            ));
        }
        let sockets = usize::try_from(cell.workload.demand().sockets).unwrap_or(usize::MAX);
        session
            .refusal(cell)
            .or_else(|| cell.entry.info.unsupported_as_server_step(cell.workload))
            .or_else(|| session.lacks_files(connections.saturating_mul(sockets.saturating_add(1))))
    }

    /// Starts the model's server; `None` where the server is there already.
    pub(super) fn start(
        &self,
        session: &Session,
        patience: Duration,
    ) -> Result<Option<Serving>, HostError> {
        let Whose::Model(cell) = &self.whose else { return Ok(None) };
        Serving::start(session, cell, patience).map(Some)
    }

    /// Where it listens. A server that is there already is at one of the addresses.
    pub(super) fn addresses(&self, serving: Option<&Serving>) -> Vec<SocketAddr> {
        match (serving, &self.whose) {
            (Some(serving), _) => vec![serving.address],
            (None, Whose::There(url)) => url.addresses.clone(),
            (None, Whose::Model(_)) => unreachable!("a model's server was started"),
        }
    }

    /// What it is called in the `Host` field, if not by its address.
    pub(super) fn host(&self) -> Option<String> {
        match &self.whose {
            Whose::Model(_) => None,
            Whose::There(url) => Some(url.authority()),
        }
    }

    pub(super) fn blank(&self, state: State) -> Cell {
        match &self.whose {
            Whose::Model(cell) => cell.measured(state, None, String::new()),
            Whose::There(url) => {
                let (name, connections) = (url.to_string(), self.connections);
                Cell::new(&self.asked.name, &name, connections, None, Placement::Outside, state)
            }
        }
    }

    pub(super) fn ended(&self, state: State, why: String, drive: Drive, order: &Order) -> Cell {
        let load = Some(self.figures(drive, order));
        Cell { reason: Some(why), load, ..self.blank(state) }
    }

    /// What one of the generators has of it, before it has measured anything.
    fn share(&self, index: u32, order: &Order) -> GeneratorFigures {
        let share = Share { index, of: order.generators as u32 };
        let connections = share.part(self.connections) as u64;
        GeneratorFigures { connections, ..GeneratorFigures::default() }
    }

    /// What the load is meant to be.
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
    /// What the servers of `target` are asked for.
    pub(super) fn asked(&self, target: &Target) -> Asked {
        match target {
            Target::Workload(workload) => Target::jobs(workload),
            Target::Url(url) => {
                let (requests, weights) = self.asking.requests(url);
                let name = self.asking.urls.as_ref().map_or(&url.path, |urls| &urls.name).clone();
                Asked { requests, every: None, weights, name }
            }
        }
    }

    /// Why it cannot be carried out at all, if so.
    ///
    /// # Errors
    ///
    /// Returns a sentence that names the bound.
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
        if !self.asking.is_plain() && matches!(self.target, Target::Workload(_)) {
            return Err(
                "a model is asked for its jobs: --method, --header and --body are for a URL".into(),
            );
        }
        if self.pin && matches!(self.target, Target::Url(_)) {
            return Err("a server that is there already cannot be pinned".into());
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

    /// What the second of two servers is compared with, as the record says it.
    pub(super) fn against(&self) -> Option<String> {
        let model = self.models.get(1).filter(|_| self.paired).map(|entry| entry.info.name.into());
        model.or_else(|| self.other.as_ref().map(Target::to_string))
    }

    /// Which setting one of the models cannot honour, if so.
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
        let asked = |text: &str| Target::jobs(&Workload::parse("two", text).unwrap());
        let all = |list: &[Request], units: &str| {
            list.iter().all(|one| one.expect.as_ref().unwrap().starts_with(units))
        };
        let two = asked(text);
        let (nth, others) = two.every.unwrap();
        assert_eq!((nth, two.requests.len(), others.len()), (3, 16, 16));
        assert!(all(&two.requests, "1 ") && all(&others, "5 "));
        assert_eq!((&*others[0].path, &*two.requests[0].path), ("/0", "/1"));
        let one = asked("name = \"one\"\njob = [{ yield = 1 }]");
        assert!(one.every.is_none() && one.requests.len() == 16 && all(&one.requests, "1 "));
    }
}
