//! The command line: what the server is told, checked before anything is opened.
//!
//! Values come from flags, and where the help says so from the environment. A password is never shown: not in an
//! error, not in the log, not by `Debug`.

use std::ffi::OsString;
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fmt, fs, io};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::engine::PoolLimits;

/// The package version that `deploy/local/provision.sh` unpacks, and a part of its place in the cache.
pub const LIBRARY_VERSION: &str = "26.7.3-stable.1";

/// A password, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What the server is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// The library file.
    pub library: PathBuf,
    /// The data folder.
    pub data: PathBuf,
    /// ClickHouse's own configuration.
    pub engine_config: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The user's name.
    pub user: String,
    /// The user's password; without one everyone may ask, on loopback.
    pub password: Option<Password>,
    /// How many requests run and wait.
    pub limits: PoolLimits,
    /// How long running requests get at the end.
    pub drain: Duration,
    /// Where to write the port once the server listens.
    pub port_file: Option<PathBuf>,
    /// The log filter.
    pub log: String,
}

/// What is wrong with the command line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The flags themselves, or a call for help.
    #[error(transparent)]
    Flags(#[from] clap::Error),
    /// An address that others can reach, without leave.
    #[error(
        "--listen {0} is not a loopback address: others could read and change everything; say --allow-remote if that is meant"
    )]
    Remote(SocketAddr),
    /// An address that others can reach, without a password.
    #[error(
        "--listen {0} is not a loopback address: set a password (CLICKHOUSE_PASSWORD or --password-file)"
    )]
    RemoteWithoutPassword(SocketAddr),
    /// The password file.
    #[error("cannot read --password-file {path}")]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// ClickHouse's own configuration.
    #[error("cannot read --engine-config {path}")]
    EngineConfig {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No place for the library is known.
    #[error("no --library given, and neither WEIR_CHDB_LIBRARY nor HOME is set")]
    NoLibrary,
}

