//! Rewriting the links of a message, so that clicks are counted.

/// Most links of one message that are counted; further ones stay as they are.
const MOST_LINKS: usize = 200;

/// Collects the addresses that links lead to and names what stands in their place.
pub(crate) struct Rewriter<'a, F> {
    /// Addresses that begin like this stay as they are: our own, such as the one to unsubscribe.
    pub(crate) own: &'a str,
    /// Returns what stands in place of the link of this index.
    pub(crate) replace: F,
    /// The addresses, by index.
    pub(crate) links: Vec<String>,
}

impl<F: Fn(u16) -> String> Rewriter<'_, F> {
    /// Rewrites the targets of `<a href="http…">` in HTML.
    pub(crate) fn html(&mut self, html: &str) -> String {
        let mut rewritten = String::with_capacity(html.len() + 1_024);
        let mut rest = html;
        while let Some(at) = rest.find('<') {
            rewritten.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(comment) = rest.strip_prefix("<!--") {
                let length = comment.find("-->").map_or(rest.len(), |end| end + 7);
                rewritten.push_str(&rest[..length]);
                rest = &rest[length..];
                continue;
            }
            if !begins_tag(rest) {
                rewritten.push('<');
                rest = &rest[1..];
                continue;
            }
            let length = tag_length(rest);
            let tag = &rest[..length];
            match is_anchor(tag).then(|| href(tag)).flatten() {
                Some((from, to)) => {
                    rewritten.push_str(&tag[..from]);
                    match self.link(&unescape(&tag[from..to])) {
                        Some(replacement) => rewritten.push_str(&replacement),
                        None => rewritten.push_str(&tag[from..to]),
                    }
                    rewritten.push_str(&tag[to..]);
                }
                None => rewritten.push_str(tag),
            }
            rest = &rest[length..];
        }
        rewritten.push_str(rest);
        rewritten
    }

    /// Rewrites the addresses that stand in a text.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let mut rewritten = String::with_capacity(text.len() + 1_024);
        let mut rest = text;
        while let Some(at) = next_address(rest) {
            rewritten.push_str(&rest[..at]);
            let found = &rest[at..];
            let end = found.find(|c: char| c.is_whitespace() || "<>\"'`{}|\\^".contains(c)).unwrap_or(found.len());
            let address = found[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']']);
            match self.link(address) {
                Some(replacement) => rewritten.push_str(&replacement),
                None => rewritten.push_str(address),
            }
            rest = &found[address.len()..];
        }
        rewritten.push_str(rest);
        rewritten
    }

    fn link(&mut self, address: &str) -> Option<String> {
        let address = address.trim();
        let followed = url::Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        if address.starts_with(self.own) {
            return None;
        }
        let target: String = followed.into();
        let index = match self.links.iter().position(|known| *known == target) {
            Some(index) => index,
            None if self.links.len() < MOST_LINKS => {
                self.links.push(target);
                self.links.len() - 1
            }
            None => return None,
        };
        Some((self.replace)(u16::try_from(index).ok()?))
    }
}

/// Puts the pixel at the end of the body.
pub(crate) fn with_pixel(mut html: String, pixel_url: &str) -> String {
    let pixel = format!("<img src=\"{pixel_url}\" width=\"1\" height=\"1\" alt=\"\" style=\"display:none\">");
    let lower = html.to_ascii_lowercase();
    let at = lower.rfind("</body").unwrap_or(html.len());
    html.insert_str(at, &pixel);
    html
}

/// Where the next address begins: not inside a word, and not at the very end.
fn next_address(text: &str) -> Option<usize> {
    ["http://", "https://"].into_iter().filter_map(|scheme| text.find(scheme)).min()
}

/// Whether the `<` at the start of `text` begins a tag, and is not merely a less-than sign.
fn begins_tag(text: &str) -> bool {
    text.as_bytes().get(1).is_some_and(|&next| next.is_ascii_alphabetic() || matches!(next, b'/' | b'!' | b'?'))
}

/// Length of the tag at the start of `text`; a `>` inside quotes does not end it.
fn tag_length(text: &str) -> usize {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    // A quote that never closes: what looks like a tag is not one.
    text.char_indices().nth(1).map_or(text.len(), |(next, _)| next)
}

