//! What the public API shows of a tenant, written so that two runs can be compared.

use std::collections::{BTreeMap, BTreeSet};

use campaign::sink::Received;
use comptoir::{api::Api, shop};
use kit::Error;
use prost_types::Timestamp;
use proto::{
    google::r#type::Money,
    identity::v1::Profile,
    recommendation::v1::RecommendRequest,
    scoring::v1::{GetRfmMatrixRequest, GetScoresRequest, Rfm, Statistics, SummarizeOrdersRequest},
};

use crate::read;

/// A tenant as its API shows it: by section, by key, as text. Ids that are drawn (of profiles, sources, events) are left out:
/// a person is named by an identifier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    sections: BTreeMap<&'static str, BTreeMap<String, String>>,
}

/// What names a person in every run.
pub struct Names {
    by_profile_id: BTreeMap<String, String>,
}

impl Names {
    /// Names each profile, and what it absorbed, by its strongest identifier, the smallest of several.
    pub fn of(profiles: &[Profile]) -> Self {
        let mut by_profile_id = BTreeMap::new();
        for profile in profiles {
            let name = name(profile);
            for id in std::iter::once(&profile.profile_id).chain(&profile.absorbed_profile_ids) {
                by_profile_id.insert(id.clone(), name.clone());
            }
        }
        Self { by_profile_id }
    }

    /// Returns the name of a profile; what is unknown is shown as it is.
    pub fn get(&self, profile_id: &str) -> String {
        self.by_profile_id.get(profile_id).cloned().unwrap_or_else(|| format!("unknown {profile_id}"))
    }
}

fn name(profile: &Profile) -> String {
    const STRONGEST_FIRST: [&str; 5] = ["user_id", "loyalty_card", "email", "phone", "anonymous_id"];
    let rank = |kind: &str| STRONGEST_FIRST.iter().position(|known| *known == kind).unwrap_or(STRONGEST_FIRST.len());
    let best = profile.identifiers.iter().min_by_key(|identifier| (rank(&identifier.kind), &identifier.value));
    best.map_or_else(|| "nobody".to_owned(), |identifier| format!("{}={}", identifier.kind, identifier.value))
}

impl Picture {
    /// Reads everything that can be known of a tenant.
    pub async fn take(api: &Api, mails: &[Received]) -> Result<Self, Error> {
        let mut picture = Self::default();
        let profiles = read::profiles(api).await?;
        let names = Names::of(&profiles);
        picture.profiles(&profiles);
        picture.scores(api, &profiles).await?;
        picture.orders(api).await?;
        picture.segments(api, &names).await?;
        picture.recommendations(api, &profiles).await?;
        picture.messages(api, &names).await?;
        picture.mails(mails);
        picture.events(api).await?;
        Ok(picture)
    }

    /// Returns the picture without one of its sections.
    pub fn without(mut self, section: &str) -> Self {
        self.sections.remove(section);
        self
    }

    /// Returns how much stands in a section.
    pub fn count(&self, section: &str) -> usize {
        self.sections.get(section).map_or(0, BTreeMap::len)
    }

    /// Fails with what differs, by section, when `other` is not the same.
    pub fn assert_same(&self, other: &Self, what: &str) {
        let mut differences = Vec::new();
        let sections: BTreeSet<&&str> = self.sections.keys().chain(other.sections.keys()).collect();
        for section in sections {
            let (left, right) = (self.section(section), other.section(section));
            let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            let different: Vec<&String> = keys.into_iter().filter(|key| left.get(*key) != right.get(*key)).collect();
            if different.is_empty() {
                continue;
            }
            differences.push(format!("{section}: {} of {} differ", different.len(), left.len().max(right.len())));
            for key in different.into_iter().take(6) {
                let show = |side: &BTreeMap<String, String>| side.get(key).map_or("-", String::as_str).to_owned();
                differences.push(format!("  {key}\n    {}\n    {}", show(&left), show(&right)));
            }
        }
        assert!(differences.is_empty(), "{what}\n{}", differences.join("\n"));
    }

