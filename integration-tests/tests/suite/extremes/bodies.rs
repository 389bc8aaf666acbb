//! Bodies of the collector: as large as may be and larger, bombs, and depth without end.

use std::io::Write;

use comptoir_integration_tests::{Engine, read};
use flate2::{Compression, write::GzEncoder};

use super::{Counts, Door, is, told};

/// What a body may have, inflated as well.
const MAX_BODY: usize = 4 << 20;
/// What each process may have in memory during these tests, in MiB.
const MEMORY: u64 = 256;

fn event(message_id: &str, properties: &str) -> String {
    format!(
        r#"{{"type":"track","event":"Wheel Spun","userId":"u","messageId":"{message_id}","properties":{properties}}}"#
    )
}

/// An event with a text of so many bytes.
fn padded(message_id: &str, bytes: usize) -> String {
    event(message_id, &format!(r#"{{"text":"{}"}}"#, "x".repeat(bytes)))
}

fn batch(events: impl IntoIterator<Item = String>) -> String {
    let events: Vec<String> = events.into_iter().collect();
    format!(r#"{{"batch":[{}]}}"#, events.join(","))
}

/// Fills a body up with spaces.
fn filled(mut body: String, bytes: usize) -> String {
    assert!(body.len() <= bytes, "{} bytes", body.len());
    body.extend(std::iter::repeat_n(' ', bytes - body.len()));
    body
}

fn gzipped(pieces: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for piece in pieces {
        encoder.write_all(&piece).unwrap();
    }
    encoder.finish().unwrap()
}

/// Gigabytes of spaces.
fn bomb(gibibytes: usize) -> Vec<u8> {
    gzipped(std::iter::repeat_with(|| vec![b' '; 1 << 20]).take(gibibytes << 10))
}

fn nested(depth: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth))
}

async fn large_bodies(engine: Engine) -> anyhow::Result<()> {
    let door = Door::open(engine).await?;

    let forty = batch((0..40).map(|number| padded(&format!("large-{number}"), 100_000)));
    assert_eq!(told(&door.post("/v1/batch", filled(forty, MAX_BODY), None).await?), is(200, ""));
    let mut expected = Counts { accepted: 40, ..Counts::default() };
    assert_eq!(door.counts().await?, expected);

    let mixed =
        (0..30).map(|number| padded(&format!("mixed-{number}"), if number % 3 == 0 { 140_000 } else { 100_000 }));
    assert_eq!(told(&door.post("/v1/batch", batch(mixed), None).await?), is(200, ""));
    expected = Counts { accepted: 60, quarantined: 10, dead_letters: 10 };
    assert_eq!(door.counts().await?, expected);
    let letters = read::dead_letters(&door.api).await?;
    assert!(letters.iter().all(|letter| letter.reason == "EVENT_TOO_LARGE"), "{:?}", letters[0].reason);

    let one_more = filled(batch([padded("over", 100)]), MAX_BODY + 1);
    assert_eq!(told(&door.post("/v1/batch", one_more, None).await?), is(413, "BODY_TOO_LARGE"));
    let far_more = batch((0..60).map(|number| padded(&format!("far-{number}"), 100_000)));
    assert_eq!(told(&door.post("/v1/batch", far_more, None).await?), is(413, "BODY_TOO_LARGE"));
    assert_eq!(door.counts().await?, expected, "nothing of what was refused was taken");

    door.assert_small(MEMORY);
    door.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_at_their_limit_are_taken_and_over_it_refused_on_sqlite() -> anyhow::Result<()> {
    large_bodies(Engine::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_at_their_limit_are_taken_and_over_it_refused_on_postgres() -> anyhow::Result<()> {
    if !Engine::all().contains(&Engine::Postgres) {
        return Ok(());
    }
    large_bodies(Engine::Postgres).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_stop_at_the_limit() -> anyhow::Result<()> {
    let door = Door::open(Engine::Sqlite).await?;
    let gigabyte = bomb(1);
    assert!(gigabyte.len() < 2 << 20, "{} bytes", gigabyte.len());

    assert_eq!(told(&door.post("/v1/batch", gigabyte.clone(), Some("gzip")).await?), is(413, "BODY_TOO_LARGE"));
    let twice = gzipped([gigabyte.clone()]);
    assert_eq!(told(&door.post("/v1/batch", twice, Some("gzip")).await?), is(400, "BODY_INVALID"), "inflated once");
    let three = gzipped([filled(batch([padded("in-gzip", 1_000)]), MAX_BODY).into_bytes()]);
    assert_eq!(told(&door.post("/v1/batch", three, Some("gzip")).await?), is(200, ""), "a full body is no bomb");

    // All at once: each is refused for what it is, or for the moment.
    let bombs = futures::future::join_all((0..48).map(|_| door.post("/v1/batch", gigabyte.clone(), Some("gzip"))));
    for answer in bombs.await {
        let answer = answer?;
        let told = told(&answer);
        let is_for_the_moment = told == is(429, "OVERLOADED") && answer.headers.contains_key("retry-after");
        assert!(told == is(413, "BODY_TOO_LARGE") || is_for_the_moment, "{told:?}");
    }
    assert_eq!(door.counts().await?, Counts { accepted: 1, ..Counts::default() });

    door.assert_small(MEMORY);
    door.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn depth_without_end_harms_only_what_is_deep() -> anyhow::Result<()> {
    let door = Door::open(Engine::Sqlite).await?;
    let deep = nested(10_000);
    let good = |name: &str| event(name, "{}");

    let among_others = batch([good("a"), event("deep", &deep), good("b")]);
    assert_eq!(told(&door.post("/v1/batch", among_others, None).await?), is(200, ""));
    assert_eq!(told(&door.post("/v1/track", event("deep alone", &deep), None).await?), is(200, ""));
    let bare = batch([good("c"), deep.clone()]);
    assert_eq!(told(&door.post("/v1/batch", bare, None).await?), is(200, ""));
    let expected = Counts { accepted: 3, quarantined: 3, dead_letters: 3 };
    assert_eq!(door.counts().await?, expected);
    let reasons: Vec<String> = read::dead_letters(&door.api).await?.into_iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, ["TOO_DEEP"; 3]);

    let shared = format!(r#"{{"context":{deep},"batch":[{}]}}"#, good("never"));
    assert_eq!(told(&door.post("/v1/batch", shared, None).await?), is(400, "TOO_DEEP"));
    // As deep as a body can be.
    for open in ["[", r#"{"a":"#] {
        let bottomless = open.repeat(MAX_BODY / open.len());
        assert_eq!(told(&door.post("/v1/batch", bottomless.clone(), None).await?), is(400, "BODY_INVALID"));
        let within = format!(r#"{{"batch":[{}"#, &bottomless[..bottomless.len() - 100]);
        assert_eq!(told(&door.post("/v1/batch", within, None).await?), is(400, "BODY_INVALID"));
    }
    assert_eq!(door.counts().await?, expected);

    door.assert_small(MEMORY);
    door.close().await
}
