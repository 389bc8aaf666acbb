//! Batches: how records are packed into one row, and how they come out again.

use bytes::Bytes;
use prost::Message;
use proto::log::v1 as wire;
use proto::log::v1::Compression;
use store::Error;

use crate::record::{LogRecord, PartitionId, Record};

/// Largest unpacked batch that is believed, so that damaged bytes cannot ask for all memory.
const MAX_UNPACKED_BYTES: usize = 64 << 20;

/// Records as they are stored and travel: one row, one response.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    pub(crate) first_offset: u64,
    pub(crate) count: u32,
    pub(crate) append_time_us: i64,
    pub(crate) compression: Compression,
    pub(crate) crc32: u32,
    pub(crate) records: Bytes,
}

/// A batch taken out of its compression, its records found but not decoded.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) first_offset: u64,
    pub(crate) append_time_us: i64,
    bytes: Bytes,
    /// Where each record lies in `bytes`.
    places: Vec<(u32, u32)>,
}

impl Packed {
    /// Packs records; `first_offset` is set when the partition has told it.
    pub(crate) fn new(records: Vec<Record>, append_time_us: i64) -> Self {
        let list = wire::RecordList { records: records.into_iter().map(wire::Record::from).collect() };
        Self::from_list(&list, append_time_us)
    }

    fn from_list(list: &wire::RecordList, append_time_us: i64) -> Self {
        let plain = list.encode_to_vec();
        let count = u32::try_from(list.records.len()).expect("a batch has a bounded number of records");
        let squeezed = lz4_flex::block::compress_prepend_size(&plain);
        // A few random bytes do not get smaller.
        let (compression, records) =
            if squeezed.len() < plain.len() { (Compression::Lz4, squeezed) } else { (Compression::None, plain) };
        let crc32 = crc32fast::hash(&records);
        Self { first_offset: 0, count, append_time_us, compression, crc32, records: records.into() }
    }

    pub(crate) fn next_offset(&self) -> u64 {
        self.first_offset + u64::from(self.count)
    }

    /// Checks the bytes and takes them out of their compression.
    pub(crate) fn unpack(&self) -> Result<Unpacked, Error> {
        if crc32fast::hash(&self.records) != self.crc32 {
            return Err(self.damaged("its checksum does not match"));
        }
        let bytes = match self.compression {
            Compression::Lz4 => self.decompress()?,
            Compression::None | Compression::Unspecified => self.records.clone(),
        };
        let places = find_records(&bytes).ok_or_else(|| self.damaged("it is not a list of records"))?;
        if places.len() != self.count as usize {
            return Err(self.damaged("it holds another number of records"));
        }
        Ok(Unpacked { first_offset: self.first_offset, append_time_us: self.append_time_us, bytes, places })
    }

    fn decompress(&self) -> Result<Bytes, Error> {
        let (size, _) =
            lz4_flex::block::uncompressed_size(&self.records).map_err(|_| self.damaged("its length is missing"))?;
        if size > MAX_UNPACKED_BYTES {
            return Err(self.damaged("its length is not to be believed"));
        }
        let plain = lz4_flex::block::decompress_size_prepended(&self.records)
            .map_err(|_| self.damaged("it does not decompress"))?;
        Ok(plain.into())
    }

    /// Returns the records from `from_offset` on, at most `max_records`, packed as the reader can take them.
    ///
    /// The stored bytes go out as they are when nothing has to change.
    pub(crate) fn fit(self, from_offset: u64, max_records: u32, accepts_lz4: bool) -> Result<Self, Error> {
        let whole = from_offset <= self.first_offset && self.count <= max_records;
        if whole && (accepts_lz4 || self.compression != Compression::Lz4) {
            return Ok(self);
        }
        let unpacked = self.unpack()?;
        let first_offset = from_offset.max(self.first_offset);
        let skipped = (first_offset - self.first_offset) as usize;
        let places = unpacked.places.iter().skip(skipped).take(max_records as usize);
        let records = places.map(|&place| unpacked.decode_at(place)).collect::<Result<_, _>>()?;
        let list = wire::RecordList { records };
        let fitted = if accepts_lz4 {
            Self::from_list(&list, self.append_time_us)
        } else {
            let plain: Bytes = list.encode_to_vec().into();
            Self {
                count: list.records.len() as u32,
                compression: Compression::None,
                crc32: crc32fast::hash(&plain),
                records: plain,
                ..self
            }
        };
        Ok(Self { first_offset, ..fitted })
    }

    /// Returns the batch with the records at `offsets` emptied: their places stay, their bytes are gone.
    pub(crate) fn redact(&self, offsets: &[u64]) -> Result<Self, Error> {
        let unpacked = self.unpack()?;
        let mut list = wire::RecordList::default();
        for (index, &place) in unpacked.places.iter().enumerate() {
            let record = unpacked.decode_at(place)?;
            let is_redacted = offsets.contains(&(self.first_offset + index as u64));
            let emptied = wire::Record { event_time_us: record.event_time_us, ..wire::Record::default() };
            list.records.push(if is_redacted { emptied } else { record });
        }
        Ok(Self { first_offset: self.first_offset, ..Self::from_list(&list, self.append_time_us) })
    }

