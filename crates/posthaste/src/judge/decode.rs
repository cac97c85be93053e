//! Bytes to JSON, and where they are not JSON: at which byte, why, and which SDK is known for it.

use serde_json::{Value, error::Category};

use super::{doubled::Doubled, kind::ProblemKind, problem::Problem};
use crate::{
    batch::{LEVELS_MAX, is_deeper_than},
    text::Text,
};

/// Not numbers in JSON, but in Python's.
const NOT_NUMBERS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];

/// A body as JSON.
pub(super) struct Decoded {
    pub(super) root: Value,
    /// What of it JSON alone does not show.
    pub(super) doubled: Doubled,
    /// Halves of surrogate pairs.
    pub(super) repaired: u64,
}

/// A body as JSON; or the first reason why it is none.
pub(super) fn decode(body: &[u8]) -> Result<Decoded, Problem> {
    if body.is_empty() {
        return Err(Problem::of_body(ProblemKind::BodyEmpty, "empty", "send a JSON object"));
    }
    let text = Text::read(body).map_err(|error| not_utf8(body, error.at))?;
    let root = serde_json::from_str(text.as_str()).map_err(|error| not_json(text.as_str(), &error))?;
    Ok(Decoded { doubled: Doubled::of(text.as_str(), &root), root, repaired: text.repaired() })
}

fn not_utf8(body: &[u8], at: usize) -> Problem {
    let byte = body.get(at).copied().unwrap_or_default();
    // Text of whatever encoding has no others of these; UTF-16 has zeros.
    let is_binary = body.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace());
    let fix = if is_binary {
        "encode the body as UTF-8"
    } else {
        "encode the body as UTF-8; the Java SDK sends ISO-8859-1 unless it has another event handler"
    };
    Problem::of_body(ProblemKind::NotUtf8, format!("not UTF-8: byte 0x{byte:02X} {}", place(body, at)), fix)
}

fn not_json(text: &str, error: &serde_json::Error) -> Problem {
    let at = byte_at(text, error.line(), error.column());
    if let Some((at, token)) = not_a_number(text, at) {
        return Problem::of_body(
            ProblemKind::NumberNotFinite,
            format!("not JSON: {token} {}", place(text.as_bytes(), at)),
            "send a finite number or leave it out; the Python SDK passes on what event tags hold",
        );
    }
    if error.classify() == Category::Eof {
        return Problem::of_body(
            ProblemKind::CutShort,
            format!("not JSON: ends in the middle, {}", place(text.as_bytes(), text.len())),
            "send the whole body; JavaScript SDKs before 6.5.0 count characters for its length, not bytes",
        );
    }
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    if is_deeper_than(LEVELS_MAX, text.as_bytes()) && message.starts_with("recursion limit") {
        return Problem::of_body(
            ProblemKind::NestedTooDeep,
            format!("nested deeper than {LEVELS_MAX} levels {}", place(text.as_bytes(), at)),
            "flatten what is in it: readers give up on a deeper body",
        );
    }
    Problem::of_body(
        ProblemKind::NotJson,
        format!("not JSON: {message} {}", place(text.as_bytes(), at)),
        "send one JSON object, without anything around it",
    )
}

/// A byte's place in words: bytes are counted from 0, lines and their bytes from 1, as editors and parsers do.
fn place(body: &[u8], at: usize) -> String {
    let before = body.get(..at).unwrap_or(body);
    let line = before.split(|&byte| byte == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|&&byte| byte != b'\n').count();
    format!("at byte {at} (line {line}, column {column})")
}

/// The parser counts lines and columns from 1, columns in bytes, and points at the last byte that it has read.
fn byte_at(text: &str, line: usize, column: usize) -> usize {
    if line == 0 {
        return 0;
    }
    let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

/// What Python writes for numbers that JSON does not have, and where it starts: at the byte that the parser stopped
/// at, or one before it.
fn not_a_number(text: &str, at: usize) -> Option<(usize, &'static str)> {
    [at.checked_sub(1), Some(at)].into_iter().flatten().find_map(|at| {
        let rest = text.get(at..)?;
        NOT_NUMBERS.into_iter().find(|token| rest.starts_with(token)).map(|token| (at, token))
    })
}
