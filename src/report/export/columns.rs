//! All fields of a cell as columns: a name with its unit for each figure, the same for every cell.

use super::{super::table::word, rows::finite};
use crate::{
    output::cut,
    record::{Against, AtShare, Cell, Estimate, LoadFigures, Loop, UrlFigures},
};
use paceline_core::{histogram::Distribution, prepared::ServerSeen};

/// The columns of a cell, in their order.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) names: Vec<String>,
    pub(super) fields: Vec<String>,
}

impl Columns {
    /// Returns all figures of `cell`. Histograms are only in `hdr-log`.
    pub(super) fn of(cell: &Cell) -> Self {
        let mut columns = Columns::default();
        columns.identity(cell);
        columns.throughput(cell);
        columns.attested(cell);
        columns.latency(cell);
        columns.all("latency_mostly_late", &cell.latencies_of_the_generator());
        columns.distribution("service_time", cell.service_time.as_ref());
        columns.distribution("timer_lateness", cell.timer_lateness.as_ref());
        columns.resources(cell);
        columns.load(cell.load.as_ref());
        columns
    }

    fn identity(&mut self, cell: &Cell) {
        // The sheet fills this in.
        self.text("cell", None);
        self.text("workload", Some(&cell.workload));
        self.text("model", Some(&cell.model));
        self.count("scale", Some(cell.scale as u64));
        self.count("workers", cell.workers.map(|workers| workers as u64));
        self.text("placement", Some(&cell.placement.to_string()));
        self.text("state", Some(word(cell.state)));
        self.text("reason", cell.reason.as_deref());
    }

    fn throughput(&mut self, cell: &Cell) {
        self.estimate("jobs_per_second", cell.jobs_per_second);
        self.estimate("batch_ns", cell.batch_ns);
        self.text("interval", cell.interval.as_deref());
        self.count("floor_ns", Some(cell.floor_ns));
        self.number("bound_jobs_per_second", cell.bound_jobs_per_second);
        self.number("share_of_bound", cell.share_of_bound());
        self.all("trials_ns", &cell.trials_ns);
        let of = &cell.per_trial;
        self.all("trials_passes", &of.passes);
        self.all("trials_jobs_per_second", &of.jobs_per_second);
        self.all("trials_latency_ns_p50", &of.latency_ns_p50);
        self.all("trials_latency_ns_p99", &of.latency_ns_p99);
        self.all("trials_schedule_error_ns_p50", &of.schedule_error_ns_p50);
        self.all("trials_schedule_error_ns_p99", &of.schedule_error_ns_p99);
        self.all("trials_rss_bytes_max", &of.rss_bytes_max);
        self.all("trials_cpu_ns_per_job", &of.cpu_ns_per_job);
        for (index, names) in
            [["mode_1_ns", "mode_1_share"], ["mode_2_ns", "mode_2_share"]].iter().enumerate()
        {
            let mode = cell.modes.map(|modes| modes[index]);
            self.number(names[0], mode.map(|mode| mode.ns));
            self.number(names[1], mode.map(|mode| mode.share));
        }
    }

    fn attested(&mut self, cell: &Cell) {
        let seen = cell.attest.as_ref();
        self.count("warm_up_ns", seen.map(|seen| seen.elapsed_ns));
        self.count("peak_in_flight", seen.map(|seen| u64::from(seen.peak_in_flight)));
        self.count("job_threads", seen.map(|seen| u64::from(seen.job_threads)));
        self.count("process_threads", seen.and_then(|seen| seen.process_threads));
        self.count("epolls", seen.and_then(|seen| seen.epolls));
        self.count("rings", seen.and_then(|seen| seen.rings));
        self.count("completions", seen.and_then(|seen| seen.completions));
        self.count("warm_up_rss_bytes", seen.and_then(|seen| seen.rss_bytes));
        self.count("warm_up_rss_bytes_max", seen.and_then(|seen| seen.rss_bytes_max));
        self.count("future_bytes", seen.and_then(|seen| seen.future_bytes));
    }

