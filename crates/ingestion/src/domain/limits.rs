//! How big things may be.

/// Largest HTTP body, as sent and inflated, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 4 << 20;
/// Most events in one request.
pub(crate) const MAX_EVENTS: usize = 5_000;
/// Largest sum of the events of one gRPC request, in bytes.
pub(crate) const MAX_REQUEST_BYTES: usize = 16 << 20;
/// Largest event, as sent, in bytes.
pub(crate) const MAX_EVENT_BYTES: usize = 128 << 10;
/// Deepest nesting of an event's JSON.
pub(crate) const MAX_JSON_DEPTH: usize = 64;
/// Longest message id, in characters.
pub(crate) const MAX_MESSAGE_ID_CHARS: usize = 100;
/// Longest name of an event, in characters.
pub(crate) const MAX_NAME_CHARS: usize = 256;
/// Most identifiers of one event.
pub(crate) const MAX_IDENTIFIERS: usize = 20;
/// Longest value of an identifier, in characters.
pub(crate) const MAX_IDENTIFIER_CHARS: usize = 512;
/// Longest kind of an identifier, purpose of a consent, in characters.
pub(crate) const MAX_KIND_CHARS: usize = 64;
/// Longest key of a thing of the shop (product, order, basket), in characters.
pub(crate) const MAX_KEY_CHARS: usize = 256;
/// Most products of a list that was looked at.
pub(crate) const MAX_LISTED_PRODUCTS: usize = 250;
/// Most consents that one event states.
pub(crate) const MAX_CONSENTS: usize = 50;
/// Longest kind of a context signal, in characters.
pub(crate) const MAX_SIGNAL_KIND_CHARS: usize = 64;
/// Longest part of the place of a context signal, in characters.
pub(crate) const MAX_PLACE_CHARS: usize = 100;
/// Longest proof of a consent, in characters.
pub(crate) const MAX_PROOF_CHARS: usize = 1_024;

/// Whether `text` has at most `limit` characters. Counts only when its bytes leave a doubt.
pub(crate) fn fits(text: &str, limit: usize) -> bool {
    text.len() <= limit || text.chars().count() <= limit
}

/// Whether `text` is a kind or a purpose: 1 to 64 characters of `[a-z0-9_]`.
pub(crate) fn is_kind(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=MAX_KIND_CHARS).contains(&text.len()) && text.bytes().all(allowed)
}

/// Makes a kind out of any word: lower case, runs of other characters become one underscore. Empty when nothing is left.
pub(crate) fn to_kind(word: &str) -> String {
    let mut kind = String::with_capacity(word.len());
    for character in word.chars() {
        if character.is_ascii_alphanumeric() {
            kind.push(character.to_ascii_lowercase());
        } else if !kind.is_empty() && !kind.ends_with('_') {
            kind.push('_');
        }
        if kind.len() == MAX_KIND_CHARS {
            break;
        }
    }
    kind.truncate(kind.trim_end_matches('_').len());
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_word_becomes_a_kind() {
        for (word, kind) in
            [("ios.idfa", "ios_idfa"), ("GA Client-ID", "ga_client_id"), ("--", ""), ("été", "t"), ("__x__", "x")]
        {
            assert_eq!(to_kind(word), kind, "{word}");
            assert!(kind.is_empty() || is_kind(kind));
        }
        assert!(is_kind(&to_kind(&"long ".repeat(50))));
    }
}
