//! The factors of a figure: the machine, the kernel, the compiler and the versions of the models.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsStr,
    fmt::Write,
    fs,
    process::{Command, Stdio},
    sync::{LazyLock, OnceLock},
    thread,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    group::Group,
    pin::{cpus_by_core, threads_of_core},
};
use crate::output::counted;
use paceline_core::{models::MODELS, process::allocator_settings};

/// The identity of a machine for comparisons. It does not include clock rates, host name and free memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Fingerprint {
    /// The first 16 digits of the SHA-256 of the other fields.
    pub hash: String,
    /// `x86_64`, …
    pub architecture: String,
    /// The CPU's vendor, family, model and stepping; on ARM its implementer, part, variant and revision.
    pub cpu: [String; 4],
    /// The CPU's name; not hashed, because hypervisors may change it.
    pub cpu_name: String,
    /// The number of CPUs this process may run on.
    pub logical_cpus: usize,
    /// The CPU quota of its control group, in CPUs, if there is one.
    pub cpu_quota: Option<String>,
    /// How many of the CPUs online this process may run on, such as `2 of 64 CPUs, on 1 core`; `None` if it may use all,
    /// without a quota.
    #[serde(default)]
    pub cpu_set: Option<String>,
    /// The C library and its version; `None` if it does not say so, and in records of before it was asked.
    #[serde(default)]
    pub libc: Option<String>,
    /// When the kernel gives memory in huge pages: `always`, `madvise` or `never`; `None` if it does not say so, and in
    /// records of before it was asked.
    #[serde(default)]
    pub huge_pages: Option<String>,
    /// Hardware threads per core.
    pub threads_per_core: String,
    /// Whether a hypervisor is visible.
    pub hypervisor: bool,
    /// The kernel's name and its version, major and minor.
    pub kernel: String,
    /// The compiler.
    pub rustc: String,
    /// Optimisation level, LTO, codegen units, flags.
    pub flags: String,
    /// The features of the runtimes' crates: `tokio=default,full`, one for each crate.
    #[serde(default)]
    pub features: Vec<String>,
    /// The settings of glibc's allocator in measured processes, then the libraries in `LD_PRELOAD`, which may replace
    /// it; empty in records of before it was set.
    #[serde(default)]
    pub allocator: String,
}

/// How this program was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Build {
    /// This crate's version.
    pub paceline: String,
    /// The SHA-256 of the measuring program; empty if it cannot be read.
    #[serde(default)]
    pub program: String,
    /// The compiler.
    pub rustc: String,
    /// The target.
    pub target: String,
    /// Optimisation level, LTO, codegen units, flags.
    pub flags: String,
    /// Whether debug assertions are on: figures are then meaningless.
    pub debug: bool,
    /// The allocator of every in-process model; its settings are in the fingerprint.
    pub allocator: String,
    /// Every crate's version, from the lock file.
    pub dependencies: BTreeMap<String, String>,
}

/// Returns how this program was built.
pub fn build() -> Build {
    // Read once, because it has tens of megabytes.
    static PROGRAM: OnceLock<String> = OnceLock::new();
    let program =
        || hex(&Sha256::digest(env::current_exe().and_then(fs::read).unwrap_or_default()));
    Build {
        paceline: env!("CARGO_PKG_VERSION").into(),
        program: PROGRAM.get_or_init(program).clone(),
        rustc: env!("PACELINE_RUSTC").into(),
        target: env!("PACELINE_TARGET").into(),
        flags: env!("PACELINE_FLAGS").into(),
        debug: cfg!(debug_assertions),
        allocator: "system (Rust's default)".into(),
        dependencies: versions().map(|(name, version)| (name.into(), version.into())).collect(),
    }
}

/// Returns every crate and its version.
fn versions() -> impl Iterator<Item = (&'static str, &'static str)> {
    env!("PACELINE_VERSIONS").split(';').filter_map(|line| line.split_once(' '))
}

/// Returns bytes as hexadecimal digits.
pub fn hex(digits: &[u8]) -> String {
    digits.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns the version of a model's crate; the compiler's version for a model of the standard library.
pub fn version_of(package: Option<&str>) -> String {
    match package {
        Some(package) => {
            let found = versions().find(|(name, _)| *name == package);
            found.map_or("unknown", |(_, version)| version).into()
        }
        None => env!("PACELINE_RUSTC").split(' ').nth(1).unwrap_or("unknown").into(),
    }
}

/// Returns the number of CPUs this process may run on, as it was at the first call.
pub fn cores() -> usize {
    // It is in files of the control group, and every prediction asks for it.
    static CORES: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));
    *CORES
}

