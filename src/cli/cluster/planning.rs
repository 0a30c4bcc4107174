//! What `paceline cluster plan` and `run` are asked for, as a plan.

use std::time::Duration;

use super::{arguments::PlanArguments, fault};
use crate::{
    cli::{
        CliError, Format, Output, RunArguments,
        load::{ARRIVALS_WITHOUT_RATE, arrivals},
        order, usage,
    },
    cluster::{LoadOptions, LoadPlan, PlanFolder, make},
    load::Url,
    machine::cores,
    output::for_option,
    start::refuse_debug_build,
};
use paceline_core::generator::Drive;

/// The default time for a block.
const BUDGET: Duration = Duration::from_mins(10);

/// Writes the plan that was asked for.
pub(super) fn planned(asked: &PlanArguments) -> Result<PlanFolder, CliError> {
    refuse_debug_build().map_err(usage)?;
    let load = asked.load.server.is_some().then(|| between(asked)).transpose()?;
    let is_url = load.as_ref().is_some_and(|load| load.url.is_some());
    let order = order(&RunArguments {
        workloads: if is_url { vec![] } else { asked.workloads.clone() },
        of: asked.of.clone(),
        trials: asked.trials,
        budget: asked.budget.unwrap_or(BUDGET),
        placement: asked.placement,
        pin: asked.pin,
        to_the_limit: false,
        resume: false,
        all: false,
        seed: asked.seed,
        output: Output { out: asked.out.clone(), format: Format::Table },
    })?;
    let Some(load) = load else { return make(&order, None, &asked.out).map_err(fault) };
    let mut order = order;
    if is_url {
        (order.workloads, order.models) = (vec![], vec![]);
    }
    let workers = order.choice.workers.first().copied();
    // A URL is a target without a workload.
    let targets = order.workloads.iter().map(Some).chain(is_url.then_some(None));
    for target in targets {
        let how = (asked.trials, asked.seed);
        let asks = load.order(target, &order.models, (workers, cores()), how);
        asks.check().map_err(usage)?;
        let named = !asked.of.model.is_empty();
        if let Some(why) = asks.cannot_honour().filter(|_| named) {
            return Err(usage(why));
        }
    }
    let least = load.block_time(order.models.len(), asked.trials);
    if let Some(budget) = asked.budget.filter(|budget| *budget < least) {
        let (budget, least) = (humantime::format_duration(budget), for_option(least));
        return Err(usage(format!(
            "--budget {budget} is too short for a block, whose loads take half of {least}: give at least --budget {least}, fewer --trials or a shorter --duration"
        )));
    }
    make(&order, Some(load), &asked.out).map_err(fault)
}

/// The load between nodes that was asked for.
fn between(asked: &PlanArguments) -> Result<LoadPlan, CliError> {
    let of = &asked.load;
    let server = of.server.clone().expect("it was asked for");
    let url = match &asked.workloads[..] {
        [] => return Err(usage("name what to load: a workload, or the URL of a server".into())),
        [one] => Url::on_node(one, server.address).transpose().map_err(usage)?,
        several => match several.iter().find(|name| name.contains("://")) {
            Some(url) => return Err(usage(format!("{url} goes alone: load one server at a time"))),
            None => None,
        },
    };
    if !asked.of.scale.is_empty()
        || asked.of.workers.len() > 1
        || asked.pin
        || asked.placement.is_some()
    {
        return Err(usage(
            "a load between nodes has --connections and at most one number of --workers: leave --scale, --pin and \
             --placement out"
                .into(),
        ));
    }
    if url.is_some() && !(asked.of.model.is_empty() && asked.of.workers.is_empty()) {
        return Err(usage(
            "--model and --workers are for servers of paceline, and a URL names your own: leave them out".into(),
        ));
    }
    let drive = match (of.rate, of.connections) {
        (Some(rate), _) => Drive::Open { rate, arrivals: arrivals(of.arrivals) },
        (None, Some(_)) if of.arrivals.is_some() => {
            return Err(usage(ARRIVALS_WITHOUT_RATE.into()));
        }
        (None, Some(_)) => Drive::Closed,
        (None, None) => {
            return Err(usage(
                "say how to load it: --rate 1000 for an open loop, or --connections 64 for a closed one".into(),
            ));
        }
    };
    let load = LoadPlan {
        server,
        generators: of.generator.clone(),
        port: of.port,
        url,
        drive,
        connections: of.connections,
        warm_up: of.warm_up,
        duration: of.duration,
        swap_roles: of.swap_roles,
        options: LoadOptions {
            method: of.method.clone(),
            accept: of.expect.clone(),
            timeout: of.timeout,
            max_errors: of.max_errors,
        },
    };
    load.with_generators(of.generators).map_err(usage)
}
