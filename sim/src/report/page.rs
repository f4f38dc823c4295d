//! The page around plots and playback.

use std::fmt::Write;

use serde_json::Value as Json;

use super::groups;
use super::measures::{Measures, Observation, Share};
use super::plot::{self, Titles, count, number};
use super::statistics::{Interval, Sample, wilson};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("playback.js");
const PLAYER: &str = include_str!("playback.html");
/// Runs that failed and are named; the others are counted.
const NAMED: usize = 50;

/// The whole file.
pub(super) fn write(
    observations: &[Observation],
    manifest: &Json,
    command: &str,
    playback: Option<&Json>,
) -> String {
    let measures = &Measures::of(&observations.iter().collect::<Vec<_>>());
    let what = subject(measures);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>stayfound-sim: {}</title><link rel=\"icon\" href=\"data:,\">\n\
         <style>\n{STYLE}</style></head>\n<body><main>\n",
        escaped(&what)
    );
    let _ = write!(
        page,
        "<header><p class=\"kicker\">stayfound-sim report</p><h1>{}</h1>",
        escaped(&what)
    );
    page.push_str(&verdict(measures));
    page.push_str("</header>\n");
    if let Some(playback) = playback {
        page.push_str(PLAYER);
        let _ = writeln!(
            page,
            "<script type=\"application/json\" id=\"recording\">{}</script>",
            in_script(&playback.to_string())
        );
    }
    page.push_str(&summary(measures));
    page.push_str(&plots(measures));
    page.push_str(&groups::sections(observations));
    page.push_str(&failures(measures));
    page.push_str(&origin(manifest, command));
    page.push_str("</main>\n");
    if playback.is_some() {
        let _ = writeln!(page, "<script>\n{SCRIPT}</script>");
    }
    page + "</body></html>\n"
}

fn subject(measures: &Measures) -> String {
    match &measures.runs[..] {
        [(key, _)] => key.to_string(),
        runs => count(runs.len(), "run"),
    }
}

fn verdict(measures: &Measures) -> String {
    if let [(_, run)] = &measures.runs[..] {
        let class = if run.verdict == "ok" { "good" } else { "bad" };
        let found = run.found_s.map_or(String::new(), |at| format!(" at {at:.3} s"));
        let sentence = run.finding.as_deref().unwrap_or("everything that is owed held");
        return format!(
            "<p class=\"verdict {class}\" id=\"verdict\"><b>{}</b>{found}: {}</p><p class=\"facts\">{} of them operators, {:.0} s of virtual time, {} events, trace <code>{}</code></p>",
            escaped(&run.verdict),
            escaped(sentence),
            format_args!("{} hosts, {}", run.hosts, run.operators),
            run.took_s,
            run.events,
            escaped(&run.trace),
        );
    }
    let held = measures.held();
    let class = if held.hits == held.of { "good" } else { "bad" };
    format!(
        "<p class=\"verdict {class}\" id=\"verdict\"><b>{} of {}</b> runs held everything that is owed.</p>",
        held.hits, held.of,
    )
}

fn summary(measures: &Measures) -> String {
    let mut html = String::from(
        "<section aria-labelledby=\"summary\"><h2 id=\"summary\">Summary</h2><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Summary of measures\"><table><thead><tr><th scope=\"col\">measure</th><th scope=\"col\">n</th><th scope=\"col\">median</th><th scope=\"col\">95 % interval</th><th scope=\"col\">p99</th><th scope=\"col\">95 % interval</th><th scope=\"col\">max</th></tr></thead><tbody>",
    );
    for (name, sample) in [
        ("until everyone knows a move, s", &measures.know),
        ("stale addresses, s per operator", &measures.stale),
        ("false-dead, s per pair", &measures.false_dead),
        ("hops of a look-up", &measures.hops),
        ("requests of a look-up", &measures.queries),
        ("bytes per node and second, of a run", &measures.bytes),
    ] {
        html.push_str(&row(name, sample));
    }
    html.push_str("</tbody></table></div>");
    html.push_str(&shares(measures));
    html + "<p class=\"note\">Intervals of quantiles are percentile bootstraps (seeded) over runs, because what happens in one run depends on itself; of a single run, over its observations taken as independent, which is too narrow where they are not. Those of shares are Wilson's. A move that somebody did not come to know before the next move of the same operator, or the end, counts as one that was never known; p99 of few observations is their largest.</p></section>\n"
}

fn row(name: &str, sample: &Sample) -> String {
    if sample.is_empty() {
        return format!(
            "<tr><th scope=\"row\">{name}</th><td>0</td><td>–</td><td>–</td><td>–</td><td>–</td><td>–</td></tr>"
        );
    }
    let [median, p99] = sample.quantile_intervals([50, 99]);
    // One observation does not say how sure one may be of it.
    let interval = |it| if sample.len() > 1 { between(it) } else { "–".to_owned() };
    let value = |percent| sample.quantile(percent).map_or("–".into(), number);
    format!(
        "<tr><th scope=\"row\">{name}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        sample.len(),
        value(50),
        interval(median),
        value(99),
        interval(p99),
        number(sample.quantile(100).expect("a sample of some")),
    )
}

