//! One chart as inline SVG.
//!
//! Colours are attributes that the page's style sheet replaces in dark mode, and every length is drawn at
//! twice its size, since the SVG backend rounds to whole units.

use std::ops::Range;

use ansatz_core::{Error, Result};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::thin::{Bucket, thin};

pub(crate) const SIZE: (u32, u32) = (880, 540);
pub(crate) const INK: RGBColor = RGBColor(0x33, 0x3D, 0x48);
pub(crate) const GRID: RGBColor = RGBColor(0xD8, 0xDE, 0xE4);
const POINTS_DRAWN: usize = 140;

/// What a curve shows; decides its colour, one that people with any colour vision tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Training,
    Validation,
}

impl Source {
    pub(crate) fn colour(self) -> RGBColor {
        match self {
            Self::Training => RGBColor(0x00, 0x72, 0xB2),
            Self::Validation => RGBColor(0xD5, 0x5E, 0x00),
        }
    }
}

/// One curve: points `(epochs, value)`, all finite.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    pub(crate) source: Source,
    pub(crate) points: Vec<(f64, f64)>,
    /// The point of the best score.
    pub(crate) best: Option<(f64, f64)>,
}

impl Curve {
    /// Whether there are more points than can be drawn, so that means stand for them.
    pub(crate) fn is_thinned(&self) -> bool {
        self.points.len() > POINTS_DRAWN
    }
}

/// A chart over epochs.
pub(crate) struct Chart {
    /// What is drawn, with its unit: `loss (nats)`.
    pub(crate) axis: String,
    pub(crate) curves: Vec<Curve>,
    /// How a value is written at the axis.
    pub(crate) tick: fn(f64) -> String,
    /// No value lies outside.
    pub(crate) bounds: (f64, f64),
    /// Whether values that differ by more than a factor of ten are drawn on a logarithmic axis.
    pub(crate) logarithmic: bool,
}

impl Chart {
    /// Draws the chart.
    pub(crate) fn draw(&self) -> Result<String> {
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let values = || self.curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
        let lowest = values().fold(f64::INFINITY, f64::min);
        let highest = values().fold(f64::NEG_INFINITY, f64::max);
        let drawn = if self.logarithmic && lowest > 0.0 && highest / lowest > 10.0 {
            let bounds = lowest / 1.2..highest * 1.2;
            self.draw_over(&area, bounds.clone().log_scale().with_key_points(decades(&bounds)))
        } else {
            let margin =
                if highest > lowest { (highest - lowest) * 0.06 } else { highest.abs().max(1.0) * 0.1 };
            let bounds = (lowest - margin).max(self.bounds.0)..(highest + margin).min(self.bounds.1);
            self.draw_over(&area, bounds)
        };
        drawn
            .and_then(|()| area.present().map_err(|error| error.to_string()))
            .map_err(|problem| Error::Failed(format!("drawing the chart of {}: {problem}", self.axis)))?;
        drop(area);
        Ok(svg)
    }

    fn draw_over<Y>(&self, area: &DrawingArea<SVGBackend<'_>, Shift>, y: Y) -> Result<(), String>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let last =
            self.curves.iter().flat_map(|curve| &curve.points).map(|point| point.0).fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(area)
            .margin_top(16)
            .margin_right(28)
            .x_label_area_size(76)
            .y_label_area_size(118)
            .build_cartesian_2d(0.0..last.max(f64::MIN_POSITIVE), y)
            .map_err(|error| error.to_string())?;
        let text = |size: f64| ("sans-serif", size).into_font().color(&INK);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(2))
            .axis_style(INK.stroke_width(2))
            .label_style(text(28.0))
            .axis_desc_style(text(28.0))
            .x_desc("epochs")
            .y_desc(&self.axis)
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&|value| crate::format::figure(*value))
            .y_label_formatter(&|value| (self.tick)(*value))
            .draw()
            .map_err(|error| error.to_string())?;
        for curve in &self.curves {
            let colour = curve.source.colour();
            let buckets = thin(&curve.points, POINTS_DRAWN);
            if curve.is_thinned() {
                chart
                    .draw_series([Polygon::new(outline(&buckets), colour.mix(0.2))])
                    .map_err(|error| error.to_string())?;
            }
            let means = || buckets.iter().map(|bucket| (bucket.x, bucket.mean));
            chart
                .draw_series(LineSeries::new(means(), colour.stroke_width(4)))
                .map_err(|error| error.to_string())?;
            if buckets.len() <= 60 && curve.source == Source::Validation || buckets.len() == 1 {
                chart
                    .draw_series(means().map(|point| Circle::new(point, 6, colour.filled())))
                    .map_err(|error| error.to_string())?;
            }
            chart
                .draw_series(curve.best.map(|point| Circle::new(point, 13, colour.stroke_width(4))))
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// Ticks of a logarithmic axis: powers of ten, and their multiples by two and five where there is room.
fn decades(bounds: &Range<f64>) -> Vec<f64> {
    let (first, last) = (bounds.start.log10().floor() as i32, bounds.end.log10().ceil() as i32);
    let multiples: &[f64] = if last - first <= 4 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    (first..=last)
        .flat_map(|power| multiples.iter().map(move |multiple| multiple * 10_f64.powi(power)))
        .filter(|tick| bounds.contains(tick))
        .collect()
}

/// Around all points of all buckets.
fn outline(buckets: &[Bucket]) -> Vec<(f64, f64)> {
    let above = buckets.iter().map(|bucket| (bucket.x, bucket.highest));
    above.chain(buckets.iter().rev().map(|bucket| (bucket.x, bucket.lowest))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithmic_axis_has_ticks_within_its_bounds() {
        assert_eq!(decades(&(0.04..3.0)), [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]);
        assert_eq!(decades(&(0.0005..20.0)).len(), 5);
    }

    #[test]
    fn a_single_point_and_a_flat_line_can_be_drawn() {
        for points in [vec![(0.0, 0.0)], vec![(1.0, -3.0), (2.0, -3.0)], vec![(1.0, 1e-30), (2.0, 1e30)]] {
            let chart = Chart {
                axis: "loss (nats)".to_owned(),
                curves: vec![Curve { source: Source::Training, points, best: None }],
                tick: crate::format::figure,
                bounds: (f64::NEG_INFINITY, f64::INFINITY),
                logarithmic: true,
            };
            let svg = chart.draw().unwrap();
            assert!(svg.contains("loss (nats)") && svg.trim_end().ends_with("</svg>"), "{svg}");
            assert!(!svg.contains("NaN"), "{svg}");
        }
    }
}
