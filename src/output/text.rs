//! Text that cannot harm where it is shown, such as names out of records.

use sha2::{Digest, Sha256};

/// The text in one line: characters that move the cursor, turn the direction of writing or are no part of XML are
/// shown as escapes.
pub(crate) fn plain(text: &str) -> String {
    let moves = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            c if moves(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// The same in at most `most` characters. What is cut off is hashed, so that two names stay two.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let shown = plain(text);
    if shown.is_empty() {
        return "(no name)".into();
    }
    if shown.chars().count() <= most {
        return shown;
    }
    let hash = Sha256::digest(text.as_bytes());
    let kept: String = shown.chars().take(most.saturating_sub(9)).collect();
    format!("{kept}…{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3])
}
