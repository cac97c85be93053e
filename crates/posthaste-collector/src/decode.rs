//! Bytes to JSON, and where they are not JSON: at which byte, why, and which SDK is known for it.

use serde_json::{Value, error::Category};

use crate::Problem;

/// What Python writes for numbers that JSON does not have.
const NOT_NUMBERS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];

/// A body as JSON, or the first reason why it is none.
pub(crate) fn decode(body: &[u8]) -> Result<Value, Problem> {
    if body.is_empty() {
        return Err(Problem::of_body("empty", "send a JSON object"));
    }
    let text = std::str::from_utf8(body).map_err(|error| not_utf8(body, error.valid_up_to()))?;
    serde_json::from_str(text).map_err(|error| not_json(text, &error))
}

fn not_utf8(body: &[u8], at: usize) -> Problem {
    let before = body.get(..at).unwrap_or_default();
    let line = before.split(|&byte| byte == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|&&byte| byte != b'\n').count();
    let byte = body.get(at).copied().unwrap_or_default();
    Problem::of_body(
        format!("not UTF-8: byte 0x{byte:02X} at byte {at} (line {line}, column {column})"),
        "encode the body as UTF-8; the Java SDK sends ISO-8859-1 unless it has another event handler",
    )
}

fn not_json(text: &str, error: &serde_json::Error) -> Problem {
    let at = byte_at(text, error.line(), error.column());
    let place = format!("at byte {at} (line {}, column {})", error.line(), error.column());
    if let Some(token) = not_a_number(text, at) {
        return Problem::of_body(
            format!("not JSON: {token} {place}"),
            "send a finite number or leave it out; the Python SDK passes on what event tags hold",
        );
    }
    if error.classify() == Category::Eof {
        return Problem::of_body(
            format!("not JSON: ends in the middle, {place}"),
            "send the whole body; JavaScript SDKs before 6.5.0 count characters for its length, not bytes",
        );
    }
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    Problem::of_body(
        format!("not JSON: {message} {place}"),
        "send one JSON object, without anything around it",
    )
}

/// The parser counts lines and columns from 1, columns in bytes, and points at the last byte that it has read.
fn byte_at(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

/// The parser stops at the token's first byte, or at the one after its sign.
fn not_a_number(text: &str, at: usize) -> Option<&'static str> {
    let starts = |at: usize, token: &&&str| text.get(at..).is_some_and(|rest| rest.starts_with(**token));
    [at.checked_sub(1), Some(at), at.checked_add(1)]
        .into_iter()
        .flatten()
        .find_map(|at| NOT_NUMBERS.iter().find(|token| starts(at, token)))
        .copied()
}
