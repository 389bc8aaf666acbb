//! The circumstances of an event.

use proto::event::v1::{AdCampaign, Context, Device, Location, Page};

use crate::domain::json::{Json, Members, ObjectWriter};

/// Libraries that run at the visitor's, by the beginning of their name in lower case: the address and user agent of
/// their requests are the visitor's own.
const CLIENT_LIBRARIES: &[&str] = &[
    "analytics.js",
    "analytics-ios",
    "analytics-android",
    "analytics-swift",
    "analytics-kotlin",
    "analytics-react-native",
    "@segment/analytics-react-native",
    "analytics-flutter",
    "rudderlabs javascript sdk",
    "rudder-android-library",
    "rudder-ios-library",
    "@jitsu/js",
    "comptoir.js",
];

/// What the request itself shows of its sender.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sender<'a> {
    pub(crate) client_ip: &'a str,
    pub(crate) user_agent: &'a str,
    /// Whether a page sent it.
    pub(crate) from_page: bool,
}

/// The context of an event while it is being read.
pub(crate) struct ContextReader<'a> {
    members: Members<'a>,
    extra: ObjectWriter,
}

impl<'a> ContextReader<'a> {
    pub(crate) fn new(members: Members<'a>) -> Self {
        Self { members, extra: ObjectWriter::default() }
    }

    pub(crate) fn members(&mut self) -> &mut Members<'a> {
        &mut self.members
    }

    /// Adds a member to `extra_json`.
    pub(crate) fn put_extra(&mut self, key: &str, value: &str) {
        self.extra.put(key, value);
    }

    /// Takes the library as "name/version".
    pub(crate) fn take_library(&mut self) -> String {
        self.take_object("library", |library| {
            let name = library.take_text(&["name"]);
            let version = library.take_text(&["version"]);
            if version.is_empty() { name } else { format!("{name}/{version}") }
        })
        .unwrap_or_default()
    }

    /// Reads all that typed fields hold; what else there is, here and among `others`, goes to `extra_json`.
    pub(crate) fn finish(mut self, library: &str, sender: Sender<'_>, others: &Members<'a>) -> Context {
        let mut context = Context {
            ip: self.members.take_text(&["ip"]),
            user_agent: self.members.take_text(&["userAgent"]),
            locale: self.members.take_text(&["locale"]),
            timezone: self.members.take_text(&["timezone"]),
            session_id: self.members.take_text(&["sessionId"]),
            page: self.take_object("page", page),
            campaign: self.take_object("campaign", campaign),
            location: self.take_object("location", location),
            device: self.device(),
            ..Context::default()
        };
        if self.is_from_visitor(library, sender) {
            fill(&mut context.ip, sender.client_ip);
            fill(&mut context.user_agent, sender.user_agent);
        }
        context.extra_json = self.extra_json(others);
        context
    }

    fn is_from_visitor(&self, library: &str, sender: Sender<'_>) -> bool {
        if self.members.get("direct").and_then(Json::boolean) == Some(true) {
            return true;
        }
        // No server names the origin of a page, whatever library it uses.
        if sender.from_page {
            return true;
        }
        let library = library.to_ascii_lowercase();
        CLIENT_LIBRARIES.iter().any(|name| library.starts_with(name))
    }

    fn device(&mut self) -> Option<Device> {
        let device = self.take_object("device", device);
        let os = self.take_object("os", |os| {
            let name = os.take_text(&["name"]);
            let version = os.take_text(&["version"]);
            format!("{name} {version}").trim().to_owned()
        });
        match os.filter(|os| !os.is_empty()) {
            Some(os) => Some(Device { os, ..device.unwrap_or_default() }),
            None => device,
        }
    }

    /// Reads an object of the context. What `read` leaves of it goes to `extra_json` under the same key.
    fn take_object<T>(&mut self, key: &str, read: impl FnOnce(&mut Members<'a>) -> T) -> Option<T> {
        let mut object = self.members.get(key)?.members()?;
        self.members.take(key);
        let value = read(&mut object);
        if !object.nothing_left() {
            self.extra.put(key, &object.rest_text());
        }
        Some(value)
    }

    fn extra_json(mut self, others: &Members<'a>) -> bytes::Bytes {
        if self.extra.is_empty() && others.nothing_left() {
            return self.members.rest();
        }
        for (key, value) in self.members.left() {
            self.extra.put(key, value.raw());
        }
        for (key, value) in others.left() {
            if self.members.get(key).is_none() {
                self.extra.put(key, value.raw());
            }
        }
        self.extra.finish()
    }
}

