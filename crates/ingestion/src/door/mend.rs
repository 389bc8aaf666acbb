//! Dead letters, mended by a rule and sent through the front door again.

use std::collections::HashMap;

use futures::future::try_join_all;
use kit::TenantId;
use proto::ingestion::v1::Verdict;
use proto::ingestion::v1::dead_letter::Encoding;
use proto::ingestion::v1::mend_dead_letters_response::Mended;
use proto::ingestion::v1::verdict::Outcome;

use super::replay::resubmission;
use super::typed::not_taken;
use crate::app::App;
use crate::domain::event_json;
use crate::domain::mend::Edits;
use crate::intake::{Arrived, Source, Submission};
use crate::store::dead_letters::DeadLetterRow;

/// Mends dead letters of a tenant and replays them in their order, or tells what would become of them.
pub(crate) async fn mend(
    app: &App,
    tenant: &TenantId,
    letters: Vec<DeadLetterRow>,
    edits: &Edits,
    dry_run: bool,
) -> Result<Vec<Mended>, kit::Error> {
    let mut sources: HashMap<String, Source> = HashMap::new();
    let mut mended = Vec::with_capacity(letters.len());
    let mut replays = Vec::new();
    for (index, letter) in letters.into_iter().enumerate() {
        let source = match sources.get(&letter.source_id) {
            Some(source) => Source::clone(source),
            None => {
                let source = app.source(tenant, &letter.source_id).await?;
                sources.entry(letter.source_id.clone()).or_insert(source).clone()
            }
        };
        let dead_letter_id = letter.dead_letter_id.clone();
        let Payload { changed, shown } = edit(&letter, edits, dry_run);
        let is_changed = changed.is_some();
        let submission = resubmission(source, letter, changed.unwrap_or_default());
        let mut told = Mended { dead_letter_id, changed: is_changed, ..Mended::default() };
        if dry_run {
            told.verdict = Some(foretold(submission, &told.dead_letter_id));
            told.payload_json = shown.into();
        } else {
            replays.push(async move { Ok::<_, store::Error>((index, app.intake.submit_patiently(submission).await?)) });
        }
        mended.push(told);
        super::breathe(index).await;
    }
    // All at once, so that few transactions hold them; they are submitted in their order.
    for (index, verdicts) in try_join_all(replays).await.map_err(|error| not_taken(app, error))? {
        mended[index].verdict = verdicts.into_iter().next();
    }
    Ok(mended)
}

struct Payload {
    /// The payload in its own encoding, if the edits changed it.
    changed: Option<Vec<u8>>,
    /// The payload after the edits as JSON, if it was asked for.
    shown: Vec<u8>,
}

/// Makes the edits in a letter's payload. One that they cannot be made in stays as it is.
fn edit(letter: &DeadLetterRow, edits: &Edits, is_shown: bool) -> Payload {
    let is_event = letter.encoding == i64::from(i32::from(Encoding::Event));
    if edits.is_empty() && !is_shown {
        return Payload { changed: None, shown: Vec::new() };
    }
    let text = match is_event {
        true => event_json::to_json(&letter.payload),
        false => String::from_utf8(letter.payload.clone()).ok(),
    };
    let Some(text) = text else { return Payload { changed: None, shown: Vec::new() } };
    let edited = edits.apply(&text).and_then(|edited| {
        let payload = if is_event { event_json::from_json(&edited)? } else { edited.clone().into_bytes() };
        Some((payload, edited))
    });
    match edited {
        Some((payload, edited)) => Payload { changed: Some(payload), shown: edited.into_bytes() },
        None => Payload { changed: None, shown: text.into_bytes() },
    }
}

/// Returns the verdict that a submission of one event would get, unless it is a duplicate.
fn foretold(submission: Submission, dead_letter_id: &str) -> Verdict {
    match submission.items.into_iter().next().map(|item| item.arrived) {
        Some(Arrived::Ready(ready)) => {
            Verdict { outcome: Outcome::Accepted.into(), event_id: ready.event_id.to_string(), ..Verdict::default() }
        }
        Some(Arrived::Refused(_, problem)) => Verdict {
            outcome: Outcome::Quarantined.into(),
            reason: problem.reason.as_str().to_owned(),
            message: problem.message.into_owned(),
            dead_letter_id: dead_letter_id.to_owned(),
            ..Verdict::default()
        },
        None => Verdict::default(),
    }
}
