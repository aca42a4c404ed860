//! The vDSO as the kernel lends it to each process, and where in it our instructions go. Pure: bytes come in.
//!
//! The kernel lends all processes of one sort the same bytes, so that the agent's own, which nobody has touched, are the
//! original of everybody's: what is not equal to them but for our changes is left alone, as that of a 32-bit program is.
//! The shim lives in the zeros behind the image, or inside the largest of the functions if there are too few. Of a
//! function only its first bytes change: whoever is further on in it finishes it undisturbed.
//!
//! Sources: elf(5), vdso(7), `arch/x86/entry/vdso`.

use std::ops::Range;

use super::shim::{FUNCTIONS, JUMP_BYTES, Mark, SEAMS, SHIM_BYTES, jump, mark, shim};

const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const PT_DYNAMIC: u32 = 2;
const SYMBOL_BYTES: usize = 24;
/// Instructions begin at multiples of this, and a function's entry lies in one such piece.
const ALIGNMENT: usize = 16;

/// The kernel's own image, and the plan of our changes to it.
#[derive(Debug, Clone)]
pub(super) struct Vdso {
    original: Vec<u8>,
    entries: Vec<Entry>,
    room: usize,
}

/// A function that begins with a jump into the shim.
#[derive(Debug, Clone, Copy)]
struct Entry {
    at: usize,
    to: usize,
}

/// What a process's image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The kernel's own, to the byte.
    Original,
    /// The functions are the kernel's, and something stands where the shim was or was about to be.
    Residue,
    /// A shim stands in it, and functions lead there: all that should, or, if somebody was killed at it, some.
    Shimmed { mark: Mark, whole: bool },
    /// None of these.
    Strange,
}

/// Bytes to write, counted from the image's beginning.
pub(super) type Edit = (usize, Vec<u8>);

impl Vdso {
    /// Reads an image that nobody has changed.
    pub(super) fn parse(original: Vec<u8>) -> Result<Self, String> {
        Self::parse_with(original, room)
    }

