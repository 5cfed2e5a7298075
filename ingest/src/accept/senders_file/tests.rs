//! Who may push by a senders file, and what is told of a bad one.

use std::time::Instant;

use weir_event::{AccountId, GatewayId};

use super::super::senders::{Forbidden, UnknownSender};
use super::*;

const NOW_MS: i64 = 1_790_000_000_000;

fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

fn entry(label: &str, token: &str, rest: &str) -> String {
    format!("[[token]]\nlabel = '{label}'\nsha256 = '{}'\n{rest}\n", digest(token))
}

fn file(listed: &[&str]) -> SendersFile {
    let listed = BearerTokens::from_entries(listed.iter().copied()).unwrap();
    SendersFile::new(PathBuf::from("tokens.toml"), listed)
}

fn senders(text: &str) -> Senders {
    file(&["all:everything"]).take_in(text, &Senders::default()).unwrap().unwrap()
}

fn told(text: &str) -> String {
    file(&[]).take_in(text, &Senders::default()).unwrap_err().to_string()
}

/// What a sender is told that pushes from `source` to `path`: `None` if it may.
fn refusal(senders: &Senders, token: &str, source: Source, path: &str) -> Option<Forbidden> {
    let header = format!("Bearer {token}");
    let sender = senders.sender(Some(&header), NOW_MS).unwrap();
    let (account, gateway) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let account: AccountId = account.parse().unwrap();
    let gateway: Option<GatewayId> = gateway.map(|gateway| gateway.parse().unwrap());
    sender.terms(source, &account, gateway.as_ref()).err()
}

#[test]
fn a_token_may_push_what_its_entry_says() {
    let text = [
        entry("one", "t-one", "accounts = ['acc/gw', 'other/dev-*']\nsources = ['logpush']"),
        entry("whole", "t-whole", "accounts = ['acc']\nsources = ['logpush', 'http']"),
        entry("any", "t-any", "accounts = ['*']\nsources = ['http']"),
    ]
    .concat();
    let senders = senders(&text);
    let check = |token, source, path, expected| {
        assert_eq!(refusal(&senders, token, source, path), expected, "{token} {path}");
    };
    check("everything", Source::Logpush, "acc", None);
    check("t-one", Source::Logpush, "acc/gw", None);
    check("t-one", Source::Logpush, "other/dev-1", None);
    check("t-one", Source::Logpush, "acc/gw2", Some(Forbidden::Gateway));
    check("t-one", Source::Logpush, "third/gw", Some(Forbidden::Gateway));
    check("t-one", Source::Logpush, "acc", Some(Forbidden::WholeAccount));
    check("t-one", Source::Http, "acc/gw", Some(Forbidden::Source));
    check("t-whole", Source::Http, "acc/gw2", None);
    check("t-whole", Source::Logpush, "acc", None);
    check("t-whole", Source::Logpush, "other", Some(Forbidden::WholeAccount));
    check("t-any", Source::Http, "third/gw", None);
    check("t-any", Source::Logpush, "third", Some(Forbidden::Source));
    assert!(senders.sender(Some("Bearer wrong"), NOW_MS).is_err());
}

#[test]
fn a_token_is_good_until_it_expires() {
    let rest = |end: &str| format!("accounts = ['*']\nsources = ['http']\nnot_after = {end}");
    for end in ["2026-09-21T13:33:20Z", "'2026-09-21T13:33:20Z'", "2026-09-21T15:33:20+02:00"] {
        let senders = senders(&entry("old", "t", &rest(end)));
        let sender = |now_ms| senders.sender(Some("Bearer t"), now_ms).map(|sender| sender.label.to_owned());
        let end_ms = 1_789_997_600_000;
        assert_eq!(sender(end_ms), Ok("old".to_owned()), "{end}");
        assert_eq!(sender(end_ms + 1), Err(UnknownSender::Expired), "{end}");
    }
}

