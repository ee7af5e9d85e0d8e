//! What a bench prints: facts about the run, then tables with a line per scenario. The same in
//! JSON, with every run's number. Owns the form only.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::options::Options;
use crate::statistics::Spread;

/// A report under way.
#[derive(Debug)]
pub struct Report {
    bench: &'static str,
    facts: Vec<(&'static str, String)>,
    tables: Vec<Table>,
}

/// A table: names of lines, and numbers under columns.
#[derive(Debug)]
pub struct Table {
    title: &'static str,
    columns: &'static [&'static str],
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    /// For each column, the number of each run; NaN where there is none.
    cells: Vec<Vec<f64>>,
}

impl Table {
    /// An empty table. Columns say their unit.
    #[must_use]
    pub fn new(title: &'static str, columns: &'static [&'static str]) -> Self {
        Self {
            title,
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds one run's numbers to the line of this name; NaN leaves a cell empty.
    pub fn add(&mut self, name: impl Into<String>, numbers: &[f64]) {
        let name = name.into();
        let position = self.rows.iter().position(|row| row.name == name);
        let position = position.unwrap_or_else(|| {
            let cells = vec![Vec::new(); self.columns.len()];
            self.rows.push(Row { name, cells });
            self.rows.len() - 1
        });
        for (cell, number) in self.rows[position].cells.iter_mut().zip(numbers) {
            cell.push(*number);
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut grid = vec![vec![String::new()]];
        grid[0].extend(self.columns.iter().map(|column| (*column).to_owned()));
        for row in &self.rows {
            let mut line = vec![row.name.clone()];
            line.extend(row.cells.iter().map(|runs| cell(runs)));
            grid.push(line);
        }
        let widths: Vec<usize> = (0..=self.columns.len())
            .map(|at| grid.iter().map(|line| line[at].chars().count()).max())
            .map(Option::unwrap_or_default)
            .collect();
        let mut lines = vec![self.title.to_owned()];
        for line in grid {
            let mut text = format!("  {:<width$}", line[0], width = widths[0]);
            for (cell, width) in line.iter().zip(&widths).skip(1) {
                text.push_str(&format!("  {cell:>width$}"));
            }
            lines.push(text.trim_end().to_owned());
        }
        lines
    }

    fn json(&self) -> Value {
        let rows =
            self.rows.iter().map(|row| {
                let numbers = self.columns.iter().zip(&row.cells).filter_map(|(name, runs)| {
                let spread = Spread::of(runs)?;
                let value = json!({
                    "median": spread.median, "min": spread.min, "max": spread.max, "runs": runs,
                });
                Some(((*name).to_owned(), value))
            });
                let numbers: Map<String, Value> = numbers.collect();
                json!({"name": row.name, "numbers": numbers})
            });
        json!({"title": self.title, "rows": rows.collect::<Vec<_>>()})
    }
}

impl Report {
    /// A report of this bench; it begins with what holds for all benches.
    #[must_use]
    pub fn new(bench: &'static str, options: &Options, runs: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut report = Self {
            bench,
            facts: Vec::new(),
            tables: Vec::new(),
        };
        report.fact("cores", cores.to_string());
        report.fact("runs", runs.to_string());
        report.fact("seed", options.seed.to_string());
        report.fact("node log", options.log.clone());
        report
    }

    /// Adds a fact.
    pub fn fact(&mut self, name: &'static str, value: impl Into<String>) {
        self.facts.push((name, value.into()));
    }

    /// Adds a finished table.
    pub fn table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Prints it as the options say.
    pub fn print(&self, options: &Options) {
        let text = self.text();
        if options.json {
            eprint!("{text}");
            println!("{}", self.json());
        } else {
            print!("{text}");
        }
    }

    fn text(&self) -> String {
        let mut text = format!("\n== {} ==\n", self.bench);
        for (name, value) in &self.facts {
            text.push_str(&format!("{name}: {value}\n"));
        }
        for table in &self.tables {
            text.push('\n');
            for line in table.lines() {
                text.push_str(&line);
                text.push('\n');
            }
        }
        text
    }

    fn json(&self) -> Value {
        let facts: BTreeMap<_, _> = self.facts.iter().cloned().collect();
        let tables: Vec<Value> = self.tables.iter().map(Table::json).collect();
        json!({"bench": self.bench, "facts": facts, "tables": tables})
    }
}

fn cell(runs: &[f64]) -> String {
    match Spread::of(runs) {
        None => "-".to_owned(),
        Some(spread) if runs.len() == 1 => number(spread.median),
        Some(spread) => format!(
            "{} ({}-{})",
            number(spread.median),
            number(spread.min),
            number(spread.max)
        ),
    }
}

/// Three digits that mean something, and no false precision.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let plain = format!("{value:.decimals$}");
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        let left = whole.len() - at;
        if at > 0 && left % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators_and_no_false_precision() {
        for (value, text) in [
            (0.0, "0"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (999.9, "1,000"),
            (1_234_567.8, "1,234,568"),
            (-123_456.0, "-123,456"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_line_shows_the_median_and_the_range_of_its_runs() {
        let mut table = Table::new("t", &["puts/s", "missing"]);
        for run in [100.0, 300.0, 200.0] {
            table.add("ours", &[run, f64::NAN]);
        }
        assert_eq!(table.lines()[2].trim(), "ours  200 (100-300)        -");
        let json = table.json();
        assert_eq!(json["rows"][0]["numbers"]["puts/s"]["median"], 200.0);
        assert!(json["rows"][0]["numbers"].get("missing").is_none());
    }
}
