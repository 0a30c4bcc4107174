//! Builds base and head of paceline itself at the same time: most of a build of its host keeps only one core busy.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use super::{
    COMMON, Checkouts, Exit, GateError, Inputs, Kind, Layout, Prepared, Project, Source, cargo,
};
use crate::machine::{cores, memory::memory_available};

/// The memory that has to be available, for the link-time optimisation of two programs at once. Where memory is short,
/// compilers swap or are killed.
const ENOUGH_MEMORY: u64 = 6 << 30;

/// The build folder of the head while the base is built in the common one. cargo locks a build folder.
const OF_HEAD: &str = "build-of-head";

/// Returns whether this machine has the cores and the memory to build two programs at once.
pub fn two_builds_fit() -> bool {
    fit(cores(), memory_available())
}

fn fit(cores: usize, memory: Option<u64>) -> bool {
    cores >= 2 && memory.is_some_and(|bytes| bytes >= ENOUGH_MEMORY)
}

impl Project {
    /// Builds base and head of paceline itself at the same time, and puts them into the cache, where
    /// [`build`](Self::build) finds them. Does nothing if a side is there already, if both are the same, and in another
    /// project, whose programs may contain the path of their build folder.
    ///
    /// The first side that does not build ends the build of the other. Lines of `progress` begin with the side.
    ///
    /// # Errors
    ///
    /// Returns an error as [`build`](Self::build) does: that of the side that failed first.
    pub fn build_at_once(
        &self,
        [base, head]: [&Source; 2],
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<(), GateError> {
        let (
            Kind::Tree { checkout: at_base, pins: base_pins, .. },
            Kind::Tree { checkout: at_head, pins: head_pins, .. },
        ) = (&base.kind, &head.kind)
        else {
            return Ok(());
        };
        let layout = self.layout()?;
        if !layout.is_paceline() {
            return Ok(());
        }
        let base = layout.inputs(base, at_base, base_pins, false)?;
        let head = layout.inputs(head, at_head, head_pins, false)?;
        let keys = [&base, &head].map(|inputs| &inputs.side_folder.key);
        let programs = layout.programs();
        let is_kept = || keys.iter().any(|key| programs.find(key).is_some());
        if keys[0] == keys[1] || is_kept() {
            return Ok(());
        }
        let checkouts = Checkouts::enter(layout, progress)?;
        // The gate that held the checkouts may have built the same sources.
        if is_kept() {
            return Ok(());
        }
        let base_side = layout.prepare(&base, &checkouts, progress)?;
        let head_side = layout.prepare(&head, &checkouts, progress)?;
        progress("building base and head at the same time");
        let built = layout.build_both([(&base, &base_side), (&head, &head_side)], progress);
        let sides = [(&base, &base_side, COMMON), (&head, &head_side, OF_HEAD)];
        for ((inputs, side, folder), built) in sides.into_iter().zip(&built) {
            // A program that contains the path of the head's build folder has other bytes than from the common one. It
            // is left out, and then built alone.
            let Ok(program) = built else { continue };
            if contains(program, OF_HEAD)? {
                progress(
                    "the head contains the path of its build folder, and is built again in the common one",
                );
            } else {
                layout.keep(inputs, side, folder, program)?;
            }
        }
        // A build that was ended because of the other is not the cause.
        let mut errors: Vec<GateError> = built.into_iter().filter_map(Result::err).collect();
        errors.sort_by_key(|error| error.exit == Exit::Interrupted);
        errors.into_iter().next().map_or(Ok(()), Err)
    }
}

impl Layout {
    fn build_both(
        &self,
        [base, head]: [(&Inputs<'_>, &Prepared<'_>); 2],
        progress: &(dyn Fn(&str) + Sync),
    ) -> [Result<PathBuf, GateError>; 2] {
        let given_up = Arc::new(AtomicBool::new(false));
        let build = |(inputs, side): (&Inputs<'_>, &Prepared<'_>), name: &str, folder: &str| {
            let say = |line: &str| progress(&format!("{name}: {line}"));
            let built = cargo::build(self, inputs, side, (folder, &given_up), &say);
            given_up.fetch_or(built.is_err(), Relaxed);
            built
        };
        thread::scope(|scope| {
            let of_head = scope.spawn(|| build(head, "head", OF_HEAD));
            let of_base = build(base, "base", COMMON);
            let panicked = |_| Err(GateError::internal("the build of the head panicked"));
            [of_base, of_head.join().unwrap_or_else(panicked)]
        })
    }
}

fn contains(program: &Path, name: &str) -> Result<bool, GateError> {
    let bytes = fs::read(program).map_err(|error| GateError::reading(program, &error))?;
    Ok(bytes.windows(name.len()).any(|part| part == name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_builds_at_once_need_two_cores_and_the_memory_of_two() {
        assert!(fit(2, Some(6 << 30)));
        assert!(!fit(1, Some(6 << 30)) && !fit(2, Some((6 << 30) - 1)) && !fit(64, None));
    }
}