impl Config {
    /// Reads the command line and the environment.
    pub fn from_arguments(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ConfigError> {
        let mut matches = command().try_get_matches_from(arguments)?;
        let password = password(&mut matches)?;
        let listen: SocketAddr = take(&mut matches, "listen");
        if !is_loopback(listen.ip()) {
            if !matches.get_flag("allow-remote") {
                return Err(ConfigError::Remote(listen));
            }
            if password.is_none() {
                return Err(ConfigError::RemoteWithoutPassword(listen));
            }
        }
        let library = matches
            .remove_one::<PathBuf>("library")
            .or_else(|| variable("WEIR_CHDB_LIBRARY").map(PathBuf::from))
            .or_else(default_library)
            .ok_or(ConfigError::NoLibrary)?;
        Ok(Self {
            library,
            data: take(&mut matches, "path"),
            engine_config: engine_config(&mut matches)?,
            listen,
            user: take(&mut matches, "user"),
            password,
            limits: PoolLimits {
                running_max: usize::from(take::<u16>(&mut matches, "pool-size")),
                waiting_max: usize::from(take::<u16>(&mut matches, "queue-size")),
                wait: Duration::from_millis(take(&mut matches, "queue-wait-ms")),
            },
            drain: Duration::from_millis(take(&mut matches, "drain-timeout-ms")),
            port_file: matches.remove_one("port-file"),
            log: take(&mut matches, "log"),
        })
    }
}

/// Where `deploy/local/provision.sh` puts the library.
#[must_use]
pub fn default_library() -> Option<PathBuf> {
    let cache = variable("WEIR_CACHE").map(PathBuf::from).or_else(|| {
        let base = variable("XDG_CACHE_HOME").map(PathBuf::from);
        base.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")))
            .map(|base| base.join("weir"))
    })?;
    Some(cache.join("chdb").join(LIBRARY_VERSION).join("libchdb.so"))
}

const ENGINE_CONFIG: &str = "ClickHouse's own configuration, as clickhouse-local reads it: every statement is run as its user \
    `default`";

fn command() -> Command {
    let arg = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let size = || value_parser!(u16).range(1..=1_024);
    Command::new("clickhouse-embedded")
        .about("Serves the ClickHouse HTTP interface from the ClickHouse library")
        .version(env!("CARGO_PKG_VERSION"))
        .arg(
            arg("path", "DIR", "Data folder; one server at a time")
                .required(true)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(arg("engine-config", "FILE", ENGINE_CONFIG).value_parser(value_parser!(PathBuf)))
        .arg(
            arg(
                "library",
                "FILE",
                "libchdb.so [env: WEIR_CHDB_LIBRARY; default: where deploy/local/provision.sh puts it]",
            )
            .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            arg("listen", "ADDRESS", "Address to listen on; port 0 takes a free one")
                .default_value("127.0.0.1:8123")
                .value_parser(value_parser!(SocketAddr)),
        )
        .arg(
            arg("allow-remote", "", "Allow --listen on an address that others can reach")
                .action(ArgAction::SetTrue),
        )
        .arg(
            arg("port-file", "FILE", "Write the port to this file once listening")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(arg("user", "NAME", "The one user").default_value("default"))
        .arg(
            arg(
                "password",
                "TEXT",
                "Its password, for all to see in the process list; better [env: CLICKHOUSE_PASSWORD]",
            )
            .conflicts_with("password-file"),
        )
        .arg(
            arg("password-file", "FILE", "Read the password from this file")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(arg("pool-size", "N", "Requests that run at once").default_value("16").value_parser(size()))
        .arg(
            arg("queue-size", "N", "Requests that wait for their turn; more are refused")
                .default_value("256")
                .value_parser(size()),
        )
        .arg(
            arg("queue-wait-ms", "MS", "How long a request waits for its turn")
                .default_value("10000")
                .value_parser(value_parser!(u64)),
        )
        .arg(
            arg("drain-timeout-ms", "MS", "How long running requests get at the end")
                .default_value("10000")
                .value_parser(value_parser!(u64)),
        )
        .arg(arg("log", "FILTER", "What to log, such as debug or warn").default_value("info"))
}

/// A value that has a default or is required, so that it is there.
fn take<T: Clone + Send + Sync + 'static>(matches: &mut ArgMatches, name: &str) -> T {
    matches.remove_one(name).expect("the argument has a default or is required")
}

fn password(matches: &mut ArgMatches) -> Result<Option<Password>, ConfigError> {
    let text = match matches.remove_one::<PathBuf>("password-file") {
        Some(path) => match fs::read_to_string(&path) {
            Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
            Err(source) => return Err(ConfigError::PasswordFile { path, source }),
        },
        None => matches.remove_one::<String>("password").or_else(|| variable("CLICKHOUSE_PASSWORD")),
    };
    Ok(text.filter(|text| !text.is_empty()).map(Password))
}

/// The engine itself says little of a file that it cannot read.
fn engine_config(matches: &mut ArgMatches) -> Result<Option<PathBuf>, ConfigError> {
    let path: Option<PathBuf> = matches.remove_one("engine-config");
    match path.as_ref().map(File::open).transpose() {
        Ok(_) => Ok(path),
        Err(source) => Err(ConfigError::EngineConfig { path: path.unwrap_or_default(), source }),
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Result<Config, ConfigError> {
        let all = ["clickhouse-embedded"].iter().chain(arguments).map(OsString::from);
        Config::from_arguments(all)
    }

    fn refused(arguments: &[&str], part: &str) {
        let message = config(arguments).unwrap_err().to_string();
        assert!(message.contains(part), "{arguments:?}: {message}");
    }

    #[test]
    fn defaults_listen_on_loopback_only() {
        let config = config(&["--path", "/tmp/x", "--library", "/l"]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8123");
        assert_eq!((config.user.as_str(), config.library.as_path()), ("default", Path::new("/l")));
        assert_eq!(config.limits.running_max, 16);
    }

    #[test]
    fn other_addresses_need_leave_and_a_password() {
        refused(&["--path", "/x", "--listen", "0.0.0.0:1"], "--allow-remote");
        refused(&["--path", "/x", "--listen", "[::]:1"], "--allow-remote");
        refused(&["--path", "/x", "--listen", "0.0.0.0:1", "--allow-remote"], "set a password");
        let allowed =
            ["--path", "/x", "--library", "/l", "--listen", "0.0.0.0:1", "--allow-remote", "--password", "p"];
        assert!(config(&allowed).is_ok());
        assert!(config(&["--path", "/x", "--library", "/l", "--listen", "[::1]:0"]).is_ok());
    }

    #[test]
    fn bad_flags_are_named() {
        refused(&[], "--path");
        refused(&["--path", "/x", "--pool-size", "0"], "pool-size");
        refused(&["--path", "/x", "--listen", "nowhere"], "listen");
        refused(&["--path", "/x", "--what", "1"], "--what");
        refused(&["--path", "/x", "--password-file", "/does/not/exist"], "/does/not/exist");
        refused(
            &["--path", "/x", "--library", "/l", "--engine-config", "/does/not/exist"],
            "/does/not/exist",
        );
    }

    #[test]
    fn passwords_are_not_shown() {
        let config = config(&["--path", "/x", "--library", "/l", "--password", "s3cret"]).unwrap();
        assert_eq!(config.password.as_ref().map(Password::expose), Some("s3cret"));
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
