//! The texts of an event, apart from what is counted in it.

use crate::{Attributes, Bodies, Caller, Flags, Metadata, UsageEvent};

/// What of an event is text, to be changed after its cost was settled: what people wrote or what repeats it, and names.
/// No count, amount or time is here, nor what identifies the event.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of UsageEvent")]
pub struct Texts<'e> {
    pub provider: &'e mut Option<String>,
    pub model: &'e mut Option<String>,
    pub model_requested: &'e mut Option<String>,
    pub model_type: &'e mut Option<String>,
    pub service_tier: &'e mut Option<String>,
    pub event_id: &'e mut Option<String>,
    pub request_id: &'e mut Option<String>,
    pub path: &'e mut Option<String>,
    pub error: &'e mut Option<String>,
    pub caller: &'e mut Caller,
    pub usage_json: &'e mut Option<String>,
    pub metadata: &'e mut Option<Metadata>,
    pub attributes: &'e mut Option<Box<Attributes>>,
    pub bodies: &'e mut Bodies,
    pub flags: &'e mut Flags,
}

impl UsageEvent {
    /// The texts.
    pub const fn texts_mut(&mut self) -> Texts<'_> {
        Texts {
            provider: &mut self.provider,
            model: &mut self.model,
            model_requested: &mut self.model_requested,
            model_type: &mut self.model_type,
            service_tier: &mut self.service_tier,
            event_id: &mut self.event_id,
            request_id: &mut self.request_id,
            path: &mut self.path,
            error: &mut self.error,
            caller: &mut self.caller,
            usage_json: &mut self.usage_json,
            metadata: &mut self.metadata,
            attributes: &mut self.attributes,
            bodies: &mut self.bodies,
            flags: &mut self.flags,
        }
    }
}

impl Texts<'_> {
    /// The names: of models, ids, users and what they call themselves. Statistics and bills go by them.
    pub fn names(&mut self) -> impl Iterator<Item = &mut Option<String>> {
        let Caller {
            user_id,
            user_name,
            token_id,
            token_name,
            // A digest, what is made to be shown, and what the network says.
            token_hash: _,
            token_display: _,
            group,
            channel_id,
            ip: _,
            country: _,
            // A text, not a name.
            user_agent: _,
        } = &mut *self.caller;
        let of_caller = [user_id, user_name, token_id, token_name, group, channel_id];
        let of_model = [
            &mut *self.provider,
            &mut *self.model,
            &mut *self.model_requested,
            &mut *self.model_type,
            &mut *self.service_tier,
        ];
        let of_ids = [&mut *self.event_id, &mut *self.request_id];
        let of_bodies = [&mut self.bodies.request_content_type, &mut self.bodies.response_content_type];
        let of_attributes = self.attributes.as_deref_mut().map(|attributes| {
            [
                &mut attributes.dlp_action,
                &mut attributes.prompt_id,
                &mut attributes.prompt_version_id,
                &mut attributes.channel_name,
                &mut attributes.upstream_request_id,
            ]
        });
        let of_attributes = of_attributes.into_iter().flatten();
        of_caller.into_iter().chain(of_model).chain(of_ids).chain(of_bodies).chain(of_attributes)
    }
}
