//! What is told at the end: a table for people, and JSON for programs.
//!
//! A figure stands beside the floor that was measured in the same run. On a machine that others
//! use too, the absolute numbers wander; the ratio of two that were taken in turns says more.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::samples::Samples;

/// What a figure should reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The ratio to the reference must be at least this.
    pub ratio_at_least: Option<f64>,
    /// The ratio to the reference must be at most this.
    pub ratio_at_most: Option<f64>,
    /// The figure itself must be at least this.
    pub value_at_least: Option<f64>,
    /// The figure itself must be at most this.
    pub value_at_most: Option<f64>,
}

impl Target {
    const NONE: Target = Target {
        ratio_at_least: None,
        ratio_at_most: None,
        value_at_least: None,
        value_at_most: None,
    };

    /// The more the better.
    pub const fn at_least(ratio: f64) -> Target {
        Target { ratio_at_least: Some(ratio), ..Target::NONE }
    }

    /// The less the better.
    pub const fn at_most(ratio: f64) -> Target {
        Target { ratio_at_most: Some(ratio), ..Target::NONE }
    }

    /// A bound on the figure itself.
    pub const fn and_value_at_least(self, value: f64) -> Target {
        Target { value_at_least: Some(value), ..self }
    }

    /// Only a bound on the figure itself.
    pub const fn value_at_least(value: f64) -> Target {
        Target::NONE.and_value_at_least(value)
    }

    /// Only a bound on the figure itself.
    pub const fn value_at_most(value: f64) -> Target {
        Target { value_at_most: Some(value), ..Target::NONE }
    }

    fn text(&self) -> String {
        let ratios = [("≥", self.ratio_at_least), ("≤", self.ratio_at_most)];
        let ratios = ratios.into_iter().filter_map(|(sign, bound)| Some((sign, bound?)));
        let mut parts: Vec<String> =
            ratios.map(|(sign, bound)| format!("{sign} {bound} ×")).collect();
        parts.extend(self.value_at_least.map(|value| format!("≥ {}", number(value))));
        parts.extend(self.value_at_most.map(|value| format!("≤ {}", number(value))));
        parts.join(" and ")
    }

    fn is_met(&self, value: f64, ratio: Option<f64>) -> bool {
        self.ratio_at_least.is_none_or(|bound| ratio.is_some_and(|ratio| ratio >= bound))
            && self.ratio_at_most.is_none_or(|bound| ratio.is_some_and(|ratio| ratio <= bound))
            && self.value_at_least.is_none_or(|bound| value >= bound)
            && self.value_at_most.is_none_or(|bound| value <= bound)
    }
}

/// What a figure is compared with.
#[derive(Debug, Clone)]
pub struct Reference {
    /// What it is, in a few words.
    pub name: String,
    /// In the figure's unit.
    pub samples: Samples,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Figure {
    /// As in the list of targets.
    pub name: &'static str,
    /// Of the figure and of its reference.
    pub unit: &'static str,
    /// What was measured.
    pub samples: Samples,
    /// The floor; `None`: the figure is a floor for others.
    pub reference: Option<Reference>,
    /// What it should reach.
    pub target: Target,
    /// What else there is to say of it.
    pub note: Option<String>,
}

impl Figure {
    /// The median by the median of the reference.
    pub fn ratio(&self) -> Option<f64> {
        let reference = self.reference.as_ref()?.samples.median();
        (reference > 0.0).then(|| self.samples.median() / reference)
    }

    fn json(&self) -> Value {
        let rounded = |value: f64| (value * 1_000.0).round() / 1_000.0;
        let reference = self.reference.as_ref();
        json!({
            "name": self.name,
            "unit": self.unit,
            "value": rounded(self.samples.median()),
            "reference": reference.map(|reference| rounded(reference.samples.median())),
            "reference_name": reference.map(|reference| &reference.name),
            "ratio": self.ratio().map(rounded),
            "target": self.target.text(),
        })
    }