    fn section(&self, name: &str) -> BTreeMap<String, String> {
        self.sections.get(name).cloned().unwrap_or_default()
    }

    /// Writes one entry. Entries of one key are told apart by a number, so that none is lost.
    fn note(&mut self, section: &'static str, key: impl Into<String>, value: impl Into<String>) {
        let entries = self.sections.entry(section).or_default();
        let key = key.into();
        let free = (1..).map(|number| if number == 1 { key.clone() } else { format!("{key} #{number}") });
        let key = free.into_iter().find(|key| !entries.contains_key(key)).expect("numbers do not end");
        entries.insert(key, value.into());
    }

    fn profiles(&mut self, profiles: &[Profile]) {
        for profile in profiles {
            let mut parts: Vec<String> = Vec::new();
            let identifiers = profile.identifiers.iter();
            let mut identifiers: Vec<String> = identifiers.map(|one| format!("{}={}", one.kind, one.value)).collect();
            identifiers.sort();
            parts.extend(identifiers);
            let traits = profile.traits.iter();
            parts.extend(traits.map(|one| format!("{}:{:?} at {}", one.name, one.value, time(&one.event_time))));
            let consents = profile.consents.iter();
            parts.extend(consents.map(|one| {
                format!("{}/{} {:?} at {}", one.purpose, one.channel, one.state(), time(&one.decided_time))
            }));
            let (first, last) = (time(&profile.first_seen_time), time(&profile.last_seen_time));
            parts.push(format!("{} events from {first} to {last}", profile.event_count));
            self.note("profiles", name(profile), parts.join("; "));
        }
    }

    async fn scores(&mut self, api: &Api, profiles: &[Profile]) -> Result<(), Error> {
        for profile in profiles {
            let request = GetScoresRequest { profile_id: profile.profile_id.clone() };
            let scores = api.scoring().get_scores(request).await?.into_inner();
            let statistics = scores.statistics.as_ref().map(statistics).unwrap_or_default();
            let cell = scores.rfm.as_ref().map(cell).unwrap_or_default();
            self.note("scores", name(profile), format!("{statistics}; {cell}; in {:?}", scores.segment_ids));
        }
        let matrix = api.scoring().get_rfm_matrix(GetRfmMatrixRequest::default()).await?.into_inner();
        for entry in &matrix.cells {
            let value = entry.net_value.as_ref().map(money).unwrap_or_default();
            let text = format!("{} people, {} orders, {value}", entry.profile_count, entry.order_count);
            self.note("matrix", entry.rfm.as_ref().map(cell).unwrap_or_default(), text);
        }
        let cuts = (&matrix.recency_cuts_days, &matrix.frequency_cuts, &matrix.monetary_cuts_micros);
        self.note("matrix", "cuts", format!("{cuts:?} {} {}", matrix.currency, matrix.buyer_count));
        Ok(())
    }

    async fn orders(&mut self, api: &Api) -> Result<(), Error> {
        let sums = api.scoring().summarize_orders(SummarizeOrdersRequest {}).await?.into_inner();
        for country in &sums.countries {
            let show = |amount: &Option<Money>| amount.as_ref().map(money).unwrap_or_default();
            let (net, back) = (show(&country.net_value), show(&country.refunded_value));
            let text =
                format!("{} orders, {} buyers, {net}, refunded {back}", country.order_count, country.buyer_count);
            self.note("orders", country.country.clone(), text);
        }
        self.note("orders", "all", format!("{} orders, {} buyers", sums.order_count, sums.buyer_count));
        Ok(())
    }

