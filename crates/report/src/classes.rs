//! How good each class was recognized.

use ansatz_core::Confusion;
use maud::{Markup, html};

use crate::format;

/// Classes shown before the table is cut.
const CLASSES_SHOWN: usize = 100;

struct Class<'a> {
    name: &'a str,
    examples: u64,
    right: u64,
    /// How often the class was said, rightly or not.
    said: u64,
    /// What it was most often taken for.
    taken_for: Option<(&'a str, u64)>,
}

/// The section of accuracy per class, the worst first.
pub(crate) fn section(confusion: &Confusion) -> Markup {
    let mut classes: Vec<_> = (0..confusion.names.len()).map(|class| tally(confusion, class)).collect();
    classes.sort_by(|a, b| accuracy(a).total_cmp(&accuracy(b)));
    html! {
        section #classes {
            h2 { "Classes" }
            p.note { "Accuracy is the share of a class that was recognized; precision the share of its mentions that were right." }
            div.scroll {
                table.list {
                    thead {
                        tr {
                            th { "Class" }
                            th { "Accuracy" }
                            th.number { "Precision" }
                            th.number { "Examples" }
                            th { "Most often taken for" }
                        }
                    }
                    tbody { @for class in classes.iter().take(CLASSES_SHOWN) { (row(class)) } }
                }
            }
            @if classes.len() > CLASSES_SHOWN {
                p.note { "The " (CLASSES_SHOWN) " worst of " (format::count(classes.len() as u64)) " classes." }
            }
        }
    }
}

fn row(class: &Class<'_>) -> Markup {
    html! {
        tr {
            td { (class.name) }
            td.share {
                @if class.examples > 0 {
                    span.bar style=(format!("--share:{:.1}%", accuracy(class) * 100.0)) {}
                    span.figure { (format::percent(accuracy(class), 1)) }
                } @else { "–" }
            }
            td.number {
                (format::share_of(class.right, class.said))
            }
            td.number { (format::count(class.examples)) }
            td { @if let Some((name, count)) = class.taken_for { (name) " " span.faint { (format::count(count)) @if count == 1 { " time" } @else { " times" } } } @else { "–" } }
        }
    }
}

fn accuracy(class: &Class<'_>) -> f64 {
    if class.examples == 0 { f64::INFINITY } else { class.right as f64 / class.examples as f64 }
}

fn tally(confusion: &Confusion, class: usize) -> Class<'_> {
    let counts = &confusion.counts[class];
    let others = counts.iter().enumerate().filter(|(other, count)| *other != class && **count > 0);
    let taken_for = others.max_by_key(|(other, count)| (**count, std::cmp::Reverse(*other)));
    Class {
        name: &confusion.names[class],
        examples: counts.iter().sum(),
        right: counts[class],
        said: confusion.counts.iter().map(|row| row[class]).sum(),
        taken_for: taken_for.map(|(other, count)| (confusion.names[other].as_str(), *count)),
    }
}
