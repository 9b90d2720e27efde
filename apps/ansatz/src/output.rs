//! What the user sees: results on standard output, messages on standard error, exit codes.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use ansatz_core::Error;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Something went wrong that one of our crates explains.
    #[error(transparent)]
    Explained(#[from] Error),
    /// The device cannot be used.
    #[error(transparent)]
    Device(#[from] ansatz_device::DeviceError),
    /// The output could not be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
    /// Networks that do not compute what their references computed.
    #[error("{failed} of {total} checkpoints differ from their reference; see above")]
    Differs {
        /// How many.
        failed: usize,
        /// Of how many.
        total: usize,
    },
    /// Some of several inputs failed; each was reported when it happened.
    #[error("{failed} of {total} {what} could not be used; see above")]
    Some {
        /// How many.
        failed: usize,
        /// Of how many.
        total: usize,
        /// What they are.
        what: &'static str,
    },
}

impl From<ansatz_core::ConfigError> for Failure {
    fn from(error: ansatz_core::ConfigError) -> Self {
        Self::Explained(error.into())
    }
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Explained(error) if !error.is_usage() => 1,
            Self::Output(_) | Self::Differs { .. } => 1,
            Self::Explained(_) | Self::Device(_) | Self::Some { .. } => 2,
        }
    }
}

/// The result of a command.
pub(crate) type Outcome = Result<(), Failure>;

/// Prints a failure, if any, and gives the exit code.
pub(crate) fn finish(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has seen enough, as in `ansatz list | head`.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            ExitCode::from(failure.code())
        }
    }
}

/// Prints clap's help or usage error and gives the exit code.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // Nothing is left to be done when even the message cannot be printed.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// One error message on standard error.
pub(crate) fn complain(problem: &dyn std::fmt::Display) {
    let mut stream = io::stderr().lock();
    let colour = stream.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (on, off) = if colour { ("\u{1b}[31;1m", "\u{1b}[0m") } else { ("", "") };
    // Nothing is left to be done when even the message cannot be printed.
    let _ = writeln!(stream, "{on}error{off}: {problem}");
}

/// One line of progress on standard error.
pub(crate) fn note(message: &dyn std::fmt::Display) {
    // Progress that nobody can read is no reason to stop.
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// One JSON object on a line of its own.
pub(crate) fn json(out: &mut dyn Write, value: &impl serde::Serialize) -> Outcome {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// Rows under a heading, columns aligned: text to the left, figures to the right.
pub(crate) fn table(out: &mut dyn Write, heading: &[&str], rows: &[Vec<String>]) -> Outcome {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
        cells.chain(heading.get(column).copied()).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    // A figure is a number, perhaps with a short unit behind it.
    let figure = |cell: &String| {
        cell.starts_with(|first: char| first.is_ascii_digit())
            && cell.chars().filter(|letter| letter.is_alphabetic()).count() <= 2
    };
    let figures = |column: usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(column)).peekable();
        cells.peek().is_some() && cells.all(figure)
    };
    let shape: Vec<(usize, bool)> =
        (0..heading.len()).map(|column| (width(column), figures(column))).collect();
    let mut line = |cells: Vec<&str>| -> io::Result<()> {
        let padded = cells.iter().zip(&shape).map(|(cell, (width, right))| {
            if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        let text = padded.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", text.trim_end())
    };
    line(heading.to_vec())?;
    for row in rows {
        line(row.iter().map(String::as_str).collect())?;
    }
    Ok(())
}

/// A count with spaces between groups of three digits.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(" ")
}

/// A task's figure for people: shares as percentages.
pub(crate) fn quality(name: &str, value: f64) -> String {
    if ansatz_run::written::is_share(name) {
        format!("{:.2} %", value * 100.0)
    } else {
        format!("{value:.4}")
    }
}

/// A size in bytes for people: powers of 1,000.
pub(crate) fn bytes(size: u64) -> String {
    match size {
        0..1_000 => format!("{size} B"),
        1_000..1_000_000 => format!("{:.1} kB", size as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", size as f64 / 1e6),
        _ => format!("{:.2} GB", size as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_three() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(79_426), "79 426");
        assert_eq!(grouped(1_000_000), "1 000 000");
    }

    #[test]
    fn tables_align_text_left_and_figures_right() {
        let mut out = Vec::new();
        let rows = [vec!["a".to_owned(), "5".to_owned()], vec!["long".to_owned(), "1 234".to_owned()]];
        table(&mut out, &["name", "n"], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "name      n\na         5\nlong  1 234\n");
    }
}
