//! What came of a run, for people and for programs.

use serde_json::{Value, json};
use stayfound_sim::exit;
use stayfound_sim::run::Report;
use stayfound_sim::scenario::Scenario;
use stayfound_sim::trace::Divergence;

/// What came of one run.
pub(crate) struct Outcome {
    pub(crate) scenario: Scenario,
    pub(crate) report: Report,
    pub(crate) divergence: Option<Divergence>,
    /// The command that repeats it.
    pub(crate) command: String,
}

impl Outcome {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match (&self.divergence, self.report.finding.as_ref().map(|finding| finding.kind)) {
            (Some(_), _) => exit::DIVERGENCE,
            (None, None) => exit::OK,
            (None, Some(kind)) => exit::of(kind),
        }
    }

    /// In one sentence.
    pub(crate) fn verdict(&self) -> String {
        match (&self.divergence, &self.report.finding) {
            (Some(divergence), _) => format!("divergence: {divergence}"),
            (None, Some(finding)) => finding.to_string(),
            (None, None) => "ok".into(),
        }
    }

    /// The verdict, and how to see it again.
    pub(crate) fn failure(&self) -> String {
        format!("{}\n  {}", self.verdict(), self.command)
    }

    /// Everything, for people.
    pub(crate) fn text(&self) -> String {
        let Report { trace, until, .. } = &self.report;
        let mut text = String::new();
        if self.divergence.is_none() && self.command.contains(" run ") {
            for entry in trace.entries() {
                text.push_str(&format!("{entry}\n"));
            }
        }
        let twice = self.command.contains(" check ").then_some(", twice the same");
        let verdict = match self.code() {
            0 => self.verdict() + twice.unwrap_or_default(),
            _ => self.failure(),
        };
        text.push_str(&format!("{:<12} {verdict}\n", "verdict"));
        text.push_str(&format!("{:<12} {} in {until}\n", "events", trace.events()));
        text.push_str(&format!("{:<12} {:016x}", "trace", trace.hash()));
        text
    }

    /// Everything, for programs.
    pub(crate) fn json(&self) -> Value {
        let options = self.scenario.options.lines().into_iter();
        let options: serde_json::Map<String, Value> =
            options.map(|(name, value)| (name.into(), value.into())).collect();
        let schedule: Vec<String> =
            self.scenario.schedule.iter().map(ToString::to_string).collect();
        let kind = self.report.finding.as_ref().map(|finding| finding.kind.to_string());
        let verdict = match &self.divergence {
            Some(_) => "divergence".into(),
            None => kind.unwrap_or("ok".into()),
        };
        let counts = self.report.counts.iter();
        let counts: serde_json::Map<String, Value> =
            counts.map(|(counter, times)| (counter.name().into(), (*times).into())).collect();
        json!({
            "seed": self.scenario.seed,
            "options": options,
            "schedule": schedule,
            "verdict": verdict,
            "finding": (self.code() != 0).then(|| self.verdict()),
            "command": self.command,
            "events": self.report.trace.events(),
            "virtual_seconds": self.report.until.0 as f64 / 1e9,
            "counts": counts,
            "marks": self.report.marks,
            "trace": format!("{:016x}", self.report.trace.hash()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stayfound_sim::moment::Moment;
    use stayfound_sim::oracle::{Finding, Kind};
    use stayfound_sim::trace::Trace;

    fn outcome(kind: Option<Kind>, divergence: Option<Divergence>) -> Outcome {
        let finding = kind.map(|kind| {
            let sentence = "operator 0 and operator 1 are not linked".into();
            Finding { at: Moment(5_000_000_000), kind, sentence }
        });
        let (trace, until) = (Trace::default(), Moment::default());
        let (counts, marks) = Default::default();
        Outcome {
            scenario: Scenario::draw(7),
            report: Report { finding, trace, until, counts, marks },
            divergence,
            command: "stayfound-sim run --seed 7".into(),
        }
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let divergence = Divergence { event: 3, first: None, second: None };
        assert_eq!(outcome(None, None).code(), 0);
        assert_eq!(outcome(Some(Kind::Safety), None).code(), 10);
        assert_eq!(outcome(Some(Kind::Liveness), None).code(), 11);
        assert_eq!(outcome(None, Some(divergence)).code(), 12);
        assert_eq!(outcome(Some(Kind::Panic), None).code(), 13);
    }

    #[test]
    fn a_failure_is_the_command_that_repeats_it() {
        let failed = outcome(Some(Kind::Liveness), None);
        let expected = "liveness at 5.000s: operator 0 and operator 1 are not linked\n  \
                        stayfound-sim run --seed 7";
        assert_eq!(failed.failure(), expected);
        assert!(failed.text().contains(expected));
        assert_eq!(failed.json()["verdict"], "liveness");
        assert_eq!(outcome(None, None).json()["finding"], Value::Null);
    }
}
