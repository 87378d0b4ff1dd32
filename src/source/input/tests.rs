use super::*;

fn is_open(input: &InputFile) -> bool {
    matches!(&input.storage, Storage::File(file) if file.is_open())
}

fn stored(bytes: &[u8], counters: &Arc<InputCounters>) -> (tempfile::NamedTempFile, InputFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let input = InputFile::open(file.path(), counters).unwrap();
    (file, input)
}

#[test]
fn bytes_of_the_head_are_fetched_once() {
    let counters = Arc::new(InputCounters::default());
    let bytes: Vec<u8> = (0..=255).collect();
    let (_file, input) = stored(&bytes, &counters);
    assert_eq!(input.head(100).unwrap()[..], bytes[..100]);
    assert_eq!(input.head(120).unwrap()[..], bytes[..120]);
    let mut buffer = [0; 60];
    input.read_at(90, &mut buffer).unwrap();
    assert_eq!(buffer[..], bytes[90..150]);
    assert_eq!(counters.bytes_read(), 150);
    assert_eq!(input.head(usize::MAX).unwrap()[..], bytes[..]);
}

#[test]
fn the_cache_limit_holds_and_is_given_back() {
    let counters = Arc::new(InputCounters::with_cache_limit(100));
    let (_one, first) = stored(&[1; 80], &counters);
    let (_two, second) = stored(&[2; 80], &counters);
    for input in [&first, &second] {
        input.head(70).unwrap();
        input.head(80).unwrap();
        input.settle_head();
    }
    assert_eq!(counters.bytes_read(), 160);
    first.read_at(0, &mut [0; 80]).unwrap();
    second.read_at(0, &mut [0; 80]).unwrap();
    assert_eq!(counters.bytes_read(), 240);
    first.release_head();
    second.head(80).unwrap();
    second.settle_head();
    second.settle_head();
    second.read_at(0, &mut [0; 80]).unwrap();
    assert_eq!(counters.bytes_read(), 320);
    drop((first, second));
    assert!(counters.book(100));
}

#[test]
fn a_file_that_shrinks_is_an_error_with_its_place() {
    let counters = Arc::new(InputCounters::default());
    let (file, input) = stored(&[7; 50], &counters);
    file.as_file().set_len(20).unwrap();
    let error = input.read_at(10, &mut [0; 30]).unwrap_err();
    assert_eq!((error.kind(), error.place().byte), (ErrorKind::Malformed, Some(20)));
    assert!(error.to_string().contains("50 bytes long"));
}

