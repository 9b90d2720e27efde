//! The machine and the build that figures were measured on.

use serde::{Deserialize, Serialize};

/// The machine and the build that figures were measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// This program's version.
    pub version: String,
    /// Operating system and processor family.
    pub platform: String,
    /// The processor's name, where the system says.
    pub processor: String,
    /// Processors this process may use.
    pub threads: usize,
    /// Whether the program was built without optimization.
    pub debug_build: bool,
}

impl Environment {
    /// Looks around.
    pub fn observe() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processor: processor().unwrap_or_else(|| "unknown".to_owned()),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            debug_build: cfg!(debug_assertions),
        }
    }
}

/// The processor's name, from Linux's own table.
fn processor() -> Option<String> {
    field(&std::fs::read_to_string("/proc/cpuinfo").ok()?, "model name")
}

/// The most memory this process has held so far, in bytes; `None` where the system does not say.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes: u64 = field(&status, "VmHWM")?.trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn field(table: &str, name: &str) -> Option<String> {
    let line = table.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_name() {
        let table = "Name:\tansatz\nVmHWM:\t   1024 kB\n";
        assert_eq!(field(table, "VmHWM").as_deref(), Some("1024 kB"));
        assert_eq!(field(table, "VmSwap"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn peak_memory_grows_with_what_is_held() {
        let before = peak_memory_bytes().unwrap();
        let held = vec![1_u8; 64 << 20];
        assert!(held.iter().map(|byte| u64::from(*byte)).sum::<u64>() == 64 << 20);
        assert!(peak_memory_bytes().unwrap() >= before.max(64 << 20));
    }
}
