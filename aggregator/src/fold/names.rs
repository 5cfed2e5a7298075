//! Names, each kept once.

use std::collections::HashMap;
use std::sync::Arc;

/// What a series is told apart by, in the order of [`weir_event::Dimension::ALL`]: names by their numbers.
pub(super) type NameIds = [u32; 5];

/// Every name of every series, with a number of its own.
#[derive(Debug, Default)]
pub(super) struct Names {
    ids: HashMap<Arc<str>, u32>,
    texts: Vec<Option<Arc<str>>>,
    free: Vec<u32>,
}

impl Names {
    /// The numbers of names; `None` if one of them has none, so no series has it.
    pub(super) fn find(&self, names: [&str; 5]) -> Option<NameIds> {
        let mut ids = [0; 5];
        for (id, name) in ids.iter_mut().zip(names) {
            *id = *self.ids.get(name)?;
        }
        Some(ids)
    }

    /// The numbers of names, new ones for new names.
    pub(super) fn intern(&mut self, names: [&str; 5]) -> NameIds {
        names.map(|name| match self.ids.get(name) {
            Some(id) => *id,
            None => self.add(name),
        })
    }

    /// The name with a number.
    pub(super) fn text(&self, id: u32) -> &str {
        self.texts.get(id as usize).and_then(Option::as_deref).unwrap_or_default()
    }

    pub(super) fn texts(&self, ids: NameIds) -> [&str; 5] {
        ids.map(|id| self.text(id))
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Forgets all names but those with these numbers.
    pub(super) fn keep_only(&mut self, used: impl Iterator<Item = NameIds>) {
        let mut is_used = vec![false; self.texts.len()];
        for id in used.flatten() {
            if let Some(is_used) = is_used.get_mut(id as usize) {
                *is_used = true;
            }
        }
        for (id, (text, is_used)) in (0..).zip(self.texts.iter_mut().zip(is_used)) {
            if !is_used && let Some(text) = text.take() {
                self.ids.remove(&text);
                self.free.push(id);
            }
        }
    }

    fn add(&mut self, name: &str) -> u32 {
        let text: Arc<str> = name.into();
        let id = if let Some(id) = self.free.pop() {
            self.texts[id as usize] = Some(Arc::clone(&text));
            id
        } else {
            self.texts.push(Some(Arc::clone(&text)));
            u32::try_from(self.texts.len() - 1).expect("names are of series, of which there are fewer")
        };
        self.ids.insert(text, id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_its_number_is_given_again_when_it_is_forgotten() {
        let mut names = Names::default();
        assert_eq!(names.find(["a", "", "", "", ""]), None);
        let first = names.intern(["a", "b", "", "a", ""]);
        assert_eq!((first, names.len()), ([0, 1, 2, 0, 2], 3));
        assert_eq!(names.find(["", "a", "b", "", ""]), Some([2, 0, 1, 2, 2]));
        names.keep_only([[1; 5]].into_iter());
        assert_eq!((names.len(), names.text(1), names.find(["a"; 5])), (1, "b", None));
        let second = names.intern(["c", "b", "d", "e", "c"]);
        assert_eq!(names.texts(second), ["c", "b", "d", "e", "c"]);
        assert_eq!(names.texts.len(), 4);
    }
}
