//! Python scripts of `tests/conformance`, each with the packages that it is pinned to.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use weir_local::Installation;

/// Runs a script with `input` on its standard input, and gives what it wrote to its standard output. Its packages are
/// fetched into the cache on the first run. Panics with what it said where it fails.
#[must_use = "a script that only checks gives nothing; bind it to `_`"]
pub fn run_python(script: &str, input: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let cache = Installation::detect().unwrap().cache_dir;
    let mut child = Command::new(folder.join("python.sh"))
        .arg(folder.join(script))
        .env("WEIR_CACHE", cache)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // From a thread of its own: a script that answers as it reads must not wait for us, nor we for it. One that has
        // failed reads no more, and says why below.
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{script}: {}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
