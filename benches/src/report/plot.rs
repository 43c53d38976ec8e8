//! Results as SVG.

use std::path::Path;

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{Row, RunReport, WorkReport, table::show};
use crate::{BoxError, Result, engine::Role, measure::Point, work::Work};

type Area<'s> = DrawingArea<SVGBackend<'s>, Shift>;
type Chart<'a, 's> = ChartContext<'a, SVGBackend<'s>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

const FONT: &str = "sans-serif";
const WIDTH: u32 = 900;
/// Height of a bar and the gap below it.
const BAR_HEIGHT: u32 = 20;
const TITLE_HEIGHT: u32 = 44;
/// Where bars begin and where they end at most.
const BARS: (i32, i32) = (150, 760);

/// Colours that stay apart for the colour-blind (Okabe and Ito), by the engine's name.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(148, 122, 30),
    RGBColor(90, 90, 90),
];

/// plotters' errors borrow; the harness's own them.
fn owned(e: impl std::fmt::Display) -> BoxError {
    e.to_string().into()
}

/// Medians as bars, one group per workload, limits in grey. `works` in the order of drawing.
pub(super) fn plot_rates(path: &Path, title: &str, works: &[&WorkReport]) -> Result<()> {
    let rows: usize = works.iter().map(|work| work.rows.len()).sum();
    let height = u32::try_from(rows)? * BAR_HEIGHT
        + u32::try_from(works.len())? * TITLE_HEIGHT
        + TITLE_HEIGHT;
    let area = canvas(path, height, title)?;
    let mut top = i32::try_from(TITLE_HEIGHT)?;
    for report in works {
        top = bars(&area, report, top)?;
    }
    area.present().map_err(owned)
}

fn canvas<'p>(path: &'p Path, height: u32, title: &str) -> Result<Area<'p>> {
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE).map_err(owned)?;
    let style = (FONT, 18).into_font().color(&BLACK);
    area.draw_text(title, &style, (12, 12)).map_err(owned)?;
    Ok(area)
}

/// Draws one group and returns where the next begins.
#[expect(clippy::cast_possible_truncation, reason = "a share of the width of the picture")]
fn bars(area: &Area<'_>, report: &WorkReport, top: i32) -> Result<i32> {
    let (title, unit) = (&report.title, &report.unit);
    let better = if report.more_is_better { "more" } else { "less" };
    let heading = format!("{title} ({unit}, {better} is better)");
    let style = (FONT, 14).into_font().color(&BLACK);
    area.draw_text(&heading, &style, (12, top + 14)).map_err(owned)?;
    let mut y = top + 38;
    let most = report.rows.iter().map(|row| row.median).fold(f64::MIN_POSITIVE, f64::max);
    let name = (FONT, 13).into_font().color(&BLACK).pos(Pos::new(HPos::Right, VPos::Top));
    let number = (FONT, 13).into_font().color(&BLACK);
    for row in &report.rows {
        let length = row.median / most * f64::from(BARS.1 - BARS.0);
        let end = BARS.0 + length.max(1.0) as i32;
        let bar = Rectangle::new([(BARS.0, y), (end, y + 15)], colour(row).filled());
        area.draw(&bar).map_err(owned)?;
        area.draw_text(&row.engine, &name, (BARS.0 - 8, y + 2)).map_err(owned)?;
        let text = show(report.work, row.median);
        area.draw_text(&text, &number, (end + 6, y + 2)).map_err(owned)?;
        y += i32::try_from(BAR_HEIGHT)?;
    }
    Ok(y)
}

fn colour(row: &Row) -> RGBColor {
    let named = ["kvcore", "kvcore-unordered", "heed", "redb", "fjall", "sled", "rocksdb"];
    match row.role {
        Role::Limit => RGBColor(180, 180, 180),
        Role::Ours | Role::Peer => {
            let at = named.iter().position(|name| *name == row.engine);
            COLOURS[at.unwrap_or(COLOURS.len() - 1)]
        }
    }
}

