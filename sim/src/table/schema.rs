//! The description of all tables, for people and for programs.

use serde_json::{Value as Json, json};

use super::{Column, Table, Tables};

/// In words: each table, and each of its columns with kind, unit and meaning.
#[must_use]
pub fn text() -> String {
    let mut text = String::from(
        "Every table begins with the columns scenario and seed. A value that is absent is an empty \
         field in CSV, null in Parquet; an empty text is \"\" in CSV.\n",
    );
    for table in Tables::ALL {
        text.push_str(&format!("\n{}\n  {}\n", table.name, wrapped(&table.about(), 2)));
        for column in table.all_columns() {
            let head = format!("{} ({})", column.name, described(column));
            text.push_str(&format!("    {head}\n        {}\n", wrapped(&column.meaning(), 8)));
        }
    }
    text
}

/// As JSON: an object of tables, each with its columns in order.
#[must_use]
pub fn json() -> Json {
    let column = |column: &Column| {
        json!({
            "name": column.name,
            "type": column.kind.name(),
            "optional": column.optional,
            "unit": column.unit,
            "meaning": column.meaning(),
        })
    };
    let table = |table: &&Table| {
        let columns: Vec<Json> = table.all_columns().map(column).collect();
        (table.name.into(), json!({ "about": table.about(), "columns": columns }))
    };
    Json::Object(Tables::ALL.iter().map(table).collect())
}

fn described(column: &Column) -> String {
    let optional = if column.optional { ", may be absent" } else { "" };
    let unit = if column.unit.is_empty() { "" } else { " in " };
    format!("{}{unit}{}{optional}", column.kind.name(), column.unit)
}

/// In lines of at most 100 columns, of which the first `indent` are spaces from the second line on.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one at least");
        match line.len() + 1 + word.len() + indent <= 100 {
            _ if line.is_empty() => line.push_str(word),
            true => line.extend([" ", word]),
            false => lines.push(word.into()),
        }
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}
