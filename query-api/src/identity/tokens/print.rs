//! How tokens are shown.

use std::io::{self, Write};

use serde::Serialize;

use crate::auth::NewToken;
use crate::identity::print::{self, end, or_dash, time};
use crate::store::TokenRow;

pub(super) const TITLES: [&str; 9] =
    ["id", "name", "permissions", "for", "email", "token", "created", "expires", "state"];

/// A token for programs.
#[derive(Serialize)]
struct TokenJson<'t> {
    id: &'t str,
    name: &'t str,
    /// The token itself, where it was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'t str>,
    display: &'t str,
    permissions: &'t [String],
    tenants: &'t [String],
    email: Option<&'t str>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    state: &'static str,
}

/// A line of JSON, with the token itself if it is new.
pub(super) fn write_json(
    row: &TokenRow,
    new: Option<&NewToken>,
    now_ms: i64,
    out: &mut impl Write,
) -> io::Result<()> {
    let json = TokenJson {
        id: &row.id,
        name: &row.name,
        token: new.map(NewToken::expose),
        display: &row.display,
        permissions: &row.permissions,
        tenants: &row.tenants,
        email: Some(row.email.as_str()).filter(|email| !email.is_empty()),
        created_at: time(row.created_at),
        expires_at: row.expires_at.map(time),
        revoked_at: row.revoked_at.map(time),
        state: state(row, now_ms),
    };
    print::write_json(&json, out)
}

/// A token that was just made.
pub(super) fn write_new(row: &TokenRow, token: &NewToken, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", token.expose())?;
    writeln!(out)?;
    writeln!(out, "This is the only time that the token is shown.")?;
    writeln!(
        out,
        "id {}, {} on {}, {}",
        row.id,
        row.permissions.join(" and "),
        row.tenants.join(", "),
        row.expires_at.map_or_else(|| "never expires".to_owned(), |end| format!("expires {}", time(end))),
    )
}

/// A line of the table.
pub(super) fn cells(row: &TokenRow, now_ms: i64) -> [String; 9] {
    [
        or_dash(&row.id),
        or_dash(&row.name),
        or_dash(&row.permissions.join(",")),
        or_dash(&row.tenants.join(",")),
        or_dash(&row.email),
        or_dash(&row.display),
        time(row.created_at),
        end(row.expires_at),
        state(row, now_ms).to_owned(),
    ]
}

fn state(row: &TokenRow, now_ms: i64) -> &'static str {
    if row.revoked_at.is_some() {
        "revoked"
    } else if row.expires_at.is_some_and(|end| end <= now_ms) {
        "expired"
    } else {
        "good"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2027-01-01T00:00:00Z.
    const NEW_YEAR_MS: i64 = 1_798_761_600_000;

    fn row() -> TokenRow {
        TokenRow {
            id: "0123456789abcdef".to_owned(),
            sha256: "5".repeat(64),
            display: "weir_abab…abab".to_owned(),
            name: "dash\u{7}board".to_owned(),
            permissions: vec!["read".to_owned()],
            tenants: vec!["acme/chat".to_owned()],
            email: String::new(),
            created_at: NEW_YEAR_MS - 86_400_000,
            expires_at: Some(NEW_YEAR_MS),
            revoked_at: None,
            version: 1,
        }
    }

    fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_list_shows_everything_but_the_token_and_its_hash() {
        let list = |rows: &[_]| text(|out| print::write_table("tokens", TITLES, rows, out));
        let shown = list(&[cells(&row(), NEW_YEAR_MS)]);
        assert_eq!(
            shown.lines().nth(1).unwrap(),
            "0123456789abcdef  dash\\u{7}board  read         acme/chat  -      weir_abab…abab  \
             2026-12-31T00:00:00.000Z  2027-01-01T00:00:00.000Z  expired"
        );
        let json = text(|out| write_json(&row(), None, 0, out));
        assert_eq!(
            json,
            r#"{"id":"0123456789abcdef","name":"dash\u0007board","display":"weir_abab…abab","permissions":["read"],"#
                .to_owned()
                + r#""tenants":["acme/chat"],"email":null,"created_at":"2026-12-31T00:00:00.000Z","#
                + r#""expires_at":"2027-01-01T00:00:00.000Z","revoked_at":null,"state":"good"}"#
                + "\n"
        );
        assert!(!shown.contains("555") && !json.contains("555"));
        assert_eq!(list(&[]), "no tokens\n");
    }

    #[test]
    fn a_new_token_is_shown_once_on_a_line_of_its_own() {
        let token = NewToken::from_random([0xab; 32]);
        let shown = text(|out| write_new(&row(), &token, out));
        assert_eq!(shown.lines().next().unwrap(), token.expose());
        assert!(shown.contains("read on acme/chat, expires 2027-01-01"), "{shown}");
        let json = text(|out| write_json(&row(), Some(&token), 0, out));
        assert_eq!(json.matches(token.expose()).count(), 1);
    }
}
