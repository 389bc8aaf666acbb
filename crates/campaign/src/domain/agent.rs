//! Telling people from machines by the User-Agent of a request.

/// Marks of prefetchers, link scanners and scripts, in lower case.
const MACHINES: [&str; 34] = [
    "barracuda",
    "bot",
    "check_http",
    "cloudmark",
    "crawler",
    "curl/",
    "facebookexternalhit",
    "forcepoint",
    "fortinet",
    "go-http-client",
    "headless",
    "httpclient",
    "ironport",
    "java/",
    "libwww",
    "linkscan",
    "microsoft office protocol discovery",
    "mimecast",
    "node-fetch",
    "okhttp",
    "phantomjs",
    "postman",
    "preview",
    "proofpoint",
    "python",
    "safelinks",
    "scanner",
    "scrapy",
    "sophos",
    "spider",
    "symantec",
    "trendmicro",
    "wget",
    "zscaler",
];

/// What Apple's mail privacy proxy sends: nothing but this.
const APPLE_PROXY: &str = "Mozilla/5.0";

/// Whether a request came from a machine. No User-Agent is a machine's.
pub(crate) fn is_machine(user_agent: &str) -> bool {
    let trimmed = user_agent.trim();
    if trimmed.is_empty() || trimmed == APPLE_PROXY {
        return true;
    }
    let lower = trimmed.to_ascii_lowercase();
    MACHINES.iter().any(|mark| lower.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_and_scanners_are_machines_and_browsers_are_not() {
        for machine in
            ["", "Mozilla/5.0", "Barracuda Sentinel (EE)", "curl/8.5", "Googlebot/2.1", "python-requests/2.32"]
        {
            assert!(is_machine(machine), "{machine}");
        }
        for person in [
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Thunderbird/140.0",
        ] {
            assert!(!is_machine(person), "{person}");
        }
    }
}