pub(super) fn between(interval: Interval) -> String {
    format!("{} – {}", number(interval.low), number(interval.high))
}

fn shares(measures: &Measures) -> String {
    let mut html = String::from(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Shares\"><table><thead><tr><th scope=\"col\">share</th><th scope=\"col\">of</th><th scope=\"col\">%</th><th scope=\"col\">95 % interval, %</th></tr></thead><tbody>",
    );
    let mut add = |name: &str, share: Share| {
        let Interval { low, high } = wilson(share.hits, share.of);
        let percent = |it: f64| format!("{:.1}", it * 100.0);
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{} – {}</td></tr>",
            escaped(name),
            share.of,
            percent(share.hits as f64 / share.of as f64),
            percent(low),
            percent(high),
        );
    };
    if measures.runs.len() > 1 {
        add("runs that held", measures.held());
    }
    let known = Share { hits: measures.know.finite() as u64, of: measures.know.len() as u64 };
    if known.of > 0 {
        add("moves that everyone came to know", known);
    }
    for (goal, share) in &measures.goals {
        add(&format!("look-ups that found: {goal}"), *share);
    }
    if html.contains("<td>") { html + "</tbody></table></div>" } else { String::new() }
}

fn plots(measures: &Measures) -> String {
    let mut html = String::from(
        "<section aria-labelledby=\"plots\"><h2 id=\"plots\">Plots</h2><div class=\"plots\">",
    );
    for (id, title, x, sample) in [
        ("know", "Time until everyone knows a move", "seconds", &measures.know),
        ("stale", "Stale addresses, per operator", "seconds", &measures.stale),
        ("dead", "False-dead, per pair of operators", "seconds", &measures.false_dead),
        ("hops", "Hops of look-ups that found", "hops", &measures.hops),
        ("queries", "Requests of look-ups", "requests", &measures.queries),
    ] {
        let svg = plot::distribution(&Titles { id, title, x }, sample);
        figure(&mut html, title, &svg, &observed(sample));
    }
    let titles = Titles {
        id: "traffic",
        title: "Look-up success against traffic",
        x: "bytes per node and second",
    };
    let svg = plot::against_traffic(&titles, &measures.traffic);
    let runs = count(measures.traffic.len(), "run");
    figure(
        &mut html,
        titles.title,
        &svg,
        &format!("{runs} with look-ups; bars are 95 % intervals"),
    );
    html + "</div></section>\n"
}

fn observed(sample: &Sample) -> String {
    let never = sample.len() - sample.finite();
    let text = format!("n = {}", sample.len());
    if never > 0 {
        format!("{text}, of which {never} never; band 95 %")
    } else {
        text + "; band 95 %"
    }
}

pub(super) fn figure(html: &mut String, title: &str, svg: &str, note: &str) {
    let _ = write!(
        html,
        "<figure><figcaption><b>{title}</b> <span>{note}</span></figcaption>{svg}</figure>"
    );
}

fn failures(measures: &Measures) -> String {
    let failed: Vec<_> = measures.runs.iter().filter(|(_, run)| run.verdict != "ok").collect();
    if measures.runs.len() == 1 || failed.is_empty() {
        return String::new();
    }
    let mut html = format!(
        "<section aria-labelledby=\"failures\"><h2 id=\"failures\">Runs that did not hold: {}</h2><ul class=\"failures\">",
        failed.len()
    );
    for (key, run) in failed.iter().take(NAMED) {
        let _ = write!(
            html,
            "<li><b>{}</b>, {}: {}<br><code>{}</code></li>",
            escaped(&run.verdict),
            escaped(&key.to_string()),
            escaped(run.finding.as_deref().unwrap_or_default()),
            escaped(&run.command),
        );
    }
    html.push_str("</ul>");
    if failed.len() > NAMED {
        let _ = write!(html, "<p>and {} more.</p>", failed.len() - NAMED);
    }
    html + "<p class=\"note\">To play one back: <code>stayfound-sim report --seed N --out run.html</code></p></section>\n"
}

fn origin(manifest: &Json, command: &str) -> String {
    format!(
        "<section aria-labelledby=\"origin\"><h2 id=\"origin\">Where this is from</h2><p>This page again: <code id=\"command\">{}</code></p><details><summary>Manifest</summary><pre tabindex=\"0\">{}</pre></details></section>\n",
        escaped(command),
        escaped(&format!("{manifest:#}")),
    )
}

/// Text that is not taken for HTML.
pub(super) fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

/// JSON that does not end the script that it stands in.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_taken_for_html() {
        assert_eq!(escaped("<b>\"&\"</b>"), "&lt;b&gt;&quot;&amp;&quot;&lt;/b&gt;");
        let json = serde_json::json!(["</script><!--"]).to_string();
        assert!(!in_script(&json).contains('<'));
        let back: Json = serde_json::from_str(&in_script(&json)).unwrap();
        assert_eq!(back, serde_json::json!(["</script><!--"]));
    }
}
