//! SIGKILL at random moments under load: every acknowledged row is there once, none twice.

use coulomb_tests::Server;
use coulomb_tests::writers::{Writer, check, check_duplicates, load};
use std::time::{Duration, Instant};

const KILLS: u64 = 50;
const WRITERS: u64 = 4;
/// Bounds the test on a slow machine; fewer kills than asked for fail it.
const AT_MOST: Duration = Duration::from_secs(600);

#[test]
fn every_acknowledged_row_is_there_once_after_fifty_kills() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let flags = ["--flush-after-seconds", "1"];
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let begin = Instant::now();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut kills = 0;
    while kills < KILLS && begin.elapsed() < AT_MOST {
        let server = Server::start_in(dir.path(), &flags);
        if kills % 5 == 0 {
            check(&server, &writers);
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pid = server.program.pid().to_string();
        // Between a few frames and several flushes.
        load(&server, &mut writers, 20 + (random >> 33) % 1_500, || {
            let killed = std::process::Command::new("kill").args(["-KILL", &pid]).status();
            assert!(killed.is_ok_and(|s| s.success()), "the server was gone before it was killed");
        });
        kills += 1;
    }
    assert_eq!(kills, KILLS, "the machine was too slow for this test");
    let server = Server::start_in(dir.path(), &flags);
    load(&server, &mut writers, 500, || ());
    check(&server, &writers);
    check_duplicates(&server, &writers);
    let acknowledged: u64 = writers.iter().map(|w| w.acknowledged).sum();
    let duplicates: u64 = writers.iter().map(|w| w.duplicates).sum();
    println!("{KILLS} kills, {acknowledged} rows acknowledged, {duplicates} batches kept before their answer came");
    assert!(acknowledged > 1_000, "there was no load: {acknowledged} rows");
}
