//! The instructions that take the place of the vDSO's wall clocks. Pure.
//!
//! They make the system call that the vDSO is there to avoid, and add the offset where the clock is one that follows the
//! wall: `CLOCK_REALTIME` (0), `_REALTIME_ALARM` (8), `_REALTIME_COARSE` (5) and `CLOCK_TAI` (11), which is the bit mask
//! 0x921. Every other clock, and every error, is the kernel's own answer. They use no stack but 24 bytes of the red zone,
//! no register that a function must keep, and no address but relative ones.
//!
//! Data comes first, then code; a reader's offset is changed by writing the data only. x86_64 alone: an instruction set
//! that nobody here can try is not offered.

/// owner, seconds, nanoseconds of the second, the same as microseconds: 8 bytes each.
const DATA_BYTES: usize = 32;
pub(super) const SHIM_BYTES: usize = DATA_BYTES + CODE.len();
/// `jmp` with a 32-bit distance.
pub(super) const JUMP_BYTES: usize = 5;
const NANOS: i64 = 1_000_000_000;
const MICROS: i64 = 1_000_000;

/// The functions that are replaced, and where in the shim their code begins.
pub(super) const FUNCTIONS: [(&str, usize); 3] =
    [("__vdso_clock_gettime", DATA_BYTES), ("__vdso_gettimeofday", DATA_BYTES + 0x50), ("__vdso_time", DATA_BYTES + 0x90)];

/// Where code stands that has read one half of an offset and not the other.
pub(super) const SEAMS: [usize; 3] = [DATA_BYTES + 0x21, DATA_BYTES + 0x67, DATA_BYTES + 0xb5];

/// What a shim says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The agent that wrote it.
    pub(super) owner: u64,
    pub(super) offset_us: i64,
}

#[rustfmt::skip]
const CODE: [u8; 0xd1] = [
    // clock_gettime(edi: clock, rsi: timespec)
    0xb8, 0xe4, 0x00, 0x00, 0x00,                   //      mov  $228, %eax          (SYS_clock_gettime)
    0x0f, 0x05,                                     //      syscall
    0x85, 0xc0,                                     //      test %eax, %eax
    0x75, 0x3b,                                     //      jne  9f                  (the kernel's error)
    0x83, 0xff, 0x1f,                               //      cmp  $31, %edi
    0x77, 0x36,                                     //      ja   9f                  (clocks of processes are negative)
    0xb9, 0x21, 0x09, 0x00, 0x00,                   //      mov  $0x921, %ecx
    0x0f, 0xa3, 0xf9,                               //      bt   %edi, %ecx
    0x73, 0x2c,                                     //      jae  9f                  (not a wall clock)
    0x48, 0x8b, 0x15, 0xcf, 0xff, 0xff, 0xff,       //      mov  nanos(%rip), %rdx
    0x48, 0x8b, 0x0d, 0xc0, 0xff, 0xff, 0xff,       //      mov  seconds(%rip), %rcx
    0x48, 0x03, 0x56, 0x08,                         //      add  8(%rsi), %rdx
    0x48, 0x81, 0xfa, 0x00, 0xca, 0x9a, 0x3b,       //      cmp  $1000000000, %rdx
    0x7c, 0x0a,                                     //      jl   1f
    0x48, 0x81, 0xea, 0x00, 0xca, 0x9a, 0x3b,       //      sub  $1000000000, %rdx
    0x48, 0xff, 0xc1,                               //      inc  %rcx
    0x48, 0x01, 0x0e,                               // 1:   add  %rcx, (%rsi)
    0x48, 0x89, 0x56, 0x08,                         //      mov  %rdx, 8(%rsi)
    0xc3,                                           // 9:   ret
    0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
    // gettimeofday(rdi: timeval or null, rsi: timezone or null)
    0xb8, 0x60, 0x00, 0x00, 0x00,                   //      mov  $96, %eax           (SYS_gettimeofday)
    0x0f, 0x05,                                     //      syscall
    0x85, 0xc0,                                     //      test %eax, %eax
    0x75, 0x31,                                     //      jne  9f
    0x48, 0x85, 0xff,                               //      test %rdi, %rdi
    0x74, 0x2c,                                     //      je   9f                  (only the time zone was asked for)
    0x48, 0x8b, 0x15, 0x91, 0xff, 0xff, 0xff,       //      mov  micros(%rip), %rdx
    0x48, 0x8b, 0x0d, 0x7a, 0xff, 0xff, 0xff,       //      mov  seconds(%rip), %rcx
    0x48, 0x03, 0x57, 0x08,                         //      add  8(%rdi), %rdx
    0x48, 0x81, 0xfa, 0x40, 0x42, 0x0f, 0x00,       //      cmp  $1000000, %rdx
    0x7c, 0x0a,                                     //      jl   1f
    0x48, 0x81, 0xea, 0x40, 0x42, 0x0f, 0x00,       //      sub  $1000000, %rdx
    0x48, 0xff, 0xc1,                               //      inc  %rcx
    0x48, 0x01, 0x0f,                               // 1:   add  %rcx, (%rdi)
    0x48, 0x89, 0x57, 0x08,                         //      mov  %rdx, 8(%rdi)
    0xc3,                                           // 9:   ret
    0xcc, 0xcc, 0xcc,
    // time(rdi: time_t or null): the coarse clock, as the vDSO's own, but with its nanoseconds, so that the sum is right
    0x49, 0x89, 0xf8,                               //      mov  %rdi, %r8
    0xb8, 0xe4, 0x00, 0x00, 0x00,                   //      mov  $228, %eax          (SYS_clock_gettime)
    0xbf, 0x05, 0x00, 0x00, 0x00,                   //      mov  $5, %edi            (CLOCK_REALTIME_COARSE)
    0x48, 0x8d, 0x74, 0x24, 0xe8,                   //      lea  -24(%rsp), %rsi
    0x0f, 0x05,                                     //      syscall
    0x48, 0x8b, 0x54, 0x24, 0xf0,                   //      mov  -16(%rsp), %rdx
    0x48, 0x8b, 0x44, 0x24, 0xe8,                   //      mov  -24(%rsp), %rax
    0x48, 0x03, 0x15, 0x3b, 0xff, 0xff, 0xff,       //      add  nanos(%rip), %rdx
    0x48, 0x03, 0x05, 0x2c, 0xff, 0xff, 0xff,       //      add  seconds(%rip), %rax
    0x48, 0x81, 0xfa, 0x00, 0xca, 0x9a, 0x3b,       //      cmp  $1000000000, %rdx
    0x7c, 0x03,                                     //      jl   1f
    0x48, 0xff, 0xc0,                               //      inc  %rax
    0x4d, 0x85, 0xc0,                               // 1:   test %r8, %r8
    0x74, 0x03,                                     //      je   2f
    0x49, 0x89, 0x00,                               //      mov  %rax, (%r8)
    0xc3,                                           // 2:   ret
];

