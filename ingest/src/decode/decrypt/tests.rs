//! Opening, with envelopes that another library made (see `schemas/json/examples/ai_gateway/make.py`), and every way in
//! which one can be damaged.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/json/examples/ai_gateway");

fn key_file(name: &str) -> String {
    std::fs::read_to_string(format!("{EXAMPLES}/keys/{name}.pem")).unwrap()
}

fn keys(names: &[&str]) -> PrivateKeys {
    PrivateKeys::from_pem(&names.iter().map(|name| key_file(name)).collect::<String>()).unwrap()
}

static CURRENT: LazyLock<PrivateKeys> = LazyLock::new(|| keys(&["current"]));
static STRANGER: LazyLock<PrivateDecryptingKey> =
    LazyLock::new(|| PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap());

fn stranger_pem() -> String {
    let der: Pkcs8V1Der<'_> = STRANGER.as_der().unwrap();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()))
}

/// The request of an example.
fn request(example: &str) -> Envelope {
    let record = std::fs::read_to_string(format!("{EXAMPLES}/{example}.ndjson")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let field = match &record["RequestBody"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        object => object.clone(),
    };
    let part = |name| STANDARD.decode(field[name].as_str().unwrap()).unwrap();
    Envelope { key: part("key"), iv: part("iv"), data: part("data") }
}

fn open(keys: &PrivateKeys, envelope: Envelope) -> Result<String, DecryptError> {
    Opener::new(keys, "my-gateway").open(envelope)
}

/// An envelope for the stranger, with any content key.
fn seal(content_key: &[u8], text: &[u8]) -> Envelope {
    let public = OaepPublicEncryptingKey::new(STRANGER.public_key()).unwrap();
    let mut key = vec![0; public.ciphertext_size()];
    public.encrypt(&OAEP_SHA256_MGF1SHA256, content_key, &mut key, None).unwrap();
    let iv = vec![7; 12];
    let mut data = text.to_vec();
    if let Ok(unbound) = UnboundKey::new(&AES_256_GCM, content_key) {
        let nonce = Nonce::try_assume_unique_for_key(&iv).unwrap();
        LessSafeKey::new(unbound).seal_in_place_append_tag(nonce, Aad::empty(), &mut data).unwrap();
    }
    Envelope { key, iv, data }
}

#[test]
fn what_another_library_encrypted_is_opened_with_either_form_of_key() {
    let body = open(&CURRENT, request("encrypted_chat")).unwrap();
    assert!(body.starts_with(r#"{"model":"gpt-4o-mini","#) && body.contains("Grüße, 世界"), "{body}");
    let body = open(&keys(&["retired"]), request("encrypted_text_stream_retired_key")).unwrap();
    assert!(body.starts_with(r#"{"model":"claude-sonnet-4-20250514","#), "{body}");
}

#[test]
fn every_key_is_tried_and_the_one_that_fits_is_remembered() {
    let keys =
        PrivateKeys::from_pem(&[stranger_pem(), key_file("retired"), key_file("current")].concat()).unwrap();
    for _ in 0..2 {
        for example in ["encrypted_chat", "encrypted_text_stream_retired_key"] {
            assert!(open(&keys, request(example)).is_ok(), "{example}");
        }
        assert_eq!(open(&keys, seal(&[1; 32], b"for the stranger")).unwrap(), "for the stranger");
    }
}

#[test]
fn without_the_right_key_it_is_told_what_is_missing() {
    let check = |keys: &PrivateKeys, expected: &str| {
        assert_eq!(open(keys, request("encrypted_chat")).unwrap_err().to_string(), expected);
    };
    check(&PrivateKeys::default(), "there is no private key here");
    check(&keys(&["retired"]), "no private key here has 2048 bits, as the one that it was encrypted for");
    check(&PrivateKeys::from_pem(&stranger_pem()).unwrap(), "no private key here opens it");
}

#[test]
fn parts_of_another_kind_are_told_apart() {
    let stranger = PrivateKeys::from_pem(&stranger_pem()).unwrap();
    for (content_key, error) in [
        (&[1_u8; 16][..], DecryptError::OtherCipher),
        (&[1; 33], DecryptError::OtherCipher),
        (&[], DecryptError::OtherCipher),
    ] {
        assert_eq!(open(&stranger, seal(content_key, b"text")), Err(error));
    }
    for bytes in [0, 11, 13, 16] {
        let envelope = Envelope { iv: vec![7; bytes], ..seal(&[1; 32], b"text") };
        assert_eq!(open(&stranger, envelope), Err(DecryptError::Nonce { bytes }));
    }
    assert_eq!(open(&stranger, seal(&[1; 32], b"")).unwrap(), "");
    assert_eq!(open(&stranger, seal(&[1; 32], b"a\xffb")).unwrap(), "a\u{fffd}b");
}

#[test]
fn every_cut_of_a_part_keeps_it_closed() {
    let whole = request("encrypted_chat");
    for cut in 0..whole.data.len() {
        let envelope = Envelope { data: whole.data[..cut].to_vec(), ..whole.clone() };
        assert_eq!(open(&CURRENT, envelope), Err(DecryptError::Damaged), "{cut}");
    }
    for cut in 0..whole.key.len() {
        let envelope = Envelope { key: whole.key[..cut].to_vec(), ..whole.clone() };
        assert_eq!(open(&CURRENT, envelope), Err(DecryptError::OtherKeySize { bits: 8 * cut }), "{cut}");
    }
}

#[test]
fn a_field_of_many_megabytes_is_opened_in_its_own_memory() {
    let stranger = PrivateKeys::from_pem(&stranger_pem()).unwrap();
    let text = vec![b'x'; 12 << 20];
    assert_eq!(open(&stranger, seal(&[1; 32], &text)).unwrap().into_bytes(), text);
}

#[test]
fn a_field_that_stays_closed_does_not_close_the_next() {
    let mut opener = Opener::new(&CURRENT, "my-gateway");
    let whole = request("encrypted_chat");
    let damaged = Envelope { data: vec![0; 40], ..whole.clone() };
    assert_eq!(opener.open(damaged), Err(DecryptError::Damaged));
    let foreign = request("encrypted_for_an_unknown_key");
    assert_eq!(opener.open(foreign.clone()), Err(DecryptError::WrongPrivateKey));
    assert_eq!(opener.open(foreign), Err(DecryptError::WrongPrivateKey));
    assert!(opener.open(whole).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_flipped_bit_anywhere_keeps_it_closed(part in 0_usize..3, at: prop::sample::Index, bit in 0_u8..8) {
        let mut envelope = request("encrypted_chat");
        let bytes = match part { 0 => &mut envelope.key, 1 => &mut envelope.iv, _ => &mut envelope.data };
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(open(&CURRENT, envelope).is_err());
    }

    #[test]
    fn no_envelope_panics(key: Vec<u8>, iv: Vec<u8>, data: Vec<u8>, whole_key: bool, whole_iv: bool) {
        let whole = request("encrypted_chat");
        let envelope = Envelope {
            key: if whole_key { whole.key } else { key },
            iv: if whole_iv { whole.iv } else { iv },
            data,
        };
        prop_assert!(open(&CURRENT, envelope).is_err());
    }
}