    fn damaged(&self, how: &str) -> Error {
        Error::Damaged(format!("batch of {} records at offset {}: {how}", self.count, self.first_offset))
    }
}

impl Unpacked {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes that it keeps in memory.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<(u32, u32)>()
    }

    pub(crate) fn contains(&self, offset: u64) -> bool {
        offset >= self.first_offset && offset < self.first_offset + self.len() as u64
    }

    /// Decodes the record at `offset`, which must be in the batch.
    pub(crate) fn record(&self, partition: &PartitionId, offset: u64) -> Result<LogRecord, Error> {
        let index = (offset - self.first_offset) as usize;
        let record = self.decode_at(self.places[index])?.into();
        Ok(LogRecord {
            tenant: partition.tenant.clone(),
            partition: partition.partition,
            offset,
            append_time_us: self.append_time_us,
            record,
        })
    }

    fn decode_at(&self, (start, end): (u32, u32)) -> Result<wire::Record, Error> {
        // Decoding from a slice of shared bytes copies no key and no payload.
        wire::Record::decode(self.bytes.slice(start as usize..end as usize))
            .map_err(|_| Error::Damaged(format!("a record of the batch at offset {}", self.first_offset)))
    }
}

/// Finds the records in a serialised `RecordList`, without decoding them.
fn find_records(list: &[u8]) -> Option<Vec<(u32, u32)>> {
    /// Field 1, length-delimited.
    const RECORD_TAG: u8 = 0x0a;

    let mut places = Vec::new();
    let mut rest = list;
    while let Some((&tag, after_tag)) = rest.split_first() {
        if tag != RECORD_TAG {
            return None;
        }
        rest = after_tag;
        let length = usize::try_from(prost::encoding::decode_varint(&mut rest).ok()?).ok()?;
        let start = list.len() - rest.len();
        rest = rest.get(length..)?;
        places.push((u32::try_from(start).ok()?, u32::try_from(start + length).ok()?));
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(index: u64) -> Record {
        Record {
            key: Bytes::from(format!("key{index}")),
            payload: Bytes::from(format!("payload {index} ").repeat(10)),
            event_time_us: index as i64,
            traceparent: None,
        }
    }

    fn batch(first_offset: u64, count: u64) -> Packed {
        let records = (0..count).map(|index| record(first_offset + index)).collect();
        Packed { first_offset, ..Packed::new(records, 7) }
    }

    fn offsets(packed: &Packed) -> Vec<i64> {
        let unpacked = packed.unpack().unwrap();
        let partition = PartitionId::new(&"shop".try_into().unwrap(), 0);
        let times = (0..unpacked.len() as u64)
            .map(|index| unpacked.record(&partition, packed.first_offset + index).unwrap().record.event_time_us);
        times.collect()
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let packed = batch(100, 50);
        assert_eq!(packed.compression, Compression::Lz4);

        let unpacked = packed.unpack().unwrap();
        let found = unpacked.record(&PartitionId::new(&"shop".try_into().unwrap(), 3), 120).unwrap();

        assert_eq!(found.record, record(120));
        assert_eq!((found.offset, found.partition, found.append_time_us), (120, 3, 7));
        assert!(unpacked.contains(149) && !unpacked.contains(150) && !unpacked.contains(99));
    }

    #[test]
    fn a_reader_gets_the_part_and_the_packing_it_asked_for() {
        let part = batch(100, 50).fit(110, 5, true).unwrap();
        assert_eq!((part.first_offset, offsets(&part)), (110, (110..115).collect::<Vec<_>>()));

        let plain = batch(100, 50).fit(100, 100, false).unwrap();
        assert_eq!(plain.compression, Compression::None);
        assert_eq!((plain.first_offset, offsets(&plain).len()), (100, 50));

        let stored = batch(100, 50);
        let untouched = stored.clone().fit(0, 50, true).unwrap();
        assert_eq!(untouched.records, stored.records);
    }

    #[test]
    fn damage_is_told_and_never_panics() {
        let good = batch(0, 20);
        for index in 0..good.records.len() {
            let mut bytes = good.records.to_vec();
            bytes[index] ^= 0x40;
            let flipped = Packed { records: bytes.clone().into(), ..good.clone() };
            assert!(matches!(flipped.unpack(), Err(Error::Damaged(_))));

            // Even when the checksum was made over the damage.
            let resealed = Packed { crc32: crc32fast::hash(&bytes), records: bytes.into(), ..good.clone() };
            if let Ok(unpacked) = resealed.unpack() {
                let partition = PartitionId::new(&"shop".try_into().unwrap(), 0);
                let _ = (0..20).map(|offset| unpacked.record(&partition, offset)).collect::<Vec<_>>();
            }
        }
    }

    #[test]
    fn redaction_empties_records_and_keeps_their_places() {
        let redacted = batch(10, 4).redact(&[11, 13]).unwrap();

        let unpacked = redacted.unpack().unwrap();
        let partition = PartitionId::new(&"shop".try_into().unwrap(), 0);
        let is_empty = |offset| unpacked.record(&partition, offset).unwrap().record.payload.is_empty();
        assert_eq!([10, 11, 12, 13].map(is_empty), [false, true, false, true]);
        assert_eq!((redacted.first_offset, redacted.count, redacted.append_time_us), (10, 4, 7));
    }
}
