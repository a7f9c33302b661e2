//! Tells code, comments and literals of a Rust source apart, so that a word in a string is not taken for code.

/// What a piece of source is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Code,
    Comment,
    Literal,
}

/// A run of one kind within one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// Cuts a source into pieces, none of which spans two lines.
pub(crate) fn pieces(source: &str) -> Vec<Piece> {
    let (mut pieces, mut line, mut rest) = (Vec::new(), 1, source);
    let mut before = ' ';
    while !rest.is_empty() {
        let (kind, length) = next(rest, before);
        let (text, after) = rest.split_at(length);
        before = text.chars().next_back().expect("a piece is not empty");
        for (index, part) in text.split('\n').enumerate() {
            line += usize::from(index > 0);
            push(&mut pieces, Piece { line, kind, text: part.to_owned() });
        }
        rest = after;
    }
    pieces
}

/// Code arrives a character at a time; a run of it is one piece.
fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    match pieces.last_mut() {
        Some(last) if last.kind == Kind::Code && piece.kind == Kind::Code && last.line == piece.line => {
            last.text.push_str(&piece.text);
        }
        _ if piece.text.is_empty() => {}
        _ => pieces.push(piece),
    }
}

/// What the source begins with, and how many bytes of it.
fn next(rest: &str, before: char) -> (Kind, usize) {
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment(rest));
    }
    // A prefix of a literal is never the end of a longer name.
    let fresh = !(before.is_alphanumeric() || before == '_');
    if let Some(length) = raw_string(rest).filter(|_| fresh) {
        return (Kind::Literal, length);
    }
    let first = rest.chars().next().expect("the rest is not empty");
    match first {
        '"' => (Kind::Literal, quoted(rest, '"')),
        '\'' if is_character(rest) => (Kind::Literal, quoted(rest, '\'')),
        _ => (Kind::Code, first.len_utf8()),
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let body = ["r", "br", "cr"].iter().find_map(|prefix| {
        let after = rest.strip_prefix(prefix)?;
        after.trim_start_matches('#').starts_with('"').then_some(after)
    })?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let start = rest.len() - body.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()))
}

/// A quote begins a character and not a lifetime where the next quote closes it.
fn is_character(rest: &str) -> bool {
    let mut after = rest[1..].chars();
    match after.next() {
        Some('\\') => true,
        Some(_) => after.next() == Some('\''),
        None => false,
    }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, found) in rest.char_indices().skip(1) {
        match found {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if found == quote => return at + found.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn cuts(source: &str, expected: &[(usize, Kind, &str)]) {
        let found: Vec<_> = pieces(source).into_iter().map(|piece| (piece.line, piece.kind, piece.text)).collect();
        let expected: Vec<_> = expected.iter().map(|(line, kind, text)| (*line, *kind, (*text).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        use Kind::{Code, Comment, Literal};
        cuts(
            "let a = \"x // y\"; // z",
            &[(1, Code, "let a = "), (1, Literal, "\"x // y\""), (1, Code, "; "), (1, Comment, "// z")],
        );
        cuts(
            "a\n/* b /* c */\n d */e",
            &[(1, Code, "a"), (2, Comment, "/* b /* c */"), (3, Comment, " d */"), (3, Code, "e")],
        );
        cuts("r#\"a\"b\"#;", &[(1, Literal, "r#\"a\"b\"#"), (1, Code, ";")]);
        cuts("'a' '\\'' &'a str", &[(1, Literal, "'a'"), (1, Code, " "), (1, Literal, "'\\''"), (1, Code, " &'a str")]);
        cuts("\"a\\\"b\nc\"d", &[(1, Literal, "\"a\\\"b"), (2, Literal, "c\""), (2, Code, "d")]);
        cuts("far\"a\"", &[(1, Code, "far"), (1, Literal, "\"a\"")]);
    }
}
