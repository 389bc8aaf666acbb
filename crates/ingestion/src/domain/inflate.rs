//! Inflating compressed bodies within a bound.

use std::io::Read;

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

/// Why a body cannot be inflated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// The encoding is not known.
    Unknown,
    /// The bytes are not what the encoding says.
    Broken,
    /// There is more inside than allowed.
    TooLarge,
}

/// Whether a body under this `Content-Encoding` has to be inflated.
pub(crate) fn is_compressed(encoding: &str) -> bool {
    !matches!(encoding.trim().to_ascii_lowercase().as_str(), "" | "identity")
}

/// Returns what `body` holds under a `Content-Encoding`; `None` when it is not compressed. Never makes more than
/// `limit` bytes, whatever is inside.
pub(crate) fn inflate(body: &[u8], encoding: &str, limit: usize) -> Result<Option<Vec<u8>>, InflateError> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(None),
        "gzip" | "x-gzip" => read_within(GzDecoder::new(body), body.len(), limit).map(Some),
        // By the letter "deflate" is zlib; some senders leave its header out.
        "deflate" if is_zlib(body) => read_within(ZlibDecoder::new(body), body.len(), limit).map(Some),
        "deflate" => read_within(DeflateDecoder::new(body), body.len(), limit).map(Some),
        _ => Err(InflateError::Unknown),
    }
}

fn is_zlib(body: &[u8]) -> bool {
    match body {
        [first, second, ..] => first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0,
        _ => false,
    }
}

fn read_within(decoder: impl Read, compressed_bytes: usize, limit: usize) -> Result<Vec<u8>, InflateError> {
    let mut inflated = Vec::with_capacity((compressed_bytes * 4).min(limit));
    let one_too_many = limit as u64 + 1;
    decoder.take(one_too_many).read_to_end(&mut inflated).map_err(|_| InflateError::Broken)?;
    if inflated.len() > limit {
        return Err(InflateError::TooLarge);
    }
    Ok(inflated)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn gzipped(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn each_encoding_is_inflated() {
        let content = b"{\"batch\":[]}";
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(content).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(content).unwrap();

        assert_eq!(inflate(&gzipped(content), "gzip", 100).unwrap().unwrap(), content);
        assert_eq!(inflate(&gzipped(content), " GZIP ", 100).unwrap().unwrap(), content);
        assert_eq!(inflate(&zlib.finish().unwrap(), "deflate", 100).unwrap().unwrap(), content);
        assert_eq!(inflate(&raw.finish().unwrap(), "deflate", 100).unwrap().unwrap(), content);
        assert_eq!(inflate(content, "identity", 100), Ok(None));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = gzipped(&vec![b' '; 50 << 20]);

        assert!(bomb.len() < 100_000);
        assert_eq!(inflate(&bomb, "gzip", 4 << 20), Err(InflateError::TooLarge));
    }

    #[test]
    fn damage_and_strange_encodings_are_told_apart() {
        let mut cut = gzipped(b"hello");
        cut.truncate(12);

        assert_eq!(inflate(&cut, "gzip", 100), Err(InflateError::Broken));
        assert_eq!(inflate(b"{}", "gzip", 100), Err(InflateError::Broken));
        assert_eq!(inflate(b"", "deflate", 100), Err(InflateError::Broken));
        assert_eq!(inflate(b"{}", "br", 100), Err(InflateError::Unknown));
    }
}
