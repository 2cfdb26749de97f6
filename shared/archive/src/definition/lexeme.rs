//! A definition cut into lexemes, as PostgreSQL and psql both cut it. What the two could cut
//! differently, or what nobody writes into a manifest, is refused rather than understood: comments,
//! dollar quotes, backslashes and control characters outside of quotes, and texts that continue.

/// A piece of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword, a name without quotes, or digits.
    Word(&'a str),
    /// A name in double quotes, without them.
    Quoted(String),
    /// A text constant.
    Text,
    /// `::`.
    Cast,
    /// Any other sign, one at a time.
    Sign(char),
}

/// A token, and at which byte it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lexeme<'a> {
    pub(super) token: Token<'a>,
    pub(super) at: usize,
}

/// Cuts one statement. Its brackets are in pairs, and it has no end of its own (`;`).
pub(super) fn lexemes(text: &str) -> Result<Vec<Lexeme<'_>>, String> {
    let mut scanner = Scanner { text, at: 0 };
    let mut found: Vec<Lexeme<'_>> = Vec::new();
    let mut open = Vec::new();
    while let Some(lexeme) = scanner.next()? {
        let is_text = |token: &Token<'_>| *token == Token::Text;
        if is_text(&lexeme.token) && found.last().is_some_and(|last| is_text(&last.token)) {
            return Err("has a text that goes on in another".to_owned());
        }
        match lexeme.token {
            Token::Sign('(') => open.push(')'),
            Token::Sign('[') => open.push(']'),
            Token::Sign(sign @ (')' | ']')) if open.pop() != Some(sign) => {
                return Err("has brackets that are no pairs".to_owned());
            }
            _ => {}
        }
        found.push(lexeme);
    }
    if open.is_empty() {
        Ok(found)
    } else {
        Err("has a bracket that is not closed".to_owned())
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, character: char) {
        self.at += character.len_utf8();
    }

    fn next(&mut self) -> Result<Option<Lexeme<'a>>, String> {
        while let Some(space @ (' ' | '\n' | '\t')) = self.peek() {
            self.skip(space);
        }
        let at = self.at;
        let Some(first) = self.peek() else {
            return Ok(None);
        };
        let token = match first {
            '\'' => self.text(false)?,
            '"' => self.quoted()?,
            first if is_of_word(first) => self.word()?,
            first => self.sign(first)?,
        };
        Ok(Some(Lexeme { token, at }))
    }

    /// A name, a number, or what stands before a text: `E` and `B` alone.
    fn word(&mut self) -> Result<Token<'a>, String> {
        let rest = self.rest();
        let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        self.at += end;
        if !after.starts_with('\'') {
            return Ok(Token::Word(word));
        }
        match word {
            "E" => self.text(true),
            "B" => self.text(false),
            _ => Err("has a text of a kind that no manifest has".to_owned()),
        }
    }

    /// A text constant; in one that is escaped a backslash takes the next character with it.
    fn text(&mut self, is_escaped: bool) -> Result<Token<'a>, String> {
        self.skip('\'');
        let mut characters = self.rest().char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' if is_escaped => {
                    characters.next();
                }
                '\'' if characters.next_if(|(_, next)| *next == '\'').is_none() => {
                    self.at += at + 1;
                    return Ok(Token::Text);
                }
                _ => {}
            }
        }
        Err("has a text that does not end".to_owned())
    }

    fn quoted(&mut self) -> Result<Token<'a>, String> {
        self.skip('"');
        let mut name = String::new();
        let mut characters = self.rest().char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            if character == '"' && characters.next_if(|(_, next)| *next == '"').is_none() {
                self.at += at + 1;
                return Ok(Token::Quoted(name));
            }
            name.push(character);
        }
        Err("has a name that does not end".to_owned())
    }

    fn sign(&mut self, first: char) -> Result<Token<'a>, String> {
        let rest = self.rest();
        if rest.starts_with("::") {
            self.at += 2;
            return Ok(Token::Cast);
        }
        let refused = match first {
            ';' => "is more than one statement",
            '\\' => "has a backslash outside of quotes, which is a command to psql",
            '$' => "has a dollar sign outside of quotes",
            '{' | '}' => "has a brace outside of quotes",
            _ if rest.starts_with("--") || rest.starts_with("/*") => "has a comment",
            _ if rest.starts_with(":=") => "has an assignment",
            first if first.is_ascii_punctuation() => {
                self.skip(first);
                return Ok(Token::Sign(first));
            }
            _ => "has a control character outside of quotes",
        };
        Err(refused.to_owned())
    }
}

/// Letters, digits, `_` and, as PostgreSQL has it, whatever is no ASCII.
fn is_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || !character.is_ascii()
}
