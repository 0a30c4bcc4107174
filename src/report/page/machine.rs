//! What a run's figures depend on: the machine, the build, the settings.

use super::parts::{Data, Table, name, reason};
use crate::{record::Run, report::floor_line};

/// Every fact, a row each.
pub(super) fn table(run: &Run) -> Table {
    let mut table = Table::new("Machine, build and settings", &["fact", "value"]).with_prose(&[1]);
    let print = &run.fingerprint;
    let mut fact = |what: &str, value: String| {
        if !value.is_empty() {
            table.rows.push(vec![what.into(), Data::of(reason(Some(&value)))]);
        }
    };
    fact("run", run.id.clone());
    fact("began (UTC)", run.started.clone());
    fact("instrument", run.instrument.clone());
    fact("command", run.command.join(" "));
    fact("commit", run.commit.clone().unwrap_or_default());
    fact(
        "seed",
        run.seed.map_or_else(|| "none: the order is fixed".into(), |seed| seed.to_string()),
    );
    fact("budget", format!("{} s", run.budget_seconds));
    for (key, value) in &run.settings {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        fact(&name(key), shown);
    }
    fact("fingerprint", print.hash.clone());
    fact("processor", format!("{} ({})", print.cpu_name, print.cpu.join(" ")));
    fact("CPUs", format!("{}, threads per core: {}", print.logical_cpus, print.threads_per_core));
    fact("hypervisor", if print.hypervisor { "yes" } else { "none shows itself" }.into());
    fact("kernel", print.kernel.clone());
    fact("compiler", run.build.rustc.clone());
    fact("built for", format!("{}, {}", run.build.target, run.build.flags));
    fact("allocator", run.build.allocator.clone());
    fact("paceline", run.build.paceline.clone());
    fact("timers", run.timer_floor.as_ref().map(floor_line).unwrap_or_default());
    table
}
