//! Texts of others in our lines: on one line, cut where they are long, and unable to drive a terminal.

use std::fmt::Write;

use super::SHOWN_MAX;

/// As an answer shows it.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (at, letter) in text.chars().enumerate() {
        if at == SHOWN_MAX {
            shown.push('…');
            break;
        }
        if letter.is_control() || is_invisible(letter) {
            // Writing to a text cannot fail.
            let _ = write!(shown, "{}", letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Marks that turn the direction of text, or take no room.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_on_its_line_and_is_cut() {
        assert_eq!(shown("größer → 🚀"), "größer → 🚀");
        assert_eq!(shown("a\nb\u{1b}[2J\u{202e}"), r"a\u{a}b\u{1b}[2J\u{202e}");
        assert_eq!(shown(&"x".repeat(1_000)).chars().count(), SHOWN_MAX + 1);
    }
}
