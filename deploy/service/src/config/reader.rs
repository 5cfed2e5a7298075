//! From text to typed values, collecting what is wrong instead of stopping at it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use url::Url;

use super::problem::{ConfigErrors, Origin, Problem};
use super::value::{InvalidValue, Value};

/// What a key was set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    Text(String),
    List(Vec<String>),
}

/// A value with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
    pub(super) secret: bool,
}

/// Gives out typed values. A value that is missing or bad is noted and read as [`Reported`]; the notes come out
/// together in [`Reader::finish`].
pub struct Reader {
    settings: BTreeMap<&'static str, Setting>,
    problems: Vec<Problem>,
}

/// There is no value, and the reader has noted why. Only the reader makes these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported(());

impl Reader {
    pub(super) fn new(settings: BTreeMap<&'static str, Setting>, problems: Vec<Problem>) -> Self {
        Self { settings, problems }
    }

    /// A value that has to be there.
    pub fn get<V: Value>(&mut self, name: &'static str) -> Result<V, Reported> {
        match self.get_optional(name)? {
            Some(value) => Ok(value),
            None => Err(self.note(name, Origin::Absent, "is required".to_owned())),
        }
    }

    /// A value that may be missing.
    pub fn get_optional<V: Value>(&mut self, name: &'static str) -> Result<Option<V>, Reported> {
        let Some(setting) = self.settings.get(name).cloned() else {
            return Ok(None);
        };
        match &setting.raw {
            Raw::Text(text) => self.parse(name, &setting, text).map(Some),
            Raw::List(_) => {
                let reason = format!("is a list, not {}", V::EXPECTED);
                Err(self.note(name, setting.origin, reason))
            }
        }
    }

    /// A value that has to be there and in `range`.
    pub fn get_in<V>(&mut self, name: &'static str, range: RangeInclusive<V>) -> Result<V, Reported>
    where
        V: Value + PartialOrd + fmt::Debug,
    {
        let value = self.get(name)?;
        if range.contains(&value) {
            return Ok(value);
        }
        let reason = format!("{value:?} is not between {:?} and {:?}", range.start(), range.end());
        Err(self.reject(name, reason))
    }

    /// A list: a TOML array, or text with commas between the items. Missing is empty.
    pub fn get_list<V: Value>(&mut self, name: &'static str) -> Result<Vec<V>, Reported> {
        let Some(setting) = self.settings.get(name).cloned() else {
            return Ok(Vec::new());
        };
        let items = match &setting.raw {
            Raw::List(items) => items.clone(),
            Raw::Text(text) => split_list(text),
        };
        let values: Vec<_> = items.iter().map(|item| self.parse(name, &setting, item)).collect();
        values.into_iter().collect()
    }

    /// A URL with one of `schemes`. It must not carry credentials: those have keys of their own, which are kept
    /// out of logs.
    pub fn get_url(&mut self, name: &'static str, schemes: &[&str]) -> Result<Url, Reported> {
        let url: Url = self.get(name)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.reject(name, "has credentials in it; they have keys of their own"));
        }
        if !schemes.contains(&url.scheme()) {
            return Err(self.reject(name, format!("does not begin with {}://", schemes.join(":// or "))));
        }
        Ok(url)
    }

    /// Notes that the value of `name`, though of the right kind, cannot be used.
    pub fn reject(&mut self, name: &'static str, reason: impl Into<String>) -> Reported {
        let origin = self.settings.get(name).map_or(Origin::Absent, |setting| setting.origin.clone());
        self.note(name, origin, reason.into())
    }

    /// Notes `reason` for `name` unless `holds`: for relations between values.
    pub fn require(&mut self, holds: bool, name: &'static str, reason: &str) -> Result<(), Reported> {
        if holds { Ok(()) } else { Err(self.reject(name, reason)) }
    }

    /// Builds the config struct, or gives out everything that is wrong. `build` may still [`Reader::require`].
    pub fn finish<T>(
        mut self,
        build: impl FnOnce(&mut Self) -> Result<T, Reported>,
    ) -> Result<T, ConfigErrors> {
        match build(&mut self) {
            Ok(config) if self.problems.is_empty() => Ok(config),
            Ok(_) | Err(Reported(())) => Err(ConfigErrors(self.problems)),
        }
    }

    fn parse<V: Value>(&mut self, name: &str, setting: &Setting, text: &str) -> Result<V, Reported> {
        V::from_text(text).map_err(|invalid| {
            // A URL can hold a password where none belongs, so one that cannot be read is not shown either.
            let shown =
                if setting.secret || text.contains('@') { "the value".into() } else { format!("{text:?}") };
            let reason = match invalid {
                InvalidValue::OtherKind => format!("{shown} is not {}", V::EXPECTED),
                InvalidValue::Unusable(reason) => format!("{shown} {reason}"),
            };
            self.note(name, setting.origin.clone(), reason)
        })
    }

    fn note(&mut self, name: &str, origin: Origin, reason: String) -> Reported {
        self.problems.push(Problem { key: name.to_owned(), origin, reason });
        Reported(())
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Settings may be secret: names only.
        let names: Vec<_> = self.settings.keys().collect();
        f.debug_struct("Reader").field("set", &names).field("problems", &self.problems).finish()
    }
}

/// Items between commas or line ends. A line that begins with `#` is a comment (in the file of a secret list).
fn split_list(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let items = lines.flat_map(|line| line.split(',')).map(str::trim);
    items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
}
