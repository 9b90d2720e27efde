//! What each step of a compression gave and cost.

use ansatz_core::{Error, Result};
use ansatz_run::{Latency, Measurement, Stage};
use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::format;
use crate::plot::{GRID, INK, SIZE, Source};

/// The section of a compression; empty for a run that was not compressed.
pub(crate) fn section(stages: &[Stage]) -> Result<Markup> {
    let Some(first) = stages.first().map(|stage| &stage.measured) else { return Ok(html! {}) };
    let figure = format::label(&first.figure);
    let by_size = picture(stages, "KiB on disk", &|measured| Some(measured.bytes as f64 / 1024.0))?;
    let by_time = picture(stages, "ms for one answer", &|measured| Some(measured.latency_at(1)?.median))?;
    let has_tokens = stages.iter().any(|stage| stage.measured.tokens_per_second.is_some());
    let picture = |svg: &str, over: &str| {
        html! { figure role="img" aria-label=(format!("{figure} of each step over {over}")) { (PreEscaped(svg)) } }
    };
    Ok(html! {
        section #compression {
            h2 { "Compression" }
            p.note {
                "Each row was measured in a process of its own on the " (first.part) " part, "
                (format::count(first.examples as u64)) " examples; the interval is that of 95 of 100 parts of this size. Times are medians; 95 of 100 answers took no longer than the second. Operations are those of one example, forward, zeros included."
            }
            div.scroll {
                table.list {
                    thead {
                        tr {
                            th { "Step" }
                            th.number { (figure) }
                            th.number { "Interval" }
                            th.number { "On disk" }
                            th.number { "Smaller" }
                            th.number { "Parameters" }
                            th.number { "Other than 0" }
                            th.number { "Operations" }
                            th.number { "One at once" }
                            th.number { "64 at once" }
                            th.number { "Examples/s" }
                            @if has_tokens { th.number { "Tokens/s" } }
                            th.number { "Memory" }
                        }
                    }
                    tbody { @for stage in stages { (row(stage, first, has_tokens)) } }
                }
            }
            div.charts {
                @if let Some(svg) = &by_size { (picture(svg, "its bytes on disk")) }
                @if let Some(svg) = &by_time { (picture(svg, "the time of an answer")) }
            }
        }
    })
}

fn row(stage: &Stage, first: &Measurement, has_tokens: bool) -> Markup {
    let measured = &stage.measured;
    let smaller = first.bytes as f64 / measured.bytes.max(1) as f64;
    let time = |latency: &Latency| {
        format!("{} / {} ms", format::figure(latency.median), format::figure(latency.percentile_95))
    };
    let unknown = || "–".to_owned();
    let time = |batch| measured.latency_at(batch).map_or_else(unknown, time);
    html! {
        tr {
            td { (stage.step) }
            td.number { (quality(measured, measured.quality)) }
            td.number { (interval(measured).unwrap_or_else(unknown)) }
            td.number { (format::bytes(measured.bytes)) }
            td.number { (format!("{smaller:.1} ×")) }
            td.number { (format::count(measured.parameters as u64)) }
            td.number { (format::count(measured.non_zeros as u64)) }
            td.number { (measured.flops.map_or_else(unknown, format::count)) }
            td.number { (time(1)) }
            td.number { (time(64)) }
            td.number { (format::figure(measured.examples_per_second)) }
            @if has_tokens { td.number { (format::known(measured.tokens_per_second)) } }
            td.number { (measured.peak_memory_bytes.map_or_else(unknown, format::bytes)) }
        }
    }
}

fn quality(measured: &Measurement, value: f64) -> String {
    match format::is_share(&measured.figure) {
        true => format::percent(value, 2),
        false => format::figure(value),
    }
}

/// How far chance may have moved the figure, where that is known.
fn interval(measured: &Measurement) -> Option<String> {
    let interval = measured.interval.as_ref().filter(|interval| interval.figure == measured.figure)?;
    Some(format!("{} – {}", quality(measured, interval.low), quality(measured, interval.high)))
}

/// The figure of each step over its `cost`, in the order of the steps, as inline SVG; none where a cost is not known.
fn picture(
    stages: &[Stage],
    costs: &str,
    cost: &dyn Fn(&Measurement) -> Option<f64>,
) -> Result<Option<String>> {
    let first = &stages[0].measured;
    let percent = if format::is_share(&first.figure) { 100.0 } else { 1.0 };
    let point = |stage: &Stage| Some((cost(&stage.measured)?, percent * stage.measured.quality));
    let Some(points) = stages.iter().map(point).collect::<Option<Vec<(f64, f64)>>>() else { return Ok(None) };
    let figure = format!("{}{}", format::label(&first.figure), if percent > 1.0 { " (%)" } else { "" });
    let mut svg = String::new();
    draw(&mut svg, &points, [costs, &figure])
        .map_err(|problem| Error::Failed(format!("drawing the picture of the compression: {problem}")))?;
    Ok(Some(svg))
}