    async fn segments(&mut self, api: &Api, names: &Names) -> Result<(), Error> {
        for segment in read::segments(api).await? {
            let members = read::members(api, &segment.segment_id).await?;
            self.note("segments", segment.segment_id.clone(), format!("{} members", segment.member_count));
            for member in members {
                let key = format!("{} {}", segment.segment_id, names.get(&member.profile_id));
                self.note("segments", key, time(&member.enter_time));
            }
        }
        Ok(())
    }

    async fn recommendations(&mut self, api: &Api, profiles: &[Profile]) -> Result<(), Error> {
        for profile in profiles {
            let chosen = recommend(api, &profile.profile_id, Vec::new()).await?;
            self.note("recommendations", name(profile), chosen);
        }
        for product in read::products(api).await?.into_iter().take(20) {
            let chosen = recommend(api, "", vec![product.product_id.clone()]).await?;
            self.note("recommendations", format!("beside {}", product.product_id), chosen);
        }
        Ok(())
    }

    async fn messages(&mut self, api: &Api, names: &Names) -> Result<(), Error> {
        for message in read::messages(api).await? {
            let (person, due) = (names.get(&message.profile_id), time(&message.due_time));
            let key = format!("{} {person} due {due}", message.campaign_id);
            let (state, reason) = (message.state(), message.reason());
            let happened = format!("opened {}, clicked {}", time(&message.open_time), time(&message.click_time));
            self.note("messages", key, format!("{state:?} {reason:?} {:?} {happened}", message.product_ids));
        }
        Ok(())
    }

    fn mails(&mut self, mails: &[Received]) {
        for mail in mails {
            let subject = shop::links(&mail.bytes).map(|links| links.subject).unwrap_or_default();
            self.note("mails", format!("{} {subject}", mail.to), "");
        }
    }

    async fn events(&mut self, api: &Api) -> Result<(), Error> {
        for (source, counts) in read::event_counts(api).await? {
            let text = format!("{} accepted, {} kept aside", counts.accepted, counts.quarantined);
            self.note("events", source.clone(), text);
            self.note("repeats", source, format!("{} were known", counts.duplicate));
        }
        Ok(())
    }
}

async fn recommend(api: &Api, profile_id: &str, product_ids: Vec<String>) -> Result<String, Error> {
    let request =
        RecommendRequest { profile_id: profile_id.into(), product_ids, limit: 5, ..RecommendRequest::default() };
    let answer = api.recommendation().recommend(request).await?.into_inner();
    let items = answer.items.iter().map(|item| {
        let product = item.product.as_ref().map(|product| product.product_id.as_str()).unwrap_or_default();
        format!("{product} {:?}", item.strategy())
    });
    Ok(items.collect::<Vec<_>>().join(", "))
}

fn statistics(one: &Statistics) -> String {
    let monies = |amounts: &[Money]| amounts.iter().map(money).collect::<Vec<_>>().join(" + ");
    format!(
        "{} orders from {} to {}, worth {}, refunded {}; {} events from {} to {}, {} views, {} into the basket",
        one.order_count,
        time(&one.first_order_time),
        time(&one.last_order_time),
        monies(&one.net_values),
        monies(&one.refunded_values),
        one.event_count,
        time(&one.first_event_time),
        time(&one.last_event_time),
        one.product_view_count,
        one.cart_add_count
    )
}

fn cell(one: &Rfm) -> String {
    format!("{}{}{} {}", one.recency, one.frequency, one.monetary, one.segment)
}

/// Returns an amount in millionths, as an exact text.
fn money(amount: &Money) -> String {
    format!("{} {}", micros(amount), amount.currency_code)
}

/// Returns an amount in millionths.
pub fn micros(amount: &Money) -> i64 {
    amount.units * 1_000_000 + i64::from(amount.nanos) / 1_000
}

fn time(time: &Option<Timestamp>) -> String {
    let known = time
        .as_ref()
        .and_then(|time| chrono::DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).unwrap_or_default()));
    known.map_or_else(|| "never".to_owned(), |time| time.format("%d %H:%M:%S%.3f").to_string())
}