/// Returns the fingerprint of this machine and build.
pub fn fingerprint() -> Fingerprint {
    let cpu = cpu_info(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default());
    let get = |key: &str| cpu.get(key).cloned().unwrap_or_default();
    let number = |key: &str| get(key).parse::<usize>().unwrap_or(0);
    let threads = number("siblings").checked_div(number("cpu cores")).map(|n| n.to_string());
    let mut found = Fingerprint {
        hash: String::new(),
        architecture: env::consts::ARCH.into(),
        cpu: cpu_model(&cpu),
        cpu_name: get("model name"),
        logical_cpus: cores(),
        cpu_quota: Group::here().cpus.map(|cpus| format!("{cpus:.2}")),
        cpu_set: cpu_set(),
        libc: said_by("getconf", &["GNU_LIBC_VERSION"]),
        huge_pages: huge_pages(),
        threads_per_core: threads.unwrap_or_default(),
        hypervisor: get("flags").split(' ').any(|flag| flag == "hypervisor"),
        kernel: kernel(),
        rustc: env!("PACELINE_RUSTC").into(),
        flags: env!("PACELINE_FLAGS").into(),
        features: features(),
        allocator: allocator(env::var_os("LD_PRELOAD").as_deref()),
    };
    found.hash = found.hashed();
    found
}

/// Describes what allocates memory in measured processes, which start with the libraries in `preloaded`.
fn allocator(preloaded: Option<&OsStr>) -> String {
    let settings = allocator_settings().to_string_lossy().into_owned();
    match preloaded.filter(|libraries| !libraries.is_empty()) {
        Some(libraries) => format!("{settings} with {}", libraries.display()),
        None => settings,
    }
}

impl Fingerprint {
    /// Hashes all other fields but the CPU's name.
    fn hashed(&self) -> String {
        let features = self.features.join(";");
        let (cpu, cpus) = (self.cpu.join(" "), self.logical_cpus.to_string());
        let hypervisor = self.hypervisor.to_string();
        let parts = [
            &self.architecture,
            &cpu,
            &cpus,
            &self.threads_per_core,
            &hypervisor,
            &self.kernel,
            &self.rustc,
            &self.flags,
            &features,
            &self.allocator,
        ];
        let mut hash = Sha256::new();
        let more = [&self.cpu_quota, &self.cpu_set, &self.libc, &self.huge_pages];
        for part in parts.into_iter().chain(more.into_iter().flatten()) {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let digits = hash.finalize();
        let first = digits.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        format!("{first:016x}")
    }
}

/// Returns the features of each runtime's crate.
fn features() -> Vec<String> {
    let all = MODELS.iter().map(|entry| &entry.info);
    let mut features: Vec<String> = all
        .filter_map(|about| Some(format!("{}={}", about.package?, about.features().join(","))))
        .collect();
    features.sort();
    features.dedup();
    features
}

/// Returns the fields of the first CPU in `text`, the contents of `/proc/cpuinfo`. macOS has no such file.
fn cpu_info(text: &str) -> BTreeMap<String, String> {
    if text.is_empty() {
        let name = sysctl("machdep.cpu.brand_string");
        return ["model name", "model"].map(|key| (key.to_owned(), name.clone())).into();
    }
    let first = text.split("\n\n").next().unwrap_or_default().lines();
    first
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// Returns what tells the models of CPUs apart. ARM has words of its own for it.
fn cpu_model(cpu: &BTreeMap<String, String>) -> [String; 4] {
    let keys = if cpu.contains_key("CPU implementer") {
        ["CPU implementer", "CPU part", "CPU variant", "CPU revision"]
    } else {
        ["vendor_id", "cpu family", "model", "stepping"]
    };
    keys.map(|key| cpu.get(key).cloned().unwrap_or_default())
}

/// Returns a value of macOS's `sysctl`; empty where there is none.
pub(crate) fn sysctl(name: &str) -> String {
    said_by("/usr/sbin/sysctl", &["-n", name]).unwrap_or_default()
}

/// Returns what a program prints; `None` if there is no such program, or it fails.
fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().into())
}

/// Returns how many CPUs this process may run on, and on how many cores, unless it has all. Not which: a scheduler gives
/// others of the same shape to each job. A runtime may count those online: with a quota of two, Python's pool of threads is
/// larger on 64 CPUs than on 4.
fn cpu_set() -> Option<String> {
    let allowed = cpus_by_core();
    let online = fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
    let cores: BTreeSet<String> = allowed.iter().filter_map(|cpu| threads_of_core(*cpu)).collect();
    shape(allowed.len(), cores.len(), counted_in(online.trim())?, self::cores())
}

/// Returns the shape of a set of CPUs, with the number of those that a quota leaves.
fn shape(allowed: usize, on_cores: usize, online: usize, usable: usize) -> Option<String> {
    let all = allowed == online && usable == online;
    let (online, on_cores) = (counted(online, "CPU"), counted(on_cores, "core"));
    (!all).then(|| format!("{allowed} of {online}, on {on_cores}"))
}

