//! Where a list goes on.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use prost::Message;

/// What a page token holds. It is opaque to callers, not secret.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PageToken {
    /// The last product of the page before.
    #[prost(string, tag = "1")]
    pub(super) after: String,
    /// The category that is listed: the token is good for no other.
    #[prost(string, tag = "2")]
    pub(super) category: String,
}

impl PageToken {
    pub(super) fn to_text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.encode_to_vec())
    }

    /// Returns the token, the first page for an empty text, or nothing when it is not one of ours.
    pub(super) fn from_text(text: &str, category: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self { after: String::new(), category: category.to_owned() });
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        Self::decode(bytes.as_slice()).ok().filter(|token| token.category == category)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_and_is_good_for_its_category_only() {
        let token = PageToken { after: "ü".into(), category: "Home".into() };

        assert_eq!(PageToken::from_text(&token.to_text(), "Home"), Some(token.clone()));
        assert_eq!(PageToken::from_text(&token.to_text(), "Garden"), None);
        assert_eq!(PageToken::from_text("*", "Home"), None);
        assert_eq!(PageToken::from_text("", "Home").unwrap().after, "");
    }
}
