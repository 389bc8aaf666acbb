//! What a user agent says: browser, operating system, class of device.
//!
//! User agents quote one another (Edge says it is Chrome, which says it is Safari), so the most particular word comes
//! first in each table. Versions are those told; browsers freeze some of them.

use proto::event::v1::{Client, DeviceClass};

/// So much of a user agent is looked at, in bytes.
const MAX_BYTES: usize = 1_024;
/// Longest version, in bytes.
const MAX_VERSION: usize = 16;

/// Words of browsers and apps, the version behind them.
const BROWSERS: &[(&str, &str)] = &[
    ("FBAV/", "Facebook"),
    ("FBAN/", "Facebook"),
    ("Instagram ", "Instagram"),
    ("musical_ly", "TikTok"),
    ("BytedanceWebview", "TikTok"),
    ("TikTok", "TikTok"),
    ("Snapchat/", "Snapchat"),
    ("Pinterest/", "Pinterest"),
    ("LinkedInApp", "LinkedIn"),
    ("Line/", "Line"),
    ("MicroMessenger/", "WeChat"),
    ("GSA/", "Google"),
    ("EdgiOS/", "Edge"),
    ("EdgA/", "Edge"),
    ("Edg/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPiOS/", "Opera"),
    ("OPT/", "Opera"),
    ("Opera/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex Browser"),
    ("Vivaldi/", "Vivaldi"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("UCBrowser/", "UC Browser"),
    ("MiuiBrowser/", "MIUI Browser"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("Whale/", "Whale"),
    ("QQBrowser/", "QQ Browser"),
    ("Silk/", "Silk"),
    ("FxiOS/", "Firefox"),
    ("Focus/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chromium/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("MSIE ", "Internet Explorer"),
    ("Trident/", "Internet Explorer"),
];

/// Words of televisions and the boxes beside them.
const TELEVISIONS: &[&str] = &[
    "SmartTV",
    "SMART-TV",
    "Smart TV",
    "AppleTV",
    "Apple TV",
    "GoogleTV",
    "Android TV",
    "BRAVIA",
    "HbbTV",
    "CrKey",
    "Web0S",
    "Roku",
    "AFTT",
    "AFTB",
    "AFTS",
    "NetCast",
    "VIDAA",
];
const CONSOLES: &[(&str, &str)] =
    &[("PlayStation", "PlayStation"), ("Xbox", "Xbox"), ("Nintendo", "Nintendo"), ("Steam Deck", "SteamOS")];

/// Reads a user agent; `None` when it is empty.
pub(super) fn parse(user_agent: &str, bot: bool) -> Option<Client> {
    if user_agent.is_empty() {
        return None;
    }
    let text = &user_agent[..user_agent.floor_char_boundary(MAX_BYTES)];
    let (browser, browser_version) = browser(text);
    let (os, os_version) = system(text);
    let device_class = if bot { DeviceClass::Bot } else { device_class(text, os) };
    Some(Client {
        browser: browser.to_owned(),
        browser_version,
        os: os.to_owned(),
        os_version,
        device_class: device_class.into(),
    })
}

fn browser(text: &str) -> (&'static str, String) {
    for (word, name) in BROWSERS {
        let Some(rest) = after(text, word) else { continue };
        let version = match *word {
            "Trident/" => after(text, "rv:").unwrap_or(rest),
            // Named without a version, or with another word before it.
            "FBAN/" => "",
            "musical_ly" | "TikTok" => after(rest, "_").unwrap_or(rest),
            _ => rest.trim_start_matches(['/', ' ']),
        };
        return (name, major(version));
    }
    let is_safari = text.contains("Safari/") && text.contains("AppleWebKit/");
    match after(text, "Version/") {
        Some(version) if is_safari && text.contains("Android") => ("Android Browser", major(version)),
        Some(version) if is_safari => ("Safari", major(version)),
        _ => ("", String::new()),
    }
}

fn system(text: &str) -> (&'static str, String) {
    for (word, name) in CONSOLES {
        if text.contains(word) {
            return (name, String::new());
        }
    }
    if let Some(version) = after(text, "Windows Phone ") {
        return ("Windows Phone", number(version.trim_start_matches("OS ")));
    }
    if let Some(version) = after(text, "Windows NT ") {
        return ("Windows", windows(&number(version)));
    }
    let apple = [after(text, "iPhone OS "), after(text, "CPU OS ")].into_iter().flatten().next();
    if let Some(version) = apple {
        return ("iOS", number(version));
    }
    for (word, name) in [
        ("HarmonyOS", "HarmonyOS"),
        ("Tizen", "Tizen"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("KAIOS/", "KaiOS"),
        ("watchOS", "watchOS"),
        ("Mac OS X", "macOS"),
        ("Web0S", "webOS"),
    ] {
        if let Some(version) = after(text, word) {
            // Only a space or a slash stands between; "CrOS x86_64 1.2" tells the processor first.
            let version = if name == "ChromeOS" {
                version.trim_start().split_once(' ').map_or("", |pair| pair.1)
            } else {
                version
            };
            return (name, number(version.trim_start_matches(['/', ' '])));
        }
    }
    for (word, name) in [
        ("iPhone", "iOS"),
        ("iPad", "iOS"),
        ("Macintosh", "macOS"),
        ("Windows", "Windows"),
        ("Linux", "Linux"),
        ("X11", "Linux"),
    ] {
        if text.contains(word) {
            return (name, String::new());
        }
    }
    ("", String::new())
}

fn device_class(text: &str, os: &str) -> DeviceClass {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(TELEVISIONS) || os == "Tizen" && text.contains("TV") {
        DeviceClass::Tv
    } else if CONSOLES.iter().any(|(word, _)| text.contains(word)) {
        DeviceClass::Console
    } else if says(&["Watch", "watchOS", "Wear OS"]) {
        DeviceClass::Watch
    } else if says(&["iPad", "Tablet", "PlayBook", "Kindle"]) || os == "Android" && !text.contains("Mobile") {
        // Apps of telephones do not always say "Mobile"; their own libraries tell the device themselves.
        DeviceClass::Tablet
    } else if says(&["Mobi", "iPhone", "iPod", "Windows Phone"]) || os == "KaiOS" {
        DeviceClass::Mobile
    } else if matches!(os, "Windows" | "macOS" | "Linux" | "ChromeOS") {
        DeviceClass::Desktop
    } else {
        DeviceClass::Unspecified
    }
}

/// Returns what stands behind the first occurrence of a word.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.find(word).map(|at| &text[at + word.len()..])
}

/// Returns the version at the beginning, with dots.
fn number(text: &str) -> String {
    let end = text.find(|next: char| !(next.is_ascii_digit() || matches!(next, '.' | '_'))).unwrap_or(text.len());
    text[..end.min(MAX_VERSION)].replace('_', ".").trim_end_matches('.').to_owned()
}

fn major(text: &str) -> String {
    let end = text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len());
    text[..end.min(MAX_VERSION)].to_owned()
}

fn windows(kernel: &str) -> String {
    let name = match kernel {
        "6.3" => "8.1",
        "6.2" => "8",
        "6.1" => "7",
        "6.0" => "Vista",
        "5.1" | "5.2" => "XP",
        // Windows 11 says 10 as well.
        "10.0" => "10",
        other => other,
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_agents_are_read() {
        use DeviceClass::{Console, Desktop, Mobile, Tablet, Tv, Unspecified, Watch};
        for (text, browser, os, class) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                "Chrome 126",
                "Windows 10",
                Desktop,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.87",
                "Edge 126",
                "Windows 10",
                Desktop,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
                "Safari 17",
                "macOS 10.15.7",
                Desktop,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 14.5; rv:127.0) Gecko/20100101 Firefox/127.0",
                "Firefox 127",
                "macOS 14.5",
                Desktop,
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 OPR/112.0.0.0",
                "Opera 112",
                "Linux",
                Desktop,
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                "Chrome 126",
                "ChromeOS 14541.0.0",
                Desktop,
            ),
            (
                "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
                "Internet Explorer 11",
                "Windows 7",
                Desktop,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari 17",
                "iOS 17.5.1",
                Mobile,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1",
                "Chrome 126",
                "iOS 17.5",
                Mobile,
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
                "Safari 16",
                "iOS 16.6",
                Tablet,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21E219 Instagram 330.0.3.29.91 (iPhone14,5; iOS 17_4)",
                "Instagram 330",
                "iOS 17.4",
                Mobile,
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
                "Samsung Internet 25",
                "Android 14",
                Mobile,
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                "Chrome 126",
                "Android 10",
                Tablet,
            ),
            (
                "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0",
                "Firefox 127",
                "Android 14",
                Mobile,
            ),
            (
                "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) 76.0.3809.146/6.0 TV Safari/537.36",
                "",
                "Tizen 6.0",
                Tv,
            ),
            (
                "Mozilla/5.0 (PlayStation; PlayStation 5/6.50) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15",
                "Safari 13",
                "PlayStation",
                Console,
            ),
            ("server-bits/1.0 (Apple Watch; watchOS 10.4)", "", "watchOS 10.4", Watch),
            ("okhttp/4.12.0", "", "", Unspecified),
            ("é".repeat(2_000).as_str(), "", "", Unspecified),
        ] {
            let read = parse(text, false).unwrap();
            let joined = |name: &str, version: &str| format!("{name} {version}").trim().to_owned();
            assert_eq!(joined(&read.browser, &read.browser_version), browser, "{text}");
            assert_eq!(joined(&read.os, &read.os_version), os, "{text}");
            assert_eq!(read.device_class(), class, "{text}");
        }
        assert_eq!(parse("", false), None);
        assert_eq!(parse("Googlebot/2.1", true).unwrap().device_class(), DeviceClass::Bot);
    }
}
