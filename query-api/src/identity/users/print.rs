//! How users are shown.

use std::io::{self, Write};

use serde::Serialize;

use crate::identity::print::{or_dash, time};
use crate::store::UserRow;

pub(super) const TITLES: [&str; 8] = ["for", "id", "name", "role", "group", "token", "created", "status"];

/// A user for programs.
#[derive(Serialize)]
pub(super) struct UserJson<'u> {
    account_id: &'u str,
    gateway_id: &'u str,
    id: i64,
    name: &'u str,
    role: &'u str,
    group: &'u str,
    /// The access token itself, where it was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'u str>,
    display: &'u str,
    created_at: String,
    status: &'u str,
}

impl<'u> UserJson<'u> {
    /// With the access token if it is new.
    pub(super) fn new(row: &'u UserRow, token: Option<&'u str>) -> Self {
        let UserRow { account_id, gateway_id, id, name, role, group, display, status, .. } = row;
        let created_at = time(row.created_at);
        Self { account_id, gateway_id, id: *id, name, role, group, token, display, created_at, status }
    }
}

/// Who has another access token, and which if it is new.
pub(super) fn write_token(row: &UserRow, token: Option<&str>, out: &mut impl Write) -> io::Result<()> {
    if let Some(token) = token {
        writeln!(out, "{token}")?;
        writeln!(out)?;
        writeln!(out, "This is the only time that the access token is shown.")?;
    }
    let UserRow { account_id, gateway_id, id, name, role, .. } = row;
    writeln!(out, "user {id} ({}), {role} of {account_id}/{gateway_id}", name.escape_debug())
}

/// A line of the table.
pub(super) fn cells(row: &UserRow) -> [String; 8] {
    [
        format!("{}/{}", row.account_id, row.gateway_id),
        row.id.to_string(),
        or_dash(&row.name),
        or_dash(&row.role),
        or_dash(&row.group),
        or_dash(&row.display),
        time(row.created_at),
        or_dash(&row.status),
    ]
}
