#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

const TABLES: [&str; 3] = ["gpu_samples", "host_samples", "device_events"];

fn writer(boot: &str) -> WriterId {
    WriterId::parse(&format!("n1/{boot}")).unwrap()
}

fn open(dir: &Path, bytes_max: u64, boot: &str) -> (Spool, Recovered) {
    Spool::open(SpoolSettings { dir: dir.to_owned(), bytes_max }, writer(boot)).unwrap()
}

fn frame_files(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "frames"));
    paths.sort();
    paths
}

/// Everything that a spool would send, without acknowledging it to anyone else.
fn take_all(spool: &mut Spool) -> Vec<Frame> {
    let mut frames = Vec::new();
    for table in spool.tables_pending() {
        while let (Some(frame), 0) = spool.next(&table).unwrap() {
            spool.done(&frame).unwrap();
            frames.push(frame);
        }
    }
    frames
}

#[test]
fn frames_come_out_in_order_and_survive_a_restart_with_their_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, recovered) = open(dir.path(), 1 << 20, "a");
    assert_eq!(recovered, Recovered::default());
    for n in 0..10_u8 {
        assert_eq!(spool.append("gpu_samples", 5, &[n; 100]).unwrap(), []);
    }
    let (first, _) = spool.next("gpu_samples").unwrap();
    spool.done(&first.unwrap()).unwrap();
    drop(spool);

    let (mut spool, recovered) = open(dir.path(), 1 << 20, "b");
    assert_eq!((recovered.frames, recovered.rows, recovered.bytes_cut), (10, 50, 0));
    spool.append("gpu_samples", 1, b"new").unwrap();
    let frames = take_all(&mut spool);
    let seen: Vec<(&str, u64)> = frames.iter().map(|f| (f.writer.as_str(), f.sequence)).collect();
    let mut expected: Vec<(&str, u64)> = (1..=10).map(|n| ("n1/a", n)).collect();
    expected.push(("n1/b", 1));
    assert_eq!(seen, expected, "old frames keep writer and sequence, so the server knows those it has");
    assert_eq!(frames[3].payload, [3; 100]);
    assert_eq!(spool.rows_pending(), 0);
    assert_eq!(frame_files(dir.path()).len(), 1, "the files of the earlier process are gone");
}

#[test]
fn a_torn_tail_is_cut_and_what_lies_before_it_is_kept() {
    for cut in 1..130 {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(dir.path(), 1 << 20, "a");
        spool.append("gpu_samples", 1, &[1; 100]).unwrap();
        spool.append("gpu_samples", 1, &[2; 100]).unwrap();
        drop(spool);
        let path = &frame_files(dir.path())[0];
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length - cut.min(124)).unwrap();
        let (mut spool, recovered) = open(dir.path(), 1 << 20, "b");
        assert_eq!(recovered.frames, 1, "cut {cut}");
        assert_eq!(recovered.bytes_cut, 124 - cut.min(124));
        assert_eq!(take_all(&mut spool)[0].payload, [1; 100]);
    }
}

#[test]
fn at_the_bound_the_oldest_go_and_are_counted_and_events_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20, "a");
    spool.append("device_events", 1, b"xid 79").unwrap();
    let mut lost = 0;
    for _ in 0..300 {
        for (table, rows) in spool.append("gpu_samples", 10, &[7; 10_000]).unwrap() {
            assert_eq!(table, "gpu_samples");
            lost += rows;
        }
        assert!(spool.bytes() <= 1 << 20);
    }
    let frames = take_all(&mut spool);
    let kept: u64 = frames.iter().filter(|f| f.table == "gpu_samples").map(|f| f.rows).sum();
    assert!(lost > 0);
    assert_eq!(kept + lost, 3000, "every row is sent or counted as lost");
    assert_eq!(frames.iter().filter(|f| f.table == "device_events").count(), 1);
    assert_eq!(frames.last().unwrap().sequence, 301, "the newest stay");
}

#[test]
fn a_frame_that_is_being_sent_is_not_lost_with_its_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20, "a");
    spool.append("gpu_samples", 10, &[0; 50_000]).unwrap();
    let sending = spool.next("gpu_samples").unwrap().0.unwrap();
    let mut lost = 0;
    for _ in 0..100 {
        lost += spool.append("gpu_samples", 10, &[0; 50_000]).unwrap().iter().map(|(_, rows)| rows).sum::<u64>();
    }
    spool.done(&sending).unwrap();
    assert_eq!(lost + spool.rows_pending() + sending.rows, 1010);
}

