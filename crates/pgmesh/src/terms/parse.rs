//! Reads `[a, <<"b">>, {1, #{c => "d"}}]`: the terms of Erlang's own syntax,
//! without expressions.

use eetf::{
    Atom, BigInteger, Binary, ByteList, FixInteger, Float, ImproperList, List, Map, Term, Tuple,
};
use erl_tokenize::{Symbol, Token, TokenValue, scan_tokens};
use num_bigint::BigInt;

/// How deep terms may be nested; each level is a level of recursion here.
const MAX_DEPTH: usize = 128;

/// Why a text is no list of terms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "arguments: {problem} at column {column} (write one list of Erlang terms, not Elixir's: '[1, <<\"a\">>, {{ok, b}}]')"
)]
pub(crate) struct ParseError {
    problem: String,
    column: usize,
}

/// Reads the arguments of a call: one list of terms.
pub(crate) fn parse_args(text: &str) -> Result<Vec<Term>, ParseError> {
    let tokens = scan_tokens(text).map_err(|error| ParseError {
        problem: error.to_string(),
        column: 1,
    })?;
    let lexical = tokens.into_iter().filter(|token| token.kind().is_lexical());
    let mut parser = Parser {
        text,
        tokens: lexical.collect(),
        next: 0,
        depth: 0,
    };
    let term = parser.term()?;
    if parser.next < parser.tokens.len() {
        return Err(parser.error("something follows the list"));
    }
    match term {
        Term::List(list) => Ok(list.elements),
        // "abc" is a list of characters, and so of arguments.
        Term::ByteList(list) => Ok(list.bytes.into_iter().map(integer_term).collect()),
        _ => Err(ParseError {
            problem: "this is no list".to_owned(),
            column: 1,
        }),
    }
}

fn integer_term(byte: u8) -> Term {
    Term::from(FixInteger::from(byte))
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn term(&mut self) -> Result<Term, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("too many levels"));
        }
        let term = self.term_at_this_depth();
        self.depth -= 1;
        term
    }

    fn term_at_this_depth(&mut self) -> Result<Term, ParseError> {
        let token = self.take()?;
        match token.value(self.text) {
            TokenValue::Atom(name) => Ok(Term::from(Atom::from(name.into_owned()))),
            // Reserved words are fine atoms in a list of arguments.
            TokenValue::Keyword(_) => Ok(Term::from(Atom::from(token.text(self.text)))),
            TokenValue::Integer(_) => self.integer(token, false),
            TokenValue::Char(c) => Ok(integer(BigInt::from(u32::from(c)))),
            TokenValue::Float(value) => Ok(Term::from(Float { value })),
            TokenValue::String(text) => self.string(&text),
            TokenValue::Symbol(Symbol::Hyphen) => self.negative(),
            TokenValue::Symbol(Symbol::OpenSquare) => self.list(),
            TokenValue::Symbol(Symbol::OpenBrace) => {
                let elements = self.terms(Symbol::CloseBrace)?;
                Ok(Term::from(Tuple::from(elements)))
            }
            TokenValue::Symbol(Symbol::DoubleLeftAngle) => self.binary(),
            TokenValue::Symbol(Symbol::Sharp) => self.map(),
            _ => Err(self.error_before("this is no term")),
        }
    }

    fn negative(&mut self) -> Result<Term, ParseError> {
        let token = self.take()?;
        match token.value(self.text) {
            TokenValue::Integer(_) => self.integer(token, true),
            TokenValue::Float(value) => Ok(Term::from(Float { value: -value })),
            _ => Err(self.error_before("no number follows '-'")),
        }
    }

    fn integer(&self, token: Token, negative: bool) -> Result<Term, ParseError> {
        let value = match token.value(self.text) {
            TokenValue::Integer(Some(value)) => BigInt::from(value),
            // Beyond 64 bits the tokenizer leaves the digits to us.
            _ => {
                let digits = token.text(self.text).replace('_', "");
                let no_number = |_| self.error_before("this number is not understood");
                digits.parse().map_err(no_number)?
            }
        };
        Ok(integer(if negative { -value } else { value }))
    }

    fn string(&mut self, text: &str) -> Result<Term, ParseError> {
        // Strings side by side are one, as in Erlang.
        let mut whole = text.to_owned();
        while let Some(TokenValue::String(more)) = self.peek() {
            whole.push_str(&more);
            self.take()?;
        }
        Ok(charlist(&whole))
    }

    fn list(&mut self) -> Result<Term, ParseError> {
        let mut elements = Vec::new();
        if self.skip(Symbol::CloseSquare) {
            return Ok(Term::from(List::nil()));
        }
        loop {
            elements.push(self.term()?);
            if self.skip(Symbol::Comma) {
                continue;
            }
            if self.skip(Symbol::VerticalBar) {
                let last = self.term()?;
                self.expect(Symbol::CloseSquare, "no ']' after the tail")?;
                return Ok(with_tail(elements, last));
            }
            self.expect(Symbol::CloseSquare, "neither ',' nor ']' here")?;
            return Ok(Term::from(List::from(elements)));
        }
    }

    fn terms(&mut self, end: Symbol) -> Result<Vec<Term>, ParseError> {
        let mut terms = Vec::new();
        if self.skip(end) {
            return Ok(terms);
        }
        loop {
            terms.push(self.term()?);
            if !self.skip(Symbol::Comma) {
                self.expect(end, "neither ',' nor an end here")?;
                return Ok(terms);
            }
        }
    }

    /// `<<>>`, `<<1, 2>>`, `<<"text">>` and `<<"text"/utf8>>`; text is always
    /// UTF-8, as Elixir has it.
    fn binary(&mut self) -> Result<Term, ParseError> {
        let mut bytes = Vec::new();
        if self.skip(Symbol::DoubleRightAngle) {
            return Ok(Term::from(Binary::from(bytes)));
        }
        loop {
            self.binary_segment(&mut bytes)?;
            if !self.skip(Symbol::Comma) {
                self.expect(Symbol::DoubleRightAngle, "neither ',' nor '>>' here")?;
                return Ok(Term::from(Binary::from(bytes)));
            }
        }
    }

    fn binary_segment(&mut self, bytes: &mut Vec<u8>) -> Result<(), ParseError> {
        match self.take()?.value(self.text) {
            TokenValue::String(text) => bytes.extend_from_slice(text.as_bytes()),
            TokenValue::Integer(Some(value)) => match u8::try_from(value) {
                Ok(byte) => bytes.push(byte),
                Err(_) => return Err(self.error_before("a byte is 0 to 255")),
            },
            _ => return Err(self.error_before("neither bytes nor text")),
        }
        if self.skip(Symbol::Slash) && self.take()?.text(self.text) != "utf8" {
            return Err(self.error_before("only /utf8 is understood"));
        }
        Ok(())
    }

    fn map(&mut self) -> Result<Term, ParseError> {
        self.expect(Symbol::OpenBrace, "no '{' after '#'")?;
        let mut entries = Vec::new();
        if !self.skip(Symbol::CloseBrace) {
            loop {
                let key = self.term()?;
                self.expect(Symbol::DoubleRightArrow, "no '=>' after the key")?;
                entries.push((key, self.term()?));
                if !self.skip(Symbol::Comma) {
                    self.expect(Symbol::CloseBrace, "neither ',' nor '}' here")?;
                    break;
                }
            }
        }
        let map = entries.into_iter().collect();
        Ok(Term::from(Map { map }))
    }

    fn peek(&self) -> Option<TokenValue<'a>> {
        Some(self.tokens.get(self.next)?.value(self.text))
    }

    fn take(&mut self) -> Result<Token, ParseError> {
        match self.tokens.get(self.next) {
            Some(token) => {
                self.next += 1;
                Ok(*token)
            }
            None => Err(self.error("the text ends too early")),
        }
    }

    fn skip(&mut self, symbol: Symbol) -> bool {
        let found = self.peek() == Some(TokenValue::Symbol(symbol));
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: Symbol, problem: &str) -> Result<(), ParseError> {
        if self.skip(symbol) {
            return Ok(());
        }
        Err(self.error(problem))
    }

    /// At the token that comes next.
    fn error(&self, problem: &str) -> ParseError {
        let at_end = self.text.chars().count() + 1;
        let token = self.tokens.get(self.next);
        ParseError {
            problem: problem.to_owned(),
            column: token.map_or(at_end, |token| self.column(*token)),
        }
    }

    /// At the token that was taken last.
    fn error_before(&self, problem: &str) -> ParseError {
        let token = self.tokens.get(self.next.saturating_sub(1));
        ParseError {
            problem: problem.to_owned(),
            column: token.map_or(1, |token| self.column(*token)),
        }
    }

    fn column(&self, token: Token) -> usize {
        let before = &self.text[..token.start().offset()];
        before.chars().count() + 1
    }
}

