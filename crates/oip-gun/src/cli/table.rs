//! A table of texts for a terminal: columns as wide as their longest cell.

use super::output::printable;

/// Rows under a heading. Every row has as many cells as the heading.
pub(crate) struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// An empty table.
    pub(crate) fn new(heading: [&str; COLUMNS]) -> Self {
        Self {
            rows: vec![heading.map(str::to_owned)],
        }
    }

    /// Adds a row; control characters are shown as escapes.
    pub(crate) fn add(&mut self, row: [String; COLUMNS]) {
        self.rows.push(row.map(|cell| printable(&cell)));
    }

    /// The table as lines, without a line end after the last.
    pub(crate) fn text(&self) -> String {
        let mut widths = [0; COLUMNS];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let lines: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let cells: Vec<String> = row
                    .iter()
                    .zip(widths)
                    .map(|(cell, width)| format!("{cell:<width$}"))
                    .collect();
                cells.join("  ").trim_end().to_owned()
            })
            .collect();
        lines.join("\n")
    }
}
