//! Opens the encrypted fields of a log: the scheme of Cloudflare's AI Gateway.
//!
//! A fresh AES-256 key encrypts the fields with GCM (no associated data, the tag at the end); it travels beside each of
//! them, wrapped for an RSA key. What cannot be opened is told field by field; it never costs the record its place, and
//! no error says anything of a key or of what was encrypted.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::PrivateKeys;
use super::envelope::{Envelope, MemberError};

/// Why a field stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// A member of the envelope is not what it has to be.
    #[error("{member} {reason}")]
    Member {
        /// `key`, `iv` or `data`.
        member: &'static str,
        /// What is wrong with it.
        reason: MemberError,
    },
    /// The envelope breaks off.
    #[error("the envelope is cut")]
    Cut,
    /// No private key was given to this process.
    #[error("there is no private key here")]
    NoPrivateKey,
    /// The content key is wrapped for a key of a size that none of ours has.
    #[error("no private key here has {bits} bits, as the one that it was encrypted for")]
    OtherKeySize {
        /// The size that it is wrapped for.
        bits: usize,
    },
    /// None of the private keys opens the content key, or the content key is damaged.
    #[error("no private key here opens it")]
    WrongPrivateKey,
    /// What was wrapped is no AES-256 key.
    #[error("the wrapped key is not one of AES-256")]
    OtherCipher,
    /// GCM is used with another nonce than its own.
    #[error("iv has {bytes} bytes, not 12")]
    Nonce {
        /// How long it is.
        bytes: usize,
    },
    /// What was encrypted is not what has arrived.
    #[error("data is damaged")]
    Damaged,
}

/// Opens the fields of one record. They share their content key, and unwrapping it is by far the most work.
pub(super) struct Opener<'k> {
    keys: &'k PrivateKeys,
    gateway: &'k str,
    last: Option<Unwrapped>,
}

struct Unwrapped {
    wrapped: Vec<u8>,
    key: Result<LessSafeKey, DecryptError>,
}

impl<'k> Opener<'k> {
    /// For a record of `gateway`.
    pub(super) fn new(keys: &'k PrivateKeys, gateway: &'k str) -> Self {
        Self { keys, gateway, last: None }
    }

    /// What is in the envelope, as text. Bytes that are no text are replaced: what was sent to a model as a file, say.
    pub(super) fn open(&mut self, envelope: Envelope) -> Result<String, DecryptError> {
        let Envelope { key, iv, mut data, .. } = envelope;
        let nonce =
            Nonce::try_assume_unique_for_key(&iv).map_err(|_| DecryptError::Nonce { bytes: iv.len() })?;
        let key = self.unwrapped(key)?;
        let length =
            key.open_in_place(nonce, Aad::empty(), &mut data).map_err(|_| DecryptError::Damaged)?.len();
        data.truncate(length);
        Ok(String::from_utf8(data)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    fn unwrapped(&mut self, wrapped: Vec<u8>) -> Result<&LessSafeKey, DecryptError> {
        if self.last.as_ref().is_none_or(|last| last.wrapped != wrapped) {
            let unwrapped = self.keys.unwrap_key(&wrapped, self.gateway);
            let key = unwrapped.and_then(|key| {
                UnboundKey::new(&AES_256_GCM, &key)
                    .map(LessSafeKey::new)
                    .map_err(|_| DecryptError::OtherCipher)
            });
            self.last = Some(Unwrapped { wrapped, key });
        }
        let last = self.last.as_ref().expect("it was put there if it was missing");
        last.key.as_ref().map_err(|error| *error)
    }
}

#[cfg(test)]
mod tests;
