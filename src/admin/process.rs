//! What the system says of the process: memory, descriptors, time.

use std::fs;
use std::time::Duration;

/// What a process has of the machine.
#[derive(Debug)]
pub(super) struct Process {
    /// Memory that is in use, in bytes.
    pub(super) resident: u64,
    /// Descriptors that are open.
    pub(super) open_files: u64,
    /// Descriptors that may be.
    pub(super) max_files: u64,
    /// Time that processors worked for it.
    pub(super) worked: Duration,
}

impl Process {
    /// This process now; what the system does not tell is 0 (`proc(5)`).
    pub(super) fn now() -> Process {
        let pages = fs::read_to_string("/proc/self/statm").ok();
        let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok()).unwrap_or(0);
        let worked = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Process {
            resident: pages * rustix::param::page_size() as u64,
            // the folder itself is one of them while it is read
            open_files: fs::read_dir("/proc/self/fd").map_or(0, |files| files.count().saturating_sub(1) as u64),
            max_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(0),
            worked: Duration::try_from(worked).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_something_of_everything() {
        let Process { resident, open_files, max_files, worked } = Process::now();
        assert!(resident > 1 << 20 && open_files >= 3 && max_files >= open_files && worked > Duration::ZERO);
    }
}
