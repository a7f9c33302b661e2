//! The report: every part with its question, its numbers and its verdicts, in Markdown.

use std::fmt;

use anyhow::Result;

use crate::machine::Machine;
use crate::samples::{Samples, Short};

/// Everything that one run found.
pub struct Report {
    head: String,
    parts: Vec<Part>,
    end: String,
}

/// The answer to one question.
pub struct Part {
    title: &'static str,
    question: String,
    notes: Vec<String>,
    rows: Vec<Row>,
    verdicts: Vec<Verdict>,
}

/// One quantity: `crate::op/key=value`.
struct Row {
    name: String,
    samples: Samples,
    unit: &'static str,
}

/// One quantity with what it must be, and what it should be.
struct Verdict {
    what: String,
    found: Samples,
    must: Bound,
    goal: Bound,
}

/// A bound of a quantity.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// The quantity is at least this.
    AtLeast(f64),
    /// The quantity is at most this.
    AtMost(f64),
}

impl Bound {
    fn holds(self, found: f64) -> bool {
        match self {
            Self::AtLeast(bound) => found >= bound,
            Self::AtMost(bound) => found <= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, ">= {bound:.2}"),
            Self::AtMost(bound) => write!(f, "<= {bound:.2}"),
        }
    }
}

impl Part {
    /// A part that answers a question.
    pub fn new(title: &'static str, question: impl Into<String>) -> Self {
        Self { title, question: question.into(), notes: Vec::new(), rows: Vec::new(), verdicts: Vec::new() }
    }

    /// Says something that the numbers do not say.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Adds a quantity.
    pub fn row(&mut self, name: impl Into<String>, samples: Samples, unit: &'static str) {
        self.rows.push(Row { name: name.into(), samples, unit });
    }

    /// Adds a verdict.
    pub fn verdict(&mut self, what: impl Into<String>, found: Samples, must: Bound, goal: Bound) {
        self.verdicts.push(Verdict { what: what.into(), found, must, goal });
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n{}\n", self.title, self.question)?;
        for note in &self.notes {
            writeln!(f, "- {note}")?;
        }
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        if !self.rows.is_empty() {
            writeln!(f, "| bench | median | min | max | unit |\n|---|--:|--:|--:|---|")?;
        }
        for Row { name, samples, unit } in &self.rows {
            let [median, min, max] = [samples.median(), samples.min(), samples.max()].map(Short);
            writeln!(f, "| `{name}` | {median} | {min} | {max} | {unit} |")?;
        }
        if !self.verdicts.is_empty() {
            writeln!(f)?;
            write_verdicts(f, &self.verdicts)?;
        }
        Ok(())
    }
}

fn write_verdicts(f: &mut impl fmt::Write, verdicts: &[Verdict]) -> fmt::Result {
    writeln!(f, "| ratio | median | min | max | must | goal | verdict |\n|---|--:|--:|--:|--:|--:|---|")?;
    for Verdict { what, found, must, goal } in verdicts {
        let median = found.median();
        let verdict = match (must.holds(median), goal.holds(median)) {
            (_, true) => "goal reached",
            (true, false) => "must kept",
            (false, false) => "**must missed**",
        };
        let (min, max) = (found.min(), found.max());
        writeln!(f, "| {what} | {median:.2} | {min:.2} | {max:.2} | {must} | {goal} | {verdict} |")?;
    }
    Ok(())
}

impl Report {
    /// An empty report of a run on a machine: its title, how it came about, and whether its numbers say anything.
    pub fn new(title: &str, machine: &Machine, method: &str, quick: bool) -> Self {
        let mut head = format!("# {title}\n\nThis page is written by the command below; it is never edited.\n\n");
        if quick {
            head += "**A quick run: everything was run and was right, and the numbers say nothing.**\n\n";
        }
        head += &machine.to_string();
        head += method;
        Self { head, parts: Vec::new(), end: String::new() }
    }

    /// Adds parts.
    pub fn add(&mut self, parts: Vec<Part>) {
        self.parts.extend(parts);
    }

    /// Says how busy the machine was at the end.
    pub fn finish(&mut self, machine: &Machine) -> Result<()> {
        self.end = machine.end()?;
        Ok(())
    }

    /// What a must is missed of, with what was found and what it must be.
    pub fn missed(&self) -> Vec<String> {
        let verdicts = self.parts.iter().flat_map(|part| &part.verdicts);
        verdicts
            .filter(|verdict| !verdict.must.holds(verdict.found.median()))
            .map(|Verdict { what, found, must, .. }| format!("{what}: {:.3}, must be {must}", found.median()))
            .collect()
    }

    /// Every verdict in one table.
    pub fn summary(&self) -> String {
        let mut text = String::from("## Verdicts\n\n");
        let verdicts: Vec<Verdict> = self
            .parts
            .iter()
            .flat_map(|part| &part.verdicts)
            .map(|Verdict { what, found, must, goal }| Verdict {
                what: what.clone(),
                found: found.clone(),
                must: *must,
                goal: *goal,
            })
            .collect();
        write_verdicts(&mut text, &verdicts).expect("a string takes what is written");
        text + "\n"
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.head, self.summary())?;
        for part in &self.parts {
            writeln!(f, "{part}")?;
        }
        write!(f, "{}", self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missed_is_named_with_both_sides() {
        let mut part = Part::new("A part", "What?");
        let [half, one] = [0.5, 1.0].map(Bound::AtLeast);
        part.verdict("enough", Samples::one(0.5), half, one);
        part.verdict("too little", Samples::one(0.499), half, one);
        part.verdict("too much", Samples::one(2.1), Bound::AtMost(2.0), Bound::AtMost(1.0));
        let report = Report { head: String::new(), parts: vec![part], end: String::new() };
        assert_eq!(report.missed(), ["too little: 0.499, must be >= 0.50", "too much: 2.100, must be <= 2.00"]);
    }
}
