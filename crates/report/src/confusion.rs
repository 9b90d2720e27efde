//! Which classes were taken for which.

use ansatz_core::{Confusion, Part};
use maud::{Markup, html};

use crate::format;

/// More classes than this make a matrix that nobody can read.
const MATRIX_CLASSES: usize = 30;
const PAIRS_SHOWN: usize = 30;

/// The section of the confusion matrix, or of the most confused pairs where the classes are many.
pub(crate) fn section(part: Part, confusion: &Confusion) -> Markup {
    html! {
        section #confusion {
            h2 { "Confusion" }
            @if confusion.names.len() <= MATRIX_CLASSES { (matrix(part, confusion)) } @else { (pairs(part, confusion)) }
        }
    }
}

fn matrix(part: Part, confusion: &Confusion) -> Markup {
    let worst = confusion
        .counts
        .iter()
        .enumerate()
        .flat_map(|(row, counts)| counts.iter().enumerate().filter(move |(column, _)| *column != row))
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(0)
        .max(1);
    html! {
        p.note {
            "Rows are what was right, columns what was said, on the " (part) " part. "
            span.key.right { "Blue" } " counts right answers, stronger where more of the class were right; "
            span.key.wrong { "orange" } " counts mistakes, stronger where there are more."
        }
        div.scroll {
            table.matrix {
                thead {
                    tr {
                        td {}
                        @for name in &confusion.names { th scope="col" { (name) } }
                    }
                }
                tbody {
                    @for (row, (name, counts)) in confusion.names.iter().zip(&confusion.counts).enumerate() {
                        tr {
                            th scope="row" { (name) }
                            @for (column, count) in counts.iter().enumerate() {
                                (cell(*count, row == column, counts.iter().sum(), worst))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(count: u64, right: bool, examples: u64, worst: u64) -> Markup {
    if count == 0 {
        return html! { td.none { "·" } };
    }
    let share = if right { count as f64 / examples as f64 } else { (count as f64 / worst as f64).sqrt() };
    html! {
        td.right[right].wrong[!right].dark[share > 0.55] style=(format!("--share:{:.0}%", share * 100.0)) {
            (format::count(count))
        }
    }
}

fn pairs(part: Part, confusion: &Confusion) -> Markup {
    let mut pairs: Vec<_> = confusion
        .counts
        .iter()
        .enumerate()
        .flat_map(|(target, counts)| {
            let examples: u64 = counts.iter().sum();
            counts.iter().enumerate().map(move |(said, count)| (target, said, *count, examples))
        })
        .filter(|(target, said, count, _)| target != said && *count > 0)
        .collect();
    pairs.sort_by_key(|(target, said, count, _)| (std::cmp::Reverse(*count), *target, *said));
    html! {
        p.note { "The most confused of " (format::count(confusion.names.len() as u64)) " classes, on the " (part) " part." }
        div.scroll {
            table.list {
                thead { tr { th { "Right" } th { "Said" } th.number { "Mistakes" } th.number { "Of the class" } } }
                tbody {
                    @for (target, said, count, examples) in pairs.into_iter().take(PAIRS_SHOWN) {
                        tr {
                            td { (confusion.names[target]) }
                            td { (confusion.names[said]) }
                            td.number { (format::count(count)) }
                            td.number { (format::percent(count as f64 / examples as f64, 1)) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(number: usize) -> Confusion {
        let row = |target: usize| {
            (0..number).map(move |said| if said == target { 9 } else { u64::from(said == 0) })
        };
        Confusion {
            names: (0..number).map(|class| format!("class {class}")).collect(),
            counts: (0..number).map(|target| row(target).collect()).collect(),
        }
    }

    #[test]
    fn few_classes_make_a_matrix_and_many_a_table_of_pairs() {
        assert!(section(Part::Test, &classes(3)).into_string().contains("class=\"matrix\""));
        let many = section(Part::Test, &classes(31)).into_string();
        assert!(!many.contains("class=\"matrix\""));
        assert!(many.contains("<td>class 1</td><td>class 0</td><td class=\"number\">1</td>"));
        assert!(many.contains("10.0\u{202f}%"));
    }

    #[test]
    fn a_class_without_examples_does_not_divide_by_zero() {
        let confusion =
            Confusion { names: vec!["a".into(), "b".into()], counts: vec![vec![0, 0], vec![0, 4]] };
        let text = section(Part::Test, &confusion).into_string();
        assert!(text.contains("--share:100%") && !text.contains("NaN"));
    }
}
