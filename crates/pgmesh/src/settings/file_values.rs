//! What a pair of the configuration file means: which setting, and which text the flag
//! would have.

use pgmesh_discovery::nearest;
use pgmesh_name::PeerMap;
use toml::Spanned;
use toml::de::{DeInteger, DeValue};

use super::table::{Setting, TABLE};

/// What is wrong with a pair.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) remedy: String,
}

impl Wrong {
    fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

/// A file names no other file.
fn settings() -> impl Iterator<Item = &'static Setting> {
    TABLE.iter().filter(|setting| setting.name != "config")
}

/// The setting of this name.
pub(super) fn find(name: &str) -> Result<&'static Setting, Wrong> {
    if let Some(setting) = settings().find(|setting| setting.name == name) {
        return Ok(setting);
    }
    if name == "cookie" {
        let remedy =
            "put it into a file of its own, with mode 400, and write cookie-file = \"PATH\"";
        return Err(Wrong::new("is a secret that does not belong here", remedy));
    }
    let remedy = match nearest(name, settings().map(|setting| setting.name)) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "see pgmesh run --help: the names are those of the flags".to_owned(),
    };
    Err(Wrong::new("is no setting", remedy))
}

/// A value as the flag would have it.
pub(super) fn text_of(setting: &Setting, value: &DeValue<'_>) -> Result<String, Wrong> {
    match (value, setting.switch) {
        (DeValue::String(text), _) => Ok(text.to_string()),
        (DeValue::Integer(number), _) => whole(setting, number),
        (DeValue::Boolean(on), Some((yes, no))) => Ok(if *on { yes } else { no }.to_owned()),
        (DeValue::Array(items), _) if setting.repeats => {
            let text = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned);
            let texts: Option<Vec<_>> = items.iter().map(text).collect();
            let texts = texts
                .ok_or_else(|| Wrong::new("holds something else than texts", expected(setting)))?;
            Ok(texts.join(","))
        }
        (other, _) => {
            let problem = format!("is {}", kind_of(other));
            Err(Wrong::new(problem, expected(setting)))
        }
    }
}

/// A pair of a table as the flag would have it, if it is a good one.
pub(super) fn entry_of(
    setting: &Setting,
    name: &str,
    value: &DeValue<'_>,
) -> Result<String, Wrong> {
    let value = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => whole(setting, number)?,
        other => {
            let problem = format!("is given {}", kind_of(other));
            return Err(Wrong::new(problem, expected(setting)));
        }
    };
    let entry = format!("{name}={value}");
    let added = PeerMap::default().add(&entry);
    added.map_err(|error| Wrong::new(error.to_string(), error.remedy()))?;
    Ok(entry)
}

fn whole(setting: &Setting, number: &DeInteger<'_>) -> Result<String, Wrong> {
    let number = i64::from_str_radix(number.as_str(), number.radix());
    let too_large = |_| Wrong::new("is a number that is too large", expected(setting));
    number.map(|number| number.to_string()).map_err(too_large)
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn expected(setting: &Setting) -> String {
    let Setting {
        name, value_name, ..
    } = setting;
    if setting.pairs {
        format!("write [{name}] and below it \"NAME\" = PORT or \"NAME\" = \"ADDR:PORT\"")
    } else if setting.repeats {
        format!("write {name} = [\"{value_name}\", \"{value_name}\"]")
    } else {
        format!("write {name} = \"{value_name}\"")
    }
}
