//! Secrets for services that live as long as a run.

use std::fs::File;
use std::io::Read;

use crate::error::LocalError;

/// 256 random bits in hexadecimal.
pub fn random_secret() -> Result<String, LocalError> {
    let source = "/dev/urandom";
    let mut bytes = [0_u8; 32];
    File::open(source).and_then(|mut file| file.read_exact(&mut bytes)).map_err(LocalError::file(source))?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_differ() {
        let secret = random_secret().unwrap();
        assert_eq!(secret.len(), 64);
        assert_ne!(secret, random_secret().unwrap());
    }
}
