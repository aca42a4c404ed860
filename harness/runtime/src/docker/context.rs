//! The files of a build: which they are, their fingerprint, and the tar stream that the engine reads. Knows no engine.

use super::ignore::Ignore;
use crate::text::hex;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use shakedown_model::stack::BuildSpec;
use std::{
    fs::{self, File, Metadata},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tokio::sync::mpsc;

/// Name in the tar of a Dockerfile that lies outside the context.
const FOREIGN_DOCKERFILE: &str = ".shakedown.Dockerfile";
/// A tar stream is handed over in pieces of this size.
const PIECE: usize = 256 * 1024;

/// The files of one build, sorted.
#[derive(Debug)]
pub(crate) struct Context {
    files: Vec<(String, PathBuf)>,
    /// As the engine is told.
    pub(crate) dockerfile: String,
    pub(crate) dockerfile_text: String,
}

impl Context {
    /// Lists the files. Blocks on the disk.
    pub(crate) fn read(build: &BuildSpec) -> io::Result<Context> {
        let path = build.context.join(&build.dockerfile);
        let dockerfile_text =
            fs::read_to_string(&path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        let ignore = Ignore::read(&build.context, &build.dockerfile);
        let mut files = Vec::new();
        collect(&build.context, "", &ignore, &mut files)?;
        files.retain(|(name, _)| !is_not_source(name, &dockerfile_text));
        let plain_name = build.dockerfile.trim_start_matches("./").to_owned();
        let foreign = Path::new(&plain_name).is_absolute() || plain_name.contains("..");
        let dockerfile = if foreign { FOREIGN_DOCKERFILE.to_owned() } else { plain_name };
        if !files.iter().any(|(name, _)| *name == dockerfile) {
            files.push((dockerfile.clone(), path));
        }
        files.sort();
        Ok(Context { files, dockerfile, dockerfile_text })
    }

    /// Changes when anything changes that the image is made from, and with nothing else: not with times or owners, so that two
    /// checkouts of the same files are the same build. Blocks on the disk.
    pub(crate) fn fingerprint(&self, build: &BuildSpec) -> io::Result<String> {
        let mut hash = Sha256::new();
        field(&mut hash, self.dockerfile.as_bytes());
        field(&mut hash, build.target.as_deref().unwrap_or_default().as_bytes());
        let mut args: Vec<_> = build.args.iter().collect();
        args.sort();
        for (name, value) in args {
            field(&mut hash, name.as_bytes());
            field(&mut hash, value.as_bytes());
        }
        for (name, path) in &self.files {
            let metadata = fs::symlink_metadata(path)?;
            field(&mut hash, name.as_bytes());
            field(&mut hash, format!("{:o}", metadata.permissions().mode()).as_bytes());
            if metadata.is_symlink() {
                field(&mut hash, fs::read_link(path)?.as_os_str().as_encoded_bytes());
            } else if metadata.is_file() {
                hash_file(&mut hash, path, metadata.len())?;
            }
        }
        Ok(hex(&hash.finalize()))
    }

    /// Writes the tar stream, piece by piece, until it ends or nobody reads any more. Blocks.
    pub(crate) fn write_tar(&self, pieces: &mpsc::Sender<io::Result<Bytes>>) {
        let mut archive = tar::Builder::new(BufWriter::with_capacity(PIECE, Pieces(pieces.clone())));
        let outcome = self.files.iter().try_for_each(|(name, path)| append(&mut archive, name, path));
        let outcome = outcome.and_then(|()| archive.into_inner()).and_then(|mut writer| writer.flush());
        if let Err(error) = outcome {
            // Where the reader is gone there is nobody to tell.
            let _ = pieces.blocking_send(Err(error));
        }
    }
}

/// Length first, so that no two lists of fields have the same bytes.
fn field(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

fn hash_file(hash: &mut Sha256, path: &Path, length: u64) -> io::Result<()> {
    hash.update(length.to_le_bytes());
    let mut file = File::open(path)?;
    let mut buffer = vec![0; PIECE];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        hash.update(&buffer[..count]);
    }
}

/// What differs between two checkouts of one commit: our own runs, and git's records, unless the Dockerfile speaks of them. With them no two
/// variants would ever share an image.
fn is_not_source(name: &str, dockerfile: &str) -> bool {
    let first = name.split('/').next().unwrap_or(name);
    first == ".shakedown" || (first == ".git" && !dockerfile.contains(".git"))
}

fn collect(directory: &Path, prefix: &str, ignore: &Ignore, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let left_out = ignore.leaves_out(&name);
        let is_directory = entry.file_type()?.is_dir();
        if is_directory && !(left_out && ignore.prunes()) {
            collect(&entry.path(), &format!("{name}/"), ignore, files)?;
        }
        if !left_out {
            files.push((name, entry.path()));
        }
    }
    Ok(())
}

fn append(archive: &mut tar::Builder<impl Write>, name: &str, path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let mut header = tar::Header::new_gnu();
    header.set_mode(metadata.permissions().mode() & 0o7777);
    header.set_mtime(0);
    header.set_size(0);
    if metadata.is_dir() {
        header.set_entry_type(tar::EntryType::Directory);
        archive.append_data(&mut header, format!("{name}/"), io::empty())
    } else if metadata.is_symlink() {
        header.set_entry_type(tar::EntryType::Symlink);
        archive.append_link(&mut header, name, fs::read_link(path)?)
    } else if metadata.is_file() {
        append_file(archive, header, name, path, &metadata)
    } else {
        Ok(()) // sockets and devices are no part of a build
    }
}

fn append_file(
    archive: &mut tar::Builder<impl Write>,
    mut header: tar::Header,
    name: &str,
    path: &Path,
    metadata: &Metadata,
) -> io::Result<()> {
    header.set_size(metadata.len());
    // A file that grows while it is read must not break the frame of the archive.
    archive.append_data(&mut header, name, File::open(path)?.take(metadata.len()))
}

struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indexmap::IndexMap;

    fn build(context: &Path) -> BuildSpec {
        BuildSpec { context: context.to_owned(), dockerfile: "Dockerfile".to_owned(), target: None, args: IndexMap::new() }
    }

    fn tree() -> tempfile::TempDir {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir_all(scratch.path().join("src")).unwrap();
        fs::write(scratch.path().join("Dockerfile"), "FROM scratch\nCOPY src /src\n").unwrap();
        fs::write(scratch.path().join("src/a"), "a").unwrap();
        fs::write(scratch.path().join("notes"), "n").unwrap();
        fs::write(scratch.path().join(".dockerignore"), "notes\nDockerfile\n").unwrap();
        scratch
    }

    fn fingerprint(build: &BuildSpec) -> String {
        Context::read(build).unwrap().fingerprint(build).unwrap()
    }

    #[test]
    fn two_checkouts_of_the_same_files_are_the_same_build() {
        let (one, two) = (tree(), tree());
        let (first, second) = (build(one.path()), build(two.path()));
        assert_eq!(fingerprint(&first), fingerprint(&second));
        fs::write(two.path().join("notes"), "changed, but left out").unwrap();
        assert_eq!(fingerprint(&first), fingerprint(&second));
        fs::write(two.path().join("src/a"), "b").unwrap();
        assert_ne!(fingerprint(&first), fingerprint(&second));
        let other_target = BuildSpec { target: Some("slim".to_owned()), ..build(one.path()) };
        assert_ne!(fingerprint(&first), fingerprint(&other_target));
    }

    #[test]
    fn our_runs_and_gits_records_make_no_other_build() {
        let (one, two) = (tree(), tree());
        for folder in [".git", ".shakedown/runs"] {
            fs::create_dir_all(two.path().join(folder)).unwrap();
            fs::write(two.path().join(folder).join("file"), "of this checkout alone").unwrap();
        }
        assert_eq!(fingerprint(&build(one.path())), fingerprint(&build(two.path())));
        // A Dockerfile that copies `.git` gets it.
        for tree in [&one, &two] {
            fs::write(tree.path().join("Dockerfile"), "FROM scratch\nCOPY .git /git\n").unwrap();
        }
        assert_ne!(fingerprint(&build(one.path())), fingerprint(&build(two.path())));
    }

    #[test]
    fn the_tar_holds_what_is_not_left_out_and_always_the_dockerfile() {
        let scratch = tree();
        std::os::unix::fs::symlink("a", scratch.path().join("src/link")).unwrap();
        let context = Context::read(&build(scratch.path())).unwrap();
        let (sender, mut receiver) = mpsc::channel(1024);
        context.write_tar(&sender);
        drop(sender);
        let mut bytes = Vec::new();
        while let Ok(piece) = receiver.try_recv() {
            bytes.extend_from_slice(&piece.unwrap());
        }
        let mut archive = tar::Archive::new(&bytes[..]);
        let names: Vec<String> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names, [".dockerignore", "Dockerfile", "src/", "src/a", "src/link"]);
    }

    #[test]
    fn a_missing_dockerfile_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let error = Context::read(&build(scratch.path())).unwrap_err();
        assert!(error.to_string().contains("Dockerfile"), "{error}");
    }
}
