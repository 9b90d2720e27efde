//! Where the errors of forecasts lie: how far ahead, and in which channels.

use ansatz_core::{ForecastErrors, Part};
use maud::{Markup, html};

use crate::format;

/// Rows shown before a table is cut.
const SHOWN: usize = 100;

/// The section of forecasts.
pub(crate) fn section(part: Part, errors: &ForecastErrors) -> Markup {
    let highest = errors.steps.iter().flatten().copied().fold(0.0, f64::max);
    let mut channels: Vec<usize> = (0..errors.names.len()).collect();
    let error = |channel: &usize| errors.squared[*channel].unwrap_or(f64::NEG_INFINITY);
    channels.sort_by(|a, b| error(b).total_cmp(&error(a)));
    html! {
        section #forecasts {
            h2 { "Forecasts" }
            p.note {
                "Errors on the " (part) " part, on a scale on which each channel has a deviation of 1 over the training "
                "part: an MSE of 1 is that of foretelling the mean."
            }
            div.pair {
                div.scroll {
                    table.list {
                        thead { tr { th { "Steps ahead" } th { "MSE" } } }
                        tbody {
                            @for (step, squared) in errors.steps.iter().enumerate().take(SHOWN) {
                                tr { td { (step + 1) } (bar(*squared, highest)) }
                            }
                        }
                    }
                }
                div.scroll {
                    table.list {
                        thead { tr { th { "Channel" } th.number { "MSE" } th.number { "MAE" } } }
                        tbody {
                            @for &channel in channels.iter().take(SHOWN) {
                                tr {
                                    td { (errors.names[channel]) }
                                    td.number { (format::known(errors.squared[channel])) }
                                    td.number { (format::known(errors.absolute[channel])) }
                                }
                            }
                        }
                    }
                }
            }
            @if errors.steps.len() > SHOWN {
                p.note { "The first " (SHOWN) " of " (format::count(errors.steps.len() as u64)) " steps." }
            }
            @if channels.len() > SHOWN {
                p.note { "The " (SHOWN) " worst of " (format::count(channels.len() as u64)) " channels." }
            }
        }
    }
}

/// A figure behind a bar that shows its share of the highest.
fn bar(value: Option<f64>, highest: f64) -> Markup {
    let share = value.filter(|_| highest > 0.0).map_or(0.0, |value| value / highest);
    html! {
        td.share {
            span.bar style=(format!("--share:{:.1}%", share * 100.0)) {}
            span.figure { (format::known(value)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_and_channel_stands_there_the_worst_channel_first() {
        let errors = ForecastErrors {
            steps: vec![Some(0.25), None, Some(0.5)],
            names: vec!["calm".to_owned(), "<wild>".to_owned()],
            squared: vec![Some(0.125), Some(0.75)],
            absolute: vec![Some(0.2), None],
        };
        let page = section(Part::Test, &errors).into_string();
        assert!(page.contains("--share:50.0%") && page.contains("--share:100.0%"), "{page}");
        let place = |text: &str| page.find(text).expect(text);
        assert!(place("&lt;wild&gt;") < place("calm"), "{page}");
        assert!(page.contains("0.125") && page.contains("–"), "{page}");
    }
}
