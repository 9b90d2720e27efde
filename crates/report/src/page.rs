//! The whole page.

use ansatz_core::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::contents::Contents;
use crate::{
    classes, compression, confusion, curves, errors, headline, labels, layers, mistakes, restored, settings,
};

/// Nothing may be loaded and nothing may run: the page is all there is.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// The whole page.
pub(crate) fn page(contents: &Contents) -> Result<Markup> {
    let confusion = contents.record.confusion();
    Ok(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (contents.title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    (headline::header(contents))
                    @if let Some(summary) = &contents.summary { (compression::section(&summary.compression)?) }
                    (curves::section(&contents.record)?)
                    @if let Some((part, confusion)) = confusion {
                        div.pair {
                            (confusion::section(part, confusion))
                            (classes::section(confusion))
                        }
                    }
                    @if let Some((part, errors)) = contents.record.errors() { (errors::section(part, errors)) }
                    @if let Some((part, labels)) = contents.record.labels() { (labels::section(part, labels)) }
                    (mistakes::section(&contents.mistakes))
                    (restored::section(&contents.restored))
                    (layers::section(&contents.layers))
                    (settings::config(&contents.config))
                    @if let Some(summary) = &contents.summary { (settings::environment(&summary.environment)) }
                }
                footer {
                    "Written by Ansatz"
                    @if let Some(summary) = &contents.summary { " " (summary.environment.version) }
                    ". This page needs no network."
                }
            }
        }
    })
}
