//! Parameters as texts, from all places where libpq looks for them.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::error::ConninfoErrorKind;
use super::keywords::{self, KEYWORDS, Keyword, Meaning, Origin};
use super::{ConninfoError, Environment};

/// Values by keyword, and what is to be said about those that are none.
#[derive(Default)]
pub(super) struct Parameters {
    values: BTreeMap<&'static str, Value>,
    pub(super) errors: Vec<ConninfoError>,
    pub(super) warnings: Vec<String>,
    /// Whether a key may be a piece of a password that was cut in the wrong place.
    pub(super) names_may_be_secret: bool,
}

/// Wiped when dropped: one of them is a password.
struct Value {
    text: Zeroizing<String>,
    origin: Origin,
}

impl Parameters {
    /// Sets one of the parts that a URI has places for.
    pub(super) fn set(&mut self, name: &'static str, text: String) {
        self.insert(name, text, Origin::Text);
    }

    /// Takes in a pair that somebody wrote; a later one wins.
    pub(super) fn add(&mut self, name: &str, text: String, origin: Origin) {
        let Some(keyword) = keywords::find(name) else {
            return self.errors.push(self.unknown(name));
        };
        match keyword.meaning {
            Meaning::Read => self.insert(keyword.name, text, origin),
            Meaning::Passed => {}
            Meaning::Warned(reason) => {
                let warning = format!("the database URL's {name} changes nothing: {reason}");
                self.warnings.push(warning);
            }
            Meaning::Unsupported { harmless, remedy } => {
                if !harmless.contains(&text.as_str()) {
                    let problem = format!("{} is not supported", shown(keyword, origin));
                    let kind = ConninfoErrorKind::Unsupported;
                    self.errors.push(ConninfoError::new(kind, problem, remedy));
                }
            }
        }
    }

    /// Takes in what a service file says, where nothing nearer was said.
    pub(super) fn add_service(&mut self, pairs: Vec<(String, String)>) {
        for (name, text) in pairs {
            if !self.values.contains_key(name.as_str()) {
                self.add(&name, text, Origin::Service);
            }
        }
    }

    /// Takes in libpq's variables, where nothing nearer was said.
    pub(super) fn add_variables(&mut self, environment: &Environment) {
        for keyword in KEYWORDS {
            let set = keyword.variable.and_then(|name| environment.variable(name));
            if let Some(text) = set
                && !self.values.contains_key(keyword.name)
            {
                self.add(keyword.name, text.to_owned(), Origin::Variable);
            }
        }
    }

    /// A value that was given; an empty one is one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.text.as_str())
    }

    /// A value that was given and is not empty.
    pub(super) fn some(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|text| !text.is_empty())
    }

    /// The parameter as whoever gave it knows it.
    pub(super) fn shown(&self, name: &'static str) -> &'static str {
        match (self.values.get(name), keywords::find(name)) {
            (Some(value), Some(keyword)) => shown(keyword, value.origin),
            _ => name,
        }
    }

    fn insert(&mut self, name: &'static str, text: String, origin: Origin) {
        let text = Zeroizing::new(text);
        self.values.insert(name, Value { text, origin });
    }

    fn unknown(&self, name: &str) -> ConninfoError {
        let problem = if self.names_may_be_secret {
            "one parameter is unknown".to_owned()
        } else {
            format!("parameter {name:?} is unknown")
        };
        let remedy = match keywords::nearest(name) {
            _ if self.names_may_be_secret => {
                "write %40 for @ and %2F for / in a password".to_owned()
            }
            Some(near) => format!("did you mean {near}?"),
            None => "leave it out, or use one that psql knows".to_owned(),
        };
        ConninfoError::new(ConninfoErrorKind::UnknownParameter, problem, remedy)
    }
}

fn shown(keyword: &'static Keyword, origin: Origin) -> &'static str {
    match (origin, keyword.variable) {
        (Origin::Variable, Some(variable)) => variable,
        _ => keyword.name,
    }
}