fn draw(svg: &mut String, points: &[(f64, f64)], [costs, figure]: [&str; 2]) -> Result<(), String> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let bounds = |value: fn(&(f64, f64)) -> f64, margin: f64| {
        let lowest = points.iter().map(value).fold(f64::INFINITY, f64::min);
        let highest = points.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
        let margin = ((highest - lowest) * margin).max(highest.abs() * 1e-3).max(f64::MIN_POSITIVE);
        lowest - margin..highest + margin
    };
    let text = |size: f64| ("sans-serif", size).into_font().color(&INK);
    let mut chart = ChartBuilder::on(&area)
        .margin_top(16)
        .margin_right(28)
        .x_label_area_size(76)
        .y_label_area_size(118)
        .build_cartesian_2d(bounds(|point| point.0, 0.08), bounds(|point| point.1, 0.08))
        .map_err(|error| error.to_string())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(2))
        .axis_style(INK.stroke_width(2))
        .label_style(text(28.0))
        .axis_desc_style(text(28.0))
        .x_desc(costs)
        .y_desc(figure)
        .x_labels(8)
        .y_labels(6)
        .x_label_formatter(&|value| format::figure(*value))
        .y_label_formatter(&|value| format::figure(*value))
        .draw()
        .map_err(|error| error.to_string())?;
    let colour = Source::Training.colour();
    chart
        .draw_series(LineSeries::new(points.iter().copied(), colour.mix(0.4).stroke_width(3)))
        .map_err(|error| error.to_string())?;
    chart
        .draw_series(points.iter().map(|point| Circle::new(*point, 9, colour.filled())))
        .map_err(|error| error.to_string())?;
    let number = |(index, point): (usize, &(f64, f64))| {
        let name = if index == 0 { "original".to_owned() } else { index.to_string() };
        let above = Pos::new(HPos::Center, VPos::Bottom);
        EmptyElement::at(*point) + Text::new(name, (0, -14), text(26.0).pos(above))
    };
    chart.draw_series(points.iter().enumerate().map(number)).map_err(|error| error.to_string())?;
    drop(chart);
    area.present().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::{Interval, Part};

    fn stage(step: &str, bytes: u64, quality: f64) -> Stage {
        let measured = Measurement {
            part: Part::Test,
            figure: "accuracy".to_owned(),
            higher_is_better: true,
            quality,
            interval: Some(Interval {
                figure: "accuracy".to_owned(),
                low: quality - 0.02,
                high: quality + 0.01,
            }),
            examples: 450,
            values: Default::default(),
            bytes,
            parameters: 1000,
            non_zeros: 800,
            flops: Some(123_456),
            latency: vec![Latency::of(1, vec![0.25]), Latency::of(64, vec![4.0])],
            examples_per_second: 1234.0,
            tokens_per_second: None,
            peak_memory_bytes: None,
        };
        Stage { step: step.to_owned(), run: "run".into(), measured }
    }

    #[test]
    fn every_step_has_its_row_and_its_point() {
        let stages = [stage("original", 40_960, 0.97), stage("1 quantize", 10_240, 0.96)];
        let page = section(&stages).unwrap().into_string();
        for text in [
            "97.00\u{202f}%",
            "94.00\u{202f}% – 97.00\u{202f}%",
            "4.0 ×",
            "123,456",
            "1 quantize",
            "0.25 / 0.25 ms",
            "KiB on disk",
            "ms for one answer",
        ] {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert!(!page.contains("Tokens/s"));
        assert_eq!(page.matches("<circle").count(), 4, "two pictures of two steps");
    }

    #[test]
    fn tokens_have_a_column_and_a_time_that_was_not_taken_no_picture() {
        let mut stages = [stage("original", 40_960, 0.97), stage("1 prune", 10_240, 0.96)];
        stages[0].measured.tokens_per_second = Some(98_765.0);
        stages[1].measured.latency.clear();
        let page = section(&stages).unwrap().into_string();
        assert!(page.contains("Tokens/s") && page.contains("98,765"), "{page}");
        assert_eq!(page.matches("<circle").count(), 2);
    }

    #[test]
    fn a_run_that_was_not_compressed_has_no_section() {
        assert!(section(&[]).unwrap().into_string().is_empty());
    }

    #[test]
    fn one_step_that_changed_nothing_can_be_drawn() {
        let page = section(&[stage("original", 1, 0.0)]).unwrap().into_string();
        assert!(page.contains("</svg>") && !page.contains("NaN"));
    }
}