#[test]
fn a_closed_file_is_opened_by_the_next_read_unless_it_has_shrunk_or_vanished() {
    let counters = Arc::new(InputCounters::default());
    let (file, input) = stored(&[7; 50], &counters);
    input.head(10).unwrap();
    assert!(!is_open(&input));
    input.read_at(2, &mut [0; 5]).unwrap();
    assert!(!is_open(&input), "what is kept is read from memory");
    input.read_at(5, &mut [0; 45]).unwrap();
    assert!(is_open(&input));
    input.close();
    file.as_file().set_len(49).unwrap();
    let error = input.read_at(20, &mut [0; 5]).unwrap_err();
    assert_eq!((error.kind(), error.place().byte), (ErrorKind::Malformed, Some(49)));
    assert!(error.to_string().contains("was 50 bytes long and now has 49"));
    std::fs::remove_file(file.path()).unwrap();
    assert_eq!(input.read_at(20, &mut [0; 5]).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn missing_file_and_directory_name_themselves() {
    let counters = Arc::new(InputCounters::default());
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_path_buf(), folder.path().join("absent.csv")] {
        let error = InputFile::open(&path, &counters).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(error.place().file.as_deref(), path.to_str());
    }
}

#[test]
fn a_file_that_grows_is_read_to_the_length_it_had_and_says_so() {
    let counters = Arc::new(InputCounters::default());
    let (file, input) = stored(&[7; 50], &counters);
    input.head(10).unwrap();
    assert_eq!(input.warning(), None);
    file.as_file().set_len(51).unwrap();
    let mut bytes = [0; 30];
    input.read_at(20, &mut bytes).unwrap();
    assert_eq!((bytes, input.length()), ([7; 30], 50));
    assert!(input.warning().unwrap().contains("grown by 1 bytes"));
}

#[test]
fn a_file_replaced_or_written_anew_between_sample_and_pass_is_an_error() {
    let counters = Arc::new(InputCounters::default());
    type Change = fn(&Path);
    let changes: [(&str, Change); 3] = [
        ("another file", |path| {
            let other = path.with_extension("other");
            std::fs::write(&other, [7; 50]).unwrap();
            std::fs::rename(other, path).unwrap();
        }),
        ("written to", |path| {
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(&[8], 30).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        }),
        ("written anew", |path| std::fs::write(path, [8; 60]).unwrap()),
    ];
    for (word, change) in changes {
        let (file, input) = stored(&[7; 50], &counters);
        input.head(10).unwrap();
        change(file.path());
        let error = input.read_at(20, &mut [0; 5]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.message().contains(word), "{error}");
        assert!(error.hint_text().is_some());
    }
}

/// Gives these parts, then the error, if there is one.
struct Parts(Vec<Vec<u8>>, Option<Error>);

impl Pull for Parts {
    fn pull(&mut self, into: &mut Vec<u8>) -> Result<()> {
        if self.0.is_empty() {
            return self.1.take().map_or(Ok(()), Err);
        }
        into.extend(self.0.remove(0));
        Ok(())
    }

    fn warning(&self) -> Option<String> {
        Some("trailing".to_owned())
    }
}

fn made(parts: Vec<Vec<u8>>, failure: Option<Error>, spool: SpoolPlace) -> InputFile {
    let counters = Arc::new(InputCounters::default().with_spool(spool));
    InputFile::made("x".into(), counters, Box::new(move || Ok(Box::new(Parts(parts.clone(), failure.clone())))))
}

#[test]
fn a_stream_reads_the_same_from_memory_and_from_disk_and_when_made_again() {
    for parts in [3usize, 40] {
        let folder = tempfile::tempdir().unwrap();
        let part = |at: usize| (0..300_000).map(|byte| (byte * 7 + at) as u8).collect::<Vec<u8>>();
        let all: Vec<u8> = (0..parts).flat_map(part).collect();
        let spool = SpoolPlace { directory: Some(folder.path().into()), limit_bytes: None };
        let input = made((0..parts).map(part).collect(), None, spool);
        assert_eq!(input.known_length(), None);
        assert_eq!(input.available(10, 20).unwrap(), 20);
        assert_eq!(input.known_length(), None, "no more than what is wanted is pulled");
        for round in 0..2 {
            std::thread::scope(|scope| {
                for start in [0, 7, 299_999, 450_000] {
                    let (input, all) = (&input, &all);
                    scope.spawn(move || {
                        for at in (start..all.len()).step_by(200_000) {
                            let mut bytes = vec![0; input.available(at as u64, 1000).unwrap()];
                            input.read_at(at as u64, &mut bytes).unwrap();
                            assert!(bytes == all[at..all.len().min(at + 1000)], "byte {at} in round {round}");
                        }
                    });
                }
            });
            assert_eq!(input.length(), all.len() as u64);
            assert_eq!(input.warning().as_deref(), Some("trailing"));
            assert_eq!(input.available(all.len() as u64 - 1, 5).unwrap(), 1);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
            input.close();
        }
    }
}

#[test]
fn a_stream_that_fails_gives_what_came_before_and_then_the_error() {
    let failure = Error::new(ErrorKind::Malformed, "cut");
    let input = made(vec![vec![1; 100]], Some(failure), SpoolPlace::default());
    assert_eq!(input.available(40, 100).unwrap(), 60);
    assert_eq!(input.head(1000).unwrap().len(), 100);
    assert_eq!(input.available(100, 1).unwrap_err().message(), "cut");
    assert_eq!(input.read_at(90, &mut [0; 20]).unwrap_err().message(), "cut");
    assert_eq!(input.failure().unwrap().message(), "cut");
}

#[test]
fn a_stream_beyond_its_limit_is_an_error_that_names_the_limit() {
    let spool = SpoolPlace { directory: None, limit_bytes: Some(250) };
    let input = made(vec![vec![1; 100]; 4], None, spool);
    assert_eq!(input.available(0, 200).unwrap(), 200);
    let error = input.read_at(190, &mut [0; 20]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    let text = error.to_string();
    assert!(text.contains("250 bytes") && text.contains("300 bytes") && text.contains("OUTCROP_SPOOL_LIMIT"), "{text}");
}
