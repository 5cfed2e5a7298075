//! The first form of a message of the spool, written down a second time: later programs have to read what earlier ones
//! wrote, so a change of it is a new form.

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Message {
    /// Names of columns, each in backticks: of `logs`, `bodies` (or `payloads`, which was before) and `dead_letters`.
    pub(super) columns: [String; 3],
    pub(super) doubt: Option<(String, u64, i64)>,
    pub(super) batch: Batch,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) source: String,
    pub(super) account_id: String,
    pub(super) scopes: Vec<(String, String)>,
    /// Id, scope, shard.
    pub(super) events: Vec<(String, usize, u16)>,
    pub(super) logs: Parts,
    pub(super) payloads: Parts,
    pub(super) entries: Parts,
    pub(super) letters: Parts,
    pub(super) dead_lettered: u64,
    pub(super) sealed: u64,
    pub(super) ignored: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Parts {
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<usize>,
}

impl Message {
    pub(super) fn read(payload: &[u8]) -> Self {
        let (form, compressed) = payload.split_first().unwrap();
        assert_eq!(*form, 2);
        postcard::from_bytes(&zstd::decode_all(compressed).unwrap()).unwrap()
    }

    /// As a program of before `bodies` wrote it.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut payload = vec![1];
        payload.extend(zstd::encode_all(postcard::to_allocvec(self).unwrap().as_slice(), 1).unwrap());
        payload
    }
}

impl Parts {
    /// Every piece without its byte at this place, which is `byte`.
    pub(super) fn without(&self, byte: u8, place: impl Fn(&[u8]) -> usize) -> Self {
        let mut cut = Self { bytes: Vec::new(), ends: Vec::new() };
        let mut begin = 0;
        for end in &self.ends {
            let piece = &self.bytes[begin..*end];
            let place = place(piece);
            assert_eq!(piece[place], byte);
            cut.bytes.extend_from_slice(&piece[..place]);
            cut.bytes.extend_from_slice(&piece[place + 1..]);
            cut.ends.push(cut.bytes.len());
            begin = *end;
        }
        cut
    }
}
