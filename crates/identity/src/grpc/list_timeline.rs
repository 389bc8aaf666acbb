use kit::{
    TenantId, Violations,
    auth::{caller, scope},
    paging,
};
use prost::Message;
use proto::event::v1::Event;
use proto::identity::v1::{ListTimelineRequest, ListTimelineResponse, ProfileRecord, profile_record::Body};
use tonic::Request;
use uuid::Uuid;

use super::{parse, profile_not_found};
use crate::{
    domain::{person::Person, timeline::Pointer},
    registry::Shared,
    store::{self as sql, rows::From},
};

pub(super) async fn handle(
    shared: &Shared,
    request: Request<ListTimelineRequest>,
) -> Result<ListTimelineResponse, kit::Error> {
    let caller = caller(&request, scope::PROFILES_READ)?;
    let request = request.into_inner();
    let mut violations = Violations::new();
    let id = parse::profile_id(&request.profile_id, "profile_id", &mut violations);
    let size = paging::size(request.page_size, 50, 500, &mut violations);
    let before = paging::place(&request.page_token, place, &mut violations);
    violations.finish()?;
    let Some(id) = id else { return Err(profile_not_found()) };

    let (component, cluster) = shared.profile_at(&caller.tenant, id).await?.ok_or_else(profile_not_found)?;
    let person = &component.people[cluster];
    let Some(profile) = person.id else { return Err(profile_not_found()) };
    let mut pointers = newest_before(shared, &caller.tenant, profile, person, before, size + 1).await?;
    let next_page_token = paging::cut(&mut pointers, size, |last| format!("{}.{}", last.time_us, last.offset));

    let partition = shared.partition_of(profile);
    let places: Vec<(u32, u64)> = pointers.iter().map(|pointer| (partition, pointer.offset)).collect();
    let mut events = Vec::with_capacity(places.len());
    for record in shared.log.read_at(&caller.tenant, &places).await? {
        let record = ProfileRecord::decode(record.record.payload).map_err(kit::Error::internal)?;
        if let Some(Body::Event(event)) = record.body {
            events.push(Event::decode(event.event).map_err(kit::Error::internal)?);
        }
    }
    Ok(ListTimelineResponse { events, next_page_token })
}

fn place(key: &str) -> Option<Pointer> {
    let (time, offset) = key.split_once('.')?;
    Some(Pointer { time_us: time.parse().ok()?, offset: offset.parse().ok()? })
}

/// Returns a page of pointers, newest first. Chunks are read from the newest on, until what is left is older than the page.
async fn newest_before(
    shared: &Shared,
    tenant: &TenantId,
    profile: Uuid,
    person: &Person,
    before: Option<Pointer>,
    size: usize,
) -> Result<Vec<Pointer>, store::Error> {
    let is_due = |pointer: &Pointer| before.is_none_or(|before| *pointer < before);
    let mut page: Vec<Pointer> = person.timeline.head.iter().copied().filter(is_due).collect();
    let until_us = before.map_or(i64::MAX, |before| before.time_us);
    let spans = if person.timeline.stored_chunks == 0 {
        Vec::new()
    } else {
        sql::chunk_spans(From::Db(&shared.db), tenant, profile, until_us).await?
    };
    for (chunk, newest_us) in spans {
        page.sort_unstable_by(|left, right| right.cmp(left));
        page.truncate(size);
        let is_full = page.len() == size;
        if is_full && page.last().is_some_and(|oldest| oldest.time_us > newest_us) {
            break;
        }
        let entries = sql::load_chunks(From::Db(&shared.db), tenant, profile, chunk, chunk).await?;
        page.extend(entries.into_iter().filter(is_due));
    }
    page.sort_unstable_by(|left, right| right.cmp(left));
    page.truncate(size);
    Ok(page)
}
