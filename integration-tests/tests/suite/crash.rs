//! `kill -9` of every service during load loses nothing, doubles nothing and changes nothing that comes out.

use std::collections::{BTreeMap, BTreeSet};

use comptoir::cluster::SERVICES;
use comptoir_integration_tests::{
    Clustered, Embedded, Engine, Picture, Subject,
    feed::{Fed, feed},
    log::event_log,
    read, scenario,
};
use kit::Error;
use simulator::World;

/// Day of the first kill; the others follow, a day apart.
const FIRST: usize = 4;
/// Days between two kills.
const STEP: usize = 3;

/// What was taken before its sender heard of it is sent again: how often is the crash's doing.
const REPEATS: &str = "repeats";

async fn live(
    subject: &impl Subject,
    world: &World,
    disturb: impl AsyncFnMut(usize) -> Result<(), Error>,
) -> Result<(Fed, Picture), Error> {
    let shop = scenario::set_up(subject, world).await?;
    let fed = feed(subject, &shop, world, disturb).await?;
    check_log(subject, &shop.api, &fed).await?;
    check_mails(subject, &shop.api).await?;
    Ok((fed, Picture::take(&shop.api, &subject.post().all()).await?))
}

/// Every acknowledged event is in the log once; nothing else is, but what the campaigns told.
async fn check_log(subject: &impl Subject, api: &comptoir::api::Api, fed: &Fed) -> Result<(), Error> {
    let sources = read::sources(api).await?;
    let names: BTreeMap<&str, &str> =
        sources.iter().map(|source| (source.source_id.as_str(), source.name.as_str())).collect();
    let ours: BTreeSet<&str> = fed.acknowledged.iter().map(|(source, _)| source.as_str()).collect();
    let mut logged: BTreeMap<(String, String), u32> = BTreeMap::new();
    for record in event_log(subject).await? {
        let name = names.get(record.event.source_id.as_str()).copied().unwrap_or("unknown");
        if ours.contains(name) {
            *logged.entry((name.to_owned(), record.event.message_id)).or_default() += 1;
        }
    }
    let doubled: Vec<_> = logged.iter().filter(|(_, count)| **count != 1).collect();
    let lost: Vec<_> = fed.acknowledged.iter().filter(|id| !logged.contains_key(*id)).collect();
    let invented: Vec<_> = logged.keys().filter(|id| !fed.acknowledged.contains(*id)).collect();
    assert!(doubled.is_empty(), "in the log more than once: {doubled:?}");
    assert!(lost.is_empty(), "acknowledged and not in the log: {lost:?}");
    assert!(invented.is_empty(), "in the log and never sent: {invented:?}");
    Ok(())
}

/// No mail went out twice, and each stands for a message that says so.
async fn check_mails(subject: &impl Subject, api: &comptoir::api::Api) -> Result<(), Error> {
    use proto::campaign::v1::message::State;

    let mut by_id: BTreeMap<String, u32> = BTreeMap::new();
    for mail in subject.post().all() {
        let links = comptoir::shop::links(&mail.bytes).unwrap_or_default();
        *by_id.entry(links.message_id).or_default() += 1;
    }
    let doubled: Vec<_> = by_id.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "mails that came twice: {doubled:?}");

    let messages = read::messages(api).await?;
    let count = |state: State| messages.iter().filter(|message| message.state() == state).count();
    let (sent, uncertain) = (count(State::Sent), count(State::Uncertain));
    assert!(
        (sent..=sent + uncertain).contains(&by_id.len()),
        "{sent} messages are sent, {uncertain} may be, and {} mails came",
        by_id.len()
    );
    Ok(())
}

async fn killed_one_after_the_other(engine: Engine) -> anyhow::Result<()> {
    let world = scenario::world();
    let calm = Embedded::start(Engine::Sqlite, scenario::start()).await?;
    let (undisturbed, expected) = live(&calm, &world, async |_| Ok(())).await?;
    calm.stop().await?;
    assert_eq!(undisturbed.repeats, 0, "nothing disturbed the first run");

    let cluster = Clustered::start(engine, scenario::start()).await?;
    let mut killed = Vec::new();
    let (fed, found) = live(&cluster, &world, async |day| {
        let number = day.checked_sub(FIRST).filter(|days| days % STEP == 0).map(|days| days / STEP);
        if let Some(service) = number.and_then(|number| SERVICES.get(number)) {
            cluster.kill_and_restart(service).await?;
            killed.push(*service);
        }
        Ok(())
    })
    .await?;
    cluster.stop().await?;

    assert_eq!(killed, SERVICES, "each is killed once, during load");
    assert!(fed.repeats > 0, "no request met a dead service: the kills came at a quiet time");
    assert_eq!(fed.acknowledged, undisturbed.acknowledged);
    expected.without(REPEATS).assert_same(&found.without(REPEATS), "an undisturbed run and one with crashes differ");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_on_sqlite_are_killed_and_nothing_changes() -> anyhow::Result<()> {
    killed_one_after_the_other(Engine::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn services_on_postgres_are_killed_and_nothing_changes() -> anyhow::Result<()> {
    if !Engine::all().contains(&Engine::Postgres) {
        return Ok(());
    }
    killed_one_after_the_other(Engine::Postgres).await
}
