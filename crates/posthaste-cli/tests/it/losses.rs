//! What a spool has lost is one number, whatever was done to its files: every command tells the same, and the books of
//! those that deliver add up with it.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use fastrand::Rng;
use serde_json::Value;

use crate::support::{Files, Ran, Server, command, datafile, dead_endpoint, interrupt, run, vector};

const EVENTS: u64 = 1_699;
/// Three segments for those.
const SIZE: &str = "2MiB";
const PAGE: u64 = 4_096;
/// No page has, or touches, more records than this: each takes more than half a kilobyte.
const PAGE_RECORDS_MAX: u64 = 9;

/// A spool of which nothing was delivered.
fn stuck(files: &Files, name: &str) -> PathBuf {
    let (spool, endpoint, input) = (files.path(name), dead_endpoint(), vector("larkspur.events.jsonl"));
    let mut args = vec!["send", "--spool", &spool, "--spool-size", SIZE, "--datafile", datafile()];
    args.extend(["--endpoint", &endpoint, "--drain", "0s", input.to_str().unwrap()]);
    let child = command(&args).spawn().unwrap();
    while !run(&["spool", "status", "--json", &spool]).stdout.contains(r#""records":1699"#) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    interrupt(&child);
    let ran: Ran = child.wait_with_output().unwrap().into();
    ran.ended(1);
    spool.into()
}

fn copy(from: &Path, to: &Path) -> PathBuf {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
    to.to_path_buf()
}

/// The segments, oldest first, each with its first record and the one after its last.
fn segments(spool: &Path) -> Vec<(PathBuf, u64, u64)> {
    let names = fs::read_dir(spool).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> =
        names.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("seg-")).collect();
    segments.sort();
    let first = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        name.rsplit('-').next().unwrap().parse::<u64>().unwrap()
    };
    let firsts: Vec<u64> = segments.iter().map(first).chain([EVENTS + 1]).collect();
    let bounds = firsts.windows(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>();
    segments.into_iter().zip(bounds).map(|(path, (first, end))| (path, first, end)).collect()
}

/// What every command says of this spool, and what comes of it. Returns how many records are lost.
fn agreed(files: &Files, spool: &Path, case: &str) -> u64 {
    let name = |of: &str| files.path(&format!("{of}-{}", fastrand::u64(..)));
    let verified = say("verify", spool, &[]);
    let lost = verified.json()["lost"].as_u64().unwrap();
    let left = EVENTS - lost;
    let code = i32::from(lost > 0);
    let told = format!("{lost} lost");
    verified.ended(code);
    assert_eq!(verified.json()["records"], left, "{case}");
    if lost > 0 {
        assert!(run(&["spool", "verify", spool.to_str().unwrap()]).stdout.contains(&told), "{case}");
    }

    let status = say("status", spool, &[]).ended(0).json();
    assert_eq!((&status["lost"], &status["records"]), (&lost.into(), &left.into()), "{case}: {status}");
    assert_eq!((&status["checked"], &status["events"]), (&true.into(), &left.into()), "{case}: {status}");

    let cat = run(&["spool", "cat", spool.to_str().unwrap()]);
    let there: BTreeSet<String> = cat.ended(code).stdout.lines().flat_map(uuids).collect();
    assert_eq!((cat.stdout.lines().count() as u64, there.len() as u64), (left, left), "{case}");
    assert_eq!(cat.stderr.contains(&told), lost > 0, "{case}: {}", cat.stderr);

    let repaired = copy(spool, Path::new(&name("repaired")));
    let repair = say("repair", &repaired, &[]).ended(0).json();
    assert_eq!((&repair["lost"], &repair["records"]), (&lost.into(), &left.into()), "{case}: {repair}");
    let again = say("repair", &repaired, &[]).ended(0).json();
    assert_eq!((&again["lost"], &again["lost_before"]), (&0.into(), &lost.into()), "{case}: {again}");
    let verified = say("verify", &repaired, &[]).ended(0).json();
    assert_eq!((&verified["lost"], &verified["records"]), (&lost.into(), &left.into()), "{case}: {verified}");
    let status = say("status", &repaired, &[]).ended(0).json();
    assert_eq!((&status["lost"], &status["lost_before"]), (&lost.into(), &lost.into()), "{case}: {status}");
    assert_eq!(run(&["spool", "cat", repaired.to_str().unwrap()]).ended(0).stdout, cat.stdout, "{case}");
    drained(&repaired, 0, &there, case);

    let owned = copy(spool, Path::new(&name("owned")));
    drained(&owned, lost, &there, case);
    let verified = say("verify", &owned, &[]).ended(0).json();
    assert_eq!((&verified["lost"], &verified["records"]), (&lost.into(), &0.into()), "{case}: {verified}");
    lost
}

