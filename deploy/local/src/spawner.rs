//! Starts child processes that die with this one.
//!
//! On Linux a child asks the kernel to be killed when its parent is gone. The kernel means the *thread* that
//! started it, and tests start services from threads that end: so one thread of its own, which lives as long as
//! the process, starts them all.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::installation::on_path;

type Order = (Command, Sender<io::Result<Child>>);

/// Starts `command` in a process group of its own (a Ctrl-C at the terminal is for us; we stop the services in
/// order) and with SIGKILL as its lot should this process die.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    let (reply, answer) = channel();
    orders().send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// `program` wrapped so that it dies with us, where the machine has the means (util-linux; not on macOS).
pub(crate) fn mortal_command(program: &std::path::Path) -> Command {
    let mut command = match on_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.process_group(0);
    command
}

fn orders() -> &'static Sender<Order> {
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();
    ORDERS.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                // Nobody waits any more only if the caller panicked; the child is then dropped unwatched, and still
                // dies with this process.
                let _ = reply.send(command.spawn());
            }
        });
        orders
    })
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts processes is gone")
}
