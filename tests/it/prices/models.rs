//! The models of the committed layer, with the moments and sizes at which their prices change.

use std::fs;
use std::path::Path;

use toml::{Table, Value};

/// The source's names of providers, where they are not ours.
const NAMES: &[(&str, &str)] = &[
    ("aws-bedrock", "aws"),
    ("azure-openai", "azure"),
    ("google-ai-studio", "google"),
    ("google-vertex-ai", "google"),
    ("grok", "x-ai"),
    ("perplexity-ai", "perplexity"),
    ("voyage", "voyageai"),
    ("workers-ai", "cloudflare"),
];

/// A model.
pub(super) struct Model {
    /// Our name of the provider.
    pub(super) provider: String,
    /// Theirs.
    pub(super) source: String,
    /// A name that means it.
    pub(super) name: String,
    /// Days on which a price begins.
    pub(super) days: Vec<String>,
    /// Times of day at which a price begins or ends.
    pub(super) times: Vec<String>,
    /// Sizes of the input at which a price begins.
    pub(super) bounds: Vec<u64>,
    /// The words of what it charges for.
    pub(super) charges: Vec<String>,
    /// Service tiers, with the day on which each begins.
    pub(super) tiers: Vec<(String, Option<String>)>,
}

/// The files of the layer, by name.
pub(super) fn price_files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/pricing/book/genai-prices");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let read = |path: std::path::PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
    };
    let mut files: Vec<_> = paths.map(read).collect();
    files.sort();
    files
}

pub(super) fn all(files: &[(&str, &str)]) -> Vec<Model> {
    let files = files.iter().map(|(_, text)| text.parse::<Table>().unwrap());
    files.flat_map(|file| models(&file)).collect()
}

/// The source's name of a provider of ours.
pub(super) fn source_of(provider: &str) -> String {
    let known = NAMES.iter().find(|(ours, _)| *ours == provider).map(|(_, theirs)| (*theirs).to_owned());
    known.unwrap_or_else(|| provider.replace("huggingface-", "huggingface_"))
}

fn models(file: &Table) -> Vec<Model> {
    let provider = file["provider"].as_str().unwrap();
    let models = list(file, "model").iter().map(|model| {
        let model = model.as_table().unwrap();
        // The first and the last of its names.
        let rules = list(model, "match");
        let names = [rules.first(), rules.last().filter(|_| rules.len() > 1)];
        let names = names.into_iter().flatten().filter_map(name).collect::<Vec<_>>();
        names.into_iter().map(|name| Model {
            provider: provider.to_owned(),
            source: source_of(provider),
            name,
            days: texts(model, "from"),
            times: spans(model),
            bounds: bounds(model),
            charges: charges(model),
            tiers: tiers(model),
        })
    });
    models.flatten().collect()
}

fn list<'a>(table: &'a Table, key: &str) -> &'a [Value] {
    table.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A name that the rule holds for; none where that takes more than to repeat it.
fn name(rule: &Value) -> Option<String> {
    let text = |key: &str| rule.get(key).and_then(Value::as_str).map(str::to_owned);
    let exact = rule.as_str().map(str::to_owned);
    exact.or_else(|| text("prefix")).or_else(|| text("contains")).or_else(|| text("suffix"))
}

fn texts(model: &Table, key: &str) -> Vec<String> {
    let prices = list(model, "price").iter();
    let mut texts: Vec<_> = prices.filter_map(|price| price.get(key)?.as_str()).map(str::to_owned).collect();
    texts.sort();
    texts.dedup();
    texts
}

fn spans(model: &Table) -> Vec<String> {
    let prices = list(model, "price").iter().filter_map(|price| price.get("hours_utc")?.as_array());
    let spans = prices.flatten().filter_map(Value::as_str);
    spans.flat_map(|span| span.split('-')).map(str::to_owned).collect()
}

fn bounds(model: &Table) -> Vec<u64> {
    let tiers = list(model, "price").iter().filter_map(|price| price.get("tier")?.as_array()).flatten();
    let bounds = tiers.filter_map(|tier| tier.get("over").or_else(|| tier.get("at_least"))?.as_integer());
    let mut bounds: Vec<u64> = bounds.map(|bound| u64::try_from(bound).unwrap()).collect();
    bounds.sort_unstable();
    bounds.dedup();
    bounds
}

fn charges(model: &Table) -> Vec<String> {
    let amounts = ["per_million", "per_thousand", "per_hour"];
    let prices = list(model, "price").iter();
    let tables = prices.flat_map(|price| amounts.iter().filter_map(|key| price.get(key)?.as_table()));
    tables.flat_map(|table| table.keys().cloned()).collect()
}

fn tiers(model: &Table) -> Vec<(String, Option<String>)> {
    let text = |price: &Value, key: &str| price.get(key).and_then(Value::as_str).map(str::to_owned);
    let prices = list(model, "price").iter();
    let mut tiers: Vec<_> =
        prices.filter_map(|price| Some((text(price, "service_tier")?, text(price, "from")))).collect();
    tiers.sort();
    tiers.dedup_by(|later, first| later.0 == first.0);
    tiers
}
