//! An expression of PromQL cut into tokens.

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Number(f64),
    /// Between brackets.
    Range(String),
    Sign(&'static str),
}

const SIGNS: [&str; 20] = ["==", "!=", "=~", "!~", ">=", "<=", ">", "<", "=", "+", "-", "*", "/", "%", "^", "(", ")", "{", "}", ","];

/// `Err`: what is not understood.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '#' => {
                rest = rest.split_once('\n').map_or("", |(_, after)| after).trim_start();
                continue;
            }
            '"' | '\'' => quoted(rest, first)?,
            '[' => {
                let (range, after) = rest[1..].split_once(']').ok_or("a `[` is not closed")?;
                (Token::Range(range.trim().to_owned()), after)
            }
            _ if first.is_ascii_digit() || first == '.' => number(rest),
            _ if first.is_alphabetic() || first == '_' || first == ':' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
                (Token::Word(rest[..end].to_owned()), &rest[end..])
            }
            _ => match SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
                Some(sign) => (Token::Sign(sign), &rest[sign.len()..]),
                None => return Err(format!("`{first}` is not understood")),
            },
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn quoted(text: &str, quote: char) -> Result<(Token, &str), String> {
    let (mut value, mut characters) = (String::new(), text.char_indices().skip(1));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, same @ ('\\' | '"' | '\''))) => value.push(same),
                _ => return Err("an escape in a quoted text is not understood".to_owned()),
            },
            _ if character == quote => return Ok((Token::Text(value), &text[at + 1..])),
            _ => value.push(character),
        }
    }
    Err("a quoted text is not closed".to_owned())
}

/// What is none, such as a duration, is a word that is not understood.
fn number(text: &str) -> (Token, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(text.len());
    // `1e-3`
    let end = if text[..end].ends_with(['e', 'E']) && text[end..].starts_with(['+', '-']) {
        end + 1 + text[end + 1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len() - end - 1)
    } else {
        end
    };
    let token = text[..end].parse().map_or_else(|_| Token::Word(text[..end].to_owned()), Token::Number);
    (token, &text[end..])
}

/// As an error names it.
pub(super) fn not_understood(token: &Token) -> String {
    match token {
        Token::Word(word) => format!("`{word}` is not understood here"),
        Token::Text(text) => format!("the text `{text}` is not understood here"),
        Token::Number(number) => format!("the number {number} is not understood here"),
        Token::Range(range) if range.contains(':') => format!("the subquery `[{range}]` is not understood"),
        Token::Range(range) => format!("the range `[{range}]` is not understood here"),
        Token::Sign(sign) => format!("`{sign}` is not understood here"),
    }
}
