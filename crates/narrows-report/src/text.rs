//! Lines of text: wrapping, colour, rows of a table.

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets,
};

/// Widest line of any text view.
pub(crate) const WIDTH: usize = 100;

/// Colours of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Bold,
    Green,
    Yellow,
    Dim,
}

/// Lines with or without colour.
pub(crate) struct Page {
    text: String,
    colour: bool,
}

impl Page {
    pub(crate) fn new(colour: bool) -> Self {
        Self {
            text: String::new(),
            colour,
        }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// One line as it is.
    pub(crate) fn line(&mut self, paint: Option<Paint>, line: &str) {
        let line = printable(line.trim_end());
        match paint.filter(|_| self.colour) {
            Some(paint) => {
                let code = match paint {
                    Paint::Bold => "1",
                    Paint::Green => "32",
                    Paint::Yellow => "33",
                    Paint::Dim => "2",
                };
                self.text
                    .push_str(&format!("\u{1b}[{code}m{line}\u{1b}[0m\n"));
            }
            None => {
                self.text.push_str(&line);
                self.text.push('\n');
            }
        }
    }

    /// Lines that are laid out already.
    pub(crate) fn text(&mut self, text: &str) {
        self.text.push_str(&printable(text));
    }

    /// A paragraph behind a label; lines after the first are set in by the label's width.
    pub(crate) fn paragraph(&mut self, paint: Option<Paint>, label: &str, text: &str) {
        let indent = " ".repeat(label.chars().count());
        for (i, line) in wrap(text, WIDTH - indent.len()).iter().enumerate() {
            let head = if i == 0 { label } else { &indent };
            self.line(paint, &format!("{head}{line}"));
        }
    }
}

/// Names come from other programs: what would move the cursor or change colours is made visible.
fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' => c,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}

/// Breaks at spaces; a word longer than a line stays whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
    }
    lines
}

/// A column: heading, width with the gap behind it, alignment.
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    pub(crate) width: u16,
    pub(crate) right: bool,
}

impl Column {
    pub(crate) const fn left(heading: &'static str, width: u16) -> Column {
        Column {
            heading,
            width,
            right: false,
        }
    }

    pub(crate) const fn right(heading: &'static str, width: u16) -> Column {
        Column {
            right: true,
            ..Column::left(heading, width)
        }
    }
}

/// The line above a table.
pub(crate) fn headings(page: &mut Page, columns: &[Column]) {
    let cells: Vec<String> = columns.iter().map(|c| c.heading.into()).collect();
    row(columns, &cells)
        .iter()
        .for_each(|l| page.line(Some(Paint::Dim), l));
}

/// Lines of one row. Rows are laid out one by one so that a title can stand between two of them;
/// fixed widths keep the columns straight.
pub(crate) fn row(columns: &[Column], cells: &[String]) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(columns.iter().map(|c| c.width).sum());
    table.add_row(columns.iter().zip(cells).map(|(column, text)| {
        let align = if column.right {
            CellAlignment::Right
        } else {
            CellAlignment::Left
        };
        Cell::new(text).set_alignment(align)
    }));
    for (i, column) in columns.iter().enumerate() {
        if let Some(c) = table.column_mut(i) {
            c.set_padding((0, 2));
            c.set_constraint(ColumnConstraint::Absolute(Width::Fixed(column.width)));
        }
    }
    table.lines().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_keep_to_the_width() {
        let mut page = Page::new(false);
        page.paragraph(None, "note: ", &"some words ".repeat(40));
        let text = page.finish();
        assert!(text.lines().all(|l| l.chars().count() <= WIDTH));
        assert!(
            text.lines()
                .skip(1)
                .all(|l| l.starts_with("      some") || l.starts_with("      words"))
        );
    }

    #[test]
    fn colour_only_when_asked() {
        let shown = |colour| {
            let mut page = Page::new(colour);
            page.line(Some(Paint::Green), "x");
            page.finish()
        };
        assert_eq!(shown(false), "x\n");
        assert_eq!(shown(true), "\u{1b}[32mx\u{1b}[0m\n");
    }

    #[test]
    fn control_characters_of_others_do_not_reach_the_terminal() {
        let mut page = Page::new(true);
        page.line(None, "a\u{1b}[2Jb\rc");
        page.text("d\u{9b}e\n");
        assert_eq!(page.finish(), "a\u{fffd}[2Jb\u{fffd}c\nd\u{fffd}e\n");
    }

    #[test]
    fn a_long_cell_wraps_inside_its_column() {
        let columns = [
            Column {
                heading: "a",
                width: 8,
                right: true,
            },
            Column {
                heading: "b",
                width: 12,
                right: false,
            },
        ];
        let lines = row(&columns, &["1".into(), "one two three".into()]);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines.iter().all(|l| l.chars().count() <= 20), "{lines:?}");
    }
}