/// The bytes of a shim.
pub(super) fn shim(mark: Mark) -> [u8; SHIM_BYTES] {
    let micros = mark.offset_us.rem_euclid(MICROS);
    let seconds = mark.offset_us.div_euclid(MICROS);
    let data = [mark.owner, seconds as u64, (micros * (NANOS / MICROS)) as u64, micros as u64];
    let mut bytes = [0; SHIM_BYTES];
    for (place, word) in bytes.chunks_exact_mut(8).zip(data) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes[DATA_BYTES..].copy_from_slice(&CODE);
    bytes
}

/// What a shim says, if these bytes are one.
pub(super) fn mark(bytes: &[u8]) -> Option<Mark> {
    let (data, code) = bytes.split_at_checked(DATA_BYTES)?;
    let word = |index: usize| data.get(8 * index..8 * index + 8)?.try_into().ok().map(u64::from_le_bytes);
    let (owner, seconds, micros) = (word(0)?, word(1)?.cast_signed(), word(3)?.cast_signed());
    let offset_us = seconds.checked_mul(MICROS)?.checked_add(micros)?;
    (code == CODE).then_some(Mark { owner, offset_us })
}

/// A jump that stands at `from` and leads to `to`, both counted from the same place.
pub(super) fn jump(from: usize, to: usize) -> [u8; JUMP_BYTES] {
    let distance = to.wrapping_sub(from + JUMP_BYTES) as u32;
    let [a, b, c, d] = distance.to_le_bytes();
    [0xe9, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shim_says_what_was_written_into_it() {
        for offset_us in [1, -1, 3_600_000_000, -3_600_000_000, 999_999, -1_500_000, i64::from(i32::MIN)] {
            let mark_written = Mark { owner: 7, offset_us };
            assert_eq!(mark(&shim(mark_written)), Some(mark_written));
        }
        assert_eq!(mark(&[0; SHIM_BYTES]), None);
        assert_eq!(mark(&[0; 8]), None);
    }

    #[test]
    fn the_seams_are_between_the_two_halves_of_an_offset() {
        // `mov seconds(%rip), %rcx` and `add seconds(%rip), %rax`, each of which reads 24 bytes before the code.
        for (seam, instruction) in SEAMS.into_iter().zip([[0x48, 0x8b, 0x0d], [0x48, 0x8b, 0x0d], [0x48, 0x03, 0x05]]) {
            let bytes = shim(Mark { owner: 0, offset_us: 0 });
            assert_eq!(bytes[seam..seam + 3], instruction);
            let distance = i32::from_le_bytes(bytes[seam + 3..seam + 7].try_into().unwrap());
            assert_eq!((seam + 7).checked_add_signed(distance as isize), Some(8));
        }
    }

    #[test]
    fn nanoseconds_are_never_negative() {
        let bytes = shim(Mark { owner: 0, offset_us: -1 });
        assert_eq!(bytes[8..16], (-1_i64).to_le_bytes());
        assert_eq!(bytes[16..24], 999_999_000_i64.to_le_bytes());
    }

    #[test]
    fn jumps_lead_forwards_and_backwards() {
        assert_eq!(jump(0x810, 0x1a20), [0xe9, 0x0b, 0x12, 0, 0]);
        assert_eq!(jump(0x20, 0x10), [0xe9, 0xeb, 0xff, 0xff, 0xff]);
    }
}
