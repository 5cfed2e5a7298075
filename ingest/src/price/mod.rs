//! Stage 4: from what happened to what it cost.
//!
//! In: a [`UsageEvent`](weir_event::UsageEvent). Out: a [`PricedEvent`](weir_pricing::PricedEvent), whose cost does
//! not change again. The rules and the prices are the pricing crate's: this stage only applies them, at the moment an
//! event comes in, so that every row says what was known then.

mod files;

pub use files::{PriceFilesError, load_book};
pub use weir_pricing::{PriceBook, PricedEvent};