#[test]
fn a_second_collector_and_an_oversized_batch_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20, "a");
    let second = Spool::open(SpoolSettings { dir: dir.path().to_owned(), bytes_max: 1 << 20 }, writer("b"));
    assert!(matches!(second, Err(SpoolError::Locked(_))));
    assert!(matches!(spool.append("gpu_samples", 1, &vec![0; 1 << 20]), Err(SpoolError::TooLarge { .. })));
    spool.append("gpu_samples", 1, b"fits").unwrap();
}

#[test]
fn refused_frames_are_kept_up_to_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20, "a");
    for n in 0..REJECTED_FILES_MAX + 5 {
        spool.append("host_samples", 1, &n.to_le_bytes()).unwrap();
        let frame = spool.next("host_samples").unwrap().0.unwrap();
        spool.set_aside(&frame).unwrap();
    }
    assert_eq!(fs::read_dir(dir.path().join("rejected")).unwrap().count(), REJECTED_FILES_MAX);
    assert_eq!(spool.rows_pending(), 0);
}

#[test]
fn damage_after_opening_loses_the_segment_and_counts_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20, "a");
    spool.append("gpu_samples", 7, &[1; 100]).unwrap();
    fs::write(&frame_files(dir.path())[0], b"").unwrap();
    let (frame, rows) = spool.next("gpu_samples").unwrap();
    assert!(frame.is_none());
    assert_eq!(rows, 7);
}

#[test]
fn while_the_disk_takes_nothing_rows_wait_in_memory_and_go_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("spool");
    let (mut spool, _) = open(&place, 1 << 20, "a");
    spool.append("gpu_samples", 1, b"first").unwrap();
    // Without its directory the spool cannot start a file, as on a full disk; the open one still takes bytes.
    fs::rename(&place, dir.path().join("away")).unwrap();
    spool.append("host_samples", 2, b"second").unwrap();
    spool.append("host_samples", 3, b"third").unwrap();
    assert_eq!(spool.rows_pending(), 6);
    fs::rename(dir.path().join("away"), &place).unwrap();
    spool.append("host_samples", 4, b"fourth").unwrap();
    let payloads: Vec<Vec<u8>> = take_all(&mut spool).into_iter().map(|f| f.payload).collect();
    assert_eq!(payloads, [b"first".to_vec(), b"second".to_vec(), b"third".to_vec(), b"fourth".to_vec()]);
    assert_eq!(spool.rows_pending(), 0);
}

#[test]
fn memory_is_bounded_too_and_what_goes_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("spool");
    let (mut spool, _) = open(&place, 64 << 20, "a");
    fs::rename(&place, dir.path().join("away")).unwrap();
    let mut lost = 0;
    for _ in 0..10 {
        lost += spool.append("gpu_samples", 5, &vec![0; 1 << 20]).unwrap().iter().map(|(_, rows)| rows).sum::<u64>();
    }
    assert_eq!((lost, spool.rows_pending()), (30, 20));
}

#[test]
fn a_frame_that_was_dropped_while_it_was_sent_is_lost_when_it_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20, "a");
    spool.append("gpu_samples", 10, &[0; 50_000]).unwrap();
    let sending = spool.next("gpu_samples").unwrap().0.unwrap();
    let mut lost = 0;
    for _ in 0..100 {
        lost += spool.append("gpu_samples", 10, &[0; 50_000]).unwrap().iter().map(|(_, rows)| rows).sum::<u64>();
    }
    lost += spool.not_sent(&sending);
    assert_eq!(lost + spool.rows_pending(), 1010);
    let sending = spool.next("gpu_samples").unwrap().0.unwrap();
    assert_eq!(spool.not_sent(&sending), 0, "it waits in its segment");
    assert_eq!(spool.next("gpu_samples").unwrap().0.unwrap(), sending);
}