    fn resources(&mut self, cell: &Cell) {
        self.number("cpu_ns_per_job", cell.cpu_ns_per_job);
        self.number("server_cpu_ns_per_job", cell.server_cpu_ns_per_job);
        self.number("server_busy_share_max", cell.server_busy_share_max);
        let used = cell.resources;
        // Where the system does not count CPU time, both are 0.
        let counted = used.filter(|used| used.cpu_ns_per_job().is_some());
        self.number("user_cpu_ns_per_job", counted.map(|used| used.user_cpu_ns_per_job));
        self.number("system_cpu_ns_per_job", counted.map(|used| used.system_cpu_ns_per_job));
        self.number("idle_cpu_share", used.and_then(|used| used.idle_cpu_share));
        self.count("rss_bytes", used.and_then(|used| used.rss_bytes));
        self.count("rss_bytes_added", used.and_then(|used| used.rss_bytes_added));
        self.estimate("rss_bytes_max", used.and_then(|used| used.rss_bytes_max));
        self.number("voluntary_switches_per_job", used.map(|used| used.voluntary_switches_per_job));
        let involuntary = used.map(|used| used.involuntary_switches_per_job);
        self.number("involuntary_switches_per_job", involuntary);
        self.number("minor_faults_per_job", used.map(|used| used.minor_faults_per_job));
        self.number("major_faults_per_job", used.map(|used| used.major_faults_per_job));
        self.count("threads", used.and_then(|used| used.threads));
        self.number("steal_share", used.and_then(|used| used.steal_share));
        self.number("cpu_pressure_share", used.and_then(|used| used.cpu_pressure_share));
    }

