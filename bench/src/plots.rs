//! One picture per question, drawn with plotters: `bench/plots/*.svg`.

use std::{ops::Range, path::Path};

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
};
use serde::{Deserialize, Serialize};

use crate::{Result, figures::Figures};

/// Pixels of a picture from left to right.
const WIDTH: u32 = 860;
/// Pixels of one bar, with what is between it and the next, and of a picture of lines from top to bottom.
const LANE: u32 = 30;
const HEIGHT: u32 = 420;
const FONT: &str = "sans-serif";
/// What is Trackside's stands out.
const OURS: RGBColor = RGBColor(37, 99, 235);
const OTHERS: RGBColor = RGBColor(148, 163, 184);
const INK: RGBColor = RGBColor(30, 41, 59);
const GRID: RGBColor = RGBColor(226, 232, 240);
const LINES: [RGBColor; 6] = [
    RGBColor(217, 119, 6),
    RGBColor(5, 150, 105),
    RGBColor(190, 24, 93),
    RGBColor(107, 114, 128),
    RGBColor(124, 58, 237),
    RGBColor(120, 53, 15),
];

/// A picture, as data.
#[derive(Serialize, Deserialize)]
pub(crate) struct Chart {
    /// Its file in `bench/plots/`, without the ending.
    pub(crate) file: String,
    /// What it shows.
    pub(crate) title: String,
    pub(crate) shape: Shape,
}

/// How a picture shows it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Shape {
    /// Bars from left to right, one below the other, each with its median, and its range as a whisker.
    Bars { axis: Axis, bars: Vec<Bar> },
    /// Lines over an axis.
    Lines { x: Axis, y: Axis, lines: Vec<Line> },
}

/// An axis.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Axis {
    /// What it counts, with the unit.
    pub(crate) name: String,
    /// Whether each step is ten times the one before.
    pub(crate) is_logarithmic: bool,
}

/// One bar.
#[derive(Serialize, Deserialize)]
pub(crate) struct Bar {
    pub(crate) name: String,
    /// Round by round.
    pub(crate) figures: Figures,
    /// Whether it is Trackside's, which stands out.
    pub(crate) is_ours: bool,
}

/// One line.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// From left to right: x and y.
    pub(crate) points: Vec<(f64, f64)>,
    /// Whether it is Trackside's, which stands out.
    pub(crate) is_ours: bool,
}

type Plane<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Chart {
    /// Draws it into a folder.
    pub(crate) fn draw(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut svg = String::new();
        match &self.shape {
            Shape::Bars { axis, bars } => {
                let height = LANE * u32::try_from(bars.len())? + 96;
                let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
                draw_bars(&area, &self.title, axis, bars).map_err(|error| error.to_string())?;
            }
            Shape::Lines { x, y, lines } => {
                let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
                draw_lines(&area, &self.title, [x, y], lines).map_err(|error| error.to_string())?;
            }
        }
        Ok(std::fs::write(folder.join(format!("{}.svg", self.file)), svg)?)
    }
}

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn draw_bars(area: &Area<'_>, title: &str, axis: &Axis, bars: &[Bar]) -> Drawn {
    area.fill(&WHITE)?;
    let lanes = bars.len() as f64;
    let range = axis.range(bars.iter().flat_map(|bar| [bar.figures.least(), bar.figures.most()]), true);
    let (least, most) = (range.0, range.1 + (range.1 - range.0) * 0.12);
    let mut plane: Plane<'_> = ChartBuilder::on(area)
        .caption(title, (FONT, 17).into_font().color(&INK))
        .margin(12)
        .margin_left(220)
        .x_label_area_size(40)
        .build_cartesian_2d(least..most, 0.0..lanes)?;
    axis.mesh(&mut plane, None)?;
    let label = (FONT, 13).into_font().color(&INK);
    for (at, bar) in bars.iter().enumerate() {
        let middle = lanes - at as f64 - 0.5;
        let [low, median, high] =
            [bar.figures.least(), bar.figures.median(), bar.figures.most()].map(|figure| axis.place(figure));
        let color = if bar.is_ours { OURS } else { OTHERS };
        plane
            .draw_series([Rectangle::new([(least, middle - 0.3), (median, middle + 0.3)], color.filled())])?;
        plane.draw_series([PathElement::new([(low, middle), (high, middle)], INK.stroke_width(1))])?;
        let (x, y) = plane.backend_coord(&(high, middle));
        area.draw_text(&short(bar.figures.median()), &label, (x + 6, y - 7))?;
        let (_, y) = plane.backend_coord(&(least, middle));
        area.draw_text(&bar.name, &label, (16, y - 7))?;
    }
    Ok(area.present()?)
}

