//! Parameters of the query, read as new-api reads them: nothing is refused that it takes for something.

use super::go_int::go_int;
use crate::api::query_string::{NotUtf8, QueryString};
use crate::sql::newapi::Slice;

/// The most rows on a page.
const PAGE_MAX: i64 = 100;

/// The parameters of a request. The first value counts, and an empty one is none.
#[derive(Clone, Debug)]
pub(super) struct Parameters(QueryString);

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    /// As it is told: from 1, or below 0, which is the first page too.
    pub(super) page: i64,
    /// Rows on a page, 1 to 100.
    pub(super) page_size: i64,
}

impl Parameters {
    pub(super) fn parse(query: &str) -> Result<Self, NotUtf8> {
        QueryString::parse(query).map(Self)
    }

    /// The text of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let first = self.0.iter().find(|(one, _)| *one == name);
        first.map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    /// The number of a parameter, 0 where it is none.
    pub(super) fn number(&self, name: &str) -> i64 {
        self.text(name).map_or(0, go_int)
    }

    /// The page that is asked for. A size below 0, for which new-api returns all there is, is the largest.
    pub(super) fn paging(&self, page_size: i64) -> Paging {
        let page = match self.number("p") {
            0 => 1,
            page => page,
        };
        let told = ["page_size", "ps", "size"].map(|name| self.number(name));
        let page_size = match told.into_iter().find(|size| *size != 0).unwrap_or(page_size) {
            ..0 => PAGE_MAX,
            size => size.min(PAGE_MAX),
        };
        Paging { page, page_size }
    }
}

impl Paging {
    /// Where it begins: below 0 for pages that are.
    pub(super) const fn before(self) -> i64 {
        self.page.saturating_sub(1).saturating_mul(self.page_size)
    }

    /// The rows of it.
    pub(super) fn slice(self) -> Slice {
        let before = self.before().max(0).unsigned_abs();
        Slice { before, limit: u32::try_from(self.page_size).unwrap_or(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Parameters {
        Parameters::parse(query).unwrap()
    }

    #[test]
    fn the_first_value_counts_and_an_empty_one_is_none() {
        let parameters = parse("a=1&a=2&b=&b=x&c");
        assert_eq!(parameters.text("a"), Some("1"));
        assert_eq!((parameters.text("b"), parameters.text("c"), parameters.text("d")), (None, None, None));
        assert_eq!((parameters.number("a"), parameters.number("d")), (1, 0));
    }

    #[test]
    fn a_page_is_read_as_new_api_reads_it() {
        let check = |query: &str, expected: (i64, i64), before: u64| {
            let paging = parse(query).paging(20);
            assert_eq!((paging.page, paging.page_size), expected, "{query}");
            assert_eq!(
                paging.slice(),
                Slice { before, limit: u32::try_from(expected.1).unwrap() },
                "{query}"
            );
        };
        check("", (1, 20), 0);
        check("p=3&page_size=50", (3, 50), 100);
        check("p=0&page_size=0", (1, 20), 0);
        check("p=x&page_size=abc", (1, 20), 0);
        check("p=-2&page_size=101", (-2, 100), 0);
        check("ps=5", (1, 5), 0);
        check("size=6", (1, 6), 0);
        check("page_size=0&ps=x&size=7", (1, 7), 0);
        check("page_size=4&ps=5&size=6", (1, 4), 0);
        check("page_size=-1&ps=5", (1, 100), 0);
        check("p=99999999999999999999", (i64::MAX, 20), i64::MAX.unsigned_abs());
        check("p=-99999999999999999999", (i64::MIN, 20), 0);
    }
}