    fn load(&mut self, load: Option<&LoadFigures>) {
        let looped = load.map(|load| match load.looped {
            Loop::Open => "open",
            Loop::Closed => "closed",
        });
        self.text("loop", looped);
        self.number("offered_per_second", load.and_then(|load| load.rate));
        let ramp = load.and_then(|load| load.ramp);
        self.number("ramp_from_per_second", ramp.map(|ramp| ramp.from));
        self.number("ramp_to_per_second", ramp.map(|ramp| ramp.to));
        let spread = load.and_then(|load| load.arrivals);
        self.text("arrivals", spread.map(|spread| format!("{spread:?}").to_lowercase()).as_deref());
        self.count("connections", load.map(|load| load.connections));
        self.number("warm_up_seconds", load.map(|load| load.warm_up_seconds));
        self.number("duration_seconds", load.map(|load| load.duration_seconds));
        self.count("requests_offered", load.map(|load| load.offered));
        self.count("requests_completed", load.map(|load| load.completed));
        self.number("timeout_seconds", load.and_then(|load| load.timeout_seconds));
        self.count("errors", load.map(LoadFigures::failed));
        self.number("error_share", load.and_then(LoadFigures::error_share));
        let kinds = load.map(|load| load.errors.iter().map(|(kind, n)| format!("{kind}: {n}")));
        self.text("errors_by_kind", kinds.map(|all| all.collect::<Vec<_>>().join("; ")).as_deref());
        self.distribution("error_latency", load.and_then(|load| load.error_latency.as_ref()));
        self.text("first_error", load.and_then(|load| load.first_error.as_deref()));
        self.by_url(load);
        self.count("late_starts", load.map(|load| load.late_starts));
        self.count("reconnects", load.map(|load| load.reconnects));
        let late = load.and_then(|load| load.schedule_error.as_ref());
        self.distribution("schedule_error", late);
        let generator = load.and_then(|load| load.generator_cpu_share_max);
        self.number("generator_cpu_share_max", generator);
        self.count("generators", load.map(|load| load.generators() as u64));
        let late = load.and_then(LoadFigures::latest_generator_ns);
        self.count("generator_schedule_error_ns_p99_max", late);
        let hosts = load.and_then(|load| load.hosts.as_ref());
        self.text("server_node", hosts.map(|hosts| &*hosts.server));
        self.all("generator_nodes", hosts.map_or(&[], |hosts| &hosts.generators));
        self.text("shared_host", hosts.map(|hosts| if hosts.shared_host { "yes" } else { "no" }));
        self.count("clock_uncertainty_ns", hosts.and_then(|hosts| hosts.clock_uncertainty_ns));
        let server = load.and_then(|load| load.server);
        let count = |of: fn(ServerSeen) -> Option<u64>| server.and_then(of);
        self.count("server_job_threads", count(|of| of.job_threads.map(u64::from)));
        self.count("server_threads", count(|of| of.process_threads));
        self.count("server_epolls", count(|of| of.epolls));
        self.count("server_rings", count(|of| of.rings));
        self.count("server_completions", count(|of| of.completions));
        self.count("server_rss_bytes", count(|of| of.rss_bytes));
        self.count("server_rss_bytes_max", count(|of| of.rss_bytes_max));
        self.number("little_error_max", load.and_then(|load| load.little_error_max));
        let knee = load.and_then(|load| load.knee.as_ref());
        self.count("knee_limit_ns", knee.map(|knee| knee.limit_ns));
        self.count("knee_rates_tried", knee.map(|knee| knee.steps.len() as u64));
        self.text("knee_gave_way", knee.and_then(|knee| knee.gave_way.as_deref()));
        let least = knee.map(|knee| if knee.is_least() { "yes" } else { "no" });
        self.text("knee_is_least", least);
        self.at_shares(load.map_or(&[], |load| &load.at_shares));
        let against = load.and_then(|load| load.against.as_ref());
        self.text("against", against.map(|of| of.base.as_str()));
        self.count("against_pairs", against.map(|of| of.pairs as u64));
        self.number("against_level", against.map(|of| of.level));
        let ratio = |of: fn(&Against) -> Option<Estimate>| against.and_then(of);
        self.estimate("against_requests_per_second_ratio", ratio(|of| of.requests_per_second));
        self.estimate("against_latency_p50_ratio", ratio(|of| of.latency_p50));
        self.estimate("against_latency_p99_ratio", ratio(|of| of.latency_p99));
    }

    /// Adds the URLs that were requested by weight: each field has a figure for each URL, or `-`.
    fn by_url(&mut self, load: Option<&LoadFigures>) {
        let all: &[UrlFigures] = load.map_or(&[], |load| &load.by_url);
        let late = load.and_then(|load| load.schedule_error.as_ref());
        let names: Vec<String> = all.iter().map(UrlFigures::name).collect();
        self.text("urls", Some(&names.join("; ")));
        let each = |of: &dyn Fn(&UrlFigures) -> Option<u64>| -> Vec<String> {
            all.iter().map(|one| of(one).map_or_else(|| "-".into(), |of| of.to_string())).collect()
        };
        self.all("urls_weight", &each(&|one| Some(one.weight.into())));
        self.all("urls_latency_count", &each(&|one| Some(one.completed)));
        self.all("urls_errors", &each(&|one| Some(one.errors)));
        self.all("urls_latency_ns_p50", &each(&|one| one.latency_ns_p50));
        self.all("urls_latency_ns_p99", &each(&|one| one.latency_ns_p99));
        self.all("urls_latency_ns_max", &each(&|one| one.latency_ns_max));
        let late: Vec<String> = all.iter().map(|one| listed(&one.mostly_late(late))).collect();
        self.all("urls_latency_mostly_late", &late);
    }

