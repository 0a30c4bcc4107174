//! The project's documents, and the code blocks in them.

use std::{
    fs,
    path::{Path, PathBuf},
};

pub(crate) fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_string_lossy().into_owned();
        let name = name.trim_start_matches("./");
        if path.is_dir() && !["target", ".git", "results"].contains(&name) {
            found.extend(files(name, end));
        } else if name.ends_with(end) {
            found.push(name.into());
        }
    }
    found
}

/// Every document with its text. The changelog speaks of what was.
pub(crate) fn documents() -> Vec<(PathBuf, String)> {
    let mut all = files(".", ".md");
    all.retain(|path| path != Path::new("CHANGELOG.md"));
    all.push("results/README.md".into());
    assert!(all.len() > 15, "{all:?}");
    all.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The code blocks of a document: their languages, and their lines without indentation.
pub(crate) fn blocks(text: &str) -> Vec<(&str, Vec<&str>)> {
    let parts = text.split("```").skip(1).step_by(2);
    parts
        .map(|block| {
            let mut lines = block.lines().map(str::trim);
            (lines.next().unwrap_or_default(), lines.filter(|line| !line.is_empty()).collect())
        })
        .collect()
}
