//! Writes the page of a made-up run: `cargo run -p ansatz-report --example made_up -- FOLDER`.
//!
//! For whoever changes the page and wants to look at it without training anything first.

#[path = "../tests/made_up/mod.rs"]
mod made_up;

use std::path::PathBuf;

#[expect(clippy::print_stdout, reason = "an example talks to its user")]
fn main() -> ansatz_core::Result<()> {
    let Some(path) = std::env::args_os().nth(1).map(PathBuf::from) else {
        println!("give the path of a new folder");
        return Ok(());
    };
    let folder = made_up::fill(&path);
    let begun = std::time::Instant::now();
    println!("{} in {:.0?}", ansatz_report::write(&folder)?.display(), begun.elapsed());
    Ok(())
}