    /// Adds the measurements at shares of the knee's rate: each field has a figure for each share, or `-`.
    fn at_shares(&mut self, all: &[AtShare]) {
        let each = |of: &dyn Fn(&AtShare) -> Option<f64>| -> Vec<String> {
            let field = |one| finite(of(one)).map_or_else(|| "-".into(), |of| of.to_string());
            all.iter().map(field).collect()
        };
        let value = |of: Option<Estimate>| of.map(|of| of.value);
        self.all("shares", &each(&|one| Some(one.share)));
        self.all("shares_offered_per_second", &each(&|one| Some(one.rate)));
        let got = each(&|one| value(one.requests_per_second));
        self.all("shares_requests_per_second", &got);
        self.all("shares_latency_ns_p50", &each(&|one| value(one.latency_ns_p50)));
        self.all("shares_latency_ns_p99", &each(&|one| value(one.latency_ns_p99)));
        self.all("shares_latency_ns_max", &each(&|one| Some(one.latency_ns_max? as f64)));
        let late: Vec<String> = all.iter().map(|one| listed(&one.mostly_late)).collect();
        self.all("shares_latency_mostly_late", &late);
        self.all("shares_error_share", &each(&|one| one.error_share));
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        self.names.push(name.into());
        let line = text.filter(|text| !text.is_empty()).map(|text| cut(text, usize::MAX));
        self.fields.push(line.unwrap_or_default());
    }

    /// Adds a figure of each trial, in one field.
    fn all<T: ToString>(&mut self, name: &str, trials: &[T]) {
        let trials: Vec<String> = trials.iter().map(T::to_string).collect();
        self.text(name, Some(&trials.join(" ")));
    }

    fn count(&mut self, name: &str, count: Option<u64>) {
        self.names.push(name.into());
        self.fields.push(count.map_or_else(String::new, |count| count.to_string()));
    }

    fn number(&mut self, name: &str, number: Option<f64>) {
        self.names.push(name.into());
        self.fields.push(finite(number).map_or_else(String::new, |number| number.to_string()));
    }

    /// Adds a figure and the ends of its interval, which are empty without one.
    fn estimate(&mut self, name: &str, estimate: Option<Estimate>) {
        let interval = estimate.and_then(Estimate::interval);
        self.number(name, estimate.map(|estimate| estimate.value));
        self.number(&format!("{name}_lower"), interval.map(|(lower, _)| lower));
        self.number(&format!("{name}_upper"), interval.map(|(_, upper)| upper));
    }

    /// Adds the latencies. Their p50 and p99 have the names and values of the record: the means of the trials, and not
    /// the percentiles of all latencies.
    fn latency(&mut self, cell: &Cell) {
        let all = cell.latency.as_ref();
        self.size("latency", all);
        self.estimate("latency_ns_p50", cell.latency_ns_p50);
        self.count("latency_ns_p50_pooled", all.map(|times| times.ns_p50));
        self.count("latency_ns_p90", all.and_then(Distribution::p90));
        self.estimate("latency_ns_p99", cell.latency_ns_p99);
        self.count("latency_ns_p99_pooled", all.and_then(Distribution::p99));
        self.tail("latency", all);
    }

    fn distribution(&mut self, name: &str, times: Option<&Distribution>) {
        self.size(name, times);
        self.count(&format!("{name}_ns_p50"), times.map(|times| times.ns_p50));
        self.count(&format!("{name}_ns_p90"), times.and_then(Distribution::p90));
        self.count(&format!("{name}_ns_p99"), times.and_then(Distribution::p99));
        self.tail(name, times);
    }

    fn size(&mut self, name: &str, times: Option<&Distribution>) {
        self.count(&format!("{name}_count"), times.map(|times| times.count));
        self.number(&format!("{name}_ns_mean"), times.map(|times| times.ns_mean));
    }

    fn tail(&mut self, name: &str, times: Option<&Distribution>) {
        self.count(&format!("{name}_ns_p999"), times.and_then(Distribution::p999));
        self.count(&format!("{name}_ns_max"), times.map(|times| times.ns_max));
    }
}

/// Returns the names in one word, or `-`.
fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { "-".into() } else { names.join(",") }
}
