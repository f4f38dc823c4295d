//! Plots as SVG. Colours come from the page's style sheet, by class.

use std::fmt::Write;

use super::measures::Share;
use super::page::escaped;
use super::statistics::{Interval, Point, Sample, wilson};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 446.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 204.0;
/// A curve has at most so many steps.
const STEPS: usize = 160;
/// The height of a group, and room for its name, of which no more letters are shown.
const ROW: f64 = 22.0;
const NAMES: f64 = 130.0;
const LETTERS: usize = 20;
/// More runs than these are put together in groups of equal size.
const DOTS: usize = 40;

/// What a plot is called.
pub struct Titles<'a> {
    /// What identifies it in the page.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// The quantity on its horizontal axis, with its unit.
    pub x: &'a str,
}

/// A horizontal axis from zero.
#[derive(Clone, Copy)]
struct Axis {
    left: f64,
    max: f64,
    /// If it is logarithmic, where it becomes so: it is ln(1 + x / knee).
    knee: Option<f64>,
}

/// The empirical distribution of a sample.
#[must_use]
pub fn distribution(titles: &Titles<'_>, sample: &Sample) -> String {
    let Some(max) = sample.max() else { return nothing(titles) };
    let axis = Axis::of(max, sample.quantile(50).unwrap_or(max));
    let points = sample.distribution(&sample.values(STEPS));
    let mut svg = open(titles, &described(titles, sample));
    frame(&mut svg, axis, titles.x, "share of observations");
    let band = |pick: &dyn Fn(&Point) -> f64| {
        points.iter().map(|it| (axis.place(it.value), pick(it))).collect::<Vec<_>>()
    };
    let mut outline = steps(&band(&|it| it.interval.high));
    let mut lower = steps(&band(&|it| it.interval.low));
    lower.reverse();
    outline.extend(lower);
    let _ = write!(svg, r#"<path class="band" d="{}Z"/>"#, path(&outline));
    let curve = steps(&band(&|it| it.share));
    let _ = write!(svg, r#"<path class="curve" d="{}"/></svg>"#, path(&curve));
    svg
}

/// How look-ups went against what was sent.
#[must_use]
pub fn against_traffic(titles: &Titles<'_>, runs: &[(f64, Share)]) -> String {
    let dots = grouped(runs);
    let Some(max) = dots.iter().map(|it| it.0).reduce(f64::max) else { return nothing(titles) };
    let axis = Axis::of(max, max);
    let said = format!("{} from {} runs.", count(dots.len(), "point"), runs.len());
    let mut svg = open(titles, &said);
    frame(&mut svg, axis, titles.x, "share of look-ups that found");
    for (bytes, share) in dots {
        let (x, interval) = (axis.place(bytes), wilson(share.hits, share.of));
        let found = share.hits as f64 / share.of as f64;
        let _ = write!(
            svg,
            r#"<g class="dot"><title>{:.0} bytes/s: {} of {} found</title><line x1="{x:.1}" x2="{x:.1}" y1="{:.1}" y2="{:.1}"/><circle cx="{x:.1}" cy="{:.1}" r="3.5"/></g>"#,
            bytes,
            share.hits,
            share.of,
            height(interval.low),
            height(interval.high),
            height(found),
        );
    }
    svg + "</svg>"
}

/// A row of a plot of intervals: a name, a value, and where it may be.
pub type Estimate = (String, f64, Interval);

/// Values of groups, one below the other, with their intervals; what is never is at the right end.
#[must_use]
pub fn estimates(titles: &Titles<'_>, rows: &[Estimate]) -> String {
    let said: Vec<String> = rows
        .iter()
        .map(|(name, value, Interval { low, high })| {
            format!("{name}: {} ({} – {})", number(*value), number(*low), number(*high))
        })
        .collect();
    let finite = rows.iter().flat_map(|it| [it.1, it.2.low, it.2.high]).filter(|it| it.is_finite());
    let mut values: Vec<f64> = finite.collect();
    values.sort_by(f64::total_cmp);
    let Some(max) = values.last().copied() else { return nothing(titles) };
    let axis = Axis { left: NAMES, ..Axis::of(max, values[values.len() / 2]) };
    let bottom = TOP + ROW * rows.len() as f64;
    let mut svg = open_of(titles, &said.join("; "), bottom + HEIGHT - BOTTOM);
    ticks(&mut svg, axis, titles.x, bottom);
    // Within the frame, whatever the axis says of infinity.
    let place = |value: f64| if value.is_finite() { axis.place(value) } else { RIGHT };
    for (row, ((name, value, interval), said)) in rows.iter().zip(&said).enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        let (x, low, high) = (place(*value), place(interval.low), place(interval.high));
        let _ = write!(
            svg,
            r#"<g class="dot"><title>{}</title><line x1="{low:.1}" x2="{high:.1}" y1="{y}" y2="{y}"/><circle cx="{x:.1}" cy="{y}" r="3.5"/></g><text x="{}" y="{}" text-anchor="end">{}</text>"#,
            escaped(said),
            axis.left - 8.0,
            y + 4.0,
            escaped(&shortened(name)),
        );
    }
    svg + "</svg>"
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.into(),
    }
}

