//! The command line of a binary: its flags are its keys, its help is written from them.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};

use super::key::{Binary, Key, flag_of, variable_of};
use super::layers::Layers;
use super::problem::{ConfigErrors, Origin};
use super::reader::Reader;
use super::shared::SHARED_KEYS;

/// Describes a binary's command line and reads it.
#[derive(Clone, Debug)]
pub struct CommandLine {
    binary: Binary,
    keys: Vec<&'static Key>,
    command: Command,
}

/// What was asked for.
#[derive(Debug)]
pub struct Invocation {
    /// The subcommand, if there was one.
    pub subcommand: Option<Subcommand>,
    /// The settings.
    pub reader: Reader,
}

/// A subcommand with its own arguments.
#[derive(Debug)]
pub struct Subcommand {
    /// Its name.
    pub name: String,
    /// Its arguments, as clap read them.
    pub matches: ArgMatches,
}

/// The process cannot be started as asked.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The arguments are not understood, or they asked for help or the version.
    #[error("command line is not understood")]
    CommandLine(#[from] clap::Error),
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
}

impl CommandLine {
    /// The command line of `binary`, which owns `keys` and reads the shared sections too. `about` is one line.
    #[must_use]
    pub fn new(binary: Binary, keys: &'static [Key], about: &'static str) -> Self {
        let keys: Vec<_> = keys.iter().chain(SHARED_KEYS).collect();
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .help("the configuration file (TOML) [env: WEIR_CONFIG]")
            .value_parser(clap::value_parser!(PathBuf))
            .global(true);
        let command = Command::new(binary.name())
            .version(env!("CARGO_PKG_VERSION"))
            .about(about)
            .arg(config)
            .args(keys.iter().flat_map(|key| args_of(key)));
        Self { binary, keys, command }
    }

    /// Adds a subcommand; every flag of the binary can follow it as well.
    #[must_use]
    pub fn subcommand(mut self, subcommand: Command) -> Self {
        self.command = self.command.subcommand(subcommand);
        self
    }

    /// Reads the arguments and the environment of this process.
    pub fn read_process(self) -> Result<Invocation, LoadError> {
        self.read(std::env::args_os(), std::env::vars_os())
    }

    /// Reads `args`, of which the first is the name of the program, and `variables`.
    pub fn read(
        self,
        args: impl IntoIterator<Item = OsString>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Invocation, LoadError> {
        let matches = self.command.try_get_matches_from(args)?;
        let subcommand = matches
            .subcommand()
            .map(|(name, matches)| Subcommand { name: name.to_owned(), matches: matches.clone() });
        // A flag may stand before or after the subcommand; clap hands all of them down to it.
        let flags = subcommand.as_ref().map_or(&matches, |subcommand| &subcommand.matches);
        let variables: Vec<_> = variables.into_iter().collect();
        let given = self.keys.iter().flat_map(|key| flag_names(key)).filter_map(|name| {
            let text = flags.get_one::<String>(&name)?.clone();
            Some((name, text))
        });
        let given: Vec<_> = given.collect();
        let mut layers = Layers::new(self.binary, self.keys);
        if let Some((path, origin)) = config_file(flags, &variables) {
            layers.add_file(&path, origin);
        }
        layers.add_environment(variables);
        layers.add_flags(given);
        Ok(Invocation { subcommand, reader: layers.into_reader() })
    }
}

impl LoadError {
    /// Tells the user: help and version on standard output, everything else on standard error. Gives the exit
    /// code to end with: 0 for help and version, 2 for a mistake.
    #[must_use]
    pub fn report(&self) -> ExitCode {
        match self {
            Self::CommandLine(error) => {
                // Nobody is left to tell if the terminal is gone.
                let _ = error.print();
                if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
            }
            Self::Config(errors) => {
                let _ = writeln!(io::stderr(), "error: {errors}");
                ExitCode::from(2)
            }
        }
    }
}

/// The names that have a flag: the key, or for a secret only its file.
fn flag_names(key: &Key) -> Vec<String> {
    if key.secret { vec![key.file_name()] } else { vec![key.name.to_owned()] }
}

fn args_of(key: &Key) -> Vec<Arg> {
    let arg = |name: String| {
        let what = if key.secret { format!("file with: {}", key.help) } else { key.help.to_owned() };
        let default = key.default.map_or_else(String::new, |default| format!(" [default: {default}]"));
        let mut variables = variable_of(&name);
        if key.secret {
            variables = format!("{} or {variables}", key.variable());
        }
        Arg::new(name.clone())
            .long(flag_of(&name))
            .value_name(if key.secret { "FILE" } else { "VALUE" })
            .help(format!("{what}{default} [env: {variables}]"))
            .allow_negative_numbers(true)
            .help_heading(format!("[{}]", key.section()))
            .global(true)
    };
    flag_names(key).into_iter().map(arg).collect()
}

fn config_file(flags: &ArgMatches, variables: &[(OsString, OsString)]) -> Option<(PathBuf, Origin)> {
    let from_flag =
        flags.get_one::<PathBuf>("config").map(|path| (path.clone(), Origin::Flag("--config".into())));
    let from_variable = || {
        let (_, path) = variables.iter().find(|(name, path)| name == "WEIR_CONFIG" && !path.is_empty())?;
        Some((Path::new(path).to_owned(), Origin::Environment("WEIR_CONFIG".into())))
    };
    from_flag.or_else(from_variable)
}
