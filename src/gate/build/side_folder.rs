//! The folder in which a side is built and runs, and a clean copy of it. One gate at a time uses a folder, and each finds
//! it as it was built, whatever the cells of earlier ones wrote.

use std::{
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{GateError, tool::Tool};

/// The end of the name of the file beside a side's folder that its gate locks.
const LOCK: &str = "lock";
/// The end of the name of its clean copy.
const CLEAN: &str = "clean";
/// The end of the name of a copy that is being made.
const NEW: &str = "new";

/// The folders that this process uses until it ends. The system releases the lock of an open file when the process ends
/// for any reason.
static CLAIMED: Mutex<Vec<(SideFolder, File)>> = Mutex::new(Vec::new());

/// A side's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SideFolder {
    /// The key of the program that is built in it, which may contain its path.
    pub(super) key: String,
    /// Its path.
    pub(super) top: PathBuf,
}

impl SideFolder {
    /// Returns folder `number` of the program `key`.
    pub(super) fn at(sides: &Path, key: &str, number: usize) -> Self {
        let more = if number == 0 { String::new() } else { format!("-{number}") };
        let top = sides.join(format!("{}{more}", &key[..16]));
        SideFolder { key: format!("{key}{more}"), top }
    }

    /// Claims a folder until this process ends: the one that it has for this program, otherwise the first that no other
    /// gate uses.
    pub(super) fn claim(sides: &Path, key: &str) -> io::Result<Self> {
        let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
        let of_key =
            |side: &&SideFolder| side.key.starts_with(key) && side.top.parent() == Some(sides);
        if let Some(own) = claimed.iter().map(|(side, _)| side).find(of_key) {
            return Ok(own.clone());
        }
        let mut number = 0;
        loop {
            let side = SideFolder::at(sides, key, number);
            if let Some(file) = lock(&side.top)? {
                claimed.push((side.clone(), file));
                return Ok(side);
            }
            number += 1;
        }
    }

    /// Returns whether there is a clean copy.
    pub(super) fn has_clean_copy(&self) -> bool {
        self.top.with_extension(CLEAN).is_dir()
    }

    /// Copies it to where no cell runs.
    pub(super) fn save(&self) -> Result<(), GateError> {
        let (new, clean) = (self.top.with_extension(NEW), self.top.with_extension(CLEAN));
        copy(&self.top, &new)?;
        fs::rename(new, &clean).map_err(|error| GateError::writing(&clean, &error))
    }

    /// Makes it anew from the clean copy.
    pub(super) fn restore(&self) -> Result<(), GateError> {
        copy(&self.top.with_extension(CLEAN), &self.top)
    }
}

/// Removes a side's folder and its copies.
pub(super) fn remove(top: &Path) -> io::Result<()> {
    let copies = [NEW, CLEAN].map(|end| top.with_extension(end));
    [top].into_iter().chain(copies.iter().map(PathBuf::as_path)).try_for_each(remove_folder)
}

/// Calls `clear` and removes a side, unless a gate uses it.
pub(super) fn clear(top: &Path, clear: impl FnOnce()) {
    if let Ok(Some(_lock)) = lock(top) {
        clear();
        let _ = remove(top);
        let _ = fs::remove_file(top.with_extension(LOCK));
    }
}

/// Returns whether a gate uses one of the sides in a folder.
pub(super) fn are_used(sides: &Path) -> bool {
    let entries = fs::read_dir(sides).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut locks = entries.filter(|path| path.extension() == Some(OsStr::new(LOCK)));
    locks.any(|path| !matches!(lock(&path), Ok(Some(_))))
}

/// Locks the file beside a side's folder, which is created if there is none; `None` if it is locked already.
fn lock(top: &Path) -> io::Result<Option<File>> {
    let path = top.with_extension(LOCK);
    loop {
        let file = File::options().create(true).append(true).open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // A gate that cleared the side away in the meantime has removed this file.
        let own = file.metadata()?.ino();
        if fs::metadata(&path).is_ok_and(|now| now.ino() == own) {
            return Ok(Some(file));
        }
    }
}

/// Copies a folder to a place, with what it has there removed first.
fn copy(from: &Path, to: &Path) -> Result<(), GateError> {
    remove_folder(to).map_err(|error| GateError::writing(to, &error))?;
    let cp = Tool::new("cp", Path::new("/")).args([OsStr::new("-a"), from.as_os_str()]);
    let said = cp.args([to]).run()?;
    if said.ok {
        return Ok(());
    }
    let message = format!("cannot copy {}: {}", from.display(), said.reason());
    Err(GateError::of_tool(&said.err, to, GateError::internal(message)))
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_used_stays_and_another_gate_takes_the_next() {
        let sides = tempfile::tempdir().unwrap();
        let (sides, key) = (sides.path(), "0123456789abcdef0123");
        let first = SideFolder::claim(sides, key).unwrap();
        assert_eq!(first, SideFolder::at(sides, key, 0));
        assert_eq!(SideFolder::claim(sides, key).unwrap(), first, "the same source twice");
        fs::create_dir(&first.top).unwrap();
        clear(&first.top, || panic!("it is used"));
        assert!(first.top.is_dir() && are_used(sides));
        // The lock of another gate.
        let other = "fedcba9876543210fedc";
        let theirs = SideFolder::at(sides, other, 0);
        let held = lock(&theirs.top).unwrap().unwrap();
        assert_eq!(SideFolder::claim(sides, other).unwrap(), SideFolder::at(sides, other, 1));
        fs::create_dir(&theirs.top).unwrap();
        clear(&theirs.top, || panic!("it is used"));
        drop(held);
        clear(&theirs.top, || ());
        assert!(!theirs.top.exists() && !theirs.top.with_extension(LOCK).exists());
    }

    #[test]
    fn a_lock_on_a_file_that_was_removed_is_no_lock() {
        let sides = tempfile::tempdir().unwrap();
        let top = sides.path().join("side");
        let path = top.with_extension(LOCK);
        let all = || {
            for _ in 0..3_000 {
                if let Some(file) = lock(&top).unwrap() {
                    let own = file.metadata().unwrap().ino();
                    assert!(fs::metadata(&path).is_ok_and(|now| now.ino() == own));
                    fs::remove_file(&path).unwrap();
                }
            }
        };
        std::thread::scope(|scope| drop([scope.spawn(all), scope.spawn(all)]));
    }

    #[test]
    fn a_folder_is_made_anew_as_it_was() {
        let sides = tempfile::tempdir().unwrap();
        let side = SideFolder::at(sides.path(), "0123456789abcdef", 0);
        let file = |name: &str| side.top.join("side").join(name);
        fs::create_dir_all(file("empty")).unwrap();
        fs::write(file("data"), "as built").unwrap();
        std::os::unix::fs::symlink("data", file("link")).unwrap();
        side.save().unwrap();
        assert!(side.has_clean_copy());
        fs::write(file("link"), "as a cell wrote it").unwrap();
        fs::write(file("more"), "").unwrap();
        fs::remove_dir(file("empty")).unwrap();
        side.restore().unwrap();
        assert_eq!(fs::read_to_string(file("link")).unwrap(), "as built");
        assert!(file("empty").is_dir() && !file("more").exists());
        remove(&side.top).unwrap();
        assert!(!side.has_clean_copy() && !side.top.exists());
    }
}
