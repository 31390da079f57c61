//! Rust's text as words: what is needed to find imports, without comments, strings and numbers.

/// One word of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// An identifier or keyword; a raw one without its `r#`.
    Word(&'a str),
    /// `::`
    Separator,
    /// Any other sign.
    Sign(char),
}

/// Reads a whole file. Text that is no Rust gives nonsense, not an error: the compiler reads it too.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = skipped(rest) {
            rest = after;
        } else if first.is_alphabetic() || first == '_' {
            let word = rest.strip_prefix("r#").unwrap_or(rest);
            let end = word.find(|c| !in_word(c)).unwrap_or(word.len());
            found.push(Token::Word(&word[..end]));
            rest = &word[end..];
        } else if let Some(after) = rest.strip_prefix("::") {
            found.push(Token::Separator);
            rest = after;
        } else {
            if !first.is_whitespace() {
                found.push(Token::Sign(first));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// What follows a comment, a literal or a lifetime that the text begins with.
fn skipped(text: &str) -> Option<&str> {
    if text.starts_with("//") {
        return Some(text.split_once('\n').map_or("", |(_, rest)| rest));
    }
    if text.starts_with("/*") {
        return Some(after_comment(text));
    }
    if let Some(quoted) = text.trim_start_matches(['b', 'c']).strip_prefix('"').filter(|_| starts_literal(text)) {
        return Some(after_quote(quoted, '"'));
    }
    if let Some(raw) = text.trim_start_matches(['b', 'c']).strip_prefix('r').filter(|_| starts_literal(text)) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if let Some(quoted) = raw[hashes..].strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            return Some(quoted.split_once(&end).map_or("", |(_, rest)| rest));
        }
    }
    if let Some(quoted) = text.strip_prefix("b'").or_else(|| text.strip_prefix('\'')) {
        let mut ahead = quoted.chars();
        let is_character = ahead.next() == Some('\\') || ahead.next() == Some('\'');
        // Otherwise a lifetime.
        return Some(if is_character { after_quote(quoted, '\'') } else { quoted.trim_start_matches(in_word) });
    }
    text.starts_with(|c: char| c.is_ascii_digit()).then(|| text.trim_start_matches(in_word))
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// At most one letter stands before the quote or the `r` of a literal.
fn starts_literal(text: &str) -> bool {
    text.len() - text.trim_start_matches(['b', 'c']).len() <= 1
}

fn after_comment(text: &str) -> &str {
    let (mut depth, mut rest) = (0_usize, text);
    while !rest.is_empty() {
        if rest.starts_with("/*") {
            (depth, rest) = (depth + 1, &rest[2..]);
        } else if rest.starts_with("*/") {
            (depth, rest) = (depth - 1, &rest[2..]);
            if depth == 0 {
                break;
            }
        } else {
            rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
        }
    }
    rest
}

fn after_quote(quoted: &str, end: char) -> &str {
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == end => return &quoted[at + c.len_utf8()..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let word = |token| if let Token::Word(word) = token { Some(word) } else { None };
        tokens(text).into_iter().filter_map(word).collect()
    }

    #[test]
    fn comments_and_literals_hold_no_words() {
        let text = r##"
            a // b crate::b
            /* c /* d */ e */ f "g \" h" b"i" r"j" br#"k " l"# 'm' '\'' b'n' 0x7f_u8 1.5e3 o
        "##;
        assert_eq!(words(text), ["a", "f", "o"]);
    }

    #[test]
    fn what_only_looks_like_a_literal_is_read() {
        assert_eq!(words("fn of<'a>(r: &'a str, b: u8) { r#use(b) }"), ["fn", "of", "r", "str", "b", "u8", "use", "b"]);
    }

    #[test]
    fn a_path_is_words_and_separators() {
        let path = [Token::Word("crate"), Token::Separator, Token::Word("a"), Token::Sign(';')];
        assert_eq!(tokens("crate::a;"), path);
        assert_eq!(tokens("a: b")[1], Token::Sign(':'));
    }
}