fn is_anchor(tag: &str) -> bool {
    let bytes = tag.as_bytes();
    bytes.len() > 3 && matches!(bytes[1], b'a' | b'A') && bytes[2].is_ascii_whitespace()
}

/// Returns where the value of `href` stands in a tag.
fn href(tag: &str) -> Option<(usize, usize)> {
    let bytes = tag.as_bytes();
    let mut at = 2;
    while at < bytes.len() {
        while at < bytes.len() && (bytes[at].is_ascii_whitespace() || bytes[at] == b'/') {
            at += 1;
        }
        let name_from = at;
        while at < bytes.len() && !bytes[at].is_ascii_whitespace() && !matches!(bytes[at], b'=' | b'>' | b'/') {
            at += 1;
        }
        let name = &bytes[name_from..at];
        while at < bytes.len() && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        if bytes.get(at) != Some(&b'=') {
            if name.is_empty() {
                return None;
            }
            continue;
        }
        at += 1;
        while at < bytes.len() && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        let quote = bytes.get(at).copied().filter(|byte| matches!(byte, b'"' | b'\''));
        let from = at + usize::from(quote.is_some());
        let ends = |byte: u8| quote.map_or(byte.is_ascii_whitespace() || byte == b'>', |quote| byte == quote);
        let to = (from..bytes.len()).find(|&index| ends(bytes[index]))?;
        if name.eq_ignore_ascii_case(b"href") {
            return Some((from, to));
        }
        at = to + usize::from(quote.is_some());
    }
    None
}

/// Resolves the character references that an address may hold.
fn unescape(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let resolved =
            rest.find(';').filter(|&end| end <= 10).and_then(|end| Some((reference(&rest[1..end])?, end + 1)));
        let (character, length) = resolved.unwrap_or(('&', 1));
        plain.push(character);
        rest = &rest[length..];
    }
    plain.push_str(rest);
    plain
}

fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewriter() -> Rewriter<'static, impl Fn(u16) -> String> {
        Rewriter { own: "https://shop.example/u/", replace: |index| format!("L{index}"), links: Vec::new() }
    }

    #[test]
    fn links_of_html_are_counted_and_others_left_alone() {
        let mut rewriter = rewriter();
        let html = r#"<p>1 < 2 <a class='x' href="https:&#x2f;&#x2f;a.example/?p=1&amp;q=2">a</a>
            <A HREF='http://b.example/'>b</A> <a href=https://a.example/?p=1&q=2>a</a>
            <a href="mailto:x@y.z">m</a> <a href="https://shop.example/u/tok">u</a> <a name="n">n</a>
            <!-- <a href="http://c.example/"> --> <abbr href="http://d.example/">"#;

        let rewritten = rewriter.html(html);

        assert_eq!(rewriter.links, ["https://a.example/?p=1&q=2", "http://b.example/"]);
        for expected in
            [r#"href="L0""#, "HREF='L1'", "href=L0>", "mailto:x@y.z", "/u/tok", "c.example", "d.example", "1 < 2"]
        {
            assert!(rewritten.contains(expected), "{expected} in {rewritten}");
        }
    }

    #[test]
    fn addresses_in_text_are_counted_without_the_full_stop_after_them() {
        let mut rewriter = rewriter();

        let text = "See https://a.example/x, (http://b.example) or https://shop.example/u/tok. https:// is none.";
        let rewritten = rewriter.text(text);

        assert_eq!(rewritten, "See L0, (L1) or https://shop.example/u/tok. https:// is none.");
        assert_eq!(rewriter.links, ["https://a.example/x", "http://b.example/"]);
    }

    #[test]
    fn broken_html_is_left_as_it_is() {
        for broken in ["<a href=\"http://a.example", "<", "a<a", "<a href=", "<é\"", "<!-- <a>"] {
            assert_eq!(rewriter().html(broken), broken);
        }
    }

    #[test]
    fn the_pixel_stands_at_the_end_of_the_body() {
        let html = with_pixel("<html><BODY>x</BODY></html>".into(), "P");
        assert!(html.ends_with("display:none\"></BODY></html>"), "{html}");
        assert!(with_pixel("x".into(), "P").starts_with("x<img src=\"P\""));
    }
}
