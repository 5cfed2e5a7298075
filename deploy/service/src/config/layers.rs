//! Collects what the file, the environment and the flags say into one text per key, the later layer winning.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::key::{Binary, ENV_PREFIX, Key, RESERVED_VARIABLES, SHARED_SECTIONS, variable_of};
use super::problem::{Origin, Problem, did_you_mean};
use super::reader::{Raw, Reader, Setting};

/// Names to values, as one layer gives them. The names are keys, or keys with `_file`.
type Layer = BTreeMap<String, (Raw, Origin)>;

/// Everything that can be set for one binary.
pub(super) struct Layers {
    binary: Binary,
    keys: Vec<&'static Key>,
    settings: BTreeMap<&'static str, Setting>,
    problems: Vec<Problem>,
}

impl Layers {
    /// Begins with the defaults.
    pub(super) fn new(binary: Binary, keys: Vec<&'static Key>) -> Self {
        let default = |key: &&'static Key| {
            let raw = Raw::Text(key.default?.to_owned());
            Some((key.name, Setting { raw, origin: Origin::Default, secret: key.secret }))
        };
        let settings = keys.iter().filter_map(default).collect();
        Self { binary, keys, settings, problems: Vec::new() }
    }

    /// Adds the configuration file.
    pub(super) fn add_file(&mut self, path: &Path, origin: Origin) {
        let content = match std::fs::read_to_string(path) {
            Ok(content) => content,
            Err(error) => {
                let key = format!("configuration file {}", path.display());
                return self.note(key, origin, format!("cannot be read: {error}"));
            }
        };
        let place = |at: usize| {
            let line = content.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
            Origin::File { path: path.to_owned(), line: Some(line) }
        };
        let (sections, errors) = DeTable::parse_recoverable(&content);
        let mut broken_lines = Vec::new();
        for error in errors {
            let origin =
                error.span().map_or(Origin::File { path: path.to_owned(), line: None }, |s| place(s.start));
            broken_lines.push(origin.clone());
            self.note("TOML", origin, error.message().to_owned());
        }
        let mut layer = Layer::new();
        for (name, value) in sections.get_ref() {
            let section = name.get_ref().as_ref();
            match value.get_ref() {
                _ if self.binary.leaves_alone(section) => {}
                DeValue::Table(entries) if self.owns(section) => {
                    self.collect_section(section, entries, &place, &mut layer);
                }
                DeValue::Table(_) => {
                    let known = SHARED_SECTIONS.iter().copied().chain(Binary::ALL.map(Binary::section));
                    let hint = did_you_mean(section, known);
                    self.note(
                        format!("[{section}]"),
                        place(name.span().start),
                        format!("unknown section{hint}"),
                    );
                }
                _ => self.note(section, place(name.span().start), "stands outside of a section".to_owned()),
            }
        }
        // What the parser made of a broken line is a guess; a problem with the guess would only confuse.
        layer.retain(|_, (_, origin)| !broken_lines.contains(origin));
        self.lay(layer);
    }

    /// Adds the variables that begin with `WEIR_`. An empty one counts as not set.
    pub(super) fn add_environment(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        let names: BTreeMap<String, String> =
            self.names().into_iter().map(|name| (variable_of(&name), name)).collect();
        let mut layer = Layer::new();
        for (variable, value) in variables {
            let Ok(variable) = variable.into_string() else {
                continue;
            };
            let ours = variable.starts_with(ENV_PREFIX) && !RESERVED_VARIABLES.contains(&variable.as_str());
            if !ours || self.binary.leaves_variable_alone(&variable) {
                continue;
            }
            let origin = Origin::Environment(variable.clone());
            match (names.get(&variable), value.into_string()) {
                (None, _) => {
                    let hint = did_you_mean(&variable, names.keys().map(String::as_str));
                    self.note(variable, origin, format!("unknown variable{hint}"));
                }
                (Some(name), Err(_)) => self.note(name.clone(), origin, "is not UTF-8".to_owned()),
                (Some(_), Ok(text)) if text.is_empty() => {}
                (Some(name), Ok(text)) => {
                    layer.insert(name.clone(), (Raw::Text(text), origin));
                }
            }
        }
        self.lay(layer);
    }

    /// Adds the flags: names of keys with what was given for them.
    pub(super) fn add_flags(&mut self, flags: impl IntoIterator<Item = (String, String)>) {
        let with_origin = |(name, text): (String, String)| {
            let origin = Origin::Flag(format!("--{}", super::key::flag_of(&name)));
            (name, (Raw::Text(text), origin))
        };
        self.lay(flags.into_iter().map(with_origin).collect());
    }

    /// All layers are there.
    pub(super) fn into_reader(self) -> Reader {
        Reader::new(self.settings, self.problems)
    }

    fn collect_section(
        &mut self,
        section: &str,
        entries: &DeTable<'_>,
        place: &impl Fn(usize) -> Origin,
        layer: &mut Layer,
    ) {
        let names = self.names();
        for (key, value) in entries {
            let name = format!("{section}.{}", key.get_ref());
            let origin = place(key.span().start);
            if !names.contains(&name) {
                let hint = did_you_mean(&name, names.iter().map(String::as_str));
                self.note(name, origin, format!("unknown key{hint}"));
            } else if let Some(raw) = raw_of(value.get_ref()) {
                layer.insert(name, (raw, origin));
            } else {
                let kind = value.get_ref().type_str();
                let reason = format!("is a TOML {kind}, not a string, integer, boolean or array of these");
                self.note(name, origin, reason);
            }
        }
    }

    /// Puts a layer over what is there.
    fn lay(&mut self, mut layer: Layer) {
        for key in self.keys.clone() {
            let value = layer.remove(key.name);
            let file = if key.secret { layer.remove(&key.file_name()) } else { None };
            let (raw, origin) = match (value, file) {
                (None, None) => continue,
                (Some(value), None) => value,
                (None, Some((path, origin))) => match read_secret_file(&path) {
                    Ok(text) => (Raw::Text(text), origin),
                    Err(reason) => {
                        self.note(key.file_name(), origin, reason);
                        continue;
                    }
                },
                (Some(_), Some((_, origin))) => {
                    self.note(key.file_name(), origin, format!("{} is set as well", key.name));
                    continue;
                }
            };
            self.settings.insert(key.name, Setting { raw, origin, secret: key.secret });
        }
    }

    fn owns(&self, section: &str) -> bool {
        section == self.binary.section() || SHARED_SECTIONS.contains(&section)
    }

    /// Every name that may be set: the keys, and the files of the secret ones.
    fn names(&self) -> Vec<String> {
        let files = self.keys.iter().filter(|key| key.secret).map(|key| key.file_name());
        self.keys.iter().map(|key| key.name.to_owned()).chain(files).collect()
    }

    fn note(&mut self, key: impl Into<String>, origin: Origin, reason: String) {
        self.problems.push(Problem { key: key.into(), origin, reason });
    }
}

fn raw_of(value: &DeValue<'_>) -> Option<Raw> {
    match value {
        DeValue::Array(items) => {
            items.iter().map(|item| scalar_of(item.get_ref())).collect::<Option<_>>().map(Raw::List)
        }
        other => scalar_of(other).map(Raw::Text),
    }
}

fn scalar_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => {
            i128::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn read_secret_file(path: &Raw) -> Result<String, String> {
    let Raw::Text(path) = path else {
        return Err("is a list, not a path".to_owned());
    };
    match std::fs::read_to_string(PathBuf::from(path)) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => Err(format!("{path:?} cannot be read: {error}")),
    }
}
