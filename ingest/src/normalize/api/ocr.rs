//! The reading of documents (Mistral): billed by the page. Whether its pages are annotated too, which has a price of
//! its own, is asked in the request.

use serde::Deserialize;
use weir_event::Unit;

use super::usage::Count;
use super::{Api, Usage, UsageError};
use crate::normalize::answer::{Answer, Members};

pub(in crate::normalize) static OCR: Api = Api { name: "document reading", read, usage };

#[derive(Deserialize)]
struct WireUsage {
    pages_processed: Option<Count>,
}

fn read(members: &Members<'_>, answer: &mut Answer) {
    answer.identify(members);
    if let Some(usage) = members.usage {
        answer.report(usage, true);
    }
}

fn usage(json: &str) -> Result<Usage, UsageError> {
    let wire: WireUsage = serde_json::from_str(json).map_err(|_| UsageError::Form)?;
    let mut usage = Usage::default();
    usage.set_unit(Unit::InputPages, wire.pages_processed.map(|Count(count)| count))?;
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::testing::cut_at_every_offset;

    #[test]
    fn pages_are_counted() {
        let body = r##"{"pages":[{"index":0,"markdown":"# Größe"}],"model":"mistral-ocr-2512","document_annotation":null,"usage_info":{"pages_processed":29,"doc_size_bytes":3002783}}"##;
        let usage = cut_at_every_offset(body, &OCR);
        assert_eq!((usage.units.get(Unit::InputPages), usage.tokens.is_empty()), (29, true));
    }
}
