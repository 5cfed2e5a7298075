//! Users and relay keys, as the commands make them.

use serde_json::Value;
use tempfile::TempDir;

use crate::query_api::world::{Answer, World};

pub(super) const TENANT: [&str; 4] = ["--account", "acc", "--gateway", "gw"];
pub(super) const OTHER_TENANT: [&str; 4] = ["--account", "acc", "--gateway", "other"];

/// Makes a user, and gives their access token.
pub(super) async fn user(world: &World, tenant: [&str; 4], id: &str, name: &str, role: &str) -> String {
    let args = [&["users", "create", "--json"], &tenant[..], &["--id", id, "--name", name, "--role", role]];
    let made: Value = serde_json::from_str(&world.succeeded(&args.concat()).await).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

/// Does something to a user of the tenant.
pub(super) async fn with_user(world: &World, what: &str, id: &str, more: &[&str]) -> String {
    world.succeeded(&[&["users", what], &TENANT[..], &[id], more].concat()).await
}

/// Makes a key known, and gives its id.
pub(super) async fn key(world: &World, key: &str, more: &[&str]) -> String {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, format!("{key}\n")).unwrap();
    let file = ["--file", file.to_str().unwrap()];
    let args = [&["keys", "add", "--json", "--name", "team"], &TENANT[..], &file, more].concat();
    let made: Value = serde_json::from_str(&world.succeeded(&args).await).unwrap();
    made["id"].as_str().unwrap().to_owned()
}

/// Asks who a token is, of a version that wants to be told.
pub(super) async fn who(world: &World, token: &str, id: &str) -> Answer {
    world.ask("GET", "/api/user/self", &[("authorization", token), ("new-api-user", id)]).await
}
