//! What the site before tells.

/// What a site is to a shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) source: &'static str,
    pub(super) channel: &'static str,
}

/// Sites by the beginning of their name or by the whole of it: "google." is every country's.
const SITES: &[(&str, &str, &str)] = &[
    ("mail.google.", "gmail", "email"),
    ("com.google.android.gm", "gmail", "email"),
    ("outlook.", "outlook", "email"),
    ("mail.yahoo.", "yahoo mail", "email"),
    ("mail.", "webmail", "email"),
    ("webmail.", "webmail", "email"),
    ("gemini.google.", "gemini", "assistant"),
    ("chatgpt.com", "chatgpt", "assistant"),
    ("chat.openai.com", "chatgpt", "assistant"),
    ("perplexity.ai", "perplexity", "assistant"),
    ("copilot.microsoft.com", "copilot", "assistant"),
    ("claude.ai", "claude", "assistant"),
    ("chat.mistral.ai", "mistral", "assistant"),
    ("shopping.google.", "google", "shopping"),
    ("googleadservices.", "google", "display"),
    ("doubleclick.", "google", "display"),
    ("googlesyndication.", "google", "display"),
    ("google.", "google", "search"),
    ("com.google.android.googlequicksearchbox", "google", "search"),
    ("bing.", "bing", "search"),
    ("duckduckgo.", "duckduckgo", "search"),
    ("ecosia.", "ecosia", "search"),
    ("qwant.", "qwant", "search"),
    ("yahoo.", "yahoo", "search"),
    ("search.yahoo.", "yahoo", "search"),
    ("yandex.", "yandex", "search"),
    ("ya.ru", "yandex", "search"),
    ("baidu.", "baidu", "search"),
    ("naver.", "naver", "search"),
    ("seznam.", "seznam", "search"),
    ("startpage.", "startpage", "search"),
    ("search.brave.", "brave", "search"),
    ("kagi.", "kagi", "search"),
    ("facebook.", "facebook", "social"),
    ("fb.me", "facebook", "social"),
    ("instagram.", "instagram", "social"),
    ("threads.", "threads", "social"),
    ("t.co", "twitter", "social"),
    ("twitter.", "twitter", "social"),
    ("x.com", "twitter", "social"),
    ("linkedin.", "linkedin", "social"),
    ("lnkd.in", "linkedin", "social"),
    ("pinterest.", "pinterest", "social"),
    ("pin.it", "pinterest", "social"),
    ("reddit.", "reddit", "social"),
    ("tiktok.", "tiktok", "social"),
    ("snapchat.", "snapchat", "social"),
    ("whatsapp.", "whatsapp", "social"),
    ("wa.me", "whatsapp", "social"),
    ("t.me", "telegram", "social"),
    ("telegram.", "telegram", "social"),
    ("vk.com", "vk", "social"),
    ("weibo.", "weibo", "social"),
    ("bsky.app", "bluesky", "social"),
    ("mastodon.", "mastodon", "social"),
    ("discord.", "discord", "social"),
    ("quora.", "quora", "social"),
    ("tumblr.", "tumblr", "social"),
    ("youtube.", "youtube", "video"),
    ("youtu.be", "youtube", "video"),
    ("vimeo.", "vimeo", "video"),
    ("twitch.", "twitch", "video"),
    ("dailymotion.", "dailymotion", "video"),
];

/// Words before a site's own name.
const SUBDOMAINS: &[&str] = &["www.", "m.", "l.", "lm.", "out.", "old.", "mobile.", "cn.", "r."];