/// Returns how many CPUs a list such as `0-3,8` has.
fn counted_in(list: &str) -> Option<usize> {
    let range = |range: &str| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        Some(to.parse::<usize>().ok()?.checked_sub(from.parse().ok()?)? + 1)
    };
    list.split(',').map(range).sum()
}

fn huge_pages() -> Option<String> {
    let modes = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok()?;
    let (_, mode) = modes.split_once('[')?;
    Some(mode.split_once(']')?.0.to_owned())
}

fn kernel() -> String {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let short = release.split('.').take(2).collect::<Vec<_>>().join(".");
    format!("{} {short}", name.sysname().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_the_same_twice_and_changes_with_the_build() {
        let one = fingerprint();
        assert_eq!(one, fingerprint());
        assert_eq!((one.hash.len(), &one.hash), (16, &one.hashed()));
        let quarter = Fingerprint { cpu_quota: Some("0.25".into()), ..one.clone() };
        assert_ne!(quarter.hashed(), one.hash, "a CPU quota is part of it");
        let some = || Some("another".to_owned());
        for other in [
            Fingerprint { cpu_set: some(), ..one.clone() },
            Fingerprint { libc: some(), ..one.clone() },
            Fingerprint { huge_pages: some(), ..one.clone() },
        ] {
            assert_ne!(other.hashed(), one.hash, "{other:?}");
        }
        assert!(one.allocator.contains("trim_threshold"), "{}", one.allocator);
        let other = Fingerprint { allocator: String::new(), ..one.clone() };
        assert_ne!(other.hashed(), one.hash, "so are the settings of the allocator");
        assert_eq!(allocator(None), allocator(Some(OsStr::new(""))));
        let another = allocator(Some(OsStr::new("libjemalloc.so.2")));
        assert_eq!(another, format!("{} with libjemalloc.so.2", allocator(None)));
        assert!(!one.kernel.is_empty() && one.rustc.starts_with("rustc "));
    }

    #[test]
    fn what_share_of_the_cpus_a_process_has_is_said_unless_it_has_all() {
        assert_eq!(shape(2, 2, 2, 2), None);
        assert_eq!(shape(2, 1, 4, 2).unwrap(), "2 of 4 CPUs, on 1 core");
        assert_eq!(shape(2, 2, 4, 2).unwrap(), "2 of 4 CPUs, on 2 cores");
        assert_eq!(shape(64, 32, 64, 2).unwrap(), "64 of 64 CPUs, on 32 cores", "a quota of two");
        assert_eq!(counted_in("0-3,8"), Some(5));
        assert_eq!(counted_in("0"), Some(1));
        assert_eq!(counted_in("3-0"), None);
    }

    #[test]
    fn arm_cpus_of_two_models_differ() {
        let model = |part: &str| {
            let text = format!(
                "processor\t: 0\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU architecture: 8\n\
                 CPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 3\n\nprocessor\t: 1\n"
            );
            cpu_model(&cpu_info(&text))
        };
        assert_eq!(model("0xd08"), ["0x41", "0xd08", "0x0", "3"]);
        assert_ne!(model("0xd08"), model("0xd0b"), "a Raspberry Pi 4 is a Raspberry Pi 5");
        let x86 = "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Xeon\nstepping\t: 7\n";
        assert_eq!(cpu_model(&cpu_info(x86)), ["GenuineIntel", "6", "85", "7"]);
    }

    #[test]
    fn runtimes_have_the_features_that_their_documentation_recommends() {
        // tokio's tutorial and crate documentation use `full`, which includes `parking_lot`. The others document no
        // features beyond their defaults that jobs could use; compio's I/O, network and timers are separate features.
        let wanted = [
            "async-std=default",
            "may=default",
            "rayon=default",
            "smol=default",
            "tokio=default,full",
            #[cfg(target_os = "linux")]
            "compio=default,io,net,time",
            #[cfg(target_os = "linux")]
            "glommio=default",
            #[cfg(target_os = "linux")]
            "monoio=default,sync",
            #[cfg(target_os = "linux")]
            "tokio-uring=default",
        ];
        for of in wanted {
            assert!(fingerprint().features.contains(&of.to_owned()), "{of}: {:?}", features());
        }
    }

    #[test]
    fn every_model_in_rust_has_a_version() {
        for entry in MODELS.iter().filter(|entry| entry.info.foreign.is_none()) {
            let version = version_of(entry.info.package);
            assert!(
                version.starts_with(|c: char| c.is_ascii_digit()),
                "{}: {version}",
                entry.info.name
            );
        }
    }
}
