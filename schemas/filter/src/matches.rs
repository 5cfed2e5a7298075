//! What a filter means, asked of a row in memory.

use rust_decimal::Decimal;
use weir_event::{
    Attributes, CostSource, Metadata, MetadataValue, RequestType, Timestamp, TokenBucket, UnpricedReason, Usd,
};
use weir_pricing::{Edition, PricedEvent};

use crate::fold::{contains, starts_with};
use crate::like::is_like;
use crate::{
    Comparison, Condition, EntrySide, Filter, FlagField, Node, NumberField, NumberTest, TextField, TextTest,
    Texts, TimeField,
};

/// A row that can be asked. What its source did not give is the empty text or `None`.
pub trait Row {
    /// The text of a field.
    fn text(&self, field: TextField) -> &str;
    /// The number of a field.
    fn number(&self, field: NumberField) -> Option<Decimal>;
    /// The time of a field.
    fn time(&self, field: TimeField) -> Timestamp;
    /// Whether a field is true.
    fn flag(&self, field: FlagField) -> bool;
    /// The metadata.
    fn metadata(&self) -> Option<&Metadata>;
}

impl Filter {
    /// Whether it lets `row` through.
    pub fn matches(&self, row: &impl Row) -> bool {
        self.root().is_none_or(|root| root.matches(row))
    }
}

impl Node {
    fn matches(&self, row: &impl Row) -> bool {
        match self {
            Self::And(nodes) => nodes.iter().all(|node| node.matches(row)),
            Self::Or(nodes) => nodes.iter().any(|node| node.matches(row)),
            Self::Not(node) => !node.matches(row),
            Self::Is(condition) => condition.matches(row),
        }
    }
}

impl Condition {
    fn matches(&self, row: &impl Row) -> bool {
        match self {
            Self::Text(Texts::Of(field), TextTest::Exists) => !row.text(*field).is_empty(),
            Self::Text(Texts::Of(field), test) => test.matches(std::iter::once(row.text(*field))),
            Self::Text(Texts::AnyEntry(side), test) => {
                let entries = || row.metadata().into_iter().flat_map(Metadata::iter);
                match side {
                    EntrySide::Key => test.matches(entries().map(|(name, _)| name)),
                    EntrySide::Value => test.matches(entries().map(|(_, value)| value.to_text())),
                }
            }
            Self::Text(Texts::Entry(name), test) => test.matches(
                row.metadata()
                    .and_then(|metadata| metadata.get(name))
                    .map(MetadataValue::to_text)
                    .into_iter(),
            ),
            Self::Number(field, test) => test.matches(row.number(*field)),
            // Rows are kept in whole milliseconds, and instants may be finer.
            Self::Time(field, comparison, instant) => {
                let nanos = i128::from(row.time(*field).millis()) * 1_000_000;
                comparison.holds(&nanos, &instant.as_nanosecond())
            }
            Self::Flag(field, value) => row.flag(*field) == *value,
        }
    }
}

impl TextTest {
    fn matches<T: AsRef<str>>(&self, mut texts: impl Iterator<Item = T>) -> bool {
        match self {
            Self::Eq(value) => texts.any(|text| text.as_ref() == value),
            Self::Neq(value) => !texts.any(|text| text.as_ref() == value),
            Self::In(values) => texts.any(|text| values.iter().any(|value| text.as_ref() == value)),
            Self::Contains(part) => texts.any(|text| contains(text.as_ref(), part)),
            Self::StartsWith(part) => texts.any(|text| starts_with(text.as_ref(), part)),
            Self::Like(pattern) => texts.any(|text| is_like(text.as_ref(), pattern)),
            Self::Exists => texts.next().is_some(),
        }
    }
}

impl NumberTest {
    fn matches(&self, number: Option<Decimal>) -> bool {
        match (self, number) {
            (Self::Compare(comparison, _), None) => *comparison == Comparison::Neq,
            (Self::In(_) | Self::Exists, None) => false,
            (Self::Compare(comparison, value), Some(number)) => comparison.holds(&number, value),
            (Self::In(values), Some(number)) => values.contains(&number),
            (Self::Exists, Some(_)) => true,
        }
    }
}

impl Comparison {
    fn holds<T: Ord>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Eq => left == right,
            Self::Neq => left != right,
            Self::Lt => left < right,
            Self::Lte => left <= right,
            Self::Gt => left > right,
            Self::Gte => left >= right,
        }
    }
}

