//! What would be needed to run it again: the config and the machine.

use ansatz_run::Environment;
use maud::{Markup, html};

/// The section of the rendered config.
pub(crate) fn config(text: &str) -> Markup {
    html! {
        section #config {
            h2 { "Config" }
            p.note { "Every value that was used." }
            pre { @for line in text.trim_end().lines() { (config_line(line)) "\n" } }
        }
    }
}

fn config_line(line: &str) -> Markup {
    html! {
        @if line.starts_with('[') {
            b.table { (line) }
        } @else if let Some((key, value)) = line.split_once(" = ") {
            b.key { (key) } " = " (value)
        } @else {
            (line)
        }
    }
}

/// The section of the machine and the build.
pub(crate) fn environment(environment: &Environment) -> Markup {
    let threads = environment.threads.to_string();
    let rows = [
        ("Ansatz", environment.version.as_str()),
        ("Build", if environment.debug_build { "debug, not optimized" } else { "optimized" }),
        ("Platform", &environment.platform),
        ("Processor", &environment.processor),
        ("Threads", &threads),
    ];
    html! {
        section #environment {
            h2 { "Environment" }
            dl.facts { @for (name, value) in rows { div { dt { (name) } dd { (value) } } } }
        }
    }
}
