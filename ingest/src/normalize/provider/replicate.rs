//! Replicate: `models/{owner}/{name}/predictions`, or `predictions`, where the body names a version.

use weir_event::RequestType;

use super::{Call, Provider, by_path};
use crate::normalize::api::REPLICATE;

pub(super) const PROVIDER: Provider =
    Provider { name: "replicate", also: &[], hosts: &["api.replicate.com"], call };

fn call(path: &str) -> Call<'_> {
    let Some(resource) = path.strip_suffix("predictions") else {
        // A prediction that is looked at again, for one: it was counted when it was made.
        return by_path(path);
    };
    let model = resource.split_once("models/").map(|(_, model)| model.trim_end_matches('/').into());
    Call { model, request_type: RequestType::Other, api: &REPLICATE, ..by_path(path) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::api::CHAT;
    use crate::normalize::testing::check_call;

    #[test]
    fn a_prediction_is_counted_when_it_is_made() {
        let check = |path: &str, model, api| check_call(&PROVIDER, path, (model, RequestType::Other, api));
        check(
            "v1/models/meta/meta-llama-3-8b-instruct/predictions",
            Some("meta/meta-llama-3-8b-instruct"),
            &REPLICATE,
        );
        check("v1/predictions", None, &REPLICATE);
        check("v1/predictions/abc", None, &CHAT);
    }
}
