//! What a log viewer reads before it shows logs: what it speaks with, and who it is logged in as.

use serde::Serialize;
use warp::reply::Response;
use weir_event::EventKind;
use weir_pricing::QUOTA_PER_USD;

use super::caller::{Anyone, Asked};
use super::envelope::success;
use super::error::Error;
use super::filters;
use super::headers::VERSION;
use crate::auth::KnownUser;
use crate::sql::newapi::Amount;

/// What there is of an installation, and of what else new-api has that it is not here.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a name that clients know")]
struct StatusView {
    data_export_default_time: &'static str,
    display_in_currency: bool,
    email_verification: bool,
    enable_batch_update: bool,
    enable_data_export: bool,
    enable_drawing: bool,
    enable_task: bool,
    footer_html: &'static str,
    github_oauth: bool,
    logo: &'static str,
    quota_display_type: &'static str,
    quota_per_unit: u32,
    server_address: &'static str,
    setup: bool,
    start_time: i64,
    system_name: &'static str,
    turnstile_check: bool,
    version: &'static str,
    wechat_login: bool,
}

/// A user, to themselves.
#[derive(Serialize)]
struct SelfView<'u> {
    display_name: &'u str,
    group: &'u str,
    id: i64,
    /// What is left of it is new-api's own affair.
    quota: u8,
    request_count: i128,
    role: u8,
    status: u8,
    used_quota: i128,
    username: &'u str,
}

/// `GET /api/status`.
pub(super) async fn status(asked: Asked<Anyone>) -> Result<Response, Error> {
    Ok(success(&StatusView {
        data_export_default_time: "hour",
        display_in_currency: true,
        email_verification: false,
        enable_batch_update: false,
        enable_data_export: true,
        enable_drawing: false,
        enable_task: false,
        footer_html: "",
        github_oauth: false,
        logo: "",
        quota_display_type: "USD",
        quota_per_unit: QUOTA_PER_USD,
        server_address: "",
        setup: true,
        start_time: asked.app.new_api.started_at_s,
        system_name: "Weir",
        turnstile_check: false,
        version: VERSION,
        wechat_login: false,
    }))
}

/// `GET /api/user/self`.
pub(super) async fn user(asked: Asked<KnownUser>) -> Result<Response, Error> {
    const ENABLED: u8 = 1;
    let KnownUser { user, group, .. } = &asked.caller;
    let role = user.role().number();
    let (logs, store) = (user.own_logs(), &asked.app.store);
    let consumed = filters::kind(EventKind::Consume)?;
    let sum = async |amount| Ok::<_, Error>(store.newapi_amount(&logs, &consumed, amount).await?);
    let (request_count, used_quota) = tokio::try_join!(sum(Amount::Rows), sum(Amount::Quota))?;
    Ok(success(&SelfView {
        display_name: user.name(),
        group,
        id: user.id(),
        quota: 0,
        request_count,
        role,
        status: ENABLED,
        used_quota,
        username: user.name(),
    }))
}
