//! Control groups, versions 1 and 2: the limits of a container or a service.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The limits of this process's control groups; `None` if they set no limit, or do not show it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Group {
    /// The least limit of memory, in bytes.
    pub memory: Option<u64>,
    /// The memory left, in bytes. File cache does not count as used, because the kernel can reclaim it.
    pub memory_left: Option<u64>,
    /// The CPU quota, in CPUs.
    pub cpus: Option<f64>,
    /// The limit of processes and threads.
    pub pids: Option<u64>,
}

/// Version 1 writes "no limit" as the greatest number of pages, which is about 2⁶³ bytes.
const NO_LIMIT: u64 = 1 << 60;

impl Group {
    /// Returns the limits of this process.
    pub fn here() -> Self {
        Group::under(Path::new("/"))
    }

    /// Returns the same with `root` as the root of the file system. All enclosing groups limit a group too.
    fn under(root: &Path) -> Self {
        let memory = levels(root, "memory").into_iter().filter_map(|level| memory(&level));
        let (memory, memory_left): (Vec<u64>, Vec<u64>) = memory.unzip();
        let cpus = levels(root, "cpu").into_iter().filter_map(|level| cpus(&level));
        let pids =
            levels(root, "pids").into_iter().filter_map(|level| number(&level, "pids.max")).min();
        Group {
            memory: memory.into_iter().min(),
            memory_left: memory_left.into_iter().min(),
            cpus: cpus.reduce(f64::min),
            pids,
        }
    }
}

/// Returns the folders of this process's group for `controller` and of all groups around it. A container may see the
/// path of its group outside: then only the last, the mount point, exists.
fn levels(root: &Path, controller: &str) -> Vec<PathBuf> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mounts = root.join("sys/fs/cgroup");
    let of = |controllers: &str| controllers.split(',').any(|one| one == controller);
    let mut found = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        if of(controllers) {
            found = Some((mounts.join(controller), path));
        } else if controllers.is_empty() && found.is_none() {
            found = Some((mounts.clone(), path));
        }
    }
    let Some((mount, path)) = found else { return vec![] };
    let own = mount.join(path.trim_start_matches('/'));
    own.ancestors().take_while(|level| level.starts_with(&mount)).map(Path::to_owned).collect()
}

/// Returns the limit of memory, and the memory left.
fn memory(level: &Path) -> Option<(u64, u64)> {
    let first = |names: [&str; 2]| names.iter().find_map(|name| number(level, name));
    let limit = first(["memory.max", "memory.limit_in_bytes"]).filter(|most| *most < NO_LIMIT)?;
    let used = first(["memory.current", "memory.usage_in_bytes"]).unwrap_or(0);
    let stat = fs::read_to_string(level.join("memory.stat")).unwrap_or_default();
    let named = |name: &str| {
        let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.trim().parse::<u64>().ok())
    };
    // In version 1, the short names are a group's own figures, and the totals include its subgroups.
    let cached = ["inactive_file", "active_file"]
        .map(|name| named(&format!("total_{name}")).or_else(|| named(name)).unwrap_or(0));
    let held = used.saturating_sub(cached.iter().sum());
    Some((limit, limit.saturating_sub(held)))
}

/// Returns the quota in CPUs: the quota divided by the period.
fn cpus(level: &Path) -> Option<f64> {
    let (quota, period) = match fs::read_to_string(level.join("cpu.max")) {
        Ok(both) => {
            let mut numbers = both.split_whitespace().map(str::parse::<f64>);
            (numbers.next()?.ok()?, numbers.next()?.ok()?)
        }
        Err(_) => {
            (number(level, "cpu.cfs_quota_us")? as f64, number(level, "cpu.cfs_period_us")? as f64)
        }
    };
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// Returns the number in a file; `None` for `max` and -1, which mean no limit.
fn number(level: &Path, name: &str) -> Option<u64> {
    fs::read_to_string(level.join(name)).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn plant(files: &[(&str, &str)]) -> Group {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Group::under(root.path())
    }

    #[test]
    fn each_group_around_limits_too_and_caches_are_not_in_use() {
        let group = plant(&[
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/memory.max", "1048576000\n"),
            ("sys/fs/cgroup/a/memory.current", "943718400\n"),
            (
                "sys/fs/cgroup/a/memory.stat",
                "anon 1\ninactive_file 104857600\nactive_file 209715200\n",
            ),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/a/b/pids.max", "500\n"),
        ]);
        let expected = Group {
            memory: Some(1000 * MIB),
            memory_left: Some(400 * MIB),
            cpus: Some(1.5),
            pids: Some(500),
        };
        assert_eq!(group, expected);
    }

    #[test]
    fn version_1_is_read_too_at_its_mount_where_the_path_is_of_outside() {
        let group = plant(&[
            ("proc/self/cgroup", "4:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "104857600\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "52428800\n"),
            ("sys/fs/cgroup/memory/memory.stat", "inactive_file 0\ntotal_inactive_file 10485760\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!((group.memory, group.memory_left), (Some(100 * MIB), Some(60 * MIB)));
        assert_eq!((group.cpus, group.pids), (Some(2.0), None));
    }

    #[test]
    fn no_limit_is_none() {
        let group = plant(&[
            ("proc/self/cgroup", "4:memory:/\n2:cpu:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(group, Group::default());
        assert_eq!(plant(&[]), Group::default());
    }
}
