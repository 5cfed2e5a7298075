//! Key files: what is taken, and what is told of one that is not.

use super::*;

fn example(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/json/examples/ai_gateway/keys");
    std::fs::read_to_string(format!("{folder}/{name}.pem")).unwrap()
}

#[test]
fn both_forms_are_taken_alone_and_together_in_one_file() {
    let (pkcs8, pkcs1) = (example("current"), example("retired"));
    assert!(pkcs8.starts_with("-----BEGIN PRIVATE KEY") && pkcs1.starts_with("-----BEGIN RSA PRIVATE KEY"));
    for (pem, count) in [(&pkcs8, 1), (&pkcs1, 1), (&format!("# keys\n{pkcs8}\n{pkcs1}"), 2)] {
        assert_eq!(PrivateKeys::from_pem(pem).unwrap().len(), count);
    }
    let crlf = pkcs8.replace('\n', "\r\n");
    assert_eq!(PrivateKeys::from_pem(&crlf).unwrap().len(), 1);
}

#[test]
fn a_file_that_gives_no_key_is_told_why_and_nothing_of_it_is_shown() {
    let key = example("current");
    let secret: String = key.lines().skip(2).take(1).collect();
    let check = |pem: &str, expected: &str| {
        let error = PrivateKeys::from_pem(pem).unwrap_err();
        let told = format!("{error} {error:?}");
        assert_eq!(error.to_string(), format!("the text {expected}"));
        assert!(!told.contains(&secret[..8]), "{told}");
    };
    check("", "has no private key; `BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY` is expected");
    check(&secret, "has no private key; `BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY` is expected");
    check(
        &key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
        "has no private key; it has one behind a passphrase, which cannot be used",
    );
    check(&key.replace("PRIVATE KEY", "PUBLIC KEY"), "has no private key; it has the public one");
    check(&key.replace("PRIVATE KEY", "EC PRIVATE KEY"), "has a private key that is not a whole RSA key");
    check(&key.replace("PRIVATE KEY", "RSA PRIVATE KEY"), "has a private key that is not a whole RSA key");
    check(&key[..key.len() / 2], "is not a PEM file");
    check(&key.replace(&secret, &secret.replace(&secret[..1], "!")), "is not a PEM file");
    check(&key.replace(&secret, &secret[4..]), "has a private key that is not a whole RSA key");
    check(SHORT, "has a private key that has fewer than 2048 bits, which is not safe: make a new one");
}

#[test]
fn nothing_of_a_key_is_printed() {
    let keys = PrivateKeys::from_pem(&example("current")).unwrap();
    assert_eq!(format!("{keys:?}"), "<1 private keys>");
}

/// 1,024 bits: made for this test.
const SHORT: &str = "\
-----BEGIN RSA PRIVATE KEY-----
MIICXgIBAAKBgQC+krVl6gdjniofSgdPumQN9PWfvKRLFCbGpyfmsX9DjGuxstHl
q6Eko0J7kSbYD3HIXC6J13ldfOkKXSJm8c/fPtv/nONTpfUhMYCbdfSe2zk4eUXZ
N9qmEZxsenTEUNwyKbdXwY/AZRTFFQ7SYz7J5YGj3p6dqXi7M7M8NHOhSQIDAQAB
AoGAHdZwil1i/MjlxXJcxLHlOn4w+uqZOpwUGiRPzgHacCQLNI5P6Mq/dzIMlbY7
Q7bfVMSCENjoyqdlAVdlrIKNzhvfgciYwEJXGDYGR3Zp6kr9VCY7A+u1NRkLNLkr
0PIZicm8ugw6SRN6wuefka3SS0ByY99WmtZSII6oELpZOyUCQQDyFzRFscJU2oR4
lD6uHDtkEU/4WtgUjNhoM2EV9QFPhA/jkr1lvY4EgSFL7k8o7Az8YEniy3fxO0XP
ECtBe/0XAkEAyYXB1R873WHm95UhD5BRlFr//c7IlfcvlGVVO1HthSlutdnckvMf
JcbAF83GVJhRgyxe9I2CwXjW/5QjIGAQnwJBAMZOY69DcWB4r1LmfIG69pt94vgZ
0i7jQNH6ZGjMDYrJLwrHxQV2RMND07aTO5zV371MUrnI2jNszj5TjFtT6XkCQQDE
pUgKvqq9EX6/E3+qX0qr+MyaD8E+TXHZXbR46S5cZZzJySjrIGDBjRr/X2XsQKIx
3QdfngL85fzuctCAFB3DAkEAsULftzpUl9+38xajwHeB02H90vJROwkGROV4M69c
HtMGC2VZdgYEFihwmOQzuabGnsrFRW/xqN0bCpJdsaoZhw==
-----END RSA PRIVATE KEY-----";
