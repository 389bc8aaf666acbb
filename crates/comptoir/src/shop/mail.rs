use mail_parser::MessageParser;

/// The links of a mail that lead back to the gateway, as paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// Counted links, `/c/…`, in the order they stand in the text.
    pub clicks: Vec<String>,
    /// Unsubscribe link, `/u/…`.
    pub unsubscribe: Option<String>,
    /// Pixel, `/o/…`, when there is one.
    pub pixel: Option<String>,
    /// Subject line.
    pub subject: String,
    /// `Message-ID`, without brackets.
    pub message_id: String,
}

/// Reads the links of a raw mail.
pub fn links(raw: &[u8]) -> Option<Links> {
    let mail = MessageParser::default().parse(raw)?;
    let text = mail.body_text(0).unwrap_or_default();
    let html = mail.body_html(0).unwrap_or_default();
    let in_text = paths(&text);
    Some(Links {
        clicks: in_text.iter().filter(|path| path.starts_with("/c/")).cloned().collect(),
        unsubscribe: in_text.iter().find(|path| path.starts_with("/u/")).cloned(),
        pixel: paths(&html).into_iter().find(|path| path.starts_with("/o/")),
        subject: mail.subject().unwrap_or_default().to_owned(),
        message_id: mail.message_id().unwrap_or_default().to_owned(),
    })
}

/// Returns the path of every `http` address in a text.
fn paths(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("http") {
        let address: String =
            text[start..].chars().take_while(|c| !c.is_whitespace() && !matches!(c, '"' | '<' | '>' | '\'')).collect();
        if let Ok(address) = url::Url::parse(&address) {
            found.push(address.path().to_owned());
        }
    }
    found
}