fn integer(value: BigInt) -> Term {
    match i32::try_from(&value) {
        Ok(value) => Term::from(FixInteger { value }),
        Err(_) => Term::from(BigInteger { value }),
    }
}

/// A text as a list of its characters, the way Erlang has strings.
fn charlist(text: &str) -> Term {
    if text.is_empty() {
        return Term::from(List::nil());
    }
    // Beyond 65,535 bytes the short form wraps its length.
    if text.is_ascii() && text.len() <= usize::from(u16::MAX) {
        let bytes = text.as_bytes().to_vec();
        return Term::from(ByteList { bytes });
    }
    let characters = text.chars().map(|c| integer(BigInt::from(u32::from(c))));
    Term::from(List::from(characters.collect::<Vec<_>>()))
}

fn with_tail(mut elements: Vec<Term>, last: Term) -> Term {
    match last {
        Term::List(tail) => {
            elements.extend(tail.elements);
            Term::from(List::from(elements))
        }
        last => Term::from(ImproperList {
            elements,
            last: Box::new(last),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::Printed;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        let terms = parse_args(text).unwrap();
        Printed(&Term::from(List::from(terms))).to_string()
    }

    #[test]
    fn terms_read_as_they_print() {
        for text in [
            "[]",
            "[a,'B c',ok]",
            "[1,-2,123456789012345678901234567890]",
            "[1.5,-0.25]",
            "[<<\"text\">>,<<1,2,255>>,<<>>]",
            "[{},{a,{b}}]",
            "[#{a => 1}]",
            "[[],[[1000]],\"abc\"]",
            "[[a|b]]",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn spaces_and_notations_do_not_matter() {
        assert_eq!(shown(" [ 16#ff , $a , \"a\" \"b\" ] "), "[255,97,\"ab\"]");
        assert_eq!(shown("[[1 | [2]], <<\"é\"/utf8>>]"), "[[1,2],<<\"é\">>]");
        assert_eq!(shown("[and, 'receive']"), "['and','receive']");
    }

    #[test]
    fn mistakes_are_placed() {
        for (text, column) in [
            ("", 1),
            ("a", 1),
            ("[1,", 4),
            ("[1 2]", 4),
            ("[X]", 2),
            ("[#{a}]", 5),
            ("[1] 2", 5),
            ("[<<300>>]", 4),
        ] {
            let error = parse_args(text).unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
        }
        let deep = "[".repeat(100_000);
        assert!(parse_args(&deep).unwrap_err().problem.contains("levels"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}<>#=,|\"'a-zA-Z0-9 ./_$-]{0,40}") {
            let _ = parse_args(&text);
        }
    }
}
