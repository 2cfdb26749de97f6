//! Texts from a store or the network, shown so that they cannot command a terminal.

use std::borrow::Cow;

/// A text that may come from a store, for a line on a terminal: what would move the cursor, change the
/// line, or turn the reading order is written as `\u{…}`.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    let written = text.chars().map(|character| {
        if is_hidden(character) {
            character.escape_unicode().to_string()
        } else {
            character.to_string()
        }
    });
    written.collect::<String>().into()
}

/// Controls of ASCII and of Latin 1, separators of lines, and marks of direction.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        )
        || matches!(character, '\u{2066}'..='\u{2069}')
}

/// JSON, whose strings are escaped but for what only a terminal takes for a control.
pub fn escaped_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hidden(character) && character != '\n' {
            text.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        for (text, written) in [
            ("shop.orders", "shop.orders"),
            ("naïve «ö» 表", "naïve «ö» 表"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\nb\r\t", "a\\u{a}b\\u{d}\\u{9}"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("\u{202e}txt", "\\u{202e}txt"),
        ] {
            assert_eq!(plain(text), written);
        }
    }

    #[test]
    fn json_stays_what_it_says_and_holds_no_control() {
        let value = serde_json::json!({ "a": "\u{9b}\u{7f}\u{1b}\u{202e}ö\n" });
        let text = escaped_json(&serde_json::to_string_pretty(&value).unwrap_or_default());
        assert!(!text.contains(['\u{9b}', '\u{7f}', '\u{1b}', '\u{202e}']));
        assert_eq!(serde_json::from_str(&text).ok(), Some(value));
    }
}