#[test]
fn every_mistake_is_told_at_once_and_no_token_is() {
    let good = "accounts = ['a']\nsources = ['http']";
    let text = [
        format!("[[token]]\nlabel = 'plain'\ntoken = 'hush-hush'\n{good}\n"),
        format!("[[token]]\nlabel = 'none'\n{good}\n"),
        format!("[[token]]\nlabel = 'short'\nsha256 = 'abc'\n{good}\n"),
        entry("my label", "a", good),
        entry("where", "b", "accounts = ['a b']\nsources = ['http']"),
        entry("nowhere", "c", "accounts = []\nsources = ['http']"),
        entry("what", "d", "accounts = ['a']\nsources = ['kafka']"),
        entry("when", "e", &format!("{good}\nnot_after = 'tomorrow'")),
        entry("much", "f", &format!("{good}\nbytes_per_second = '1 apple'")),
        entry("two", "g", &format!("{good}\nrecords_per_second = 1")),
        entry("two", "h", &format!("{good}\nrecords_per_second = 2")),
        entry("twice", "g", good),
    ]
    .concat();
    let told = told(&text);
    for expected in [
        "token 1 (plain): a token in plain text is not taken",
        "token 2 (none): there is no sha256",
        "token 3 (short): sha256 digest is not 64 hexadecimal digits",
        "token 4 (my label): label has a character",
        "token 5 (where): accounts is not",
        "token 6 (nowhere): accounts is not",
        "token 7 (what): sources is not",
        "token 8 (when): not_after is not a time",
        "token 9 (much): bytes_per_second is not",
        "token 11 (two): another token of this label has other rates",
        "token 12 (twice): token is listed twice",
    ] {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
    assert!(!told.contains("hush-hush"), "{told}");
}

#[test]
fn what_is_no_senders_file_is_told_by_its_line_and_not_shown() {
    let text = "[[token]]\nlabel = 'a'\nsecret = 'hush-hush'\n";
    assert!(told(text).starts_with("line 3: unknown field `secret`"), "{}", told(text));
    let broken = told("[[token]]\n'hush-hush'");
    assert!(broken.starts_with("line 2: ") && !broken.contains("hush-hush"), "{broken}");
    assert!(told("[[token]]\nlabel = 'a'\n").contains("missing field `accounts`"));
    assert!(told("[[token]]\nrecords_per_second = 0\n").contains("line 2"));
    assert_eq!(told(""), "has no token, so nobody could push");
    assert_eq!(senders("").len(), 1, "the list has one");
}

#[test]
fn a_file_that_did_not_change_is_not_taken_in_again() {
    let good = entry("a", "t", "accounts = ['*']\nsources = ['http']");
    let mut file = file(&[]);
    let first = file.take_in(&good, &Senders::default()).unwrap().unwrap();
    assert!(file.take_in(&good, &first).unwrap().is_none());
    assert!(file.take_in("[[token", &first).is_err());
    assert!(file.take_in("[[token", &first).is_err(), "a bad one stays bad");
    assert!(file.take_in(&good, &first).unwrap().is_none());
}

#[test]
fn tokens_of_one_label_share_their_rates_and_what_is_owed_outlives_a_change() {
    let rest = "accounts = ['*']\nsources = ['http']\nrecords_per_second = 10\nbytes_per_second = '1KiB'";
    let (old, new) = (entry("acme", "old", rest), entry("acme", "new", rest));
    let mut file = file(&[]);
    let before = file.take_in(&old, &Senders::default()).unwrap().unwrap();
    let now = Instant::now();
    before.allowance_of("acme").unwrap().charge(1_000, 0, now);
    let after = file.take_in(&[old, new].concat(), &before).unwrap().unwrap();
    let wait = |token: &str| {
        let header = format!("Bearer {token}");
        let sender = after.sender(Some(&header), NOW_MS).unwrap();
        sender.terms(Source::Http, &"a".parse().unwrap(), None).unwrap().wait(now)
    };
    assert!(wait("old").is_some());
    assert_eq!(wait("old"), wait("new"));
    let other = entry("acme", "new", &rest.replace("= 10", "= 20"));
    let changed = file.take_in(&other, &after).unwrap().unwrap();
    assert_eq!(changed.allowance_of("acme").unwrap().wait(now), None, "other rates begin anew");
}
