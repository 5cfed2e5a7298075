//! The settings of redaction, in section `[ingest]`.

use std::collections::BTreeSet;

use weir_service::config::{Key, Reader, Reported};

use super::{BuiltIn, InvalidPattern, Pattern, Policies, Policy, Redactor, Rules};

/// The most patterns of an operator.
const PATTERNS_MAX: usize = 32;

const POLICIES: &str = "ingest.payload_policies";
const HEAD_CHARACTERS: &str = "ingest.payload_head_characters";
const RULES: &str = "ingest.redact_rules";
const PATTERNS: &str = "ingest.redact_patterns";

/// The keys.
pub const KEYS: [Key; 4] = [
    Key::new(
        POLICIES,
        "what is kept of bodies: account/gateway=policy with * for any characters, the first that fits; policies are store, redact, heads and none, and redact where nothing fits",
    ),
    Key::new(HEAD_CHARACTERS, "how many characters of each body the policy heads keeps").default("1024"),
    Key::new(RULES, "the rules for texts: api_key, bearer, jwt, card, email")
        .default("api_key,bearer,jwt,card,email"),
    Key::new(PATTERNS, "rules of your own: name=regular expression; in the file, if one has a comma in it"),
];

/// Reads the settings.
pub fn read(reader: &mut Reader) -> Result<Redactor, Reported> {
    let policies = reader.get_list(POLICIES).map(Policies::new);
    let head_characters = reader.get_in(HEAD_CHARACTERS, 1_usize..=1_000_000);
    let built_in: Result<Vec<BuiltIn>, _> = reader.get_list(RULES);
    let patterns = read_patterns(reader);
    let policies = policies.and_then(|policies| checked(policies, reader));
    let (policies, built_in, patterns) = (policies?, built_in?, patterns?);
    let rules =
        Rules::new(&built_in, patterns).map_err(|error| reader.reject(PATTERNS, error.to_string()))?;
    let needs_rules = policies.may_be(Policy::Redact) || policies.may_be(Policy::Heads);
    reader.require(
        !(needs_rules && rules.is_empty()),
        RULES,
        "has no rule, but a gateway's policy is redact or heads; say */*=store in ingest.payload_policies to store bodies as they come",
    )?;
    Ok(Redactor::new(policies, rules, head_characters?))
}

fn checked(policies: Policies, reader: &mut Reader) -> Result<Policies, Reported> {
    match policies.unreachable() {
        Some(entry) => {
            let reason = format!("entry {entry} is never reached: one before it is for all gateways");
            Err(reader.reject(POLICIES, reason))
        }
        None => Ok(policies),
    }
}

fn read_patterns(reader: &mut Reader) -> Result<Vec<Pattern>, Reported> {
    let texts: Vec<String> = reader.get_list(PATTERNS)?;
    if texts.len() > PATTERNS_MAX {
        let reason = format!("has {} patterns, more than {PATTERNS_MAX}", texts.len());
        return Err(reader.reject(PATTERNS, reason));
    }
    let mut names: BTreeSet<String> = BuiltIn::ALL.into_iter().map(|rule| rule.name().to_owned()).collect();
    let patterns: Vec<_> = texts.iter().map(|text| read_pattern(text, &mut names, reader)).collect();
    patterns.into_iter().collect()
}

fn read_pattern(text: &str, names: &mut BTreeSet<String>, reader: &mut Reader) -> Result<Pattern, Reported> {
    let pattern = Pattern::parse(text).map_err(|error: InvalidPattern| {
        let name = text.split_once('=').map_or(text, |(name, _)| name);
        reader.reject(PATTERNS, format!("{name:?} {error}"))
    })?;
    if !names.insert(pattern.name().to_owned()) {
        return Err(reader.reject(PATTERNS, format!("{:?} is the name of another rule", pattern.name())));
    }
    Ok(pattern)
}