    fn parse_with(original: Vec<u8>, room: impl FnOnce(&[u8], &[Symbol<'_>]) -> Option<usize>) -> Result<Self, String> {
        let symbols = symbols(&original).ok_or("the vDSO is no ELF image of 64 bits that lists its functions")?;
        let found = |name: &str| symbols.iter().find(|symbol| symbol.name == name).map(|symbol| symbol.at);
        let entries: Option<Vec<_>> = FUNCTIONS.iter().map(|(name, to)| found(name).map(|at| Entry { at, to: *to })).collect();
        let mut entries = entries.ok_or("the vDSO lacks one of the functions that tell the time")?;
        let room = room(&original, &symbols).ok_or("the vDSO has no room for the instructions")?;
        for entry in &mut entries {
            entry.to += room;
        }
        Ok(Self { original, entries, room })
    }

    pub(super) fn len(&self) -> usize {
        self.original.len()
    }

    /// Where a function begins, counted from the image's beginning: the first of [`FUNCTIONS`].
    pub(super) fn clock_gettime(&self) -> usize {
        self.entries[0].at
    }

    /// As if there were no room behind the image.
    #[cfg(test)]
    pub(super) fn cramped(self) -> Self {
        Self::parse_with(self.original, |_, symbols| room_within(symbols)).unwrap()
    }

    /// Where the functions begin, in the order of [`FUNCTIONS`].
    #[cfg(test)]
    pub(super) fn entries(&self) -> [usize; FUNCTIONS.len()] {
        std::array::from_fn(|index| self.entries[index].at)
    }

    /// What an image is.
    pub(super) fn state(&self, image: &[u8]) -> State {
        if image == self.original {
            return State::Original;
        }
        if image.len() != self.original.len() {
            return State::Strange;
        }
        let leads = |entry: &&Entry| image[entry.span()] == entry.jump();
        let jumps: Vec<&Entry> = self.entries.iter().filter(leads).collect();
        let mut restored = image.to_vec();
        for span in jumps.iter().map(|entry| entry.span()).chain([self.room()]) {
            restored[span.clone()].copy_from_slice(&self.original[span]);
        }
        match mark(&image[self.room()]) {
            _ if restored != self.original => State::Strange,
            _ if jumps.is_empty() => State::Residue,
            Some(mark) => State::Shimmed { mark, whole: jumps.len() == self.entries.len() },
            None => State::Strange,
        }
    }

    /// The shim.
    pub(super) fn put_shim(&self, mark: Mark) -> Edit {
        (self.room, shim(mark).to_vec())
    }

    /// Lets the functions lead to the shim.
    pub(super) fn put_jumps(&self) -> Vec<Edit> {
        self.entries.iter().map(|entry| (entry.at, entry.jump().to_vec())).collect()
    }

    /// Gives the functions their own beginnings back.
    pub(super) fn restore_entries(&self) -> Vec<Edit> {
        self.entries.iter().map(|entry| self.kernels(entry.span())).collect()
    }

    /// Removes the shim.
    pub(super) fn restore_room(&self) -> Edit {
        self.kernels(self.room())
    }

    fn kernels(&self, span: Range<usize>) -> Edit {
        (span.start, self.original[span].to_vec())
    }

    /// Whether nothing but zeros stands where the shim goes, so that nobody is ever in there.
    pub(super) fn room_is_empty(&self) -> bool {
        self.original[self.room()].iter().all(|byte| *byte == 0)
    }

    pub(super) fn room(&self) -> Range<usize> {
        self.room..self.room + SHIM_BYTES
    }

    /// Where nobody may be while a shim is put into an image: in what stands there, or, if that is a shim and only its
    /// offset changes, where an offset has been read by halves.
    pub(super) fn ways_of_shim(&self, image: &[u8]) -> Vec<Range<usize>> {
        let there = image.get(self.room()).unwrap_or_default();
        if self.room_is_empty() && there == &self.original[self.room()] {
            return Vec::new();
        }
        match mark(there) {
            Some(_) => SEAMS.iter().map(|seam| self.room + seam..self.room + seam + 1).collect(),
            None => vec![self.room()],
        }
    }

    /// Inside the beginnings that change: who is there must leave first. Their very first byte is no such place, since
    /// who is there has executed nothing of either version.
    pub(super) fn insides(&self) -> impl Iterator<Item = Range<usize>> {
        self.entries.iter().map(|entry| entry.at + 1..entry.at + JUMP_BYTES)
    }
}

impl Entry {
    fn span(self) -> Range<usize> {
        self.at..self.at + JUMP_BYTES
    }

    fn jump(self) -> [u8; JUMP_BYTES] {
        jump(self.at, self.to)
    }
}

/// A function of the image.
#[derive(Debug)]
struct Symbol<'a> {
    name: &'a str,
    at: usize,
    size: usize,
}

/// Where the shim fits: behind the image proper, or else within the largest function that we replace anyway.
fn room(image: &[u8], symbols: &[Symbol<'_>]) -> Option<usize> {
    room_behind(image).or_else(|| room_within(symbols))
}

fn room_behind(image: &[u8]) -> Option<usize> {
    let zeros = image.iter().rev().take_while(|byte| **byte == 0).count();
    // The zeros may begin with some that mean something.
    let behind = (image.len() - zeros + ALIGNMENT).next_multiple_of(ALIGNMENT);
    (behind + SHIM_BYTES <= image.len()).then_some(behind)
}

fn room_within(symbols: &[Symbol<'_>]) -> Option<usize> {
    let ours = symbols.iter().filter(|symbol| FUNCTIONS.iter().any(|(name, _)| *name == symbol.name));
    let largest = ours.max_by_key(|symbol| symbol.size)?;
    let within = (largest.at + JUMP_BYTES).next_multiple_of(ALIGNMENT);
    (within + SHIM_BYTES <= largest.at + largest.size).then_some(within)
}

/// The functions that an image lists. Addresses in it count from its beginning.
fn symbols(image: &[u8]) -> Option<Vec<Symbol<'_>>> {
    if !image.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (headers, count) = (word(image, 32)? as usize, half(image, 56)?);
    let dynamic = (0..usize::from(count)).map(|index| headers + 56 * index).find(|at| quad(image, *at) == Some(PT_DYNAMIC))?;
    let dynamic = word(image, dynamic + 16)? as usize;
    let tag = |wanted: u64| {
        let mut pairs = (0..).map_while(|index| Some((word(image, dynamic + 16 * index)?, word(image, dynamic + 16 * index + 8)?)));
        pairs.by_ref().take_while(|(tag, _)| *tag != 0).find(|(tag, _)| *tag == wanted).map(|(_, value)| value as usize)
    };
    // The names follow the symbols: no header says how many there are, and every linker lays them out so.
    let (table, names) = (tag(DT_SYMTAB)?, tag(DT_STRTAB)?);
    let count = names.checked_sub(table)? / SYMBOL_BYTES;
    (0..count).map(|index| symbol(image, table + SYMBOL_BYTES * index, names)).collect()
}

fn symbol(image: &[u8], at: usize, names: usize) -> Option<Symbol<'_>> {
    let name = image.get(names + quad(image, at)? as usize..)?;
    let name = name.split(|byte| *byte == 0).next()?;
    Some(Symbol { name: str::from_utf8(name).ok()?, at: word(image, at + 8)? as usize, size: word(image, at + 16)? as usize })
}

fn half(image: &[u8], at: usize) -> Option<u16> {
    image.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn quad(image: &[u8], at: usize) -> Option<u32> {
    image.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn word(image: &[u8], at: usize) -> Option<u64> {
    image.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::super::swap::own_vdso;
    use super::*;

    fn edited(vdso: &Vdso, edits: &[Edit]) -> Vec<u8> {
        let mut image = vdso.original.clone();
        for (at, bytes) in edits {
            image[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        image
    }

    #[test]
    fn every_step_of_a_change_is_told_from_the_others_wherever_the_shim_lies() {
        for vdso in [own_vdso().unwrap(), own_vdso().unwrap().cramped()] {
            let written = Mark { owner: 3, offset_us: -1_500_000 };
            let (shim, jumps) = (vdso.put_shim(written), vdso.put_jumps());
            let state = |edits: &[Edit]| vdso.state(&edited(&vdso, edits));
            assert_eq!(state(&[]), State::Original);
            assert_eq!(state(std::slice::from_ref(&shim)), State::Residue);
            assert_eq!(state(&[(shim.0, shim.1[..40].to_vec())]), State::Residue, "killed while it wrote");
            assert_eq!(state(&[shim.clone(), jumps[0].clone()]), State::Shimmed { mark: written, whole: false });
            let all = [vec![shim.clone()], jumps.clone()].concat();
            assert_eq!(state(&all), State::Shimmed { mark: written, whole: true });
            assert_eq!(state(&[all.clone(), vdso.restore_entries()].concat()), State::Residue);
            assert_eq!(state(&[all.clone(), vdso.restore_entries(), vec![vdso.restore_room()]].concat()), State::Original);
            assert_eq!(state(&jumps), State::Strange, "jumps that lead to no shim are not ours");
            assert_eq!(state(&[(vdso.entries[0].at + JUMP_BYTES, vec![0xcc])]), State::Strange, "a debugger's breakpoint");
        }
    }

    #[test]
    fn what_is_no_vdso_is_refused_and_never_read_beyond_its_end() {
        let image = own_vdso().unwrap().original;
        let cut = [0, 3, 40, 64, 200, 0x300].map(|length| image[..length].to_vec());
        let wrong_class = [image[..4].to_vec(), vec![1], image[5..].to_vec()].concat();
        for image in cut.into_iter().chain([wrong_class]) {
            assert!(Vdso::parse(image).is_err());
        }
        assert_eq!(own_vdso().unwrap().state(&image[1..]), State::Strange);
    }
}
