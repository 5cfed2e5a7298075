//! The private keys that logs are encrypted for: read once at the start, never shown.
//!
//! An account may have several: each gateway names its own public key, and a key that is being replaced is still needed
//! for what was encrypted before. Which one opened a gateway's logs last is tried first the next time.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::rsa::{KeyPair, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use super::DecryptError;

/// More keys than this are a mistake: each one that does not fit costs milliseconds per record.
const KEYS_MAX: usize = 64;
/// For how many gateways it is remembered which key fits; they may share a place.
const PLACES: usize = 64;

/// The private keys, in the order in which they were given. Clones share them.
#[derive(Clone, Default)]
pub struct PrivateKeys(Arc<Ring>);

#[derive(Default)]
struct Ring {
    keys: Vec<OaepPrivateDecryptingKey>,
    /// Which key was the right one, by a hash of the gateway.
    last_used: Vec<AtomicUsize>,
}

/// Why a file gives no private key. No message holds anything of its content.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no PEM, or its PEM is damaged.
    #[error("{path} is not a PEM file")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// It has none, or only one that is encrypted itself.
    #[error("{path} has no private key{hint}")]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What it may be instead.
        hint: &'static str,
    },
    /// The key is not one that can be used.
    #[error("{path} has a private key that {reason}")]
    Rejected {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// There are more than anyone needs.
    #[error("more than {KEYS_MAX} private keys")]
    TooMany,
}

impl PrivateKeys {
    /// Reads every private key of the files: PEM, PKCS#8 or PKCS#1, RSA of 2048 to 8192 bits.
    pub fn from_files(paths: &[impl AsRef<Path>]) -> Result<Self, KeyFileError> {
        let mut keys = Vec::new();
        for path in paths {
            let path = path.as_ref();
            let pem = std::fs::read(path)
                .map_err(|source| KeyFileError::Unreadable { path: path.to_owned(), source })?;
            keys.extend(keys_of(&pem, path)?);
        }
        if keys.len() > KEYS_MAX {
            return Err(KeyFileError::TooMany);
        }
        Ok(Self::of(keys))
    }

    /// Reads every private key of a PEM text.
    pub fn from_pem(pem: &str) -> Result<Self, KeyFileError> {
        Ok(Self::of(keys_of(pem.as_bytes(), Path::new("the text"))?))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.keys.is_empty()
    }

    fn of(keys: Vec<OaepPrivateDecryptingKey>) -> Self {
        let last_used = (0..PLACES).map(|_| AtomicUsize::new(0)).collect();
        Self(Arc::new(Ring { keys, last_used }))
    }

    /// Unwraps a content key that was wrapped for one of them with RSA-OAEP (SHA-256, MGF1 with SHA-256, no label).
    pub(super) fn unwrap_key(&self, wrapped: &[u8], gateway: &str) -> Result<Vec<u8>, DecryptError> {
        let Ring { keys, last_used } = &*self.0;
        if keys.is_empty() {
            return Err(DecryptError::NoPrivateKey);
        }
        let mut hasher = DefaultHasher::new();
        gateway.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % PLACES as u64).expect("a remainder of 64 fits");
        let first = last_used[place].load(Ordering::Relaxed);
        let fits = |index: &usize| keys[*index].key_size_bytes() == wrapped.len();
        let order = std::iter::once(first).chain((0..keys.len()).filter(|index| *index != first));
        let mut tried = 0;
        for index in order.filter(fits) {
            tried += 1;
            let mut unwrapped = vec![0; keys[index].min_output_size()];
            let opened = keys[index].decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut unwrapped, None);
            if let Ok(length) = opened.map(|key| key.len()) {
                unwrapped.truncate(length);
                last_used[place].store(index, Ordering::Relaxed);
                return Ok(unwrapped);
            }
        }
        Err(if tried == 0 {
            DecryptError::OtherKeySize { bits: 8 * wrapped.len() }
        } else {
            DecryptError::WrongPrivateKey
        })
    }
}

impl fmt::Debug for PrivateKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} private keys>", self.len())
    }
}

fn keys_of(pem: &[u8], path: &Path) -> Result<Vec<OaepPrivateDecryptingKey>, KeyFileError> {
    let keys: Vec<_> = PrivateKeyDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| KeyFileError::Malformed { path: path.to_owned() })?;
    if keys.is_empty() {
        let has = |label: &[u8]| memchr::memmem::find(pem, label).is_some();
        let hint = match () {
            () if has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") => {
                "; it has one behind a passphrase, which cannot be used"
            }
            () if has(b"-----BEGIN PUBLIC KEY-----") => "; it has the public one",
            () => "; `BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY` is expected",
        };
        return Err(KeyFileError::NoKey { path: path.to_owned(), hint });
    }
    let rejected = |reason| KeyFileError::Rejected { path: path.to_owned(), reason };
    keys.iter().map(|key| key_of(key).map_err(rejected)).collect()
}

fn key_of(key: &PrivateKeyDer<'_>) -> Result<OaepPrivateDecryptingKey, &'static str> {
    let key = match key {
        PrivateKeyDer::Pkcs8(der) => PrivateDecryptingKey::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => {
            let pair = KeyPair::from_der(der.secret_pkcs1_der()).map_err(reason)?;
            let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| NOT_RSA)?;
            PrivateDecryptingKey::from_pkcs8(der.as_ref())
        }
        // SEC1 holds keys of elliptic curves; the list of forms is open.
        _ => return Err(NOT_RSA),
    };
    OaepPrivateDecryptingKey::new(key.map_err(reason)?).map_err(|_| NOT_RSA)
}

const NOT_RSA: &str = "is not a whole RSA key";

/// The library takes no key that is too short to be safe: such a key stops the start, as it could decrypt nothing.
fn reason(rejected: KeyRejected) -> &'static str {
    match rejected.description_() {
        "TooSmall" => "has fewer than 2048 bits, which is not safe: make a new one",
        "TooLarge" => "has more than 8192 bits",
        // The library's list is open.
        _ => NOT_RSA,
    }
}

#[cfg(test)]
mod tests;
