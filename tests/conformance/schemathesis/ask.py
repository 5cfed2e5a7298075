"""Asks a server for everything that its OpenAPI document says, with schemathesis, and for what it does not say.

In, on standard input: {"url" of the document, "parameters" to be fixed by their names, "examples" per operation,
"seed", "select": options that say which operations, "headers" to be sent}. Out: how many requests were made. Fails, with what was found, where an answer is a 5xx, or has a status, a content type, a
header or a body that the document does not have, or where a request was let in or turned away that should not have been.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

task = json.load(sys.stdin)
with tempfile.TemporaryDirectory() as folder:
    report, config = Path(folder, "report.json"), Path(folder, "schemathesis.toml")
    fixed = "".join(f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in task["parameters"].items())
    # That a range ends after it begins, or which text is a filter, is nothing that the document can say.
    unsaid = "".join(
        f'[[operations]]\ninclude-operation-id = "{name}"\nchecks.positive_data_acceptance.enabled = false\n'
        for name in ["ledger", "live", "liveStream", "tail", "createBudget", "changeBudget"]
    )
    # new-api takes any text for a number, tells a stranger so with a 200, and knows no 405; of what a version does not have, it
    # says so to strangers too.
    unlike = "".join(
        f"checks.{name}.enabled = false\n"
        for name in ["negative_data_rejection", "ignored_auth", "unsupported_method", "missing_required_header"]
    )
    unsaid += f'[[operations]]\ninclude-tag = "new-api"\n{unlike}'
    config.write_text(f"[parameters]\n{fixed}\n{unsaid}")
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", config, "run", task["url"]]
    command += ["--phases", "examples,coverage,fuzzing", "--seed", str(task["seed"]), "--max-examples", str(task["examples"])]
    # One worker: with several, threads of CPython 3.11 trip over each other.
    command += ["--workers", "1", "--continue-on-failure", "--no-color", "--suppress-health-check", "all", "--warnings", "off"]
    command += ["--report", "json", "--report-json-path", report]
    command += task["select"]
    for name, value in task["headers"].items():
        command += ["--header", f"{name}: {value}"]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(Path(__file__).parent), "NO_COLOR": "1"}
    run = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode != 0:
        sys.exit(run.stdout)
    print(json.loads(report.read_text())["test_cases"]["generated"])
