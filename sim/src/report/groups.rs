//! Runs in groups, beside one another: by scenario, and by kind of fault.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::measures::{Measures, Observation, Share};
use super::page::{escaped, figure};
use super::plot::{self, Estimate, Titles, number};
use super::statistics::{Interval, Sample, wilson};

/// Groups that are shown; the smallest are left out.
const MOST: usize = 40;

type Groups<'a> = BTreeMap<String, Vec<&'a Observation>>;

/// Sections for whatever there are several groups of.
pub(super) fn sections(observations: &[Observation]) -> String {
    let (mut scenarios, mut faults) = (Groups::new(), Groups::new());
    for it in observations {
        scenarios.entry(it.key.scenario.clone()).or_default().push(it);
        for fault in &it.faults {
            faults.entry(fault.clone()).or_default().push(it);
        }
        if it.faults.is_empty() {
            faults.entry("none".into()).or_default().push(it);
        }
    }
    let mut html = String::new();
    if scenarios.len() > 1 {
        html.push_str(&section("scenario", "By scenario", "", scenarios));
    }
    if observations.len() > 1 && faults.len() > 1 {
        let note = "A run with faults of several kinds is in several rows, so a row does not tell \
                    what its kind alone does. ";
        html.push_str(&section("fault", "By kind of fault", note, faults));
    }
    html
}

fn section(id: &str, title: &str, note: &str, groups: Groups<'_>) -> String {
    let mut groups: Vec<_> = groups.into_iter().collect();
    let all = groups.len();
    groups.sort_by_key(|(_, runs)| usize::MAX - runs.len()); // stable: by name among equals
    groups.truncate(MOST);
    groups.sort_by(|a, b| a.0.cmp(&b.0));
    let groups: Vec<(String, Measures)> =
        groups.into_iter().map(|(name, runs)| (name, Measures::of(&runs))).collect();
    let mut html = format!("<section aria-labelledby=\"by-{id}\"><h2 id=\"by-{id}\">{title}</h2>");
    html.push_str(&table(id, title, &groups));
    html.push_str("<div class=\"plots\">");
    for (measure, what, pick) in MEASURES {
        let rows: Vec<Estimate> =
            groups.iter().filter_map(|(name, it)| estimate(name, pick(it))).collect();
        let id = format!("{id}-{measure}");
        let svg = plot::estimates(&Titles { id: &id, title: what, x: "seconds" }, &rows);
        figure(&mut html, what, &svg, "median and 95 %");
    }
    let left = match all - groups.len() {
        0 => String::new(),
        left => format!(" {left} smaller groups are left out."),
    };
    let _ = writeln!(
        html,
        "</div><p class=\"note\">{note}Bars are as in the summary; one that ends at the right edge \
         may end at never.{left}</p></section>"
    );
    html
}

type Pick = fn(&Measures) -> &Sample;
const MEASURES: [(&str, &str, Pick); 3] = [
    ("know", "Time until everyone knows a move", |it| &it.know),
    ("stale", "Stale addresses, per operator", |it| &it.stale),
    ("dead", "False-dead, per pair of operators", |it| &it.false_dead),
];

fn estimate(name: &str, sample: &Sample) -> Option<Estimate> {
    let median = sample.quantile(50)?;
    let [interval] = sample.quantile_intervals([50]);
    Some((name.into(), median, interval))
}

fn table(id: &str, title: &str, groups: &[(String, Measures)]) -> String {
    let mut html = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{title}\"><table><thead><tr><th scope=\"col\">{id}</th><th scope=\"col\">runs</th><th scope=\"col\">held, %</th><th scope=\"col\">moves</th><th scope=\"col\">known, p50 s</th><th scope=\"col\">p99 s</th><th scope=\"col\">stale, p99 s</th><th scope=\"col\">false-dead, p99 s</th><th scope=\"col\">look-ups</th><th scope=\"col\">found, %</th></tr></thead><tbody>"
    );
    let quantile = |sample: &Sample, percent| sample.quantile(percent).map_or("–".into(), number);
    for (name, it) in groups {
        let (held, found) = (it.held(), it.found());
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(name),
            held.of,
            percent(held),
            it.know.len(),
            quantile(&it.know, 50),
            quantile(&it.know, 99),
            quantile(&it.stale, 99),
            quantile(&it.false_dead, 99),
            found.of,
            percent(found),
        );
    }
    html + "</tbody></table></div>"
}

/// A share with its interval.
fn percent(share: Share) -> String {
    if share.of == 0 {
        return "–".into();
    }
    let Interval { low, high } = wilson(share.hits, share.of);
    let value = share.hits as f64 / share.of as f64;
    format!("{:.1} ({:.1} – {:.1})", value * 100.0, low * 100.0, high * 100.0)
}
