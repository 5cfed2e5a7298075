//! The signature of a delivery, as Standard Webhooks has it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What signs: 24 to 64 bytes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(Vec<u8>);

/// A text is no key. The message holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret is whsec_ and 24 to 64 bytes in base64, such as `openssl rand -base64 32` gives them")]
pub struct KeyError;

const PREFIX: &str = "whsec_";

impl Key {
    /// Reads `whsec_` and base64, or base64 alone.
    pub(super) fn parse(secret: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(secret.strip_prefix(PREFIX).unwrap_or(secret)).map_err(|_| KeyError)?;
        if (24..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(KeyError) }
    }

    /// The value of the header `webhook-signature` for a body that is sent under `id` at a time in seconds since 1970.
    pub(super) fn sign(&self, id: &str, at_s: i64, body: &[u8]) -> String {
        let mut hmac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        hmac.update(format!("{id}.{at_s}.").as_bytes());
        hmac.update(body);
        format!("v1,{}", STANDARD.encode(hmac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the tests of the reference implementations.
    #[test]
    fn the_reference_signs_the_same() {
        let key = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(Key::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(), key);
    }

    #[test]
    fn a_weak_key_is_none() {
        for bad in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64!", &format!("whsec_{}", "A".repeat(88))]
        {
            assert_eq!(Key::parse(bad), Err(KeyError), "{bad}");
        }
    }
}
