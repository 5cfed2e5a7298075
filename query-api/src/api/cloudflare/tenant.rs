//! The tenant in a path.

use weir_event::{AccountId, GatewayId, Scope};

use super::envelope::Issue;
use crate::api::query_string::decode_segment;
use crate::auth::Forbidden;

/// The two segments that name a tenant, as they were sent.
#[derive(Clone, Debug)]
pub(super) struct TenantPath {
    pub(super) account_id: String,
    pub(super) gateway_id: String,
}

impl TenantPath {
    /// What `grant` makes of the tenant, or everything that is wrong with its names. What cannot name a tenant cannot have
    /// logs, so where one log is asked for it is a 404 like any other; it is nobody's, and everyone is told the same of it.
    pub(super) fn granted<P>(
        &self,
        grant: impl FnOnce(Scope) -> Result<P, Forbidden>,
    ) -> Result<Result<P, Vec<Issue>>, Forbidden> {
        match self.scope() {
            Ok(scope) => grant(scope).map(Ok),
            Err(issues) => Ok(Err(issues)),
        }
    }

    fn scope(&self) -> Result<Scope, Vec<Issue>> {
        let account_id = read::<AccountId>("account_id", &self.account_id);
        let gateway_id = read::<GatewayId>("gateway_id", &self.gateway_id);
        match (account_id, gateway_id) {
            (Ok(account_id), Ok(gateway_id)) => Ok(Scope { account_id, gateway_id }),
            (account_id, gateway_id) => Err(account_id.err().into_iter().chain(gateway_id.err()).collect()),
        }
    }
}

fn read<T>(name: &str, segment: &str) -> Result<T, Issue>
where
    T: std::str::FromStr<Err = weir_event::ScopeError>,
{
    let text = decode_segment(segment).map_err(|error| Issue::of_path(name, error.to_string()))?;
    text.parse().map_err(|error: weir_event::ScopeError| Issue::of_path(name, error.to_string()))
}
