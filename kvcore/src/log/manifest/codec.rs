//! The manifest's fields, in and out.

use super::{Generation, KeyspaceMeta, ListedFile, Manifest};
use crate::{
    ids::{KeyspaceId, Sequence},
    log::{
        header::{Role, put_log_end, take_log_end},
        preamble::{FormatError, Preamble},
        record::{take, take_array, take_file_id, take_u8, take_u64},
    },
};

type Result<T> = std::result::Result<T, FormatError>;

const GENERATION_LEN: usize = 2 * size_of::<u64>();
const FILE_LEN: usize = 4 * size_of::<u64>() + size_of::<u8>();
/// Three numbers, a flag and four empty strings.
const KEYSPACE_LEN_MIN: usize = 7 * size_of::<u32>() + size_of::<u8>();

pub(super) fn put(out: &mut Vec<u8>, manifest: &Manifest) {
    put_u64s(out, [manifest.number]);
    out.extend_from_slice(&manifest.hash_seed);
    let [log_floor, next_file] = [manifest.log_floor, manifest.next_file].map(|id| id.0.into());
    put_u64s(out, [log_floor, manifest.feed_floor.0, next_file]);
    put_u32s(out, [manifest.next_keyspace]);
    put_u64s(out, [manifest.highest_clock_ms]);
    put_log_end(out, manifest.clean_end);
    let counts = [manifest.generations.len(), manifest.files.len(), manifest.keyspaces.len()];
    put_u32s(out, counts.map(length));
    for generation in &manifest.generations {
        put_u64s(out, [generation.id, generation.first_sequence.0]);
    }
    manifest.files.iter().for_each(|file| put_file(out, file));
    manifest.keyspaces.iter().for_each(|keyspace| put_keyspace(out, keyspace));
}

fn put_file(out: &mut Vec<u8>, file: &ListedFile) {
    put_u64s(out, [u64::from(file.id.0)]);
    out.push(file.role.to_byte());
    let min_dead = file.min_dead_sequence.unwrap_or(Sequence::ZERO);
    put_u64s(out, [file.length, min_dead.0, file.max_sequence.0]);
}

fn put_keyspace(out: &mut Vec<u8>, keyspace: &KeyspaceMeta) {
    put_u32s(out, [keyspace.id.0, keyspace.schema_version, keyspace.options]);
    out.push(u8::from(keyspace.dropped));
    for text in [&keyspace.name, &keyspace.key_tag, &keyspace.codec, &keyspace.type_name] {
        put_u32s(out, [length(text.len())]);
        out.extend_from_slice(text.as_bytes());
    }
}

fn put_u64s<const N: usize>(out: &mut Vec<u8>, numbers: [u64; N]) {
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

fn put_u32s<const N: usize>(out: &mut Vec<u8>, numbers: [u32; N]) {
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("file numbers are 32 bits, names and keyspaces are fewer still")
}

/// The number in a body that is not verified yet: what its checksum is bound to.
pub(super) fn number(mut body: &[u8]) -> Result<u64> {
    Ok(take_u64(&mut body)?)
}

fn take_counted<'a, T>(
    rest: &mut &'a [u8],
    count: u32,
    len_min: usize,
    take: impl Fn(&mut &'a [u8]) -> Result<T>,
) -> Result<Vec<T>> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > rest.len() / len_min {
        return Err(FormatError::Damaged { what: "impossible count" });
    }
    (0..count).map(|_| take(rest)).collect()
}

fn take_head(rest: &mut &[u8], preamble: Preamble) -> Result<Manifest> {
    Ok(Manifest {
        number: take_u64(rest)?,
        store_id: preamble.store,
        hash_seed: take_array(rest)?,
        log_floor: take_file_id(rest)?,
        feed_floor: Sequence(take_u64(rest)?),
        next_file: take_file_id(rest)?,
        next_keyspace: take_u32(rest)?,
        highest_clock_ms: take_u64(rest)?,
        clean_end: take_log_end(rest)?,
        generations: Vec::new(),
        files: Vec::new(),
        keyspaces: Vec::new(),
        read_only_features: preamble.read_only_features,
    })
}

pub(super) fn take_all(body: &[u8], preamble: Preamble) -> Result<Manifest> {
    let mut rest = body;
    let mut manifest = take_head(&mut rest, preamble)?;
    let [generations, files, keyspaces] =
        [take_u32(&mut rest)?, take_u32(&mut rest)?, take_u32(&mut rest)?];
    manifest.generations = take_counted(&mut rest, generations, GENERATION_LEN, take_generation)?;
    manifest.files = take_counted(&mut rest, files, FILE_LEN, take_file)?;
    manifest.keyspaces = take_counted(&mut rest, keyspaces, KEYSPACE_LEN_MIN, take_keyspace)?;
    if rest.is_empty() { Ok(manifest) } else { Err(FormatError::Damaged { what: "excess bytes" }) }
}

fn take_generation(rest: &mut &[u8]) -> Result<Generation> {
    Ok(Generation { id: take_u64(rest)?, first_sequence: Sequence(take_u64(rest)?) })
}

fn take_file(rest: &mut &[u8]) -> Result<ListedFile> {
    let id = take_file_id(rest)?;
    let role = Role::from_byte(take_u8(rest)?)?;
    let length = take_u64(rest)?;
    let min_dead = Sequence(take_u64(rest)?);
    let min_dead_sequence = (min_dead != Sequence::ZERO).then_some(min_dead);
    let max_sequence = Sequence(take_u64(rest)?);
    Ok(ListedFile { id, role, length, min_dead_sequence, max_sequence })
}

fn take_keyspace(rest: &mut &[u8]) -> Result<KeyspaceMeta> {
    let id = KeyspaceId(take_u32(rest)?);
    let (schema_version, options) = (take_u32(rest)?, take_u32(rest)?);
    let dropped = match take_u8(rest)? {
        0 => false,
        1 => true,
        _ => return Err(FormatError::Damaged { what: "impossible flag" }),
    };
    let name = take_text(rest)?;
    let (key_tag, codec, type_name) = (take_text(rest)?, take_text(rest)?, take_text(rest)?);
    Ok(KeyspaceMeta { id, name, key_tag, codec, schema_version, options, type_name, dropped })
}

fn take_text(rest: &mut &[u8]) -> Result<String> {
    let len = usize::try_from(take_u32(rest)?).unwrap_or(usize::MAX);
    let text = std::str::from_utf8(take(rest, len)?);
    Ok(text.map_err(|_| FormatError::Damaged { what: "text that is not UTF-8" })?.to_owned())
}

fn take_u32(rest: &mut &[u8]) -> Result<u32> {
    Ok(u32::from_le_bytes(take_array(rest)?))
}
