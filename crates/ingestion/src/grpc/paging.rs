//! Pages by [`kit::paging`], each fault told at once.

pub(super) use kit::paging::token;
use kit::{Error, Violations};

/// Returns the size of a page: `usual` when 0, never more than `most`.
pub(super) fn page_size(asked: i32, usual: usize, most: usize) -> Result<usize, Error> {
    let mut violations = Violations::new();
    let size = kit::paging::size(asked, usual, most, &mut violations);
    violations.finish().map(|()| size)
}

/// Returns a number of events to look at: 1,000 when 0, never more than 20,000.
pub(super) fn events(asked: i32) -> Result<usize, Error> {
    match asked {
        0 => Ok(1_000),
        asked => match usize::try_from(asked) {
            Ok(asked) => Ok(asked.min(20_000)),
            Err(_) => Err(Error::violations([("events", "must not be negative")])),
        },
    }
}

/// Returns the place of a token; `None` for the beginning.
pub(super) fn place(page_token: &str) -> Result<Option<String>, Error> {
    let mut violations = Violations::new();
    let place = kit::paging::place(page_token, |key| Some(key.to_owned()), &mut violations);
    violations.finish().map(|()| place)
}

pub(super) fn invalid_token() -> Error {
    Error::violations([("page_token", "must be the next_page_token of the same list")])
}