/// Each run, or if there are many, the mean of as many runs of similar traffic and all their
/// look-ups.
fn grouped(runs: &[(f64, Share)]) -> Vec<(f64, Share)> {
    let mut runs = runs.to_vec();
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = if runs.len() <= DOTS { 1 } else { runs.len().div_ceil(DOTS / 2) };
    let group = |group: &[(f64, Share)]| {
        let mean = group.iter().map(|it| it.0).sum::<f64>() / group.len() as f64;
        let sum = |pick: fn(&Share) -> u64| group.iter().map(|it| pick(&it.1)).sum();
        (mean, Share { hits: sum(|it| it.hits), of: sum(|it| it.of) })
    };
    runs.chunks(size).map(group).collect()
}

fn described(titles: &Titles<'_>, sample: &Sample) -> String {
    let never = sample.len() - sample.finite();
    let mut text = format!("{} of: {}.", count(sample.len(), "observation"), titles.title);
    for percent in [50, 99] {
        if let Some(value) = sample.quantile(percent).filter(|it| it.is_finite()) {
            let _ = write!(text, " {percent} % are at most {}.", number(value));
        }
    }
    if never > 0 {
        let _ = write!(text, " {never} never came; the curve ends below 1.");
    }
    text
}

fn open(titles: &Titles<'_>, said: &str) -> String {
    open_of(titles, said, HEIGHT)
}

fn open_of(titles: &Titles<'_>, said: &str, height: f64) -> String {
    let (Titles { id, title, .. }, said) = (titles, escaped(said));
    format!(
        r#"<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="{id}-t {id}-d"><title id="{id}-t">{title}</title><desc id="{id}-d">{said}</desc>"#
    )
}

fn nothing(titles: &Titles<'_>) -> String {
    let mut svg = open(titles, "Nothing was observed.");
    let _ = write!(
        svg,
        r#"<text class="none" x="{}" y="{}" text-anchor="middle">nothing was observed</text></svg>"#,
        WIDTH / 2.0,
        HEIGHT / 2.0
    );
    svg
}

fn frame(svg: &mut String, axis: Axis, x: &str, y: &str) {
    for tenth in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let at = height(tenth);
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{at:.1}" y2="{at:.1}"/><text x="{}" y="{:.1}" text-anchor="end">{tenth}</text>"#,
            LEFT - 6.0,
            at + 4.0
        );
    }
    ticks(svg, axis, x, BOTTOM);
    let centre = (TOP + BOTTOM) / 2.0;
    let _ = write!(
        svg,
        r#"<text class="name" transform="translate(12 {centre}) rotate(-90)" text-anchor="middle">{y}</text>"#
    );
}

/// The horizontal axis of a frame that ends at this height.
fn ticks(svg: &mut String, axis: Axis, x: &str, bottom: f64) {
    for tick in axis.ticks() {
        let at = axis.place(tick);
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{bottom}"/><text x="{at:.1}" y="{}" text-anchor="middle">{}</text>"#,
            bottom + 16.0,
            number(tick)
        );
    }
    let (middle, low) = ((axis.left + RIGHT) / 2.0, bottom + HEIGHT - BOTTOM - 8.0);
    let _ =
        write!(svg, r#"<text class="name" x="{middle}" y="{low}" text-anchor="middle">{x}</text>"#);
}

impl Axis {
    /// Logarithmic if the middle would be squeezed into the left otherwise.
    fn of(max: f64, median: f64) -> Self {
        let max = if max > 0.0 { max } else { 1.0 };
        let knee =
            (median > 0.0 && max / median > 20.0).then(|| 10_f64.powf(median.log10().floor()));
        let knee = knee.or((median <= 0.0 && max > 10.0).then_some(0.1));
        Self { left: LEFT, max, knee }
    }

