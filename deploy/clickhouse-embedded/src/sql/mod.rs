//! Just enough of the ClickHouse grammar: where a statement's `FORMAT` stands and where an insert's data begins.
//!
//! In: a statement as the client sent it. Out: positions in it. Nothing is executed or judged here: what a
//! statement does is the engine's own parser's answer, and a statement that was cut at a position from here is
//! shown to that parser again before it runs.

mod insert;
mod lexer;
mod read;

pub use insert::{InsertHead, insert_head, is_insert};
pub use lexer::{Kind, Lexer, Token};
pub use read::{ReadTail, names_a_file, read_tail};
