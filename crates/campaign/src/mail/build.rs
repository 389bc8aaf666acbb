//! Building an e-mail message.

use std::time::{Duration, SystemTime};

use lettre::{
    Address,
    message::{
        Mailbox, Message as Letter, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

/// What an e-mail is made from.
pub(crate) struct Content<'a> {
    pub(crate) message_id: &'a str,
    pub(crate) campaign_id: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) from: &'a Mailbox,
    pub(crate) to: &'a str,
    pub(crate) subject: &'a str,
    /// Empty for none.
    pub(crate) html: String,
    pub(crate) text: String,
    pub(crate) unsubscribe_url: &'a str,
    /// In microseconds since the Unix epoch.
    pub(crate) date_us: i64,
}

/// An e-mail with its envelope.
pub(crate) struct Mail {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) bytes: Vec<u8>,
}

/// Why an e-mail cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BuildError {
    /// The person's address is none.
    #[error("the address is not an e-mail address")]
    Address,
    /// A part cannot be written as a message.
    #[error("the message cannot be built")]
    Message,
}

/// Builds an e-mail, with text and HTML as alternatives and the headers by which one unsubscribes with one click (RFC 8058).
/// The same content gives the same bytes.
pub(crate) fn build(content: Content<'_>) -> Result<Mail, BuildError> {
    let to: Address = content.to.trim().parse().map_err(|_| BuildError::Address)?;
    let from = content.from.email.clone();
    let since_epoch = Duration::from_micros(u64::try_from(content.date_us).unwrap_or(0));
    let letter = Letter::builder()
        .date(SystemTime::UNIX_EPOCH + since_epoch)
        .from(content.from.clone())
        .to(Mailbox::new(None, to.clone()))
        .subject(content.subject)
        .message_id(Some(format!("<{}@{}>", content.message_id, from.domain())))
        .raw_header(raw("List-Unsubscribe", format!("<{}>", content.unsubscribe_url)))
        .raw_header(raw("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()))
        .raw_header(raw("Feedback-ID", format!("{}:{}:comptoir", content.campaign_id, content.tenant)))
        .raw_header(raw("Auto-Submitted", "auto-generated".to_owned()));
    let letter = match content.html.is_empty() {
        true => letter.singlepart(SinglePart::plain(content.text)),
        false => letter.multipart(
            MultiPart::alternative()
                .boundary(format!("=_{}", content.message_id))
                .singlepart(SinglePart::plain(content.text))
                .singlepart(SinglePart::html(content.html)),
        ),
    };
    let bytes = letter.map_err(|_| BuildError::Message)?.formatted();
    Ok(Mail { from, to, bytes })
}

/// A header whose value we made ourselves, of plain ASCII without line breaks: a long address must not be folded apart.
fn raw(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), value.clone(), value)
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    fn mail(html: &str, to: &str) -> Result<Mail, BuildError> {
        let from = "Shop <shop@shop.example>".parse().unwrap();
        build(Content {
            message_id: "6b5f9f5e-0000-5000-8000-000000000001",
            campaign_id: "basket",
            tenant: "shop",
            from: &from,
            to,
            subject: "Votre panier – déjà prêt",
            html: html.to_owned(),
            text: "Bonjour Zoé\r\n.\r\nhttps://shop.example/".to_owned(),
            unsubscribe_url: &format!("https://shop.example/u/{}", "t".repeat(150)),
            date_us: 1_749_556_800_000_000,
        })
    }

    #[test]
    fn a_message_is_read_back_by_a_foreign_parser() {
        let mail = mail("<p>Zoé</p>", "ann@example.com").unwrap();
        let read = MessageParser::default().parse(&mail.bytes).unwrap();

        assert_eq!(read.subject(), Some("Votre panier – déjà prêt"));
        assert_eq!(read.message_id(), Some("6b5f9f5e-0000-5000-8000-000000000001@shop.example"));
        assert_eq!(read.body_text(0).unwrap().trim_end(), "Bonjour Zoé\r\n.\r\nhttps://shop.example/");
        assert_eq!(read.body_html(0).unwrap().trim_end(), "<p>Zoé</p>");
        assert_eq!(read.date().unwrap().to_rfc3339(), "2025-06-10T12:00:00Z");
        let raw = String::from_utf8(mail.bytes).unwrap();
        assert!(raw.contains(&format!("List-Unsubscribe: <https://shop.example/u/{}>\r\n", "t".repeat(150))), "{raw}");
        assert!(raw.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
    }

    #[test]
    fn the_same_content_gives_the_same_bytes_and_a_bad_address_none() {
        let bytes = |html| mail(html, "ann@example.com").unwrap().bytes;
        assert_eq!(bytes("<p>a</p>"), bytes("<p>a</p>"));
        assert!(!String::from_utf8(bytes("")).unwrap().contains("multipart"));
        for bad in ["", "ann", "ann@", "ann@x y", "ann@example.com\r\nBcc: z@z.example"] {
            assert_eq!(mail("", bad).err(), Some(BuildError::Address), "{bad}");
        }
    }
}