/// Drains it: what arrives is what was there, and the books add up with what is lost.
fn drained(spool: &Path, lost: u64, there: &BTreeSet<String>, case: &str) {
    let server = Server::start(true, |_| 204);
    let drain = ["--endpoint", &server.url, "--batch-size", "200"];
    let ran = say("drain", spool, &drain);
    let total = ran.ended(i32::from(lost > 0)).json()["total"].clone();
    let number = |name: &str| total[name].as_u64().unwrap();
    assert_eq!(number("lost"), lost, "{case}: {total}");
    assert_eq!((number("dead_lettered"), number("left")), (lost, 0), "{case}: {total}");
    assert_eq!(number("accepted") + number("recovered"), number("delivered") + lost, "{case}: {total}");
    assert!(!ran.stderr.contains("posthaste spool dead"), "{case}: {}", ran.stderr);
    let bodies = server.bodies();
    let arrived: BTreeSet<String> =
        bodies.iter().flat_map(|body| uuids(std::str::from_utf8(body).unwrap())).collect();
    assert_eq!(&arrived, there, "{case}");
}

fn say(command: &str, spool: &Path, more: &[&str]) -> Ran {
    run(&[&["spool", command, "--json", spool.to_str().unwrap()], more].concat())
}

/// Of the events in a request.
fn uuids(body: &str) -> Vec<String> {
    let body: Value = serde_json::from_str(body).unwrap();
    let list = |value: &Value, name: &str| value[name].as_array().unwrap().clone();
    let visitors = list(&body, "visitors").into_iter();
    let snapshots = visitors.flat_map(|visitor| list(&visitor, "snapshots"));
    let events = snapshots.flat_map(|snapshot| list(&snapshot, "events"));
    events.map(|event| event["uuid"].as_str().unwrap().to_owned()).collect()
}

/// One case for each of these, in a copy of one spool. Says what was done, and how much it has to cost.
fn cases(hurts: &[Hurt]) {
    let files = Files::new();
    let sound = stuck(&files, "sound");
    assert_eq!(segments(&sound).len(), 3);
    let seed = fastrand::u64(..);
    for (number, hurt) in hurts.iter().enumerate() {
        let mut random = Rng::with_seed(seed ^ number as u64);
        let spool = copy(&sound, Path::new(&files.path(&format!("case-{number}"))));
        let costs = hurt.hurt(&files, &spool, &mut random);
        let case = format!("seed {seed}, {hurt:?}");
        let lost = agreed(&files, &spool, &case);
        assert!(costs.contains(&lost), "{case}: {lost} lost, and it should be {costs:?}");
    }
}

/// The segments are the oldest one, the middle one, and the last one.
#[derive(Debug, Clone, Copy)]
enum Hurt {
    Nothing,
    Remove(usize),
    Empty(usize),
    /// Cut off somewhere.
    Cut(usize),
    /// Some bytes anywhere.
    Garble(usize),
    /// A page becomes a copy of a later one.
    DoublePage(usize),
    /// The header becomes another segment's.
    Header(usize, usize),
    ForeignCursor,
    EmptyCursor,
    NoCursor,
}

