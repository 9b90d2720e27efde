//! A run as one self-contained HTML page.
//!
//! Figures in a terminal scroll away, and a folder of files shows nothing to whoever opens it. A page that
//! needs no server, no network and no program but a browser can be mailed, archived and printed, and still
//! says years later what was tried and what came of it. So everything is inside: curves are inline SVG,
//! pictures are data URIs, and a content security policy forbids the browser to load anything else.
//!
//! The page is made of what a run folder holds. What is not there yet is left out, so the page of a run that
//! still goes on, or was cut off, is as readable as that of a finished one.

mod classes;
mod compression;
mod confusion;
mod contents;
mod curves;
mod errors;
mod format;
mod headline;
mod labels;
mod layers;
mod mistakes;
mod page;
mod picture;
mod plot;
mod record;
mod restored;
mod settings;
mod thin;

use std::path::PathBuf;

use ansatz_core::Result;
use ansatz_run::{RunFolder, write_atomically};

/// Writes the page of a run to its `report.html`, whole or not at all; returns its path.
///
/// # Errors
/// When a file of the run is damaged or cannot be read, or the page cannot be written.
pub fn write(folder: &RunFolder) -> Result<PathBuf> {
    let path = folder.report();
    write_atomically(&path, render(folder)?.as_bytes())?;
    Ok(path)
}

/// The page of a run, as HTML.
///
/// # Errors
/// When a file of the run is damaged or cannot be read. Damaged lines of `metrics.jsonl` are no error: a run
/// that was cut off leaves one. They are counted on the page.
pub fn render(folder: &RunFolder) -> Result<String> {
    Ok(page::page(&contents::Contents::read(folder)?)?.into_string())
}
