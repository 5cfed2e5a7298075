//! The columns of new-api's table of logs that are taken, and how their values are written in JSON.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole numbers.
    Number,
    /// True or false.
    Flag,
    /// Text.
    Text,
}

/// Every column of any version. Others are passed over, as they are in rows that are pushed.
const COLUMNS: &[(&str, Kind)] = &[
    ("id", Kind::Number),
    ("user_id", Kind::Number),
    ("created_at", Kind::Number),
    ("type", Kind::Number),
    ("content", Kind::Text),
    ("username", Kind::Text),
    ("token_name", Kind::Text),
    ("model_name", Kind::Text),
    ("quota", Kind::Number),
    ("prompt_tokens", Kind::Number),
    ("completion_tokens", Kind::Number),
    ("use_time", Kind::Number),
    ("is_stream", Kind::Flag),
    ("channel_id", Kind::Number),
    ("channel", Kind::Number),
    ("channel_name", Kind::Text),
    ("token_id", Kind::Number),
    ("group", Kind::Text),
    ("ip", Kind::Text),
    ("request_id", Kind::Text),
    ("upstream_request_id", Kind::Text),
    ("other", Kind::Text),
];

/// Without these a row is no row of new-api's.
const REQUIRED: [&str; 2] = ["type", "created_at"];

/// The columns of a dump, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns(Vec<Option<(&'static str, Kind)>>);

impl Columns {
    /// Of these names, or what is wrong with them.
    pub(super) fn of_names<'n>(names: impl Iterator<Item = &'n str>) -> Result<Self, String> {
        let known = |name: &str| COLUMNS.iter().find(|(column, _)| *column == name).copied();
        let columns: Vec<_> = names.map(known).collect();
        let count = |name: &str| columns.iter().flatten().filter(|(column, _)| *column == name).count();
        for name in REQUIRED {
            if count(name) == 0 {
                return Err(format!("it has no column {name}"));
            }
        }
        // Two rows that say the same are two rows.
        if count("id") + count("request_id") == 0 {
            return Err("it has neither a column id nor request_id, by which rows are known".to_owned());
        }
        match COLUMNS.iter().find(|(name, _)| count(name) > 1) {
            Some((name, _)) => Err(format!("it has the column {name} more than once")),
            None => Ok(Self(columns)),
        }
    }

    /// How many columns the dump has, taken or not.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The places of the columns that are taken, with their names and kinds.
    pub(super) fn taken(&self) -> impl Iterator<Item = (usize, &'static str, Kind)> {
        self.0.iter().enumerate().filter_map(|(place, column)| column.map(|(name, kind)| (place, name, kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_known_by_name_in_any_order() {
        let columns = Columns::of_names(["other", "node", "created_at", "type", "id"].into_iter()).unwrap();
        let taken: Vec<_> = columns.taken().map(|(place, name, _)| (place, name)).collect();
        assert_eq!(taken, [(0, "other"), (2, "created_at"), (3, "type"), (4, "id")]);
        assert_eq!(columns.len(), 5);
        let refused = |names: &[&str]| Columns::of_names(names.iter().copied()).unwrap_err();
        assert_eq!(refused(&["id", "type"]), "it has no column created_at");
        assert!(refused(&["type", "created_at"]).starts_with("it has neither a column id"));
        assert_eq!(refused(&["a,b"]), "it has no column type");
        assert_eq!(refused(&["id", "type", "created_at", "ip", "ip"]), "it has the column ip more than once");
    }
}
