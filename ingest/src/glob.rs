//! Patterns for the names of accounts and gateways.

/// A name in which `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob(String);

impl Glob {
    /// Reads a pattern; `None` if no name could be like it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*');
        let text = text.trim();
        (!text.is_empty() && text.bytes().all(known)).then(|| Self(text.to_owned()))
    }

    /// The pattern of every name.
    pub(crate) fn any() -> Self {
        Self("*".to_owned())
    }

    /// Whether it plainly is that one.
    pub(crate) fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Whether a name is like it.
    pub(crate) fn fits(&self, name: &str) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else {
            return self.0 == name;
        };
        let Some(mut name) = name.strip_prefix(start) else {
            return false;
        };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let end = parts.pop().unwrap_or_default();
        for part in parts {
            let Some((_, after)) = name.split_once(part) else {
                return false;
            };
            name = after;
        }
        name.ends_with(end)
    }
}
