//! For tests: `docs/json.md` and the JSON say the same. Every field is documented with its type and
//! with whether it may be null, and every documented field exists.

use narrows_model::result::Layer;
use serde_json::Value;
use std::collections::BTreeMap;

const DOC: &str = include_str!("../../../docs/json.md");

/// Lists of numbers and maps with free keys: nothing below them has a row of its own.
const LEAVES: [&str; 3] = ["histogram[]", "by_delay[]", "coverage.hooked"];

/// The rows under one heading: `path -> (type, may be null)`.
pub(crate) struct Section(BTreeMap<String, (String, bool)>);

type Found<'a> = BTreeMap<String, Vec<&'a Value>>;

impl Section {
    /// The rows of the JSON that names itself `schema`.
    pub(crate) fn of(schema: &str) -> Section {
        let (_, section) = DOC
            .split_once(&format!("\n## `{schema}`"))
            .unwrap_or_else(|| panic!("docs/json.md has no section {schema}"));
        let section = section.split("\n## ").next().unwrap_or_default();
        let mut fields = BTreeMap::new();
        for line in section.lines().filter(|l| l.starts_with("| `")) {
            let cells: Vec<&str> = line
                .trim_matches('|')
                .splitn(4, '|')
                .map(str::trim)
                .collect();
            let nullable = match cells[2] {
                "yes" => true,
                "no" => false,
                other => panic!("null is '{other}' in: {line}"),
            };
            assert!(
                !cells[3].trim_end_matches('|').trim().is_empty(),
                "no meaning: {line}"
            );
            let path = cells[0].trim_matches('`').to_owned();
            let old = fields.insert(path, (cells[1].to_owned(), nullable));
            assert!(old.is_none(), "documented twice: {line}");
        }
        assert!(!fields.is_empty(), "{schema} has no rows");
        Section(fields)
    }

    /// The values together hold each documented field, filled, and no other.
    pub(crate) fn names_all_of(&self, values: &[Value]) {
        let mut found = Found::new();
        values.iter().for_each(|v| collect("", v, &mut found));
        let known = |k: &String| {
            // A list that nobody looked for is null under its bare name.
            self.0.contains_key(k) || self.0.contains_key(&format!("{k}[]"))
        };
        let missing: Vec<_> = found.keys().filter(|k| !known(k)).collect();
        assert!(missing.is_empty(), "not in docs/json.md: {missing:#?}");
        let gone: Vec<_> = self.0.keys().filter(|k| !found.contains_key(*k)).collect();
        assert!(
            gone.is_empty(),
            "documented, but not in the JSON: {gone:#?}"
        );
        let unseen: Vec<_> = found
            .iter()
            .filter(|(_, v)| v.iter().all(|v| v.is_null()))
            .map(|(k, _)| k)
            .filter(|k| {
                self.0
                    .get(*k)
                    .is_some_and(|row| row.0 != "object" && row.0 != "null")
            })
            .collect();
        assert!(
            unseen.is_empty(),
            "never filled by this test, so their type is unchecked: {unseen:#?}"
        );
    }

    /// Every value has its documented type, and is null only where that is documented.
    pub(crate) fn types(&self, value: &Value) {
        let mut found = Found::new();
        collect("", value, &mut found);
        for (path, values) in found {
            let (wanted, nullable) = self
                .0
                .get(&path)
                .or_else(|| self.0.get(&format!("{path}[]")))
                .unwrap_or_else(|| panic!("{path} is not in docs/json.md"));
            for value in values {
                let right = match value.is_null() {
                    true => *nullable || wanted == "null",
                    false => is_a(value, wanted),
                };
                assert!(
                    right,
                    "{path} is {value}, documented as {wanted}, null: {nullable}"
                );
            }
        }
    }
}

/// Every path in `value` with the values found there. Intervals and sites are leaves.
fn collect<'a>(path: &str, value: &'a Value, found: &mut Found<'a>) {
    let leaf = LEAVES.iter().any(|l| path.ends_with(l));
    match value {
        Value::Array(items) if !leaf => {
            found.entry(format!("{path}[]")).or_default();
            items
                .iter()
                .for_each(|i| collect(&format!("{path}[]"), i, found));
        }
        Value::Object(fields) if !leaf => {
            if !path.is_empty() {
                found.entry(path.to_owned()).or_default().push(value);
            }
            if matches!(kind(value), "interval" | "site") && !path.ends_with("peak_n_ci") {
                return;
            }
            for (key, inner) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                collect(&format!("{path}{dot}{key}"), inner, found);
            }
        }
        _ => found.entry(path.to_owned()).or_default().push(value),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(o) => match o.keys().map(String::as_str).collect::<Vec<_>>()[..] {
            ["high", "level", "low"] | ["low", "high", "level"] => "interval",
            ["lock", "object", "offset", "symbol"] | ["object", "symbol", "offset", "lock"] => {
                "site"
            }
            _ => "object",
        },
    }
}

/// Whether a value is of a documented type. Whole numbers are numbers, layers are strings.
fn is_a(value: &Value, documented: &str) -> bool {
    match (documented, kind(value)) {
        ("number", "integer") => true,
        ("layer", "string") => Layer::ALL.iter().any(|l| Some(l.name()) == value.as_str()),
        // The peak's interval has ends that may be null, so it is documented field by field.
        ("object", "interval") => true,
        (wanted, is) => wanted == is,
    }
}
