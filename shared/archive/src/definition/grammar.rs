//! The kinds of statements that a manifest may hold, and what each one makes or changes.

use super::lexeme::{Lexeme, Token, lexemes};
use super::{Name, Subject};

/// The only roles that a manifest grants anything to.
const ROLES: [&str; 3] = ["anon", "authenticated", "service_role"];

const PRIVILEGES: &str = "select insert update delete truncate references trigger maintain";

/// What follows a sequence's name. Nothing else does: not whose it is.
const SEQUENCE: &str = "as smallint integer bigint increment minvalue maxvalue start cycle";

/// The words of a partition's bounds: constants alone, as PostgreSQL computes what stands there at once.
const BOUNDS: &str = "for values from to in with default modulus remainder minvalue maxvalue null \
                      true false partition by list range hash";

/// Reads one statement; none when it is of no kind that a manifest may hold.
pub(super) fn read(text: &str) -> Result<Option<Subject>, String> {
    let found = lexemes(text)?;
    let kinds = [
        schema,
        extension,
        collation,
        sequence,
        of_type,
        domain,
        table,
        index,
        policy,
        alter_table,
        alter_sequence,
        grant,
    ];
    Ok(kinds.into_iter().find_map(|kind| {
        let mut cursor = Cursor { rest: &found };
        let subject = kind(&mut cursor)?;
        cursor.rest.is_empty().then_some(subject)
    }))
}

type Read = Option<Subject>;

fn schema(cursor: &mut Cursor<'_>) -> Read {
    cursor.words("create schema if not exists")?;
    Some(Subject::Schema(cursor.identifier()?))
}

fn extension(cursor: &mut Cursor<'_>) -> Read {
    cursor.words("create extension if not exists")?;
    let name = cursor.identifier()?;
    cursor.words("with schema")?;
    cursor.identifier()?;
    Some(Subject::Extension(name))
}

fn collation(cursor: &mut Cursor<'_>) -> Read {
    cursor.words("create collation if not exists")?;
    let name = cursor.name()?;
    cursor.group()?;
    Some(Subject::Collation(name))
}

fn sequence(cursor: &mut Cursor<'_>) -> Read {
    cursor.words("create sequence if not exists")?;
    let name = cursor.name()?;
    cursor.only(SEQUENCE, "-")?;
    Some(Subject::Sequence(name))
}

fn of_type(cursor: &mut Cursor<'_>) -> Read {
    cursor.words("create type")?;
    let name = cursor.name()?;
    cursor.words("as")?;
    if cursor.words("range").is_some() {
        let inside = cursor.group()?;
        let mut option = Cursor { rest: inside };
        option.words("subtype")?;
        option.sign('=')?;
        option.rest(false)?; // a second option could name a function
    } else {
        let _ = cursor.words("enum");
        cursor.group()?;
    }
    Some(Subject::Type(name))
}

fn domain(cursor: &mut Cursor<'_>) -> Read {
    cursor.words("create domain")?;
    let name = cursor.name()?;
    cursor.words("as")?;
    cursor.rest(false)?;
    Some(Subject::Type(name))
}

fn table(cursor: &mut Cursor<'_>) -> Read {
    cursor.words("create table")?;
    let name = cursor.name()?;
    if cursor.words("partition of").is_some() {
        let of = cursor.name()?;
        cursor.bounds()?;
        return Some(Subject::Partition { name, of });
    }
    cursor.group()?;
    if cursor.words("partition by").is_some() {
        cursor.identifier()?;
        cursor.group()?;
    }
    Some(Subject::Table(name))
}

fn index(cursor: &mut Cursor<'_>) -> Read {
    cursor.words("create")?;
    let _ = cursor.words("unique");
    cursor.words("index")?;
    cursor.identifier()?;
    cursor.words("on")?;
    let _ = cursor.words("only");
    let table = cursor.name()?;
    cursor.rest(false)?;
    Some(Subject::PartOf(table))
}

fn policy(cursor: &mut Cursor<'_>) -> Read {
    cursor.words("create policy")?;
    cursor.identifier()?;
    cursor.words("on")?;
    let table = cursor.name()?;
    cursor.words("as")?;
    cursor.rest(true)?;
    Some(Subject::PartOf(table))
}

/// One change of one table: another one would follow a comma.
fn alter_table(cursor: &mut Cursor<'_>) -> Read {
    cursor.words("alter table")?;
    let table = cursor.name()?;
    if cursor.words("alter column").is_some() {
        cursor.identifier()?;
        cursor.words("set default")?;
        cursor.rest(false)?;
    } else if cursor.words("add").is_some() {
        if cursor.words("constraint").is_some() {
            cursor.identifier()?;
        }
        let kinds = ["primary key", "unique", "check", "exclude", "foreign key"];
        let is_foreign = kinds.iter().find(|kind| cursor.words(kind).is_some())? == &"foreign key";
        cursor.rest(false)?;
        if is_foreign {
            return Some(Subject::Reference(table));
        }
    } else {
        cursor
            .words("enable row level security")
            .or_else(|| cursor.words("force row level security"))?;
    }
    Some(Subject::PartOf(table))
}