#[test]
fn a_disk_that_takes_bytes_again_gets_what_waited_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("spool");
    let (mut spool, _) = open(&place, 1 << 20, "a");
    fs::rename(&place, dir.path().join("away")).unwrap();
    spool.append("host_samples", 2, b"first").unwrap();
    let sending = spool.next("host_samples").unwrap().0.unwrap();
    spool.append("gpu_samples", 2, b"second").unwrap();
    fs::rename(dir.path().join("away"), &place).unwrap();
    spool.append("host_samples", 2, b"third").unwrap();
    assert_eq!(spool.memory.len(), 2, "a later frame is not written before the one that is being sent");
    spool.not_sent(&sending);
    spool.append("host_samples", 2, b"fourth").unwrap();
    assert!(spool.memory.is_empty());
    drop(spool);
    let (mut spool, recovered) = open(&place, 1 << 20, "b");
    assert_eq!(recovered.rows, 8);
    let hosts = take_all(&mut spool).into_iter().filter(|f| f.table == "host_samples");
    assert_eq!(hosts.map(|f| f.sequence).collect::<Vec<_>>(), [1, 3, 4]);
}

#[test]
fn the_end_writes_memory_back_and_tells_what_the_disk_does_not_take() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("spool");
    let (mut spool, _) = open(&place, 1 << 20, "a");
    fs::rename(&place, dir.path().join("away")).unwrap();
    spool.append("host_samples", 2, b"first").unwrap();
    spool.next("host_samples").unwrap();
    fs::rename(dir.path().join("away"), &place).unwrap();
    assert_eq!(spool.close(), []);
    assert_eq!((spool.rows_pending(), spool.memory.len()), (2, 0));
    fs::rename(&place, dir.path().join("away")).unwrap();
    spool.append("gpu_samples", 3, b"second").unwrap();
    assert_eq!(spool.close(), [("gpu_samples".to_owned(), 3)]);
    assert_eq!(spool.rows_pending(), 2);
}

#[test]
fn memory_drops_device_events_last_and_waits_when_it_is_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("spool");
    let (mut spool, _) = open(&place, 64 << 20, "a");
    fs::rename(&place, dir.path().join("away")).unwrap();
    spool.append("device_events", 1, &[0; 1000]).unwrap();
    for _ in 0..10 {
        for (table, _) in spool.append("gpu_samples", 5, &vec![0; 1 << 20]).unwrap() {
            assert_eq!(table, "gpu_samples");
        }
    }
    assert!(spool.tables_pending().contains(&"device_events".to_owned()));
    assert!(!spool.has_room(1 << 20), "a source that can wait does");
}

#[test]
fn a_segment_that_cannot_be_deleted_is_not_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20, "a");
    for _ in 0..14 {
        spool.append("gpu_samples", 1, &[0; 70_000]).unwrap();
    }
    // A folder in the place of the file cannot be removed as a file.
    let oldest = frame_files(dir.path())[0].clone();
    fs::remove_file(&oldest).unwrap();
    fs::create_dir_all(&oldest).unwrap();
    let mut lost = 0;
    for _ in 0..3 {
        lost += spool.append("gpu_samples", 1, &[0; 70_000]).unwrap().iter().map(|(_, rows)| rows).sum::<u64>();
    }
    assert_eq!(lost + spool.rows_pending(), 17);
}