/// Fills what a page call says about the page among its properties into the context. What says the same is taken.
pub(crate) fn fill_page(page: &mut Page, properties: &mut Members<'_>) {
    for (key, field) in [
        ("url", &mut page.url),
        ("path", &mut page.path),
        ("title", &mut page.title),
        ("referrer", &mut page.referrer),
        ("search", &mut page.search),
    ] {
        let Some(text) = properties.get(key).and_then(Json::string) else { continue };
        fill(field, &text);
        if *field == text {
            properties.take(key);
        }
    }
}

fn fill(field: &mut String, text: &str) {
    if field.is_empty() {
        field.push_str(text);
    }
}

pub(super) fn page(members: &mut Members<'_>) -> Page {
    Page {
        url: members.take_text(&["url"]),
        path: members.take_text(&["path"]),
        title: members.take_text(&["title"]),
        referrer: members.take_text(&["referrer"]),
        search: members.take_text(&["search"]),
    }
}

fn campaign(members: &mut Members<'_>) -> AdCampaign {
    AdCampaign {
        name: members.take_text(&["name"]),
        source: members.take_text(&["source"]),
        medium: members.take_text(&["medium"]),
        term: members.take_text(&["term"]),
        content: members.take_text(&["content"]),
    }
}

fn location(members: &mut Members<'_>) -> Location {
    Location {
        country: members.take_text(&["country"]),
        region: members.take_text(&["region"]),
        city: members.take_text(&["city"]),
        postal_code: members.take_text(&["postalCode", "postal_code", "zip"]),
    }
}

fn device(members: &mut Members<'_>) -> Device {
    Device {
        id: members.take_text(&["id"]),
        r#type: members.take_text(&["type"]),
        manufacturer: members.take_text(&["manufacturer"]),
        model: members.take_text(&["model"]),
        os: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, sender: Sender<'_>) -> (Context, String) {
        let mut reader = ContextReader::new(Members::parse(text).unwrap());
        let library = reader.take_library();
        let context = reader.finish(&library, sender, &Members::parse(r#"{"integrations":{"All":true}}"#).unwrap());
        (context, library)
    }

    #[test]
    fn known_fields_are_typed_and_unknown_ones_pass_through() {
        let text = r#"{"library":{"name":"analytics.js","version":"next-1"},"page":{"url":"https://x/","zone":2},
            "os":{"name":"iOS","version":17},"sessionId":17,"screen":{"width":3}}"#;

        let (context, library) = read(text, Sender::default());

        assert_eq!(library, "analytics.js/next-1");
        assert_eq!(context.page.unwrap().url, "https://x/");
        assert_eq!(context.device.unwrap().os, "iOS 17");
        assert_eq!(context.session_id, "17");
        let extra = std::str::from_utf8(&context.extra_json).unwrap();
        assert_eq!(extra, r#"{"page":{"zone":2},"screen":{"width":3},"integrations":{"All":true}}"#);
    }

    #[test]
    fn the_request_tells_the_address_only_of_visitors() {
        let sender = Sender { client_ip: "2001:db8::1", user_agent: "Firefox", from_page: false };

        let (visitor, _) = read(r#"{"library":{"name":"analytics.js"}}"#, sender);
        let (server, _) = read(r#"{"library":{"name":"@segment/analytics-node"}}"#, sender);
        let (plain, _) = read("{}", sender);
        let (own, _) = read(r#"{"library":{"name":"analytics.js"},"ip":"1.2.3.4"}"#, sender);

        assert_eq!((visitor.ip.as_str(), visitor.user_agent.as_str()), ("2001:db8::1", "Firefox"));
        assert_eq!((server.ip.as_str(), plain.ip.as_str()), ("", ""));
        assert_eq!(own.ip, "1.2.3.4");
    }
}
