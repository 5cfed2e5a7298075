//! What a policy leaves of an event.
//!
//! Three sorts of text: bodies, which the policy is about; other texts that people wrote or that repeat what they wrote
//! (metadata, error, path, user agent, content, the provider's usage object), which every rule is for; and names (models, users,
//! ids), which a bill goes by and only what opens a door is blanked in. A text is taken out of the event before any rule
//! looks at it, and put back when all have: what fails on the way is not there any more.

use weir_event::{Flag, Flags, Metadata, MetadataValue, Texts};

use super::redactor::{Pass, WITHHELD, guarded};
use super::{Policy, RedactError};
use crate::text::shorten;

/// No credential is shorter, in bytes: most names are not looked at.
const CREDENTIAL_MIN: usize = 14;

/// The texts while they are out of their event.
#[derive(Default)]
struct Taken {
    request: Option<String>,
    response: Option<String>,
    metadata: Option<Metadata>,
    error: Option<String>,
    others: [Option<String>; 4],
}

/// Leaves of the texts what the policy has, and raises what was done.
pub(super) fn apply(texts: &mut Texts<'_>, pass: &mut Pass<'_>, flags: &mut Flags) {
    let taken = Taken::of(texts);
    let had_error = taken.error.is_some();
    let done = guarded(|| taken.left_by(pass, flags));
    let named = names(texts, pass);
    if let Ok(taken) = done.and_then(|taken| named.map(|()| taken)) {
        taken.put_back(texts);
    } else {
        *texts.error = had_error.then(|| WITHHELD.to_owned());
        *flags = [Flag::RedactionFailed].into_iter().collect();
    }
    if pass.redacted {
        flags.raise(Flag::Redacted);
    }
}

impl Taken {
    fn of(texts: &mut Texts<'_>) -> Self {
        let content = texts.attributes.as_deref_mut().and_then(|attributes| attributes.content.take());
        Self {
            request: texts.bodies.request.take(),
            response: texts.bodies.response.take(),
            metadata: texts.metadata.take(),
            error: texts.error.take(),
            others: [texts.path.take(), texts.usage_json.take(), texts.caller.user_agent.take(), content],
        }
    }

    fn left_by(self, pass: &mut Pass<'_>, flags: &mut Flags) -> Result<Self, RedactError> {
        let Self { request, response, metadata, error, others } = self;
        let [path, usage_json, user_agent, content] = others;
        Ok(Self {
            request: body(request, pass, flags)?,
            response: body(response, pass, flags)?,
            metadata: metadata.map(|metadata| entries(&metadata, pass)).transpose()?,
            error: said(error, pass)?,
            others: [
                text(path, pass)?,
                text(usage_json, pass)?,
                text(user_agent, pass)?,
                text(content, pass)?,
            ],
        })
    }

    fn put_back(self, texts: &mut Texts<'_>) {
        let [path, usage_json, user_agent, content] = self.others;
        (*texts.path, *texts.usage_json, texts.caller.user_agent) = (path, usage_json, user_agent);
        (texts.bodies.request, texts.bodies.response) = (self.request, self.response);
        (*texts.metadata, *texts.error) = (self.metadata, self.error);
        if let Some(attributes) = texts.attributes.as_deref_mut() {
            attributes.content = content;
        }
    }
}

fn body(body: Option<String>, pass: &mut Pass<'_>, flags: &mut Flags) -> Result<Option<String>, RedactError> {
    let Some(body) = body else { return Ok(None) };
    match pass.policy() {
        Policy::None => {
            flags.raise(Flag::BodiesWithheld);
            Ok(None)
        }
        Policy::Heads => {
            let body = pass.body(body)?;
            let length = body.len();
            let head = shorten(body, pass.head_characters);
            if head.len() < length {
                flags.raise(Flag::BodiesCut);
            }
            Ok(Some(head))
        }
        Policy::Redact | Policy::Store => pass.body(body).map(Some),
    }
}

/// An error may repeat the prompt, and where the answer was plain text it is the answer: it is kept as far as bodies are.
fn said(error: Option<String>, pass: &mut Pass<'_>) -> Result<Option<String>, RedactError> {
    let Some(error) = error else { return Ok(None) };
    match pass.policy() {
        Policy::None => Ok(Some(WITHHELD.to_owned())),
        Policy::Heads => Ok(Some(shorten(pass.text(error)?, pass.head_characters))),
        Policy::Redact | Policy::Store => pass.text(error).map(Some),
    }
}

fn text(text: Option<String>, pass: &mut Pass<'_>) -> Result<Option<String>, RedactError> {
    text.map(|text| pass.text(text)).transpose()
}

/// Names of entries are looked at as well. Where two become the same, one of them is left.
fn entries(metadata: &Metadata, pass: &mut Pass<'_>) -> Result<Metadata, RedactError> {
    let entry = |(name, value): (&str, &MetadataValue)| {
        let name = pass.text(name.to_owned())?;
        let value = match value {
            MetadataValue::Text(text) => MetadataValue::Text(pass.text(text.clone())?),
            MetadataValue::Number(number) => {
                pass.found(&number.to_string())?.map_or_else(|| value.clone(), MetadataValue::Text)
            }
            MetadataValue::Bool(_) => value.clone(),
        };
        Ok((name, value))
    };
    metadata.iter().map(entry).collect()
}

/// Names that cannot be looked at are not kept.
fn names(texts: &mut Texts<'_>, pass: &mut Pass<'_>) -> Result<(), RedactError> {
    let mut result = Ok(());
    for name in texts.names() {
        if name.as_ref().is_none_or(|name| name.len() < CREDENTIAL_MIN) {
            continue;
        }
        let taken = name.take();
        match guarded(|| taken.map(|name| pass.name(name)).transpose()) {
            Ok(left) => *name = left,
            Err(error) => result = Err(error),
        }
    }
    result
}
