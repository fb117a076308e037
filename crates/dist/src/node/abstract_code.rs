//! Code that a BEAM runs for us: erl_eval takes it as terms, in the abstract
//! format, so that nothing of ours has to be loaded there.
//!
//! The builder has what our expressions need, no more. Source: erl_parse, "The
//! Abstract Format".

use std::sync::LazyLock;

use eetf::{Atom, FixInteger, List, Tuple};

use crate::terms::{Encoded, Term, TermError, Writer};

/// The line that all code claims to be on.
const LINE: i32 = 1;

/// A sequence of expressions as bytes, made once: a thousand nodes are asked to run the
/// same one, and a tree for each would be most of the memory that a daemon ever needs.
pub(super) type Program = LazyLock<Result<Encoded, TermError>>;

/// One expression or pattern.
pub(super) struct Form(Term);

/// These expressions, encoded: the value of a [`Program`].
pub(super) fn program(body: Vec<Form>) -> Result<Encoded, TermError> {
    Encoded::new(&forms(body))
}

/// The arguments of `erl_eval:exprs/2`: a program, and what its free variables stand for.
pub(super) fn exprs(program: &Program, bound: Vec<(&str, Term)>) -> Result<Encoded, TermError> {
    let program = program.as_ref().map_err(|error| *error)?;
    let args = Writer::new().list(2).raw(program.as_term());
    args.term(&bindings(bound)).nil().finish()
}

fn bindings(bound: Vec<(&str, Term)>) -> Term {
    let pair = |(name, value)| tuple(vec![atom(name), value]);
    list(bound.into_iter().map(pair).collect())
}

/// `Name`; `_` is a pattern that takes everything.
pub(super) fn var(name: &str) -> Form {
    node("var", vec![atom(name)])
}

/// An atom.
pub(super) fn literal(text: &str) -> Form {
    node("atom", vec![atom(text)])
}

/// `"text"`.
pub(super) fn string(text: &str) -> Form {
    let codes = text.bytes().map(|byte| integer(i32::from(byte))).collect();
    node("string", vec![list(codes)])
}

/// `{A, B, …}`.
pub(super) fn tuple_of(elements: Vec<Form>) -> Form {
    node("tuple", vec![forms(elements)])
}

/// `[A, B, …]`.
pub(super) fn list_of(elements: Vec<Form>) -> Form {
    let nil = node("nil", vec![]);
    elements
        .into_iter()
        .rev()
        .fold(nil, |rest, one| list_cell(one, rest))
}

/// `[First | Rest]`.
fn list_cell(first: Form, rest: Form) -> Form {
    node("cons", vec![first.0, rest.0])
}

/// `Variable = Value`.
pub(super) fn bind(variable: &str, value: Form) -> Form {
    node("match", vec![var(variable).0, value.0])
}

/// `module:function(Args…)`.
pub(super) fn call(module: &str, function: &str, args: Vec<Form>) -> Form {
    let remote = node("remote", vec![literal(module).0, literal(function).0]);
    apply(remote, args)
}

/// `Fun(Args…)`.
pub(super) fn apply(fun: Form, args: Vec<Form>) -> Form {
    node("call", vec![fun.0, forms(args)])
}

/// `(fun Name() -> Body end)()`: runs the body, which can call itself by name.
pub(super) fn run_named(name: &str, body: Vec<Form>) -> Form {
    let clauses = list(vec![clause(vec![], body)]);
    apply(node("named_fun", vec![atom(name), clauses]), vec![])
}

/// `receive Pattern -> Body; … end`.
pub(super) fn receive(branches: Vec<(Form, Vec<Form>)>) -> Form {
    node("receive", vec![clauses(branches)])
}

/// `case Value of Pattern -> Body; … end`.
pub(super) fn case(value: Form, branches: Vec<(Form, Vec<Form>)>) -> Form {
    node("case", vec![value.0, clauses(branches)])
}

fn clauses(branches: Vec<(Form, Vec<Form>)>) -> Term {
    let one = |(pattern, body)| clause(vec![pattern], body);
    list(branches.into_iter().map(one).collect())
}

/// A clause without guards.
fn clause(patterns: Vec<Form>, body: Vec<Form>) -> Term {
    node("clause", vec![forms(patterns), list(vec![]), forms(body)]).0
}

/// `{Kind, Line, Parts…}`, the shape of everything here.
fn node(kind: &str, parts: Vec<Term>) -> Form {
    let head = [atom(kind), integer(LINE)];
    Form(tuple(head.into_iter().chain(parts).collect()))
}

fn forms(forms: Vec<Form>) -> Term {
    list(forms.into_iter().map(|form| form.0).collect())
}

pub(super) fn atom(text: &str) -> Term {
    Term::from(Atom::from(text))
}

pub(super) fn tuple(elements: Vec<Term>) -> Term {
    Term::from(Tuple::from(elements))
}

pub(super) fn list(elements: Vec<Term>) -> Term {
    Term::from(List::from(elements))
}

fn integer(value: i32) -> Term {
    Term::from(FixInteger::from(value))
}

/// As Erlang prints it, but for `'` and spaces.
#[cfg(test)]
pub(super) fn printed(term: &Term) -> String {
    term.to_string().replace(['\'', ' '], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    static GREETING: Program =
        LazyLock::new(|| program(vec![apply(var("Greet"), vec![literal("you")])]));

    #[test]
    fn programs_are_written_with_what_their_variables_stand_for() {
        for bound in ["me", "them"] {
            let args = exprs(&GREETING, vec![("Greet", atom(bound))]).unwrap();
            let expected =
                format!("[[{{call,1,{{var,1,Greet}},[{{atom,1,you}}]}}],[{{Greet,{bound}}}]]");
            assert_eq!(printed(&args.decode().unwrap()), expected);
        }
    }

    #[test]
    fn forms_are_those_of_erl_parse() {
        // erl_parse:parse_exprs of "X = m:f([a, {_, "b"}])".
        let argument = list_of(vec![literal("a"), tuple_of(vec![var("_"), string("b")])]);
        let built = program(vec![bind("X", call("m", "f", vec![argument]))]);
        let built = built.unwrap().decode().unwrap();
        let expected = "[{match,1,{var,1,X},{call,1,{remote,1,{atom,1,m},{atom,1,f}},\
            [{cons,1,{atom,1,a},{cons,1,{tuple,1,[{var,1,_},{string,1,[98]}]},{nil,1}}}]}}]";
        assert_eq!(printed(&built), expected);
    }

    #[test]
    fn loops_and_choices_are_those_of_erl_parse() {
        // "(fun L() -> receive x -> L() end end)()" and "case X of a -> b end".
        let again = apply(var("L"), vec![]);
        let built = run_named("L", vec![receive(vec![(literal("x"), vec![again])])]);
        let expected = "{call,1,{named_fun,1,L,[{clause,1,[],[],[{receive,1,\
            [{clause,1,[{atom,1,x}],[],[{call,1,{var,1,L},[]}]}]}]}]},[]}";
        assert_eq!(printed(&built.0), expected);
        let built = case(var("X"), vec![(literal("a"), vec![literal("b")])]);
        let expected = "{case,1,{var,1,X},[{clause,1,[{atom,1,a}],[],[{atom,1,b}]}]}";
        assert_eq!(printed(&built.0), expected);
    }
}
