//! Plots of the results: bars on a logarithmic scale, each with its name and its figure beside it, so that none needs
//! colours to be read. They follow the reader's light or dark theme.

use std::fmt::Write;

use super::{
    markdown::{METRICS, Metric, number},
    peer::OURS,
    results::{Results, others, spread},
};

/// A file's name, the metric it shows, and what its cases' names begin with.
const PLOTS: [(&str, &str, &str, &str); 5] = [
    ("enqueue", "ns_new_memory", "create + enqueue", "Create and enqueue: ns an event, less is better"),
    ("memory", "mib_per_million", "create + enqueue, 1", "MiB for a million queued events, less is better"),
    ("throughput", "per_second", "delivery", "Delivered events a second, more is better"),
    ("processor", "cpu_s_per_million", "delivery", "CPU seconds for a million delivered, less is better"),
    ("peak", "peak_mib", "delivery", "MiB at the peak while delivering, less is better"),
];
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#1f2328}.case{font-weight:600}rect{fill:#3b6fb6}\
.peer{fill:#9aa4af}line{stroke:#1f2328}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}rect{fill:#6ea8fe}.peer{fill:#768390}line{stroke:#e6edf3}}";
const LEFT: f64 = 130.0;
const WIDTH: f64 = 420.0;
const LINE: f64 = 18.0;

/// A picture.
#[derive(Debug)]
pub(crate) struct Plot {
    /// Of its file, without the end.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) svg: String,
}

/// Those that have something to show.
pub(crate) fn all(results: &Results) -> Vec<Plot> {
    let plots = PLOTS.iter().filter_map(|&(name, key, prefix, title)| {
        let metric = METRICS.iter().find(|metric| metric.key == key)?;
        Some(Plot { name, title, svg: plot(results, metric, prefix, title)? })
    });
    plots.collect()
}

/// A bar: whose it is, and median, least and most.
type Bar = (&'static str, [f64; 3]);

fn plot(results: &Results, metric: &Metric, prefix: &str, title: &str) -> Option<String> {
    let cases: Vec<&str> = results.cases().filter(|case| case.starts_with(prefix)).collect();
    let bars = |case: &str| -> Vec<Bar> {
        let names = std::iter::once(OURS).chain(others(results));
        names.filter_map(|name| Some((name, spread(results.samples(case, metric.key, name))?))).collect()
    };
    let groups: Vec<(&str, Vec<Bar>)> = cases.into_iter().map(|case| (case, bars(case))).collect();
    let scale = Scale::of(groups.iter().flat_map(|(_, bars)| bars))?;
    let (mut body, mut y) = (String::new(), 40.0);
    for (case, bars) in groups.iter().filter(|(_, bars)| !bars.is_empty()) {
        y += LINE;
        element(&mut body, &format!(r#"<text class="case" x="8" y="{y}">{}</text>"#, case.replace('`', "")));
        for bar in bars {
            y += LINE;
            draw(&mut body, y, bar, &scale);
        }
        y += LINE / 2.0;
    }
    let (width, height) = (LEFT + WIDTH + 190.0, y + LINE);
    Some(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="{title}"><style>{STYLE}</style>
<text class="case" x="8" y="20">{title}</text><text x="8" y="36">logarithmic; the thin line is from the least to the most of all rounds</text>
{body}</svg>
"#
    ))
}

fn draw(body: &mut String, y: f64, (name, [median, least, most]): &Bar, scale: &Scale) {
    let class = if *name == OURS { "ours" } else { "peer" };
    let (end, from, to) = (scale.x(*median), scale.x(*least), scale.x(*most));
    let (top, middle, label) = (y - 10.0, y - 4.0, to.max(end) + 6.0);
    element(body, &format!(r#"<text x="{}" y="{y}" text-anchor="end">{name}</text>"#, LEFT - 6.0));
    element(
        body,
        &format!(r#"<rect class="{class}" x="{LEFT}" y="{top}" width="{:.1}" height="12"/>"#, end - LEFT),
    );
    element(body, &format!(r#"<line x1="{from:.1}" x2="{to:.1}" y1="{middle}" y2="{middle}"/>"#));
    element(body, &format!(r#"<text x="{label:.1}" y="{y}">{}</text>"#, number(*median)));
}

fn element(body: &mut String, text: &str) {
    writeln!(body, "{text}").expect("a string takes everything");
}

/// Whole powers of ten, from below the least to above the most.
struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    fn of<'a>(bars: impl Iterator<Item = &'a Bar>) -> Option<Self> {
        let values: Vec<f64> = bars.flat_map(|(_, values)| *values).filter(|value| *value > 0.0).collect();
        let least = values.iter().copied().reduce(f64::min)?;
        let most = values.iter().copied().reduce(f64::max)?;
        let (from, to) = ((least / 2.0).log10().floor(), most.log10().ceil());
        Some(Self { from, to: to.max(from + 1.0) })
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value.log10() - self.from) / (self.to - self.from);
        LEFT + WIDTH * share.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_goes_by_powers_of_ten() {
        let bars = [(OURS, [100.0, 90.0, 110.0]), ("Go package", [1_000.0, 900.0, 10_000.0])];
        let scale = Scale::of(bars.iter()).unwrap();
        for (value, x) in [(10.0, LEFT), (10_000.0, LEFT + WIDTH), (1.0, LEFT), (100.0, LEFT + WIDTH / 3.0)] {
            assert!((scale.x(value) - x).abs() < 0.01, "{value} stands at {}", scale.x(value));
        }
        assert!(Scale::of([].iter()).is_none());
    }
}
