//! What lies in compressed blocks of a file: the store's tables and journal, the index's documents. All three are LZ4
//! blocks; how each is framed stands beside its reader.
//!
//! Looking at the bytes of such a file alone proves nothing: a word of which four bytes occurred before is
//! cut in two.

/// Longest text that a block may have; the engines' own bounds are far below.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// All texts of compressed blocks in a file.
pub(crate) fn unpacked(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut texts = tables(bytes);
    texts.extend(journal(bytes));
    texts.extend(documents(bytes));
    texts
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(four)).ok()
}

/// A block of the store's tables: `LSM` and a version, the kind (1 byte), a checksum (16), the length on disk and of the
/// text (4 each), a checksum of the header (4), and then the LZ4 block.
fn tables(bytes: &[u8]) -> Vec<Vec<u8>> {
    const MARK: &[u8] = b"LSM";
    let mut texts = Vec::new();
    for at in 0..bytes.len().saturating_sub(33) {
        if !bytes[at..].starts_with(MARK) {
            continue;
        }
        let (Some(stored), Some(length)) = (u32_at(bytes, at + 21), u32_at(bytes, at + 25)) else {
            continue;
        };
        if let Some(block) = bytes.get(at + 33..at + 33 + stored) {
            texts.extend(exactly(block, length));
        }
    }
    texts
}

/// An item of the store's journal: 2, the kind, 1 for LZ4, the table (8), the lengths of key (2), text (4) and LZ4 block (4),
/// and then key and block.
fn journal(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    for at in 0..bytes.len().saturating_sub(21) {
        if bytes[at] != 2 || bytes[at + 2] != 1 || bytes[at + 1] > 8 {
            continue;
        }
        let key = usize::from(u16::from_le_bytes([bytes[at + 11], bytes[at + 12]]));
        let (Some(length), Some(stored)) = (u32_at(bytes, at + 13), u32_at(bytes, at + 17)) else {
            continue;
        };
        if let Some(block) = bytes.get(at + 21 + key..at + 21 + key + stored) {
            texts.extend(exactly(block, length));
        }
    }
    texts
}

/// The documents of an index: from the file's first byte on, the length of a text (4) and its LZ4 block, again and again.
fn documents(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut texts, mut at) = (Vec::new(), 0);
    while let Some(length @ 1..=TEXT_BYTES_MAX) = u32_at(bytes, at) {
        let Some((text, read)) = text_of(&bytes[at + 4..], length) else {
            break;
        };
        texts.push(text);
        at += 4 + read;
    }
    texts
}

/// The text of a block that is `length` long and uses up all of the block.
fn exactly(block: &[u8], length: usize) -> Option<Vec<u8>> {
    // Shorter than that on disk it can't be.
    if length > TEXT_BYTES_MAX || length / 256 > block.len() {
        return None;
    }
    text_of(block, length)
        .filter(|(_, read)| *read == block.len())
        .map(|(text, _)| text)
}

/// Reads sequences of an LZ4 block (literals, then a copy of what came before) until the text has its length;
/// gives it and the bytes that were read.
fn text_of(block: &[u8], length: usize) -> Option<(Vec<u8>, usize)> {
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        let token = *block.get(at)?;
        at += 1;
        let literals = count(block, &mut at, token >> 4)?;
        text.extend_from_slice(block.get(at..at + literals)?);
        at += literals;
        if text.len() == length {
            return Some((text, at));
        }
        let back = usize::from(u16::from_le_bytes([*block.get(at)?, *block.get(at + 1)?]));
        at += 2;
        let copied = count(block, &mut at, token & 15)? + 4;
        let from = text.len().checked_sub(back).filter(|_| back > 0)?;
        if text.len() + copied > length {
            return None;
        }
        for n in from..from + copied {
            text.push(text[n]);
        }
    }
}

/// A length of four bits, and what is added to it in further bytes.
fn count(block: &[u8], at: &mut usize, bits: u8) -> Option<usize> {
    let mut count = usize::from(bits);
    if bits == 15 {
        loop {
            let more = *block.get(*at)?;
            *at += 1;
            count += usize::from(more);
            if more != 255 {
                break;
            }
        }
    }
    Some(count)
}