#[test]
fn behind_damage_the_next_good_frame_is_found_and_the_loss_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20, "a");
    for n in 0..4 {
        spool.append("gpu_samples", 10 + u64::from(n), &[n; 100]).unwrap();
    }
    drop(spool);
    let path = &frame_files(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let starts: Vec<usize> = bytes.windows(4).enumerate().filter(|(_, w)| *w == b"CFRM").map(|(at, _)| at).collect();
    bytes[starts[1] + 50] ^= 1;
    fs::write(path, bytes).unwrap();
    let (mut spool, recovered) = open(dir.path(), 1 << 20, "b");
    assert_eq!((recovered.frames, recovered.rows, recovered.bytes_cut), (3, 35, 0));
    assert_eq!(recovered.damaged, [("gpu_samples".to_owned(), 11)]);
    let sequences: Vec<u64> = take_all(&mut spool).iter().map(|f| f.sequence).collect();
    assert_eq!(sequences, [1, 3, 4]);
    assert_eq!(spool.rows_pending(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_bytes_in_the_directory_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0_usize..400) {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(dir.path(), 1 << 20, "a");
        for table in TABLES {
            spool.append(table, 2, &[9; 90]).unwrap();
            spool.append(table, 2, &[8; 90]).unwrap();
        }
        drop(spool);
        for path in frame_files(dir.path()) {
            let mut content = fs::read(&path).unwrap();
            let at = at.min(content.len());
            content.splice(at.., bytes.iter().copied());
            fs::write(&path, content).unwrap();
        }
        fs::write(dir.path().join("00000000000000000009-gpu_samples.frames"), &bytes).unwrap();
        let (mut spool, recovered) = open(dir.path(), 1 << 20, "b");
        let frames = take_all(&mut spool);
        prop_assert!(frames.len() as u64 == recovered.frames);
        for frame in frames {
            prop_assert!(frame.payload == [9; 90] || frame.payload == [8; 90], "only what was written comes out");
        }
        spool.append("gpu_samples", 1, b"works").unwrap();
        prop_assert_eq!(take_all(&mut spool).len(), 1);
    }

    #[test]
    fn every_frame_is_read_back(frames in proptest::collection::vec((0_usize..3, 0_u64..1000, proptest::collection::vec(any::<u8>(), 0..300)), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(dir.path(), 1 << 20, "a");
        for (table, rows, payload) in &frames {
            prop_assert_eq!(spool.append(TABLES[*table], *rows, payload).unwrap(), []);
        }
        drop(spool);
        let (mut spool, _) = open(dir.path(), 1 << 20, "b");
        let mut back = take_all(&mut spool);
        back.sort_by_key(|f| f.sequence);
        let back: Vec<_> = back.into_iter().map(|f| (f.table, f.rows, f.payload)).collect();
        let sent: Vec<_> = frames.into_iter().map(|(t, r, p)| (TABLES[t].to_owned(), r, p)).collect();
        prop_assert_eq!(back, sent);
    }
}

#[test]
fn frames_that_somebody_waits_for_are_refused_and_drop_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20, "a");
    spool.append("gpu_samples", 1, &[1; 100]).unwrap();
    let pair = || vec![("spans", 3, vec![2; 50_000]), ("inference_requests", 2, vec![3; 1_000])];
    let mut kept = 0;
    let refused = loop {
        match spool.append_together(pair()) {
            Ok(files) => {
                files.iter().for_each(|file| file.sync_data().unwrap());
                kept += 5;
            }
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, KeepError::Full), "{refused}");
    assert_eq!(spool.rows_pending(), kept + 1);
    assert!((600_000..=786_432).contains(&spool.bytes()), "{}", spool.bytes());
    // What is measured has its own room.
    assert_eq!(spool.append("gpu_samples", 1, &[1; 200_000]).unwrap(), []);
    let large = spool.append_together(vec![("spans", 1, vec![0; 800_000])]);
    assert!(matches!(large, Err(KeepError::TooLarge { .. })));
    drop(spool);
    let (mut spool, recovered) = open(dir.path(), 1 << 20, "b");
    assert_eq!((recovered.rows, recovered.bytes_cut), (kept + 2, 0));
    let tables: Vec<_> = take_all(&mut spool).into_iter().map(|frame| frame.table).collect();
    assert_eq!(tables.iter().filter(|table| *table == "spans").count() as u64, kept / 5);
}

#[test]
fn frames_that_somebody_waits_for_do_not_wait_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("spool");
    let (mut spool, _) = open(&place, 1 << 20, "a");
    fs::rename(&place, dir.path().join("away")).unwrap();
    assert!(matches!(spool.append_together(vec![("spans", 1, vec![0; 10])]), Err(KeepError::Disk(_))));
    assert_eq!((spool.rows_pending(), spool.memory.len()), (0, 0));
    spool.append("host_samples", 2, b"waits").unwrap();
    fs::rename(dir.path().join("away"), &place).unwrap();
    assert!(matches!(spool.append_together(vec![("spans", 1, vec![0; 10])]), Err(KeepError::Disk(_))));
    spool.append("host_samples", 2, b"next").unwrap();
    assert!(spool.append_together(vec![("spans", 1, vec![0; 10])]).is_ok());
    assert_eq!(spool.rows_pending(), 5);
}
