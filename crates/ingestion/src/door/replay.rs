//! Dead letters, sent through the front door again.

use std::collections::HashMap;

use futures::future::try_join_all;
use kit::TenantId;
use prost::Message;
use proto::event::v1::Event;
use proto::ingestion::v1::Verdict;
use proto::ingestion::v1::dead_letter::Encoding;
use proto::ingestion::v1::replay_dead_letters_request;
use proto::ingestion::v1::verdict::Outcome;

use super::segment::read_one;
use super::typed::not_taken;
use crate::app::App;
use crate::domain::finish::Arrival;
use crate::domain::json::Json;
use crate::domain::json_scan::mend_escapes;
use crate::domain::problem::{Problem, Reason};
use crate::domain::segment::{HttpArrival, Shared};
use crate::domain::typed;
use crate::intake::{Arrived, DeadLetterIdSeed, Item, Refused, Source, Submission};
use crate::store::dead_letters::{self, DeadLetterRow};

/// Replays dead letters of a tenant; one verdict for each, in their order.
pub(crate) async fn replay(
    app: &App,
    tenant: &TenantId,
    items: Vec<replay_dead_letters_request::Item>,
) -> Result<Vec<Verdict>, kit::Error> {
    let ids: Vec<String> = items.iter().map(|item| item.dead_letter_id.clone()).collect();
    let mut kept: HashMap<String, DeadLetterRow> = dead_letters::find(&app.db, tenant, &ids)
        .await?
        .into_iter()
        .map(|letter| (letter.dead_letter_id.clone(), letter))
        .collect();

    let mut verdicts = vec![gone(); items.len()];
    let mut replays = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        // What is named twice is replayed once.
        let Some(letter) = kept.remove(&item.dead_letter_id) else { continue };
        let source = app.source(tenant, &letter.source_id).await?;
        replays.push(async move {
            let submission = resubmission(source, letter, item.payload.into());
            Ok::<_, store::Error>((index, app.intake.submit_patiently(submission).await?))
        });
    }
    // All at once, so that few transactions hold them.
    let committed = try_join_all(replays).await.map_err(|error| not_taken(app, error))?;
    for (index, of_item) in committed {
        verdicts[index] = of_item.into_iter().next().unwrap_or_default();
    }
    Ok(verdicts)
}

/// A dead letter that is not there: replayed or discarded before, or never there. Nothing is added.
fn gone() -> Verdict {
    Verdict {
        outcome: Outcome::Duplicate.into(),
        reason: "DEAD_LETTER_NOT_FOUND".to_owned(),
        message: "there is no such dead letter, or no more".to_owned(),
        ..Verdict::default()
    }
}

/// Makes what the door would have made of it when it first came, mended if a payload is given.
pub(crate) fn resubmission(source: Source, letter: DeadLetterRow, mended: Vec<u8>) -> Submission {
    let received_us = letter.receive_us;
    let payload = if mended.is_empty() { letter.payload } else { mended };
    // A replay repeated, or run twice at once, is told by this id when the sender gave none.
    let message_id = || letter.dead_letter_id.clone();
    let arrived = match Encoding::try_from(i32::try_from(letter.encoding).unwrap_or_default()) {
        Ok(Encoding::Event) => read_typed(&payload, &source, received_us, message_id),
        _ => read_json(payload, &source, received_us, message_id),
    };
    let item = Item { arrived, replays: Some(letter.dead_letter_id.clone()) };
    Submission::new(source, vec![item])
}

fn read_typed(payload: &[u8], source: &Source, received_us: i64, message_id: impl FnOnce() -> String) -> Arrived {
    let Ok(mut event) = Event::decode(payload) else {
        return malformed(source, received_us, "the payload must be a serialised comptoir.event.v1.Event");
    };
    match typed::read(&mut event, payload.len(), Arrival { source, received_us }, message_id) {
        Ok(ready) => Arrived::Ready(ready),
        Err(problem) => refused(problem, source, received_us),
    }
}

fn read_json(mut payload: Vec<u8>, source: &Source, received_us: i64, message_id: impl FnOnce() -> String) -> Arrived {
    mend_escapes(&mut payload);
    let Some(event) = std::str::from_utf8(&payload).ok().and_then(Json::parse) else {
        return malformed(source, received_us, "the payload must be a JSON object in UTF-8");
    };
    let shared = Shared { maybe_too_deep: true, ..Shared::default() };
    let from = HttpArrival::new(Arrival { source, received_us }, "", "", false);
    read_one(event, &shared, from, source, message_id)
}

fn malformed(source: &Source, received_us: i64, message: &'static str) -> Arrived {
    refused(Problem::new(Reason::Malformed, message), source, received_us)
}

/// The dead letter stays as it is; only its reason is noted, so there is nothing to keep.
fn refused(problem: Problem, source: &Source, received_us: i64) -> Arrived {
    let refused = Refused {
        problem,
        payload: bytes::Bytes::new(),
        encoding: Encoding::Unspecified,
        library: String::new(),
        event_name: String::new(),
    };
    Arrived::refused(refused, (source, received_us), DeadLetterIdSeed::None)
}
