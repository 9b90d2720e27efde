//! How training went: one chart per figure.

use ansatz_core::{Part, Result};
use maud::{Markup, PreEscaped, html};

use crate::format;
use crate::plot::{Chart, Curve, Source};
use crate::record::{Judgement, Record, Step};

/// The section of training curves; empty while nothing was recorded.
pub(crate) fn section(record: &Record) -> Result<Markup> {
    let charts = charts(record);
    if charts.is_empty() {
        return Ok(html! {});
    }
    let drawn = charts.iter().map(Chart::draw).collect::<Result<Vec<_>>>()?;
    let curves = || charts.iter().flat_map(|chart| &chart.curves);
    Ok(html! {
        section #training {
            h2 { "Training" }
            p.legend {
                span { i.line.training {} "training" }
                span { i.line.validation {} "validation" }
                @if curves().any(|curve| curve.best.is_some()) { span { i.ring {} "best validation score" } }
                @if curves().any(Curve::is_thinned) {
                    span { i.band {} "between the lowest and the highest of neighbouring steps" }
                }
            }
            div.charts {
                @for (chart, svg) in charts.iter().zip(drawn) {
                    figure role="img" aria-label=(format!("Chart of {} over epochs", chart.axis)) {
                        (PreEscaped(svg))
                    }
                }
            }
        }
    })
}

fn charts(record: &Record) -> Vec<Chart> {
    let steps = &record.steps;
    let unbounded = (f64::NEG_INFINITY, f64::INFINITY);
    // A loss that is a surprise is counted in nats; the error of a forecast is not.
    let surprise = !record.judgements.iter().any(|judgement| judgement.scores.values.contains_key("mse"));
    let mut charts = vec![Chart {
        axis: if surprise { "loss (nats)" } else { "loss" }.to_owned(),
        curves: [vec![of_steps(steps, |step| step.loss)], of_parts(record, "loss")].concat(),
        tick: format::figure,
        bounds: unbounded,
        logarithmic: true,
    }];
    for name in figures(record) {
        let share = format::is_share(name);
        charts.push(Chart {
            axis: format!("{}{}", format::label(name), if share { " (%)" } else { "" }),
            curves: of_parts(record, name),
            tick: if share { |value| format::figure(value * 100.0) } else { format::figure },
            bounds: if share { (0.0, 1.0) } else { unbounded },
            logarithmic: false,
        });
    }
    for (axis, value, logarithmic) in [
        ("learning rate", (|step: &Step| step.learning_rate) as fn(&Step) -> Option<f64>, false),
        ("gradient norm, before clipping", |step| step.gradient_norm, true),
    ] {
        charts.push(Chart {
            axis: axis.to_owned(),
            curves: vec![of_steps(steps, value)],
            tick: format::figure,
            bounds: (0.0, f64::INFINITY),
            logarithmic,
        });
    }
    for chart in &mut charts {
        chart.curves.retain(|curve| !curve.points.is_empty());
    }
    charts.retain(|chart| !chart.curves.is_empty());
    charts
}

/// The figures besides the loss that are drawn: the one that decides, and the accuracy.
fn figures(record: &Record) -> Vec<&str> {
    let judged = record.judgements.iter().rev().find(|judgement| judgement.part == Part::Validation);
    let Some(Judgement { scores, .. }) = judged else { return Vec::new() };
    let mut names = vec![scores.primary.as_str(), "accuracy"];
    names.dedup();
    names.retain(|name| *name != "loss" && scores.values.contains_key(*name));
    names
}

fn of_steps(steps: &[Step], value: fn(&Step) -> Option<f64>) -> Curve {
    let points = steps.iter().filter_map(|step| point(step.epoch, value(step)));
    Curve { source: Source::Training, points: points.collect(), best: None }
}

fn of_parts(record: &Record, name: &str) -> Vec<Curve> {
    [(Part::Train, Source::Training), (Part::Validation, Source::Validation)]
        .map(|(part, source)| {
            let judged = || record.judgements.iter().filter(move |judgement| judgement.part == part);
            let at = |judgement: &Judgement| {
                point(judgement.epoch, judgement.scores.values.get(name).copied().flatten())
            };
            let best = judged().filter(|judgement| judgement.best).filter_map(at).next_back();
            Curve { source, points: judged().filter_map(at).collect(), best }
        })
        .into()
}

fn point(epoch: f64, value: Option<f64>) -> Option<(f64, f64)> {
    value.filter(|value| value.is_finite() && epoch.is_finite()).map(|value| (epoch, value))
}
