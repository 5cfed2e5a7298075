//! Clients in other languages: programs of `tests/conformance`, each with the packages that it is pinned to.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use weir_local::Installation;

/// A program of `tests/conformance`, by paths in there. The folder says what it is pinned to.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "folder and script are what they are called")]
pub enum Client {
    /// A script, and the folder of its requirements.txt.
    Python { folder: &'static str, script: &'static str },
    /// A script, and the folder of its package-lock.json.
    Node { folder: &'static str, script: &'static str },
    /// The folder of a module with one program.
    Go { folder: &'static str },
}

/// Runs a program with `input` on its standard input, and gives what it wrote to its standard output. Its packages are
/// fetched into the cache on the first run. Panics with what it said where it fails.
#[must_use = "a program that only checks gives nothing; bind it to `_`"]
pub fn run_client(client: Client, input: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let cache = Installation::detect().unwrap().cache_dir;
    let (language, folder, script) = match client {
        Client::Python { folder, script } => ("python", folder, Some(script)),
        Client::Node { folder, script } => ("node", folder, Some(script)),
        Client::Go { folder } => ("go", folder, None),
    };
    let mut child = Command::new(root.join("run.sh"))
        .arg(language)
        .arg(root.join(folder))
        .args(script.map(|script| root.join(script)))
        .env("WEIR_CACHE", cache)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // From a thread of its own: a program that answers as it reads must not wait for us, nor we for it. One that has
        // failed reads no more, and says why below.
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{client:?}: {}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
