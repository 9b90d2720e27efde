//! How good each label was told, where an example may have several.

use ansatz_core::{LabelFigures, Part};
use maud::{Markup, html};

use crate::format;

/// Labels shown before the table is cut.
const SHOWN: usize = 100;

/// The section of labels, the worst first.
pub(crate) fn section(part: Part, labels: &[LabelFigures]) -> Markup {
    let mut labels: Vec<&LabelFigures> = labels.iter().collect();
    let order = |label: &LabelFigures| label.f1().unwrap_or(f64::INFINITY);
    labels.sort_by(|a, b| order(a).total_cmp(&order(b)));
    html! {
        section #labels {
            h2 { "Labels" }
            p.note {
                "On the " (part) " part. A label is said where its probability is above one half; F1 joins the share of its "
                "mentions that were right (precision) with the share of its examples that were found (recall). Average "
                "precision looks at the order of all examples, without that border."
            }
            div.scroll {
                table.list {
                    thead {
                        tr {
                            th { "Label" }
                            th { "F1" }
                            th.number { "Precision" }
                            th.number { "Recall" }
                            th.number { "Average precision" }
                            th.number { "AUROC" }
                            th.number { "Examples" }
                        }
                    }
                    tbody { @for label in labels.iter().take(SHOWN) { (row(label)) } }
                }
            }
            @if labels.len() > SHOWN {
                p.note { "The " (SHOWN) " worst of " (format::count(labels.len() as u64)) " labels." }
            }
        }
    }
}

fn row(label: &LabelFigures) -> Markup {
    html! {
        tr {
            td { (label.name) }
            td.share {
                @if let Some(f1) = label.f1() {
                    span.bar style=(format!("--share:{:.1}%", f1 * 100.0)) {}
                    span.figure { (format::figure(f1)) }
                } @else { "–" }
            }
            td.number { (format::share_of(label.right, label.said)) }
            td.number { (format::share_of(label.right, label.examples)) }
            td.number { (format::known(label.precision)) }
            td.number { (format::known(label.area)) }
            td.number { (format::count(label.examples)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_stands_there_the_worst_first() {
        let label = |name: &str, [examples, said, right]: [u64; 3], area| LabelFigures {
            name: name.to_owned(),
            examples,
            said,
            right,
            precision: area,
            area,
        };
        let labels = [
            label("calm", [4, 4, 3], Some(0.875)),
            label("<wild>", [4, 4, 1], None),
            label("no", [0; 3], None),
        ];
        let page = section(Part::Test, &labels).into_string();
        let place = |text: &str| page.find(text).expect(text);
        assert!(place("&lt;wild&gt;") < place("calm") && place("calm") < place(">no<"), "{page}");
        assert!(page.contains("--share:75.0%") && page.contains("--share:25.0%"), "{page}");
        assert!(page.contains("0.875") && page.contains("–"), "{page}");
    }
}
