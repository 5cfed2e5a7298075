//! `weir-local`: runs all of Weir on this machine and shows it at work.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};
use weir_local::demo::{Options, run};

fn command() -> Command {
    let data = Arg::new("data").long("data").value_name("FOLDER").default_value(".weir");
    Command::new("weir-local").version(env!("CARGO_PKG_VERSION")).about("All of Weir on one machine").subcommand_required(true).subcommand(
        Command::new("run")
            .about("starts everything, pushes a sample batch, shows what came out, and stays up until Ctrl-C")
            .arg(data.value_parser(clap::value_parser!(PathBuf)).help("where everything is kept"))
            .arg(Arg::new("once").long("once").action(ArgAction::SetTrue).help("stops when everything was shown; exits 0 only if every figure is right")),
    )
}

#[tokio::main]
async fn main() -> ExitCode {
    let matches = command().get_matches();
    let Some(("run", matches)) = matches.subcommand() else { return ExitCode::from(2) };
    let data_dir = matches.get_one::<PathBuf>("data").cloned().unwrap_or_default();
    let options = Options { data_dir, once: matches.get_flag("once") };
    match run(&options, &mut io::stdout()).await {
        Ok(wrong) if wrong.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to tell if the terminal is gone.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
