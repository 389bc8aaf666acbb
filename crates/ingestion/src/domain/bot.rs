//! Telling machines from people by what they say they are.

/// Words of crawlers, monitors, link scanners, headless browsers and scripts, in lower case.
const MACHINES: &[&str] = &[
    "crawl",
    "spider",
    "slurp",
    "headless",
    "lighthouse",
    "phantomjs",
    "puppeteer",
    "playwright",
    "selenium",
    "pingdom",
    "uptime",
    "statuscake",
    "site24x7",
    "facebookexternalhit",
    "whatsapp/",
    "skypeuripreview",
    "linkpreview",
    "embedly",
    "mediapartners-google",
    "google-read-aloud",
    "feedfetcher",
    "scrapy",
    "curl/",
    "wget/",
    "python-requests",
    "python-urllib",
    "aiohttp",
    "httpx/",
    "go-http-client",
    "okhttp-scan",
    "java/",
    "libwww",
    "apache-httpclient",
    "barracuda",
    "mimecast",
    "proofpoint",
    "symantec",
];

/// Whether a visitor with this user agent looks like a machine. The caller hands in what the *visitor* sent: the HTTP
/// library of a shop's own server is no visitor.
pub(crate) fn is_machine(user_agent: &str) -> bool {
    if user_agent.is_empty() {
        return false;
    }
    let lower = user_agent.to_ascii_lowercase();
    names_a_bot(&lower) || MACHINES.iter().any(|word| lower.contains(word))
}

/// Whether a word ends in "bot": Googlebot, bingbot, AdsBot-Google; not CUBOT, which makes telephones, and not "robotics".
fn names_a_bot(lower: &str) -> bool {
    lower.match_indices("bot").any(|(at, _)| {
        let ends_word = !lower[at + 3..].starts_with(|next: char| next.is_ascii_lowercase());
        ends_word && !lower[..at].ends_with("cu")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_told_from_people() {
        for machine in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 Safari/537.36",
            "AdsBot-Google (+http://www.google.com/adsbot.html)",
            "facebookexternalhit/1.1",
            "curl/8.5.0",
        ] {
            assert!(is_machine(machine), "{machine}");
        }
        for person in [
            "",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Safari/604.1",
            "Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0",
        ] {
            assert!(!is_machine(person), "{person}");
        }
    }
}
