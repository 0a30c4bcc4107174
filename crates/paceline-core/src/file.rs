//! Reads files that users name, and rejects pipes, folders, devices and endless files before reading them.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::FileTypeExt,
    path::Path,
};

use bytesize::ByteSize;

/// Reads the whole file at `path`, up to `most` bytes.
///
/// # Errors
///
/// Returns why the file cannot be read and what to do: a sentence to append to the file's name and a colon.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    let about = path.metadata().map_err(cannot)?;
    if let Some(what) = other_than_file(&about) {
        let instead = if about.is_dir() {
            "name a file in it"
        } else {
            "copy what it has into a file, and name that"
        };
        return Err(format!("it is {what}: {instead}"));
    }
    // Opened only after that check: opening a pipe would wait for a writer.
    let file = File::open(path).map_err(cannot)?;
    within(&file.metadata().map_err(cannot)?, most)?;
    let mut bytes = Vec::new();
    // The file may grow while it is read, and files in /proc report no length.
    file.take(most + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > most { Err(too_long(most)) } else { Ok(bytes) }
}

/// Reads a text file in the same way.
///
/// # Errors
///
/// Returns why the file cannot be read and what to do: a sentence to append to the file's name and a colon.
pub fn read_text(path: &Path, most: u64) -> Result<String, String> {
    String::from_utf8(read(path, most)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("cannot be read: it is not UTF-8 text from byte {at} on")
    })
}

/// Returns what a path that is not a regular file is, with its article.
pub fn other_than_file(about: &Metadata) -> Option<&'static str> {
    let of = about.file_type();
    match of {
        _ if of.is_file() => None,
        _ if of.is_dir() => Some("a folder"),
        _ if of.is_fifo() => Some("a pipe"),
        _ if of.is_char_device() || of.is_block_device() => Some("a device"),
        _ => Some("a socket"),
    }
}

fn within(about: &Metadata, most: u64) -> Result<(), String> {
    if about.len() > most { Err(too_long(most)) } else { Ok(()) }
}

fn too_long(most: u64) -> String {
    format!("it is too long: at most {} are read", ByteSize(most).display().iec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, process::Command};

    #[test]
    fn what_is_no_file_or_too_long_is_told_without_being_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        fs::write(at("long"), "12345").unwrap();
        fs::write(at("right"), "1234").unwrap();
        fs::write(at("latin"), b"\xe4").unwrap();
        // A sparse file of 8 TiB takes no disk space, but reading it would exhaust memory.
        File::create(at("hole")).unwrap().set_len(8 << 40).unwrap();
        for (path, why) in [
            (at("pipe"), "is a pipe"),
            (at(""), "is a folder: name a file in it"),
            ("/dev/zero".into(), "is a device"),
            (at("long"), "at most 4 B"),
            (at("hole"), "at most 4 B"),
            // A file that reports no length but has content.
            ("/proc/self/status".into(), "at most 4 B"),
            (at("none"), "No such file"),
        ] {
            let said = read(&path, 4).unwrap_err();
            assert!(said.contains(why), "{}: {said}", path.display());
        }
        assert_eq!(read(&at("right"), 4).unwrap(), b"1234");
        assert_eq!(read_text(&at("right"), 4).unwrap(), "1234");
        assert!(read_text(&at("latin"), 4).unwrap_err().contains("UTF-8 text from byte 0"));
    }
}