fn alter_sequence(cursor: &mut Cursor<'_>) -> Read {
    cursor.words("alter sequence")?;
    cursor.name()?;
    cursor.words("owned by")?;
    let table = cursor.name()?;
    cursor.sign('.')?;
    cursor.identifier()?;
    Some(Subject::PartOf(table))
}

fn grant(cursor: &mut Cursor<'_>) -> Read {
    cursor.words("grant")?;
    loop {
        let privilege = cursor.identifier()?;
        PRIVILEGES.split(' ').find(|one| *one == privilege)?;
        if cursor.sign(',').is_none() {
            break;
        }
    }
    cursor.words("on")?;
    let table = cursor.name()?;
    cursor.words("to")?;
    let role = cursor.identifier()?;
    ROLES
        .contains(&role.as_str())
        .then_some(Subject::PartOf(table))
}

/// What is left of a statement.
struct Cursor<'a> {
    rest: &'a [Lexeme<'a>],
}

impl<'a> Cursor<'a> {
    fn next(&mut self) -> Option<&'a Token<'a>> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(&first.token)
    }

    /// Takes these words, or nothing.
    fn words(&mut self, words: &str) -> Option<()> {
        let mut rest = self.rest;
        for word in words.split(' ') {
            let (first, after) = rest.split_first()?;
            match first.token {
                Token::Word(found) if found.eq_ignore_ascii_case(word) => rest = after,
                _ => return None,
            }
        }
        self.rest = rest;
        Some(())
    }

    /// Takes a sign, or nothing.
    fn sign(&mut self, sign: char) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        (first.token == Token::Sign(sign)).then(|| self.rest = rest)
    }

    /// A name as the catalogue has it.
    fn identifier(&mut self) -> Option<String> {
        match self.next()? {
            Token::Word(word) => Some(word.to_ascii_lowercase()),
            Token::Quoted(name) => Some(name.clone()),
            _ => None,
        }
    }

    /// A name with its schema: every one in a manifest has it.
    fn name(&mut self) -> Option<Name> {
        let schema = self.identifier()?;
        self.sign('.')?;
        let name = self.identifier()?;
        Some(Name { schema, name })
    }

    /// Takes what stands in round brackets, with them; gives it.
    fn group(&mut self) -> Option<&'a [Lexeme<'a>]> {
        self.sign('(')?;
        let inside = self.rest;
        let mut depth = 1_u32;
        let mut length = 0;
        while depth > 0 {
            match self.next()? {
                Token::Sign('(') => depth += 1,
                Token::Sign(')') => depth -= 1,
                _ => {}
            }
            length += 1;
        }
        inside.get(..length - 1)
    }

    /// Takes all that is left, which is something. A comma outside of brackets would begin another part.
    fn rest(&mut self, with_commas: bool) -> Option<()> {
        let mut depth = 0_u32;
        let mut taken = 0;
        while let Some(token) = self.next() {
            taken += 1;
            match token {
                Token::Sign('(' | '[') => depth += 1,
                Token::Sign(')' | ']') => depth = depth.checked_sub(1)?,
                Token::Sign(',') if depth == 0 && !with_commas => return None,
                _ => {}
            }
        }
        (taken > 0).then_some(())
    }

    /// Takes all that is left where it is numbers, these words and these signs.
    fn only(&mut self, words: &str, signs: &str) -> Option<()> {
        while let Some(token) = self.next() {
            let is_known = match token {
                Token::Word(word) => {
                    let is_one = |one: &str| word.eq_ignore_ascii_case(one);
                    word.bytes().all(|byte| byte.is_ascii_digit()) || words.split(' ').any(is_one)
                }
                Token::Sign(sign) => signs.contains(*sign),
                Token::Text => signs.contains('\''),
                Token::Quoted(_) | Token::Cast => false,
            };
            is_known.then_some(())?;
        }
        Some(())
    }

    /// A partition's bounds, and by what it is cut further.
    fn bounds(&mut self) -> Option<()> {
        let key = self.rest.windows(2).position(|two| {
            let is_word = |lexeme: Option<&Lexeme<'_>>, word: &str| {
                matches!(lexeme, Some(Lexeme { token: Token::Word(found), .. }) if found.eq_ignore_ascii_case(word))
            };
            is_word(two.first(), "partition") && is_word(two.last(), "by")
        });
        let (bounds, key) = self.rest.split_at_checked(key.unwrap_or(self.rest.len()))?;
        Cursor { rest: bounds }.only(BOUNDS, "'(),.-")?;
        self.rest = key;
        if self.words("partition by").is_some() {
            self.identifier()?;
            self.group()?;
        }
        Some(())
    }
}
