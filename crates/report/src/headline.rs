//! The top of the page: what it was, how it ended, and the figures that matter.

use ansatz_run::{Figures, Summary};
use maud::{Markup, html};

use crate::contents::Contents;
use crate::format;

/// The top of the page.
pub(crate) fn header(contents: &Contents) -> Markup {
    let summary = contents.summary.as_ref();
    let ended = summary.map_or("not ended yet", |summary| &summary.ended);
    html! {
        header {
            p.chips {
                span.chip.done[ended == "finished"].open[ended != "finished"] { (ended) }
                @for (role, kind) in &contents.components { span.chip { span.faint { (role) } " " (kind) } }
            }
            h1 { (contents.title) }
            @if let Some(summary) = summary { (figures(summary)) }
            (remarks(contents))
        }
    }
}

fn figures(summary: &Summary) -> Markup {
    let judged = [("Test", &summary.test), ("Validation", &summary.validation)];
    let leading = judged.into_iter().find_map(|(part, figures)| Some((part, figures.as_ref()?)));
    html! {
        div.figures {
            @if let Some((part, figures)) = leading {
                (leading_figure(part, figures))
                @if let Some(loss) = figures.values.get("loss") {
                    (card(&format!("{part} loss"), &format::figure(*loss), "nats"))
                }
            }
            (card("Parameters", &format::count(summary.parameters as u64), "trainable"))
            (card("Training time", &format::duration(summary.seconds), &format!("{} epochs, {} steps", format::figure(summary.epochs), format::count(summary.steps))))
            (card("Throughput", &format::figure(summary.examples_per_second), "training examples per second"))
            @if let Some(bytes) = summary.peak_memory_bytes {
                (card("Peak memory", &format::bytes(bytes), "of the whole process"))
            }
            (card("Device", &summary.device, "trained on"))
            (card("Seed", &summary.seed.to_string(), "of all randomness"))
            (card("Weights kept", &format!("step {}", format::count(summary.best_step)), &format!("of {}", format::count(summary.steps))))
        }
        @if let (Some(_), Some(validation)) = (&summary.test, &summary.validation) {
            @if let Some(text) = in_words(validation) {
                p.note { "The same weights on the validation part: " (text) "." }
            }
        }
    }
}

/// The figure that decides, with the interval that chance leaves it: the accuracy, the F1 of labels, the squared error, or
/// else the first.
fn leading_figure(part: &str, figures: &Figures) -> Markup {
    let leading = ["accuracy", "micro_f1", "mse"].iter().find_map(|name| figures.values.get_key_value(*name));
    let Some((name, value)) = leading.or_else(|| figures.values.iter().find(|(name, _)| *name != "loss"))
    else {
        return html! {};
    };
    let examples = format!("{} examples", format::count(figures.examples as u64));
    html! {
        div.figure.leading {
            p.name { (part) " " (format::label(name)) }
            @if format::is_share(name) {
                p.value { (format::percent(*value, 2)) }
            } @else {
                p.value { (format::figure(*value)) }
            }
            p.unit {
                (examples)
                @if let Some(interval) = figures.interval.as_ref().filter(|interval| interval.figure == *name) {
                    ", 95 % between " (bound(name, interval.low)) " and " (bound(name, interval.high))
                }
            }
        }
    }
}

/// A bound of an interval.
fn bound(name: &str, value: f64) -> String {
    if format::is_share(name) { format!("{:.2}", value * 100.0) } else { format::figure(value) }
}

fn in_words(figures: &Figures) -> Option<String> {
    let named = figures.values.iter().map(|(name, value)| match format::is_share(name) {
        true => format!("{} {}", format::label(name), format::percent(*value, 2)),
        false => format!("{} {}", format::label(name), format::figure(*value)),
    });
    let text = named.collect::<Vec<_>>().join(", ");
    (!text.is_empty()).then(|| format!("{text} over {} examples", format::count(figures.examples as u64)))
}

fn card(name: &str, value: &str, unit: &str) -> Markup {
    html! { div.figure { p.name { (name) } p.value { (value) } p.unit { (unit) } } }
}

/// What a reader must know before trusting the figures.
fn remarks(contents: &Contents) -> Markup {
    let summary = contents.summary.as_ref();
    let damaged = contents.record.damaged;
    html! {
        @if summary.is_none() {
            p.remark { "This run has not ended: there are no final figures yet. Curves show what was recorded so far." }
        }
        @if summary.is_some_and(|summary| summary.test.is_none()) {
            p.remark { "There are no test scores: the figures are those of the validation part, which choices may have been made by." }
        }
        @if summary.is_some_and(|summary| summary.environment.debug_build) {
            p.remark { "The program was built without optimization: times say nothing about its speed." }
        }
        @if damaged > 0 {
            p.remark {
                (format::count(damaged as u64))
                @if damaged == 1 { " line of metrics.jsonl could not be read and is" } @else { " lines of metrics.jsonl could not be read and are" }
                " left out."
            }
        }
    }
}
