//! Properties of librdkafka, as the operator gives them. Their values are never shown.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

/// Properties that say what Weir's own keys say.
const OURS: [(&str, &str); 3] = [
    ("bootstrap.servers", "is ingest.kafka_brokers"),
    ("metadata.broker.list", "is ingest.kafka_brokers"),
    ("group.id", "is ingest.kafka_group"),
];

/// Properties without which a message could be lost, or the process not tell how it stands.
const FIXED: [(&str, &str); 9] = [
    ("enable.auto.commit", "is fixed: an offset moves when its message is committed, and not before"),
    ("auto.commit.enable", "is fixed: an offset moves when its message is committed, and not before"),
    ("enable.auto.offset.store", "is fixed: an offset moves when its message is committed, and not before"),
    ("statistics.interval.ms", "is fixed: readiness and the lag are made of the statistics"),
    ("acks", "is fixed: a dead letter is one when all replicas have it"),
    ("request.required.acks", "is fixed: a dead letter is one when all replicas have it"),
    ("enable.idempotence", "is fixed: a dead letter is produced once"),
    ("transactional.id", "is not for Weir: it does not produce in transactions"),
    ("enable.gapless.guarantee", "is not for Weir: a dead letter that fails is produced again"),
];

/// Properties of which only some values do no harm.
const LIMITED: [(&str, &[&str], &str); 2] = [
    (
        "auto.offset.reset",
        &["earliest", "smallest", "beginning"],
        "can only be earliest: any other would pass messages over",
    ),
    (
        "partition.assignment.strategy",
        &["cooperative-sticky"],
        "can only be cooperative-sticky: with any other every rebalance stops every partition",
    ),
];

/// Parts of the names of properties whose values are secret.
const SECRET_WORDS: [&str; 5] = ["password", "secret", "key.pem", "token", "oauthbearer.config"];

/// Names and values, each name once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

/// Why a property cannot be used. It names the property and shows no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidProperty(String);

impl Properties {
    /// Takes `name=value` in, if librdkafka does.
    pub fn add(&mut self, text: &str) -> Result<(), InvalidProperty> {
        let Some((name, value)) = text.split_once('=') else {
            // It may be a value that lost its name.
            return Err(InvalidProperty("an entry is not name=value".to_owned()));
        };
        let (name, value) = (name.trim(), value.trim());
        let invalid = |reason: &str| Err(InvalidProperty(format!("{name:?} {reason}")));
        if let Some((_, reason)) = OURS.iter().chain(&FIXED).find(|(fixed, _)| *fixed == name) {
            return invalid(reason);
        }
        if let Some((_, values, reason)) = LIMITED.iter().find(|(limited, ..)| *limited == name)
            && !values.contains(&value)
        {
            return invalid(reason);
        }
        if let Err(error) = ClientConfig::new().set(name, value).create_native_config() {
            return invalid(&complaint(name, value, &error));
        }
        if self.0.insert(name.to_owned(), value.to_owned()).is_some() {
            return invalid("is given twice");
        }
        Ok(())
    }

    /// Takes every line of a file in: `name=value`, where a value may have any characters; empty lines and lines that begin
    /// with `#` are passed over. Tells of everything that is wrong.
    pub fn add_lines(&mut self, text: &str) -> Vec<InvalidProperty> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.filter_map(|line| self.add(line).err()).collect()
    }

    /// The value of a property that was given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets them in `config`.
    pub(super) fn set_in(&self, config: &mut ClientConfig) {
        for (name, value) in &self.0 {
            config.set(name, value);
        }
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What librdkafka says of a property, unless that repeats a secret.
fn complaint(name: &str, value: &str, error: &KafkaError) -> String {
    let is_secret = SECRET_WORDS.iter().any(|word| name.contains(word));
    match error {
        KafkaError::ClientConfig(_, reason, ..) if !is_secret => {
            format!("is not taken by librdkafka: {reason}")
        }
        // What cannot even be handed to it: a value with a NUL byte.
        _ if value.contains('\0') => "has a NUL byte in its value".to_owned(),
        _ => "has a value that librdkafka does not take".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        Properties::default().add(text).unwrap_err().to_string()
    }

    #[test]
    fn librdkafka_says_what_it_takes() {
        let mut properties = Properties::default();
        let given = ["security.protocol=SASL_SSL", "sasl.mechanism = SCRAM-SHA-512", "fetch.wait.max.ms=50"];
        for text in given {
            assert_eq!(properties.add(text), Ok(()), "{text}");
        }
        assert_eq!(properties.get("sasl.mechanism"), Some("SCRAM-SHA-512"));
        assert!(
            told("no.such.property=1").contains("No such configuration property"),
            "{}",
            told("no.such.property=1")
        );
        let error = told("security.protocol=carrier_pigeon");
        assert!(error.starts_with(r#""security.protocol" is not taken by librdkafka"#), "{error}");
        assert_eq!(
            properties.add("fetch.wait.max.ms=60").unwrap_err().to_string(),
            r#""fetch.wait.max.ms" is given twice"#
        );
    }

    #[test]
    fn what_would_break_a_promise_is_refused() {
        for text in [
            "enable.auto.commit=true",
            "enable.auto.offset.store=true",
            "partition.assignment.strategy=range",
            "auto.offset.reset=latest",
            "group.id=other",
            "bootstrap.servers=elsewhere:9092",
            "acks=1",
        ] {
            let name = text.split_once('=').unwrap().0;
            assert!(told(text).starts_with(&format!("{name:?} ")), "{}", told(text));
        }
        assert_eq!(Properties::default().add("auto.offset.reset=earliest"), Ok(()));
        assert_eq!(Properties::default().add("partition.assignment.strategy=cooperative-sticky"), Ok(()));
    }

    #[test]
    fn values_of_a_file_may_have_any_character_and_none_is_shown() {
        let mut properties = Properties::default();
        let problems =
            properties.add_lines("# who we are\n\nsasl.username=weir\nsasl.password=a,b = #c\nhunter2\n");
        assert_eq!(properties.get("sasl.password"), Some("a,b = #c"));
        assert_eq!(problems.len(), 1);
        let shown = format!("{properties:?} {problems:?} {}", told("ssl.key.password=hunter2\0"));
        assert!(!shown.contains("hunter2") && !shown.contains("a,b"), "{shown}");
        assert!(shown.contains("sasl.password"), "{shown}");
    }
}
