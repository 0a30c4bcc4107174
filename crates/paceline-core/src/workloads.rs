//! The built-in workloads, one TOML file each. To add one, add its file and its line in `BUILT_IN`.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::{
    clock::compute_ns,
    job::{ReadError, Workload, did_you_mean, nearest},
};

macro_rules! built_in {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("workloads/", $name, ".toml")))),*] };
}

/// The name and text of each built-in workload, in the order of tables.
static BUILT_IN: &[(&str, &str)] = built_in! {
    "sleep"
    "echo"
    "switch"
    "cpu"
    "service"
    "churn"
    "bulk"
    "stall"
    "bridge"
    "fanout"
    "yield"
    "empty"
    "park"
    "scrape"
    "chat"
    "join-tasks"
    "join-future"
    "join-group"
    "cancel"
    "serve-plain"
    "serve-service"
    "serve-fanout"
};

/// The workloads that `cargo bench` runs by default.
pub const CORE: [&str; 5] = ["sleep", "echo", "switch", "cpu", "service"];

/// Returns all built-in workloads.
///
/// # Panics
///
/// Panics if one does not parse; a test rules this out.
pub fn built_in() -> Vec<Workload> {
    let parse = |(name, text): &(&str, &str)| {
        Workload::parse(&format!("{name}.toml"), text).unwrap_or_else(|error| panic!("{error}"))
    };
    BUILT_IN.iter().map(parse).collect()
}

/// Returns the built-in workload called `name`, or reads the workload file at that path.
///
/// # Errors
///
/// Returns the sentence to show: a similar name, or which file is wrong and where.
pub fn find(name: &str) -> Result<Workload, String> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return Workload::parse(name, text).map_err(|error: ReadError| error.to_string());
    }
    let path = PathBuf::from(name);
    let is_path = path.extension() == Some(OsStr::new("toml")) || path.components().count() > 1;
    if !is_path {
        let names = BUILT_IN.iter().map(|(name, _)| *name);
        // Names of files are typed without their ending: the file itself is the likeliest meaning.
        let file = PathBuf::from(format!("{name}.toml"));
        let hint = if file.is_file() {
            format!("did you mean {}? ", file.display())
        } else {
            did_you_mean(name, names.clone())
        };
        let all = names.collect::<Vec<_>>().join(", ");
        return Err(format!(
            "no workload is called `{name}`: {hint}name one of {all}, or a file that ends in .toml"
        ));
    }
    if let Err(error) = path.try_exists() {
        return Err(format!(
            "{name} cannot be read: {error}; make it readable, with all folders above it"
        ));
    }
    if !path.exists() {
        let near =
            near_file(&path).map_or_else(String::new, |near| format!("; did you mean {near}?"));
        return Err(format!("there is no file {name}{near}"));
    }
    Workload::read(&path, compute_ns).map_err(|error| error.to_string())
}

/// Returns a workload file in the same folder with a similar name.
fn near_file(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let names: Vec<String> = folder
        .unwrap_or(Path::new("."))
        .read_dir()
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| Path::new(name).extension() == Some(OsStr::new("toml")))
        .collect();
    let wanted = path.file_name()?.to_str()?;
    // The ending, which all have, is no likeness.
    let stem = |name: &str| name.trim_end_matches(".toml").to_owned();
    let stems: Vec<String> = names.iter().map(|name| stem(name)).collect();
    nearest(&stem(wanted), stems.iter().map(String::as_str)).map(|near| format!("{near}.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Jobs;

    #[test]
    fn every_built_in_is_named_as_its_file_and_says_in_one_sentence_what_it_shows() {
        for (name, text) in BUILT_IN {
            let workload = Workload::parse(name, text).unwrap();
            assert_eq!(workload.name, *name);
            assert!(workload.about.ends_with('.') && workload.about.len() > 40, "{name}");
            assert!(!workload.about.trim_end_matches('.').contains(". "), "{name}: one sentence");
        }
        assert!(CORE.iter().all(|core| BUILT_IN.iter().any(|(name, _)| name == core)));
    }

    #[test]
    fn built_ins_reach_the_scales_that_were_promised() {
        let most = |name: &str| *find(name).unwrap().scales.last().unwrap();
        assert_eq!(most("sleep"), 1_000_000);
        assert_eq!(most("park"), 1_000_000);
        assert_eq!(most("echo"), 20_000);
        assert_eq!(find("cpu").unwrap().scales[0], 1);
        assert_eq!(find("cpu").unwrap().workers.on(6), [1, 2, 4, 6]);
    }

    #[test]
    fn one_job_in_so_many_is_another() {
        let stall = find("stall").unwrap();
        let jobs = Jobs::load(&stall);
        assert!(
            (0..60).all(|index| (jobs.steps(index).len() == 2) == [0, 27, 58].contains(&index))
        );
    }

    #[test]
    fn a_close_name_is_suggested_and_a_far_one_is_not() {
        assert!(find("sleeep").unwrap_err().contains("did you mean `sleep`?"));
        for far in ["qqq", "slow", "speed", "servers", "tokio"] {
            let said = find(far).unwrap_err();
            assert!(!said.contains("did you mean"), "{said}");
        }
        assert!(find("serve-pl").unwrap_err().contains("did you mean `serve-plain`?"));
    }
}
