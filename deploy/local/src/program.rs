//! What is to be started: a program, its arguments, and where its log goes.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::clickhouse::ClickHouse;
use crate::error::LocalError;
use crate::nats::Nats;
use crate::probe::Probe;
use crate::spawner::mortal_command;
use crate::weir::Weir;

/// A program that can be started again and again in the same way.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) name: String,
    pub(crate) executable: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) variables: Vec<(OsString, OsString)>,
    pub(crate) log: PathBuf,
    pub(crate) probe: Probe,
}

/// The variables that tell one of Weir's programs where its ClickHouse, with our database, and its NATS are.
#[must_use]
pub fn service_variables(clickhouse: &ClickHouse, nats: &Nats) -> [(&'static str, String); 6] {
    [
        ("WEIR_CLICKHOUSE_URL", clickhouse.url.clone()),
        ("WEIR_CLICKHOUSE_DATABASE", Weir::DATABASE.to_owned()),
        ("WEIR_CLICKHOUSE_USER", clickhouse.user.clone()),
        ("WEIR_CLICKHOUSE_PASSWORD", clickhouse.password.clone()),
        ("WEIR_NATS_URL", nats.url.clone()),
        ("WEIR_NATS_TOKEN", nats.token.clone()),
    ]
}

impl Program {
    /// A program without arguments that is ready at once. `log` gets its standard output and standard error; a later
    /// start appends to it.
    #[must_use]
    pub fn new(name: impl Into<String>, executable: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            executable: executable.into(),
            args: Vec::new(),
            variables: Vec::new(),
            log: log.into(),
            probe: Probe::None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable. The rest of the environment is inherited, without the `WEIR_*` variables: a service is
    /// configured by the one who starts it, not by what the user's shell happens to hold.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Tells it where its services are, see [`service_variables`].
    #[must_use]
    pub fn reaching(self, clickhouse: &ClickHouse, nats: &Nats) -> Self {
        service_variables(clickhouse, nats)
            .into_iter()
            .fold(self, |program, (name, value)| program.env(name, value))
    }

    /// Says how it shows that it is ready.
    #[must_use]
    pub fn ready_when(self, probe: Probe) -> Self {
        Self { probe, ..self }
    }

    /// Its log file.
    #[must_use]
    pub fn log(&self) -> &std::path::Path {
        &self.log
    }

    pub(crate) fn command(&self) -> Result<Command, LocalError> {
        let log = self.open_log()?;
        let errors = log.try_clone().map_err(LocalError::file(&self.log))?;
        let mut command = mortal_command(&self.executable);
        without_ours(&mut command).args(&self.args).envs(self.variables.iter().cloned());
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        Ok(command)
    }

    fn open_log(&self) -> Result<File, LocalError> {
        if let Some(folder) = self.log.parent() {
            fs::create_dir_all(folder).map_err(LocalError::file(folder))?;
        }
        OpenOptions::new().create(true).append(true).open(&self.log).map_err(LocalError::file(&self.log))
    }
}

/// Keeps what this process was told in `WEIR_` variables from one that it starts: a setting that a program does not know is
/// an error to it.
pub fn without_ours(command: &mut Command) -> &mut Command {
    let is_ours = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.starts_with("WEIR_"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
        command.env_remove(name);
    }
    command
}
