//! A file of JSON lines in zstd frames. Each frame stands alone, so a crash loses at most the frame that was being written.

use serde::Serialize;
use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};
use zstd::stream::write::Encoder;

/// The fastest of the ordinary levels: the evidence is written while the system under test needs the processor.
const LEVEL: i32 = 1;
/// serde_json writes crumbs; the compressor wants slices.
const BUFFER: usize = 64 * 1024;

/// One such file, open for writing.
pub(crate) struct FrameFile {
    path: PathBuf,
    file: File,
    open: Option<BufWriter<Encoder<'static, File>>>,
}

impl FrameFile {
    /// Makes the file, or goes on behind the last frame of one that is there.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        Ok(Self { path, file, open: None })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds one line to the frame that is open, or begins one.
    pub(crate) fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let frame = self.frame()?;
        serde_json::to_writer(&mut *frame, value)?;
        frame.write_all(b"\n")
    }

    /// The same of a line that is written already, without its end.
    pub(crate) fn raw_line(&mut self, line: &[u8]) -> io::Result<()> {
        let frame = self.frame()?;
        frame.write_all(line)?;
        frame.write_all(b"\n")
    }

    fn frame(&mut self) -> io::Result<&mut BufWriter<Encoder<'static, File>>> {
        let frame = if let Some(frame) = self.open.take() {
            frame
        } else {
            let mut encoder = Encoder::new(self.file.try_clone()?, LEVEL)?;
            encoder.include_checksum(true)?;
            BufWriter::with_capacity(BUFFER, encoder)
        };
        Ok(self.open.insert(frame))
    }

    /// Ends the frame that is open: from here on a reader finds its lines.
    pub(crate) fn finish_frame(&mut self) -> io::Result<()> {
        if let Some(frame) = self.open.take() {
            let encoder = frame.into_inner().map_err(io::IntoInnerError::into_error)?;
            encoder.finish()?.flush()?;
        }
        Ok(())
    }
}