impl Row for PricedEvent {
    fn text(&self, field: TextField) -> &str {
        let (event, cost) = (self.event(), self.cost());
        let caller = &event.caller;
        match field {
            TextField::Id => event.id.as_str(),
            TextField::Source => event.source.as_str(),
            TextField::Dialect => event.dialect.as_str(),
            TextField::Kind => event.kind.as_str(),
            TextField::RequestType => event.request_type.map_or("", RequestType::as_str),
            TextField::Token => caller.token(),
            TextField::CostSource => cost.source().as_str(),
            TextField::UnpricedReason => cost.unpriced_reason().map_or("", UnpricedReason::as_str),
            TextField::PriceId => cost.price_id().unwrap_or_default(),
            TextField::PriceBook => cost.edition().map_or("", Edition::as_str),
            TextField::DlpAction => attribute(self, |attributes| attributes.dlp_action.as_deref()),
            TextField::PromptId => attribute(self, |attributes| attributes.prompt_id.as_deref()),
            TextField::PromptVersionId => {
                attribute(self, |attributes| attributes.prompt_version_id.as_deref())
            }
            TextField::Content => attribute(self, |attributes| attributes.content.as_deref()),
            TextField::UpstreamRequestId => {
                attribute(self, |attributes| attributes.upstream_request_id.as_deref())
            }
            TextField::EventId => text(event.event_id.as_deref()),
            TextField::RequestId => text(event.request_id.as_deref()),
            TextField::RayId => text(event.ray_id.as_deref()),
            TextField::Provider => text(event.provider.as_deref()),
            TextField::Model => text(event.model.as_deref()),
            TextField::ModelRequested => text(event.model_requested.as_deref()),
            TextField::ModelType => text(event.model_type.as_deref()),
            TextField::Path => text(event.path.as_deref()),
            TextField::Error => text(event.error.as_deref()),
            TextField::UserId => text(caller.user_id.as_deref()),
            TextField::UserName => text(caller.user_name.as_deref()),
            TextField::TokenId => text(caller.token_id.as_deref()),
            TextField::TokenName => text(caller.token_name.as_deref()),
            TextField::TokenHash => text(caller.token_hash.as_deref()),
            TextField::Group => text(caller.group.as_deref()),
            TextField::ChannelId => text(caller.channel_id.as_deref()),
            TextField::Ip => text(caller.ip.as_deref()),
            TextField::Country => text(caller.country.as_deref()),
            TextField::UserAgent => text(caller.user_agent.as_deref()),
            TextField::ServiceTier => text(event.service_tier.as_deref()),
            TextField::RequestContentType => text(event.bodies.request_content_type.as_deref()),
            TextField::ResponseContentType => text(event.bodies.response_content_type.as_deref()),
        }
    }

    fn number(&self, field: NumberField) -> Option<Decimal> {
        let event = self.event();
        let (tokens, attributes) = (&event.tokens, event.attributes.as_deref());
        let count = match field {
            NumberField::Cost => return self.cost().amount().map(Usd::amount),
            NumberField::Quota => return self.quota().map(|quota| quota.units.into()),
            NumberField::Feedback => return Some(attributes?.feedback?.decimal()),
            NumberField::Score => return Some(attributes?.score?.decimal()),
            NumberField::Tokens => match (tokens.total_in(), tokens.total_out()) {
                (None, None) => None,
                (tokens_in, tokens_out) => {
                    return Some(
                        Decimal::from(tokens_in.unwrap_or(0)) + Decimal::from(tokens_out.unwrap_or(0)),
                    );
                }
            },
            NumberField::TokensIn => tokens.total_in(),
            NumberField::TokensOut => tokens.total_out(),
            NumberField::TokensCacheRead => tokens.get(TokenBucket::CacheRead),
            NumberField::TokensReasoning => tokens.get(TokenBucket::Reasoning),
            NumberField::DurationMs => event.duration_ms,
            NumberField::TimeToFirstTokenMs => event.time_to_first_token_ms,
            NumberField::StatusCode => event.status_code.map(u64::from),
            NumberField::Step => event.step.map(u64::from),
            NumberField::RequestSize => event.bodies.request_size,
            NumberField::ResponseSize => event.bodies.response_size,
        };
        count.map(Decimal::from)
    }

    fn time(&self, field: TimeField) -> Timestamp {
        match field {
            TimeField::CreatedAt => self.event().created_at,
            TimeField::StartedAt => self.event().started_at,
        }
    }

    fn flag(&self, field: FlagField) -> bool {
        let event = self.event();
        match field {
            FlagField::Success => event.success,
            FlagField::Cached => event.cached,
            FlagField::Streamed => event.streamed,
            FlagField::Truncated => event.truncated,
            FlagField::CustomCost => self.cost().source() == CostSource::Custom,
            FlagField::Authentication => attribute(self, |attributes| attributes.authentication),
            FlagField::Wholesale => attribute(self, |attributes| attributes.wholesale),
            FlagField::CompatibilityMode => attribute(self, |attributes| attributes.compatibility_mode),
        }
    }

    fn metadata(&self) -> Option<&Metadata> {
        self.event().metadata.as_ref()
    }
}

/// What of its attributes an event has; what it does not have is empty, or false.
fn attribute<'e, T: Default>(event: &'e PricedEvent, of: impl FnOnce(&'e Attributes) -> Option<T>) -> T {
    event.event().attributes.as_deref().and_then(of).unwrap_or_default()
}

fn text(text: Option<&str>) -> &str {
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests;
