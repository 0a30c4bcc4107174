//! Dependencies at versions: `tokio@1.50.0,mio@1.0.2`, and the lock file in which they are set.

use std::{fs, path::Path};

use serde::Deserialize;

use super::super::build::GateError;
use paceline_core::job::did_you_mean;

/// A dependency at a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::gate) struct Pin {
    pub name: String,
    pub version: String,
}

impl Pin {
    /// Parses `NAME@VERSION`, or several separated by commas; `None` if no part of the text looks like one.
    pub(in crate::gate) fn parse_all(text: &str) -> Option<Result<Vec<Pin>, GateError>> {
        let parts: Vec<_> = text.split(',').map(|part| (part.trim(), Pin::parse(part))).collect();
        if parts.iter().all(|(_, pin)| pin.is_none()) {
            return None;
        }
        let mut pins: Vec<Pin> = Vec::new();
        for (part, pin) in parts {
            let Some(pin) = pin else {
                let message =
                    format!("`{part}` is not NAME@VERSION, as in `tokio@1.50.0,mio@1.0.2`");
                return Some(Err(GateError::usage(message)));
            };
            let Pin { name, version } = &pin;
            if !whole(version) {
                let message = format!(
                    "`{version}` is not a whole version of {name}; give all its parts, as in {name}@1.50.0"
                );
                return Some(Err(GateError::usage(message)));
            }
            if pins.iter().any(|other| other.name == *name) {
                let message = format!("{name} is set to two versions; give it once");
                return Some(Err(GateError::usage(message)));
            }
            pins.push(pin);
        }
        Some(Ok(pins))
    }

    fn parse(text: &str) -> Option<Pin> {
        let (name, version) = text.trim().split_once('@')?;
        let version = version.strip_prefix('=').unwrap_or(version);
        let named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let versioned = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
        let fits = !name.is_empty()
            && name.chars().all(named)
            && version.starts_with(|c: char| c.is_ascii_digit())
            && version.chars().all(versioned);
        fits.then(|| Pin { name: name.to_owned(), version: version.to_owned() })
    }
}

/// Returns whether a version has its three numbers, with an optional suffix.
fn whole(version: &str) -> bool {
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<_> = numbers.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u64>().is_ok())
}

/// The contents of a lock file.
#[derive(Debug, Default, Deserialize)]
pub(in crate::gate) struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
}

impl Lock {
    /// Reads the lock file of a workspace, if it has one.
    pub(in crate::gate) fn read(workspace: &Path) -> Result<Option<Lock>, GateError> {
        let path = workspace.join("Cargo.lock");
        let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
        toml::from_str(&text).map(Some).map_err(|_| {
            GateError::usage(format!(
                "{} cannot be read; `cargo generate-lockfile` makes a new one",
                path.display()
            ))
        })
    }

    /// Checks that a dependency is there to be set.
    pub(in crate::gate) fn check(&self, pin: &Pin) -> Result<(), GateError> {
        let name = &pin.name;
        let mut found = self.package.iter().filter(|package| package.name == *name).peekable();
        if found.peek().is_none() {
            let hint = did_you_mean(name, self.package.iter().map(|package| package.name.as_str()));
            return Err(GateError::usage(format!(
                "`{name}` is neither a revision nor a dependency in Cargo.lock: {hint}give one that `cargo tree` shows"
            )));
        }
        if found.all(|package| package.source.is_none()) {
            return Err(GateError::usage(format!(
                "`{name}` comes from a folder, so it cannot be set to a version; compare revisions instead"
            )));
        }
        Ok(())
    }

    /// Returns the package that `cargo update` must change: of several, the one that the version could replace.
    pub(in crate::gate) fn spec(&self, pin: &Pin) -> String {
        let mut same: Vec<_> = self.package.iter().filter(|other| other.name == pin.name).collect();
        if same.len() > 1 {
            same.retain(|other| compatible(&other.version) == compatible(&pin.version));
            if let [one] = same.as_slice() {
                return format!("{}@{}", one.name, one.version);
            }
        }
        pin.name.clone()
    }