fn draw_lines(area: &Area<'_>, title: &str, [x, y]: [&Axis; 2], lines: &[Line]) -> Drawn {
    area.fill(&WHITE)?;
    let points = || lines.iter().flat_map(|line| &line.points);
    let (left, right) = x.range(points().map(|point| point.0), false);
    let (low, high) = y.range(points().map(|point| point.1), true);
    let mut plane: Plane<'_> = ChartBuilder::on(area)
        .caption(title, (FONT, 17).into_font().color(&INK))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(left..right, low..high)?;
    x.mesh(&mut plane, Some(y))?;
    let mut others = LINES.iter().cycle();
    for line in lines {
        let (color, width) = if line.is_ours { (OURS, 3) } else { (*others.next().unwrap_or(&INK), 2) };
        let points: Vec<_> =
            line.points.iter().map(|(at, figure)| (x.place(*at), y.place(*figure))).collect();
        let stroke = color.stroke_width(width);
        plane
            .draw_series(LineSeries::new(points.iter().copied(), stroke))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], stroke));
        plane.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
    }
    plane
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .label_font((FONT, 13).into_font().color(&INK))
        .draw()?;
    Ok(area.present()?)
}

impl Axis {
    /// Where a figure stands.
    fn place(&self, figure: f64) -> f64 {
        if self.is_logarithmic { figure.max(f64::MIN_POSITIVE).log10() } else { figure }
    }

    /// From where to where figures reach; from zero, where it is to be, if each step is as long as the one before.
    fn range(&self, figures: impl Iterator<Item = f64>, from_zero: bool) -> (f64, f64) {
        let (least, most) = figures
            .filter(|figure| figure.is_finite())
            .map(|figure| self.place(figure))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), at| (least.min(at), most.max(at)));
        match (least.is_finite(), self.is_logarithmic, from_zero) {
            (false, ..) => (0.0, 1.0),
            (_, true, true) => ((least - 0.3).floor(), most.max(least + 0.1) + 0.1),
            (_, false, true) => (0.0, most.max(f64::MIN_POSITIVE) * 1.1),
            _ => (least, most.max(least + 0.1)),
        }
    }

    /// Draws the grid: this axis below, and the other one, if it has a meaning, at the left.
    fn mesh(&self, plane: &mut Plane<'_>, other: Option<&Self>) -> Drawn {
        let (x, y) = (plane.x_range(), plane.y_range());
        let below = |at: &f64| self.label(*at, &x);
        let left = |at: &f64| other.map_or_else(String::new, |axis| axis.label(*at, &y));
        let mut mesh = plane.configure_mesh();
        mesh.light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .label_style((FONT, 12).into_font().color(&INK))
            .axis_desc_style((FONT, 13).into_font().color(&INK))
            .x_desc(&self.name)
            .x_label_formatter(&below)
            .y_label_formatter(&left);
        match other {
            Some(axis) => mesh.y_desc(&axis.name).draw()?,
            None => mesh.disable_y_mesh().disable_y_axis().draw()?,
        }
        Ok(())
    }

    /// What is written at a place: of steps that are each ten times the one before, if two of them are in range, nothing
    /// between them.
    fn label(&self, place: f64, range: &Range<f64>) -> String {
        let has_steps = self.is_logarithmic && range.end.floor() > range.start.ceil();
        let is_between = (place - place.round()).abs() > 0.01;
        if has_steps && is_between { String::new() } else { short(self.figure(place)) }
    }

    /// The figure that stands somewhere.
    fn figure(&self, place: f64) -> f64 {
        if self.is_logarithmic { 10_f64.powf(place) } else { place }
    }
}

/// A figure as it is read in a picture: 12 k, 3.4, 0.05.
fn short(figure: f64) -> String {
    match figure {
        1_000_000.0.. => format!("{} M", trimmed(figure / 1e6)),
        1_000.0.. => format!("{} k", trimmed(figure / 1e3)),
        _ => trimmed(figure),
    }
}

fn trimmed(figure: f64) -> String {
    let digits = match figure {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    let text = format!("{figure:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}
