//! Where a JSON value ends: follows strings, escapes and brackets, and looks at nothing else.
//!
//! It takes bytes in pieces of any size and counts brackets instead of descending, so no depth is too much for it. How
//! deep a record may be is for whoever reads it.

/// Where in a value the bytes so far have led.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Nesting {
    depth: u64,
    in_string: bool,
    after_backslash: bool,
}

impl Nesting {
    /// Whether brackets are open.
    pub(super) const fn is_open(&self) -> bool {
        self.depth > 0
    }

    /// Whether a string is open.
    pub(super) const fn is_in_string(&self) -> bool {
        self.in_string
    }

    /// Follows `bytes` to the end of a value that begins with a bracket or a quote, and says how many of them are its
    /// own; `None` where it goes on behind them. A bracket is closed by either kind: what is wrong within a value is for
    /// whoever reads it.
    pub(super) fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.after_backslash {
                self.after_backslash = false;
                at += 1;
                continue;
            }
            if self.in_string {
                at += memchr::memchr2(b'"', b'\\', &bytes[at..])?;
                self.after_backslash = bytes[at] == b'\\';
                self.in_string = self.after_backslash;
            } else {
                match bytes[at] {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => {
                        at += 1;
                        continue;
                    }
                }
            }
            at += 1;
            if !self.in_string && self.depth == 0 {
                return Some(at);
            }
        }
        None
    }

    /// Follows all of `bytes`, however many values end in them.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while let Some(end) = self.end_in(bytes) {
            bytes = &bytes[end..];
        }
    }
}