/// Returns the host of an address, in lower case, without "www." and the port; empty when it has none.
pub(super) fn host(url: &str) -> String {
    let Some((_, rest)) = url.split_once("://") else { return String::new() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let usable = host.len() <= 253
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if !usable {
        return String::new();
    }
    let lower = host.to_ascii_lowercase();
    lower.strip_prefix("www.").unwrap_or(&lower).to_owned()
}

/// Returns what is known of a host.
pub(super) fn site(host: &str) -> Option<Site> {
    let known = |host: &str| {
        let found =
            SITES.iter().find(|(name, _, _)| if name.ends_with('.') { host.starts_with(name) } else { host == *name });
        found.map(|(_, source, channel)| Site { source, channel })
    };
    known(host).or_else(|| SUBDOMAINS.iter().find_map(|prefix| known(host.strip_prefix(prefix)?)))
}

/// Returns what is known of a name in a campaign tag: "Facebook", "google", "newsletter".
pub(super) fn named(source: &str) -> Option<Site> {
    let lower = source.trim().to_ascii_lowercase();
    let by_source = || {
        let found = SITES.iter().find(|(_, source, _)| *source == lower);
        found.map(|(_, source, channel)| Site { source, channel })
    };
    // "google" is the search, whatever else of theirs is in the table.
    let found = site(&format!("{lower}.")).or_else(by_source).or_else(|| site(&lower));
    found.or(match lower.as_str() {
        "fb" | "meta" => Some(Site { source: "facebook", channel: "social" }),
        "ig" => Some(Site { source: "instagram", channel: "social" }),
        "x" => Some(Site { source: "twitter", channel: "social" }),
        "newsletter" | "mail" | "email" => Some(Site { source: "newsletter", channel: "email" }),
        _ => None,
    })
}

/// Whether two hosts are of one site.
pub(super) fn is_same_site(one: &str, other: &str) -> bool {
    let below =
        |sub: &str, above: &str| sub.strip_suffix(above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    below(one, other) || below(other, one) || registered(one).is_some_and(|name| Some(name) == registered(other))
}

/// Returns the last two labels, where the second is not itself one under which names are given out.
fn registered(host: &str) -> Option<&str> {
    let (rest, top) = host.rsplit_once('.')?;
    let second = rest.rsplit_once('.').map_or(rest, |(_, second)| second);
    let is_name = !top.is_empty() && second.len() > 3 && !matches!(second, "gouv" | "asso");
    is_name.then(|| &host[host.len() - top.len() - 1 - second.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read() {
        for (url, name) in [
            ("https://www.Google.fr/search?q=x", "google.fr"),
            ("https://user:pw@shop.example:8443/a", "shop.example"),
            ("android-app://com.google.android.gm/", "com.google.android.gm"),
            ("about:blank", ""),
            ("https://", ""),
            ("https://é.fr/", ""),
            ("/path", ""),
        ] {
            assert_eq!(host(url), name, "{url}");
        }
    }

    #[test]
    fn sites_are_known() {
        for (host, known) in [
            ("google.co.uk", Some(("google", "search"))),
            ("l.facebook.com", Some(("facebook", "social"))),
            ("mail.google.com", Some(("gmail", "email"))),
            ("out.reddit.com", Some(("reddit", "social"))),
            ("t.co", Some(("twitter", "social"))),
            ("t.company.example", None),
            ("chatgpt.com", Some(("chatgpt", "assistant"))),
            ("blog.example", None),
        ] {
            assert_eq!(site(host).map(|site| (site.source, site.channel)), known, "{host}");
        }
        assert_eq!(named("Facebook").map(|site| site.channel), Some("social"));
        assert_eq!(named("google").map(|site| site.channel), Some("search"));
        assert_eq!(named("ChatGPT").map(|site| site.channel), Some("assistant"));
        assert_eq!(named("shop"), None);
    }

    #[test]
    fn a_shop_knows_its_own_hosts() {
        for (one, other, same) in [
            ("shop.example", "shop.example", true),
            ("checkout.shop.example", "shop.example", true),
            ("checkout.shopping.fr", "shopping.fr", true),
            ("a.shopping.fr", "b.shopping.fr", true),
            ("eshop.example", "shop.example", false),
            ("one.co.uk", "two.co.uk", false),
            ("one.com", "two.com", false),
            ("", "shop.example", false),
        ] {
            assert_eq!(is_same_site(one, other), same, "{one} {other}");
        }
    }
}
