//! The rows of the tables in `docs/semantics.md`.

use std::path::Path;

/// The id of every row of every table; a row without one is an error.
pub(crate) fn ids() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/semantics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut lines = page.lines().peekable();
    let mut ids = Vec::new();
    while let Some(line) = lines.next() {
        let is_title = lines.peek().is_some_and(|next| next.starts_with("|-"));
        if line.starts_with('|') && !line.starts_with("|-") && !is_title {
            ids.push(id(line).unwrap_or_else(|| panic!("a row without an id: {line}")));
        }
    }
    assert!(ids.len() > 50, "only {} rows were found", ids.len());
    ids
}

/// ``| `begin.replay` | ...``
fn id(row: &str) -> Option<String> {
    let (id, _) = row.strip_prefix("| `")?.split_once("` |")?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_');
    (id.contains('.') && id.bytes().all(plain)).then(|| id.to_owned())
}
