//! The plain programs: crates outside the workspace, each built on its own, and scripts.

use std::{
    env,
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use paceline_core::{job::Addresses, models, process::set_environment_of};

use crate::{Side, cells::Cell, workers};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/cost/plain");

/// A program with its first arguments.
pub(crate) struct Plain {
    program: PathBuf,
    arguments: Vec<String>,
    /// Whether it is a crate: those have several models.
    is_crate: bool,
}

impl Plain {
    /// Returns the plain program of a cell, and builds it if needed.
    pub(crate) fn of(cell: &Cell) -> Result<Self, String> {
        if Path::new(cell.program).extension().is_none() {
            return Self::crate_of(cell.program);
        }
        let entry = models::find(cell.model)?;
        let foreign = entry.info.foreign.ok_or("this model is in Rust")?;
        let named = env::var_os(foreign.variable).filter(|name| !name.is_empty());
        let named = named.unwrap_or_else(|| foreign.programs[0].into());
        let found = foreign.program(entry.info.name).map(|(_, program)| program);
        let program = found.unwrap_or_else(|| named.into());
        let path = format!("{FOLDER}/{}", cell.program);
        if foreign.language != "Go" {
            let flags: &[&str] = if foreign.language == "Python" { &["-B", "-E"] } else { &[] };
            let arguments = flags.iter().map(|flag| (*flag).to_owned()).chain([path]).collect();
            return Ok(Plain { program, arguments, is_crate: false });
        }
        let built = this()?.with_file_name("plain-go");
        let mut go = Command::new(program);
        go.args([OsStr::new("build"), OsStr::new("-o"), built.as_os_str(), OsStr::new(&path)]);
        go.env("GO111MODULE", "on").env("GOWORK", "off").env("CGO_ENABLED", "0");
        for name in ["GOFLAGS", "GOAMD64", "GOARM64", "GOEXPERIMENT"] {
            go.env_remove(name);
        }
        output(&mut go)?;
        Ok(Plain { program: built, arguments: Vec::new(), is_crate: false })
    }

    /// Builds a crate with cargo, in a target folder that only these crates share.
    fn crate_of(name: &str) -> Result<Self, String> {
        let target = this()?.ancestors().nth(3).unwrap_or(Path::new("target")).join("plain");
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--locked", "--quiet", "--manifest-path"]);
        cargo.arg(format!("{FOLDER}/{name}/Cargo.toml")).arg("--target-dir").arg(&target);
        eprintln!("building plain-{name}");
        output(&mut cargo)?;
        let program = target.join("release").join(format!("plain-{name}"));
        Ok(Plain { program, arguments: Vec::new(), is_crate: true })
    }

    /// Returns the command that runs a cell.
    pub(crate) fn command(
        &self,
        cell: &Cell,
        [workers, jobs, batches]: [usize; 3],
        servers: &Addresses,
    ) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args([cell.work.name, &jobs.to_string()]);
        command.args([&(batches + 1).to_string(), &listed(servers)]);
        if self.is_crate {
            command.args([cell.model, &workers.to_string()]);
        }
        command
    }

    /// Runs a fresh process. Returns its figures if the outputs of its jobs are right.
    pub(crate) fn side(&self, cell: &Cell, servers: &Addresses) -> Result<Side, String> {
        let jobs = cell.work.jobs_on(cell.model);
        let numbers = [workers(), jobs, cell.work.batches];
        let mut command = self.command(cell, numbers, servers);
        let text = output_of(cell.model, workers(), &mut command)?;
        let (side, sum) = Side::read(&text, cell.work.batches + 1)?;
        match sum {
            Some(sum) if sum != cell.work.sum(jobs) => {
                Err(format!("the plain program of {} did other work: {sum}", cell.id))
            }
            _ => Ok(side),
        }
    }
}

/// Joins the addresses to one argument.
pub(crate) fn listed(servers: &Addresses) -> String {
    servers.echo.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",")
}

pub(crate) fn this() -> Result<PathBuf, String> {
    env::current_exe().map_err(|error| error.to_string())
}

/// Runs a child with the environment that its model needs, and returns what it printed.
pub(crate) fn output_of(
    model: &str,
    workers: usize,
    command: &mut Command,
) -> Result<String, String> {
    set_environment_of(command, &models::find(model)?.info, Some(workers));
    output(command)
}

fn output(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program} did not start: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} ended with {}: {}", output.status, why.trim()))
}
