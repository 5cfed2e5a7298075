//! How differences are shown: lines for people, JSON for programs. Amounts are decimals with all their digits.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use weir_event::Timestamp;
use weir_store::rollup::Rollup;

use super::request::Form;
use super::tables::Group;
use super::verify::Found;

/// Shows so many differences as are asked for, of all tables.
pub(super) struct Report<'o, W> {
    form: Form,
    left: usize,
    out: &'o mut W,
}

#[derive(Serialize)]
struct GroupJson<'g> {
    table: &'static str,
    window: String,
    account_id: &'g str,
    gateway_id: &'g str,
    keys: BTreeMap<&'static str, &'g str>,
    figures: BTreeMap<&'g str, FigureJson<'g>>,
}

#[derive(Serialize)]
struct FigureJson<'g> {
    logs: &'g str,
    rollup: &'g str,
}

#[derive(Serialize)]
struct TableJson {
    table: &'static str,
    rows: u64,
    differing: u64,
    being_written: u64,
}

impl<'o, W: Write> Report<'o, W> {
    pub(super) fn new(form: Form, out: &'o mut W) -> Self {
        Self { form, left: form.limit, out }
    }

    /// Shows what was found of a table.
    pub(super) fn write(&mut self, found: &Found) -> io::Result<()> {
        let shown: Vec<_> = found.groups().take(self.left).collect();
        self.left -= shown.len();
        for group in &shown {
            if self.form.as_json {
                write_json(&group_json(found.rollup, group), self.out)?;
            } else {
                write_group(found.rollup, group, self.out)?;
            }
        }
        self.write_sum(found, shown.len() as u64)
    }

    fn write_sum(&mut self, found: &Found, shown: u64) -> io::Result<()> {
        let (table, differing) = (found.rollup.table, found.differing());
        if self.form.as_json {
            let (rows, being_written) = (found.rows, found.unsettled);
            return write_json(&TableJson { table, rows, differing, being_written }, self.out);
        }
        write!(self.out, "{table}: {} rows compared, {differing} groups differ", found.rows)?;
        if shown < differing {
            write!(self.out, " ({shown} shown)")?;
        }
        if found.unsettled > 0 {
            write!(self.out, ", {} are being written and were left out", found.unsettled)?;
        }
        writeln!(self.out)
    }
}

fn write_json(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

fn group_json<'g>(rollup: &Rollup, group: &'g Group) -> GroupJson<'g> {
    let figure =
        |(name, logs, rollup): &'g (String, String, String)| (name.as_str(), FigureJson { logs, rollup });
    GroupJson {
        table: rollup.table,
        window: time(group.start_ms),
        account_id: &group.account_id,
        gateway_id: &group.gateway_id,
        keys: rollup.keys().iter().copied().zip(group.keys.iter().map(String::as_str)).collect(),
        figures: group.figures.iter().map(figure).collect(),
    }
}

fn write_group(rollup: &Rollup, group: &Group, out: &mut impl Write) -> io::Result<()> {
    let keys = rollup.keys().iter().zip(&group.keys).filter(|(_, value)| !value.is_empty());
    let keys: Vec<_> = keys.map(|(key, value)| format!(" {key}={}", value.escape_debug())).collect();
    let figure = |(name, logs, rollup): &(String, String, String)| {
        format!("{name} {logs} in logs and {rollup} in the rollup")
    };
    let figures: Vec<_> = group.figures.iter().map(figure).collect();
    let (account, gateway) = (group.account_id.escape_debug(), group.gateway_id.escape_debug());
    writeln!(
        out,
        "{} {} {account}/{gateway}{}: {}",
        rollup.table,
        time(group.start_ms),
        keys.concat(),
        figures.join(", ")
    )
}

fn time(millis: i64) -> String {
    Timestamp::from_millis(millis).map_or_else(|_| millis.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use weir_store::rollup::USAGE_1M;

    use super::*;

    fn group() -> Group {
        let figure =
            |name: &str, logs: &str, rollup: &str| (name.to_owned(), logs.to_owned(), rollup.to_owned());
        Group {
            account_id: "acc".to_owned(),
            gateway_id: "gw".to_owned(),
            start_ms: 1_798_761_600_000,
            keys: vec!["openai".to_owned(), "o'\u{7}".to_owned(), String::new()],
            figures: vec![figure("requests", "2", "3"), figure("cost", "0.000000000000000001", "-1.5")],
            stored_ms: 0,
        }
    }

    #[test]
    fn a_group_is_a_line_with_all_that_differs() {
        let mut out = Vec::new();
        write_group(&USAGE_1M, &group(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "usage_1m 2027-01-01T00:00:00.000Z acc/gw provider=openai model=o\\'\\u{7}: requests 2 in logs and 3 in the \
             rollup, cost 0.000000000000000001 in logs and -1.5 in the rollup\n"
        );
    }

    #[test]
    fn a_group_is_a_line_of_json() {
        let mut out = Vec::new();
        write_json(&group_json(&USAGE_1M, &group()), &mut out).unwrap();
        let expected = concat!(
            r#"{"table":"usage_1m","window":"2027-01-01T00:00:00.000Z","account_id":"acc","gateway_id":"gw","#,
            r#""keys":{"model":"o'\u0007","provider":"openai","token":""},"#,
            r#""figures":{"cost":{"logs":"0.000000000000000001","rollup":"-1.5"},"requests":{"logs":"2","rollup":"3"}}}"#,
        );
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
    }
}