    fn cells(&self) -> [String; 6] {
        let ratio = self.ratio();
        let is_met = self.target.is_met(self.samples.median(), ratio);
        let (floor, floor_name) = match &self.reference {
            Some(reference) => (spread(&reference.samples), reference.name.clone()),
            None => ("–".to_owned(), "–".to_owned()),
        };
        [
            self.name.to_owned(),
            format!("{} {}", spread(&self.samples), self.unit),
            floor,
            ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
            format!("{} {}", self.target.text(), if is_met { "✓" } else { "✗" }),
            floor_name,
        ]
    }
}

const HEADS: [&str; 6] =
    ["name", "measured (min … max)", "floor (min … max)", "ratio", "target", "the floor is"];

/// The table, and why some lines are missing.
pub fn table(figures: &[Figure], skipped: &[String]) -> String {
    let rows: Vec<[String; 6]> = figures.iter().map(Figure::cells).collect();
    let widths: [usize; 6] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEADS[column].chars().count()]).max().unwrap_or_default()
    });
    let mut text = String::new();
    let mut line = |cells: [&str; 6]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let joined = padded.collect::<Vec<_>>().join("  ");
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", joined.trim_end());
    };
    line(HEADS);
    for row in &rows {
        line(std::array::from_fn(|column| row[column].as_str()));
    }
    for figure in figures {
        if let Some(note) = &figure.note {
            let _ = writeln!(text, "{}: {note}", figure.name);
        }
    }
    for reason in skipped {
        let _ = writeln!(text, "skipped: {reason}");
    }
    text
}

/// Writes the figures as an array to `path`.
pub fn write_json(path: &Path, figures: &[Figure]) -> std::io::Result<()> {
    let figures: Vec<Value> = figures.iter().map(Figure::json).collect();
    let text = serde_json::to_string_pretty(&figures)?;
    std::fs::write(path, text + "\n")
}

fn spread(samples: &Samples) -> String {
    let [median, min, max] = [samples.median(), samples.min(), samples.max()].map(number);
    format!("{median} ({min} … {max})")
}

/// Three significant digits or all before the point, thousands apart.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Figure {
        Figure {
            name: "ingest_1",
            unit: "events/s",
            samples: [100_000.0, 150_000.0, 120_000.0].into_iter().collect(),
            reference: Some(Reference {
                name: "raw insert".into(),
                samples: [200_000.0].into_iter().collect(),
            }),
            target: Target::at_least(0.6),
            note: Some("a note".into()),
        }
    }

    #[test]
    fn the_json_has_the_agreed_fields() {
        let expected = json!({
            "name": "ingest_1", "unit": "events/s", "value": 120_000.0, "reference": 200_000.0,
            "reference_name": "raw insert", "ratio": 0.6, "target": "≥ 0.6 ×",
        });
        assert_eq!(figure().json(), expected);
        let floor = Figure { reference: None, target: Target::value_at_least(1.5e6), ..figure() };
        assert_eq!(floor.json()["ratio"], Value::Null);
        assert_eq!(floor.json()["target"], "≥ 1 500 000");
    }

    #[test]
    fn a_target_is_met_only_when_every_part_of_it_is() {
        let target = Target::at_least(0.4).and_value_at_least(1e6);
        assert!(target.is_met(1e6, Some(0.4)));
        assert!(!target.is_met(1e6, Some(0.3)));
        assert!(!target.is_met(9e5, Some(0.5)));
        assert!(!Target::at_most(1.5).is_met(1.0, None));
        let small = Target::value_at_most(12_288.0);
        assert!(small.is_met(12_288.0, None) && !small.is_met(12_289.0, None));
        assert_eq!(small.text(), "≤ 12 288");
    }

    #[test]
    fn the_table_tells_the_spread_and_what_was_skipped() {
        let text = table(&[figure()], &["history: no room".into()]);
        assert!(text.contains("120 000 (100 000 … 150 000) events/s"), "{text}");
        assert!(text.contains("0.60") && text.contains("≥ 0.6 × ✓"), "{text}");
        assert!(text.ends_with("ingest_1: a note\nskipped: history: no room\n"), "{text}");
    }
}