impl Hurt {
    fn hurt(self, files: &Files, spool: &Path, random: &mut Rng) -> std::ops::RangeInclusive<u64> {
        let segments = segments(spool);
        let open = |index: usize| {
            let path = &segments[index].0;
            let used = fs::read(path).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64;
            (fs::File::options().read(true).write(true).open(path).unwrap(), used)
        };
        let all_of = |index: usize| segments[index].2 - segments[index].1;
        let cursor = spool.join("cursor");
        match self {
            Self::Nothing => 0..=0,
            Self::Remove(index) => {
                fs::remove_file(&segments[index].0).unwrap();
                all_of(index)..=all_of(index)
            }
            Self::Empty(index) => {
                fs::write(&segments[index].0, "").unwrap();
                all_of(index)..=all_of(index)
            }
            Self::Cut(index) => {
                let (file, used) = open(index);
                file.set_len(random.u64(PAGE..used)).unwrap();
                1..=all_of(index)
            }
            Self::Garble(index) => {
                let (file, used) = open(index);
                let bytes: Vec<u8> = (0..64).map(|_| random.u8(..)).collect();
                file.write_all_at(&bytes, random.u64(PAGE..used - 64)).unwrap();
                1..=2
            }
            Self::DoublePage(index) => {
                let (file, used) = open(index);
                let pages = used / PAGE;
                let to = random.u64(1..pages - 1);
                let from = random.u64(to + 1..pages);
                let mut page = vec![0; PAGE.try_into().unwrap()];
                file.read_exact_at(&mut page, from * PAGE).unwrap();
                file.write_all_at(&page, to * PAGE).unwrap();
                1..=PAGE_RECORDS_MAX
            }
            Self::Header(of, from) => {
                let mut page = vec![0; PAGE.try_into().unwrap()];
                open(from).0.read_exact_at(&mut page, 0).unwrap();
                open(of).0.write_all_at(&page, 0).unwrap();
                // The segment's name says the same as its own, and its frames prove it.
                0..=0
            }
            Self::ForeignCursor => {
                let other = stuck(files, "other");
                fs::copy(other.join("cursor"), &cursor).unwrap();
                0..=0
            }
            Self::EmptyCursor => {
                fs::write(&cursor, "").unwrap();
                0..=0
            }
            Self::NoCursor => {
                fs::remove_file(&cursor).unwrap();
                0..=0
            }
        }
    }
}

#[test]
fn a_segment_that_is_gone_is_counted_wherever_it_was() {
    let at = [0, 1, 2];
    cases(&[at.map(Hurt::Remove), at.map(Hurt::Empty)].concat());
}

#[test]
fn damage_within_a_segment_costs_what_it_hit() {
    let at = [0, 1, 2];
    cases(&[at.map(Hurt::Cut), at.map(Hurt::Garble), at.map(Hurt::DoublePage)].concat());
}

#[test]
fn a_wrong_cursor_or_header_is_no_loss_that_nobody_counts() {
    cases(&[
        Hurt::Nothing,
        Hurt::Header(0, 1),
        Hurt::Header(1, 0),
        Hurt::Header(2, 0),
        Hurt::ForeignCursor,
        Hurt::EmptyCursor,
        Hurt::NoCursor,
    ]);
}

#[test]
fn a_loss_of_an_earlier_run_is_no_part_of_the_next() {
    let files = Files::new();
    let spool = stuck(&files, "spool");
    fs::remove_file(&segments(&spool)[0].0).unwrap();
    let endpoint = dead_endpoint();
    let first = say("drain", &spool, &["--endpoint", &endpoint, "--max-time", "200ms"]).ended(1).json();
    let lost = first["total"]["lost"].as_u64().unwrap();
    assert!(lost > 0 && first["total"]["dead_lettered"] == lost, "{first}");
    let server = Server::start(false, |_| 204);
    let second = say("drain", &spool, &["--endpoint", &server.url, "--batch-size", "200"]).ended(0).json();
    let total = &second["total"];
    assert_eq!((&total["lost"], &total["delivered"]), (&0.into(), &(EVENTS - lost).into()), "{second}");
    assert_eq!(say("status", &spool, &[]).ended(0).json()["lost"], lost);
}

#[test]
fn people_are_told_in_words() {
    let files = Files::new();
    let spool = stuck(&files, "spool");
    let (_, first, end) = segments(&spool)[1];
    fs::remove_file(&segments(&spool)[1].0).unwrap();
    let lost = format!("{} lost", end - first);
    let path = spool.to_str().unwrap();
    assert!(run(&["spool", "status", path]).ended(0).stdout.contains(&format!("losses     {lost}\n")));
    let server = Server::start(false, |_| 204);
    let ran = run(&["spool", "drain", path, "--endpoint", &server.url, "--batch-size", "200"]);
    assert!(ran.ended(1).stdout.contains(&format!("trouble    {lost}\n")), "{}", ran.stdout);
    let words = run(&["spool", "verify", path]);
    assert!(
        words.ended(0).stdout.contains(&format!("sound: {lost}, counted and settled before")),
        "{words:?}"
    );
}
