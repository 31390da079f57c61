//! Two panels of SVG: latency by percentile, and the backlog over time.

use std::fmt::Write as _;

use super::Report;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 36.0;
const PANEL: f64 = LEFT + WIDTH + 26.0;

/// One panel: points within the ranges 0 to `x_max` and 0 to `y_max`.
struct Panel<'a> {
    title: &'a str,
    points: Vec<(f64, f64)>,
    x_max: f64,
    y_max: f64,
    x_ticks: Vec<(f64, String)>,
}

pub(super) fn svg(report: &Report) -> String {
    let (width, height) = (2.0 * PANEL + 10.0, TOP + HEIGHT + 36.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    draw(&mut svg, 0.0, &latency_panel(report));
    draw(&mut svg, PANEL, &backlog_panel(report));
    svg.push_str("</svg>\n");
    svg
}

fn latency_panel(report: &Report) -> Panel<'static> {
    // Each nine takes the same room.
    let nines = |percentile: f64| -(1.0 - percentile / 100.0).max(1e-5).log10();
    let points: Vec<_> =
        report.outcome.curve.iter().map(|(percentile, millis)| (nines(*percentile), *millis)).collect();
    let ticks = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99];
    Panel {
        title: "latency of accepted requests by percentile, ms",
        x_max: 5.0,
        y_max: nice(points.iter().map(|point| point.1).fold(0.0, f64::max)),
        points,
        x_ticks: ticks.iter().map(|tick| (nines(*tick), format!("{tick}"))).collect(),
    }
}

fn backlog_panel(report: &Report) -> Panel<'static> {
    let points: Vec<_> = report.backlog.iter().map(|(at, backlog)| (*at, *backlog as f64)).collect();
    let x_max = points.last().map_or(1.0, |point| point.0.max(1.0));
    Panel {
        title: "recipients accepted and not yet delivered, over seconds",
        x_max,
        y_max: nice(points.iter().map(|point| point.1).fold(0.0, f64::max)),
        points,
        x_ticks: (0..=4).map(|quarter| x_max * f64::from(quarter) / 4.0).map(|at| (at, format!("{at:.0}"))).collect(),
    }
}

/// 1, 2 or 5 times a power of ten, not below `most`.
fn nice(most: f64) -> f64 {
    let power = 10f64.powf(most.max(1.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].iter().map(|step| step * power).find(|top| *top >= most).unwrap_or(10.0 * power)
}

fn draw(svg: &mut String, offset: f64, panel: &Panel<'_>) {
    let x = |value: f64| offset + LEFT + value / panel.x_max * WIDTH;
    let y = |value: f64| TOP + HEIGHT * (1.0 - value / panel.y_max);
    let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"20\" font-weight=\"bold\">{}</text>", x(0.0), panel.title);
    for quarter in 0..=4 {
        let value = panel.y_max * f64::from(quarter) / 4.0;
        let (from, to, at) = (x(0.0), x(panel.x_max), y(value));
        let _ = writeln!(svg, "<path d=\"M{from:.1} {at:.1}H{to:.1}\" stroke=\"#ddd\"/>");
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>", from - 6.0, at + 4.0);
    }
    for (value, label) in &panel.x_ticks {
        let at = x(*value);
        let _ =
            writeln!(svg, "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>", TOP + HEIGHT + 18.0);
    }
    let line: Vec<_> = panel.points.iter().map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value))).collect();
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"#1f6feb\" stroke-width=\"1.5\" points=\"{}\"/>",
        line.join(" ")
    );
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (most, top) in
            [(0.0, 1.0), (0.4, 1.0), (1.0, 1.0), (1.1, 2.0), (37.0, 50.0), (100.0, 100.0), (512.0, 1_000.0)]
        {
            assert!((nice(most) - top).abs() < 1e-9, "{most}: {}", nice(most));
        }
    }

    #[test]
    fn lines_stay_within_their_panels() {
        let text = svg(&example());
        let lines: Vec<_> = text.lines().filter_map(|line| line.split_once("points=\"")).collect();
        assert_eq!(lines.len(), 2);
        for (panel, (_, points)) in lines.iter().enumerate() {
            let offset = if panel == 0 { 0.0 } else { PANEL };
            for point in points.trim_end_matches("\"/>").split(' ') {
                let (x, y) = point.split_once(',').expect("a pair");
                let (x, y): (f64, f64) = (x.parse().expect("a number"), y.parse().expect("a number"));
                assert!((offset + LEFT..=offset + LEFT + WIDTH + 0.1).contains(&x), "{x}");
                assert!((TOP..=TOP + HEIGHT).contains(&y), "{y}");
            }
        }
    }
}