    /// Returns a package from elsewhere that `before` did not have.
    pub(in crate::gate) fn chosen_since(&self, before: &Lock) -> Option<String> {
        let is_new = |package: &&Locked| !before.package.contains(package);
        let mut chosen = self.package.iter().filter(|package| package.source.is_some());
        chosen.find(is_new).map(|Locked { name, version, .. }| format!("{name} {version}"))
    }

    /// Returns whether a dependency is at a version.
    pub(in crate::gate) fn holds(&self, pin: &Pin) -> bool {
        // cargo accepts a version without its `+` suffix.
        let bare = |version: &str| version.split('+').next().unwrap_or_default().to_owned();
        let same =
            |other: &Locked| other.name == pin.name && bare(&other.version) == bare(&pin.version);
        self.package.iter().any(same)
    }
}

/// Returns the part of a version that must be equal for cargo to replace one by the other.
fn compatible(version: &str) -> Vec<&str> {
    let parts: Vec<_> = version.split(['.', '-', '+']).collect();
    let first = parts.iter().take(2).position(|part| *part != "0").unwrap_or(2);
    parts.into_iter().take(first + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins(text: &str) -> Vec<(String, String)> {
        let pins = Pin::parse_all(text).unwrap().unwrap();
        pins.into_iter().map(|pin| (pin.name, pin.version)).collect()
    }

    fn pair(name: &str, version: &str) -> (String, String) {
        (name.into(), version.into())
    }

    #[test]
    fn dependencies_are_told_from_what_git_names_so() {
        assert_eq!(pins("tokio@1.50.0"), [pair("tokio", "1.50.0")]);
        assert_eq!(
            pins("a-b@0.1.0-rc.1, c_d@=2.0.0+x"),
            [pair("a-b", "0.1.0-rc.1"), pair("c_d", "2.0.0+x")]
        );
        for text in
            ["HEAD@{1}", "main@{upstream}", "a@b", "@", "@{-1}", "v1.0.0", "x@", "a/b@1.0.0"]
        {
            assert!(Pin::parse_all(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_package_from_elsewhere_is_new_and_a_released_version_of_the_users_is_not() {
        let lock = |own: &str, other: &str| -> Lock {
            let source = "source = \"registry\"\n";
            toml::from_str(&format!("[[package]]\nname = \"own\"\nversion = \"{own}\"\n[[package]]\nname = \"other\"\nversion = \"{other}\"\n{source}")).unwrap()
        };
        let before = lock("1.0.0", "2.0.0");
        assert_eq!(lock("1.1.0", "2.0.0").chosen_since(&before), None);
        let chosen = lock("1.0.0", "2.0.1").chosen_since(&before);
        assert_eq!(chosen.as_deref(), Some("other 2.0.1"));
        assert_eq!(Lock { package: vec![] }.chosen_since(&before), None, "fewer are no choice");
    }

    #[test]
    fn half_a_list_and_half_a_version_have_a_sentence_each() {
        let said = |text| Pin::parse_all(text).unwrap().unwrap_err().message;
        assert!(said("tokio@1.50.0,mio").starts_with("`mio` is not NAME@VERSION"));
        assert!(said("tokio@1.50").starts_with("`1.50` is not a whole version of tokio"));
        assert!(said("tokio@1.50.0,tokio@1.51.0").starts_with("tokio is set to two versions"));
    }

    #[test]
    fn of_several_versions_the_one_that_can_be_replaced_is_updated() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"0.2.5\"\n[[package]]\nname = \"a\"\nversion = \"1.4.0\"\n";
        let lock: Lock = toml::from_str(lock).unwrap();
        let spec = |version: &str| lock.spec(&Pin { name: "a".into(), version: version.into() });
        assert_eq!(spec("1.0.3"), "a@1.4.0");
        assert_eq!(spec("0.2.0"), "a@0.2.5");
        assert_eq!(spec("0.3.0"), "a");
    }
}
