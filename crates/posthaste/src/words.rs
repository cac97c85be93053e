//! Numbers with what they count, as sentences have them.

/// A number and what it counts: `1 event`, `2 events`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