/// p50, p99 and p99.9 of every engine as a line each, on a logarithmic axis.
pub(super) fn plot_latencies(path: &Path, report: &WorkReport) -> Result<()> {
    let title = format!("{}: latency of single operations", report.title);
    let lines = report.rows.iter().filter_map(|row| {
        let points = row.latency_us?.map(|us| us.max(0.01).log10());
        let points = points.iter().enumerate().map(|(x, y)| (x as f64, *y)).collect();
        Some(Line { label: row.engine.clone(), colour: colour(row), points })
    });
    let x = |x: &f64| match x.round() {
        0.0 => "p50".to_owned(),
        1.0 => "p99".to_owned(),
        2.0 => "p99.9".to_owned(),
        _ => String::new(),
    };
    let y = |y: &f64| match 10f64.powf(*y) {
        us if us < 10.0 => format!("{us:.2} µs"),
        us => format!("{us:.0} µs"),
    };
    let axes = Axes { x: &x, y: &y, x_labels: 3, y_name: "µs, logarithmic", x_name: "" };
    lines_plot(path, &title, lines.collect(), &axes)
}

/// Rate, or space, of settled overwrites over the writes so far.
pub(super) fn plot_series(
    path: &Path,
    run: &RunReport,
    title: &str,
    pick: fn(&Point) -> f64,
) -> Result<()> {
    let report = run.work(Work::SteadyPut).ok_or("no settled overwrites in this run")?;
    let lines = report.rows.iter().map(|row| {
        let points = row.series.iter().map(|point| (point.writes, pick(point))).collect();
        Line { label: row.engine.clone(), colour: colour(row), points }
    });
    let x = |x: &f64| format!("{x:.0}");
    let y = |y: &f64| if *y >= 1e4 { format!("{:.0} k", y / 1e3) } else { format!("{y:.1}") };
    let x_name = "overwrites, as a multiple of the keys";
    let axes = Axes { x: &x, y: &y, x_labels: 11, y_name: "", x_name };
    lines_plot(path, title, lines.collect(), &axes)
}

struct Line {
    label: String,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

struct Axes<'f> {
    x: &'f dyn Fn(&f64) -> String,
    y: &'f dyn Fn(&f64) -> String,
    x_labels: usize,
    x_name: &'f str,
    y_name: &'f str,
}

fn lines_plot(path: &Path, title: &str, lines: Vec<Line>, axes: &Axes<'_>) -> Result<()> {
    let points = || lines.iter().flat_map(|line| &line.points);
    if points().next().is_none() {
        return Err(format!("nothing to draw: {title}").into());
    }
    let x_max = points().map(|p| p.0).fold(0.0, f64::max);
    let y_min = points().map(|p| p.1).fold(0.0, f64::min);
    let y_max = points().map(|p| p.1).fold(f64::MIN_POSITIVE, f64::max) * 1.05;
    let canvas = canvas(path, 460, title)?;
    let area = canvas.margin(40, 10, 10, 170);
    let mut chart = ChartBuilder::on(&area)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..x_max, y_min..y_max)
        .map_err(owned)?;
    chart
        .configure_mesh()
        .x_labels(axes.x_labels)
        .x_label_formatter(&|x| (axes.x)(x))
        .y_label_formatter(&|y| (axes.y)(y))
        .x_desc(axes.x_name)
        .y_desc(axes.y_name)
        .light_line_style(WHITE)
        .draw()
        .map_err(owned)?;
    draw_lines(&mut chart, &lines)?;
    legend(&canvas, &lines)?;
    area.present().map_err(owned)
}

fn draw_lines(chart: &mut Chart<'_, '_>, lines: &[Line]) -> Result<()> {
    for line in lines {
        let style = line.colour.stroke_width(2);
        chart.draw_series(LineSeries::new(line.points.clone(), style)).map_err(owned)?;
    }
    Ok(())
}

/// Beside the chart, in the margin to its right.
fn legend(area: &Area<'_>, lines: &[Line]) -> Result<()> {
    let right = i32::try_from(area.dim_in_pixel().0)? - 160;
    let style = (FONT, 13).into_font().color(&BLACK);
    for (at, line) in (0i32..).zip(lines) {
        let y = 60 + at * 20;
        let stroke = line.colour.stroke_width(3);
        area.draw(&PathElement::new([(right + 10, y), (right + 34, y)], stroke)).map_err(owned)?;
        area.draw_text(&line.label, &style, (right + 40, y - 6)).map_err(owned)?;
    }
    Ok(())
}