    fn place(self, value: f64) -> f64 {
        let part = match self.knee {
            Some(knee) => (value / knee).ln_1p() / (self.max / knee).ln_1p(),
            None => value / self.max,
        };
        self.left + part * (RIGHT - self.left)
    }

    fn ticks(self) -> Vec<f64> {
        let Some(knee) = self.knee else { return self.even() };
        let powers = (0..).map(|power| knee * 10_f64.powi(power));
        let mut ticks = vec![0.0];
        for tick in powers.take_while(|tick| *tick <= self.max) {
            if self.place(tick) - self.place(*ticks.last().expect("zero")) > 24.0 {
                ticks.push(tick);
            }
        }
        ticks
    }

    /// Between four and eight, at 1, 2 or 5 times a power of ten.
    fn even(self) -> Vec<f64> {
        let power = 10_f64.powf(self.max.log10().floor() - 1.0);
        let steps = [1.0, 2.0, 5.0, 10.0, 20.0].map(|it| it * power);
        let step = steps.into_iter().find(|step| self.max / step <= 8.0).unwrap_or(self.max);
        (0..).map(|i| f64::from(i) * step).take_while(|tick| *tick <= self.max * 1.0001).collect()
    }
}

fn height(share: f64) -> f64 {
    BOTTOM - share * (BOTTOM - TOP)
}

/// From points to the corners of a staircase that begins on the ground.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut corners = vec![(LEFT, BOTTOM)];
    let mut level = BOTTOM;
    for (x, share) in points {
        corners.push((*x, level));
        level = height(*share);
        corners.push((*x, level));
    }
    corners.push((RIGHT, level));
    corners
}

fn path(corners: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (place, (x, y)) in corners.iter().enumerate() {
        let _ = write!(path, "{}{x:.1} {y:.1}", if place == 0 { 'M' } else { 'L' });
    }
    path
}

/// With three significant digits; whole if it is larger.
#[must_use]
pub fn number(value: f64) -> String {
    if value.is_infinite() {
        return "never".into();
    }
    if value == 0.0 {
        return "0".into();
    }
    let decimals = (2 - value.abs().log10().floor() as i64).clamp(0, 9) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').into(),
        false => text,
    }
}

/// `1 run`, `2 runs`.
#[must_use]
pub fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let said = [0.0, 0.012_345, 1.5, 12.0, 123.4, 12_345.6, f64::INFINITY].map(number);
        assert_eq!(said, ["0", "0.0123", "1.5", "12", "123", "12346", "never"]);
    }

    #[test]
    fn ticks_are_on_the_axis_and_few() {
        for (max, median) in [(0.003, 0.002), (1.0, 1.0), (7.3, 2.0), (9e5, 3.0), (640.0, 0.0)] {
            let axis = Axis::of(max, median);
            let ticks = axis.ticks();
            assert!((3..=11).contains(&ticks.len()), "{max}: {ticks:?}");
            assert!(ticks.iter().all(|it| axis.place(*it) <= RIGHT + 0.1), "{max}: {ticks:?}");
        }
    }

    #[test]
    fn estimates_stay_within_the_frame_and_names_are_text() {
        let never = Interval { low: 2.0, high: f64::INFINITY };
        let row = |name: &str, value| (name.to_owned(), value, never);
        let titles = Titles { id: "it", title: "It", x: "s" };
        let svg = estimates(&titles, &[row("a<b", 3.0), row(&"é".repeat(30), f64::INFINITY)]);
        assert!(svg.contains("a&lt;b: 3 (2 – never)") && !svg.contains("a<b"));
        assert!(svg.contains(r#"x2="446.0""#) && svg.contains(&"é".repeat(LETTERS)));
        assert!(!svg.contains("inf") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn many_runs_are_put_together_and_none_is_lost() {
        let runs: Vec<_> = (0..1001_u64).map(|i| (i as f64, Share { hits: i, of: 1001 })).collect();
        let groups = grouped(&runs);
        assert!(groups.len() <= DOTS);
        assert_eq!(groups.iter().map(|it| it.1.of).sum::<u64>(), 1001 * 1001);
        assert_eq!(grouped(&runs[..DOTS]).len(), DOTS);
    }
}
