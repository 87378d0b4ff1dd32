//! How much memory there is.

use super::budget::Budget;
use super::size::ByteSize;
use super::temporary::limit_of;
use crate::error::Result;
use std::path::Path;

/// Environment variable: the memory limit.
pub const MEMORY_VARIABLE: &str = "OUTCROP_MEMORY";

/// The share of the memory of the machine, or of the control group, that a run may take when nobody says otherwise.
const SHARE_PERCENT: u64 = 60;

impl Budget {
    /// An account with the limit that `$OUTCROP_MEMORY` gives; else six tenths of the memory of the machine, or of the
    /// control group that the process is in, whichever is less. Where neither is known, it only counts.
    ///
    /// # Errors
    /// `Syntax` when the variable is no number of bytes.
    pub fn of_environment() -> Result<Budget> {
        let limit = match limit_of(MEMORY_VARIABLE)? {
            Some(given) => given,
            None => match usable_bytes() {
                Some(bytes) => bytes / 100 * SHARE_PERCENT,
                None => return Ok(Budget::unlimited()),
            },
        };
        Ok(Budget::of_size(ByteSize(limit)))
    }
}

/// Bytes of memory that the process can have at most, where that can be told.
fn usable_bytes() -> Option<u64> {
    let text = |path: &Path| std::fs::read_to_string(path).ok();
    let machine = text(Path::new("/proc/meminfo")).and_then(|text| total_of(&text));
    let groups = text(Path::new("/proc/self/cgroup")).unwrap_or_default();
    machine.into_iter().chain(group_limit(&groups, &text)).min()
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The least limit of the control groups that `/proc/self/cgroup` names, and of those that they lie in. `read` gives the text of a file.
fn group_limit(groups: &str, read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let mut least: Option<u64> = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            some if some.split(',').any(|controller| controller == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // In a container the path may be that outside; then its ancestors, down to the root, are what is there.
        for ancestor in Path::new(path.trim_start_matches('/')).ancestors() {
            let limit = read(&Path::new(root).join(ancestor).join(file)).and_then(|text| text.trim().parse().ok());
            least = least.into_iter().chain(limit).min();
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_nested_control_groups_counts() {
        assert_eq!(total_of("MemFree: 1 kB\nMemTotal:       16384 kB\n"), Some(16 << 20));
        assert_eq!(total_of("MemTotal: much\n"), None);
        let read = |path: &Path| {
            let files = [
                ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
                ("/sys/fs/cgroup/a/memory.max", "1000\n"),
                ("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "2000\n"),
                ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ];
            files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| text.to_string())
        };
        assert_eq!(group_limit("0::/a/b\n", &read), Some(1000));
        assert_eq!(group_limit("4:cpu:/a\n3:hugetlb,memory:/c\n", &read), Some(2000));
        assert_eq!(group_limit("0::/\n", &read), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_memory() {
        assert!(usable_bytes().is_some_and(|bytes| bytes > 64 << 20));
    }
}
