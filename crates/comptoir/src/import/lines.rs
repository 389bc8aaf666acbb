//! Lines of text files, none longer than memory allows.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek},
};

/// Longest line, in bytes.
const MAX_LINE_BYTES: usize = 1 << 20;

/// A line that is longer than [`MAX_LINE_BYTES`].
pub(super) struct TooLong;

/// Reads a line without its line break, and no more of it than is allowed. `None` at the end.
pub(super) fn read_line(input: &mut BufReader<File>) -> std::io::Result<Option<Result<Vec<u8>, TooLong>>> {
    let mut text = Vec::new();
    let limit = MAX_LINE_BYTES as u64 + 2;
    if input.by_ref().take(limit).read_until(b'\n', &mut text)? == 0 {
        return Ok(None);
    }
    if text.last() == Some(&b'\n') {
        text.pop();
    } else if text.len() as u64 == limit {
        input.skip_until(b'\n')?;
    }
    if text.last() == Some(&b'\r') {
        text.pop();
    }
    Ok(Some(if text.len() > MAX_LINE_BYTES { Err(TooLong) } else { Ok(text) }))
}

/// Returns the number of lines, and goes back to the beginning.
pub(super) fn count_line_breaks(file: &mut File) -> std::io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut count = 0;
    let mut last = b'\n';
    loop {
        let read = file.read(&mut buffer)?;
        let Some(&end) = buffer[..read].last() else { break };
        count += buffer[..read].iter().filter(|&&byte| byte == b'\n').count() as u64;
        last = end;
    }
    file.rewind()?;
    Ok(count + u64::from(last != b'\n'))
}
