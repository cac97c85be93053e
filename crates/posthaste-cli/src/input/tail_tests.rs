//! A log as its writers and its rotation treat it, in time that belongs to the test, and a checker that knows only
//! this: every line that was written arrives once, in its order.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    time::SystemTime,
};

use parking_lot::Mutex;
use posthaste::clock::Sleep;

use super::*;

/// Longer than a line of these tests.
const LINE_BYTES_MAX: usize = 1_000;

#[derive(Debug, Default)]
struct TestClock(Mutex<Duration>);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        0
    }

    fn elapsed(&self) -> Duration {
        *self.0.lock()
    }

    fn sleep(&self, _: Duration) -> Sleep {
        unreachable!("whoever reads waits by itself")
    }
}

/// A log, and somebody who reads it.
struct World {
    folder: tempfile::TempDir,
    clock: Arc<TestClock>,
    way: Way,
    tail: Option<Tail>,
    /// What a spool would hold: the place, the number of its line, and what was read up to there.
    stored: (Place, u64, Vec<String>),
    /// Read since.
    read: Vec<String>,
    /// What was added to lines that had been taken.
    rests: Vec<String>,
    /// Each write is at a time of its own.
    writes: u64,
}

/// How a reader left off.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    Waiting,
    End,
    Unfinished(u64),
}

impl World {
    fn new(way: Way, content: &[u8]) -> Self {
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::default(),
            way,
            tail: None,
            stored: (Place::default(), 0, Vec::new()),
            read: Vec::new(),
            rests: Vec::new(),
            writes: 0,
        };
        world.add_to("log", content);
        world.start();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn add(&mut self, bytes: &[u8]) {
        self.add_to("log", bytes);
    }

    fn add_to(&mut self, name: &str, bytes: &[u8]) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(bytes).unwrap();
        self.writes += 1;
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(self.writes)).unwrap();
    }

    /// Gives every rotated file the next number.
    fn make_way(&self) {
        let numbers = (1..1_000).take_while(|number| self.path(&format!("log.{number}")).exists()).count();
        for number in (1..=numbers).rev() {
            fs::rename(self.path(&format!("log.{number}")), self.path(&format!("log.{}", number + 1)))
                .unwrap();
        }
    }

    fn rename(&self) {
        self.make_way();
        fs::rename(self.path("log"), self.path("log.1")).unwrap();
    }

    fn copy_and_truncate(&mut self) {
        self.make_way();
        let content = fs::read(self.path("log")).unwrap();
        self.add_to("log.1", &content);
        self.truncate();
    }

    fn truncate(&mut self) {
        OpenOptions::new().write(true).open(self.path("log")).unwrap().set_len(0).unwrap();
        self.add(b"");
    }

    /// As `resume` does.
    fn start(&mut self) {
        let (place, lines, _) = &self.stored;
        let path = self.path("log");
        let fresh = || {
            let truncated = family::truncated(&path, place).unwrap();
            let member = truncated.or_else(|| Member::open(&path).unwrap());
            member.map(|member| (Holder { member, seen: Seen::default() }, 0))
        };
        let found = family::holder(&path, place).unwrap().map(|holder| (holder, *lines)).or_else(fresh);
        let (Holder { member, seen }, lines) = found.unwrap();
        let reader = LineReader::after(lines, LineFile::behind(&seen, member.file), LINE_BYTES_MAX);
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let tail = Tail::new(&path, self.way, clock, reader, seen, Some(member.id));
        (self.stored.0, self.stored.1) = (tail.place(), lines);
        self.tail = Some(tail);
    }

    fn kill(&mut self) {
        (self.tail, self.read) = (None, Vec::new());
    }

    fn store(&mut self) {
        let tail = self.tail.as_ref().unwrap();
        (self.stored.0, self.stored.1) = (tail.place(), tail.line().number());
        self.stored.2.append(&mut self.read);
    }

    /// Reads until it has had to wait so often, or ends.
    fn run(&mut self, waits: usize, mut stores: impl FnMut() -> bool) -> Left {
        let mut waited = 0;
        loop {
            let tail = self.tail.as_mut().unwrap();
            let step = tail.step().unwrap();
            let text = String::from_utf8_lossy(tail.line().content()).into_owned();
            match step {
                Step::Line(_) => self.read.push(text),
                Step::Rest(_) if text.trim().is_empty() => {}
                Step::Rest(_) => self.rests.push(text),
                Step::Begin(_) => {}
                Step::Next => unreachable!("it reads one file"),
                Step::Wait => {
                    *self.clock.0.lock() += Duration::from_millis(250);
                    waited += 1;
                }
                Step::End => return self.left(Left::End),
                Step::Unfinished(line) => return self.left(Left::Unfinished(line)),
            }
            if matches!(step, Step::Line(_) | Step::Rest(_)) {
                self.tail.as_mut().unwrap().dealt_with();
            }
            if matches!(step, Step::Begin(_) | Step::Wait) || stores() {
                self.store();
            }
            if waited >= waits {
                return Left::Waiting;
            }
        }
    }

    fn left(&mut self, how: Left) -> Left {
        self.store();
        how
    }

    /// Everything that can be had.
    fn read_all(&mut self) -> (Left, &[String]) {
        if self.tail.is_none() {
            self.start();
        }
        loop {
            let before = self.stored.0.clone();
            // Longer than a file has to be quiet.
            let left = self.run(12, || false);
            if left != Left::Waiting || self.stored.0 == before {
                return (left, &self.stored.2);
            }
        }
    }
}

fn texts(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn a_last_line_is_left_wherever_it_is_cut_and_taken_once_by_the_next_run() {
    let (first, last) = ("{\"a\":1}\n", "{\"b\":\"é→\"}\r\n");
    let whole = last.trim_end().len();
    for cut in 0..=last.len() {
        let text = [first.as_bytes(), last.as_bytes()].concat();
        let mut world = World::new(Way::Once, &text[..first.len() + cut]);
        let (left, lines) = world.read_all();
        let is_taken = cut >= whole;
        assert_eq!(lines.len(), 1 + usize::from(is_taken), "cut at {cut}");
        assert_eq!(left, if cut == 0 || is_taken { Left::End } else { Left::Unfinished(2) }, "cut at {cut}");
        world.kill();
        world.add(&text[first.len() + cut..]);
        world.add(b"{\"c\":3}\n");
        let (left, lines) = world.read_all();
        let lines: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
        assert_eq!(lines, [first.trim_end(), last.trim_end(), "{\"c\":3}"], "cut at {cut}");
        assert_eq!((left, world.stored.1), (Left::End, 3), "cut at {cut}");
        assert!(world.rests.is_empty());
    }
}

#[test]
fn a_line_that_goes_on_after_it_was_taken_is_told_and_not_taken_twice() {
    for (added, rests) in [
        ("\n", &[][..]),
        ("\r\n", &[]),
        (" \t\n", &[]),
        (" more\n", &[" more"][..]),
        ("{\"b\":2}\n", &["{\"b\":2}"]),
        ("}\r\n", &["}"]),
    ] {
        let mut world = World::new(Way::Once, b"{\"a\":1}");
        assert_eq!(world.read_all(), (Left::End, &texts(&["{\"a\":1}"])[..]));
        // In whatever pieces it comes.
        for byte in added.bytes() {
            world.kill();
            world.add(&[byte]);
            world.read_all();
        }
        world.add(b"{\"c\":3}\n");
        world.kill();
        let lines = world.read_all().1.to_vec();
        assert_eq!(lines, texts(&["{\"a\":1}", "{\"c\":3}"]), "{added:?}");
        assert_eq!(world.stored.1, 2, "{added:?}");
        assert_eq!(world.rests.concat(), rests.concat(), "{added:?}");
    }
}

#[test]
fn a_whole_last_line_is_not_taken_while_the_file_changes() {
    let mut world = World::new(Way::Once, b"{}");
    for _ in 0..9 {
        assert_eq!(world.run(3, || false), Left::Waiting);
        world.add(b" ");
    }
    assert_eq!(world.run(9, || false), Left::End);
    assert_eq!(world.stored.2.len(), 1);
}

#[test]
fn a_follower_does_not_take_what_has_no_end_while_the_file_is_at_its_path() {
    let mut world = World::new(Way::Follow, b"{}\n{}");
    assert_eq!(world.read_all(), (Left::Waiting, &texts(&["{}"])[..]));
    world.add(b"\n");
    assert_eq!(world.read_all(), (Left::Waiting, &texts(&["{}", "{}"])[..]));
}

#[test]
fn a_rotated_file_is_read_to_its_end_first() {
    for (last, taken) in [("", ""), ("{}", "{}"), ("{\"ha", "{\"ha"), (" ", "")] {
        let mut world = World::new(Way::Follow, b"1\n");
        world.read_all();
        world.add(b"2\n");
        world.rename();
        world.add(b"3\n");
        // The writer has not noticed yet.
        world.add_to("log.1", b"2.5\n");
        world.add_to("log.1", last.as_bytes());
        let expected: Vec<_> =
            ["1", "2", "2.5", taken, "3"].into_iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(world.read_all().1, texts(&expected), "{last:?}");
        assert_eq!(world.stored.1, 1, "lines are counted anew");
    }
}

#[test]
fn a_rotated_file_is_not_left_while_its_successor_is_empty() {
    let mut world = World::new(Way::Follow, b"1\n");
    world.rename();
    assert_eq!(world.read_all().1, texts(&["1"]));
    world.add(b"");
    assert_eq!(world.read_all().1, texts(&["1"]));
    world.add_to("log.1", b"2\n");
    world.add(b"3\n");
    assert_eq!(world.read_all().1, texts(&["1", "2", "3"]));
}

#[test]
fn a_file_that_is_replaced_by_itself_and_more_is_read_on() {
    let mut world = World::new(Way::Follow, b"1\n");
    world.read_all();
    world.add_to("new", b"1\n2\n");
    fs::rename(world.path("new"), world.path("log")).unwrap();
    assert_eq!(world.read_all().1, texts(&["1", "2"]));
    world.add_to("new", b"other\n");
    fs::rename(world.path("new"), world.path("log")).unwrap();
    assert_eq!(world.read_all().1, texts(&["1", "2", "other"]));
}

/// What happens to the log, at random; lines and where they are cut are random too.
struct Model {
    world: World,
    random: fastrand::Rng,
    written: Vec<String>,
    /// The rest of the line that is being written, and the file that it goes to.
    unwritten: (Vec<u8>, &'static str),
}

impl Model {
    fn new(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self {
            world: World::new(Way::Follow, b""),
            random,
            written: Vec::new(),
            unwritten: (Vec::new(), "log"),
        }
    }

    /// Writes a part of a line, or what is left of one.
    fn write(&mut self) {
        let (mut bytes, name) = std::mem::take(&mut self.unwritten);
        if bytes.is_empty() {
            let padding = "→".repeat(self.random.usize(..20));
            let line = format!("{{\"line\":{},\"padding\":\"{padding}\"}}", self.written.len());
            bytes = (line.clone() + self.random.choice(["\n", "\r\n"]).unwrap()).into_bytes();
            self.written.push(line);
        }
        let cut = if self.random.bool() { bytes.len() } else { self.random.usize(1..=bytes.len()) };
        self.world.add_to(name, &bytes[..cut]);
        let rest = bytes.split_off(cut);
        self.unwritten = if rest.is_empty() { (rest, "log") } else { (rest, name) };
    }

    fn finish_line(&mut self) {
        while !self.unwritten.0.is_empty() {
            self.write();
        }
    }

    /// The writer may go on in the old file, to the end of its line.
    fn rotate(&mut self) {
        self.finish_old_line();
        self.world.rename();
        if !self.unwritten.0.is_empty() {
            self.unwritten.1 = "log.1";
        }
        if self.random.bool() {
            self.world.add(b"");
        }
    }

    fn finish_old_line(&mut self) {
        if self.unwritten.1 != "log" {
            self.finish_line();
        }
        if !self.world.path("log").exists() {
            self.world.add(b"");
        }
    }

    /// What has not been read is in the copy. But of a file of which nothing was read, and of one that was truncated
    /// before, nobody knows then that there was more.
    fn truncate(&mut self) {
        self.finish_line();
        self.finish_old_line();
        let file = File::open(self.world.path("log")).unwrap();
        let place = &self.world.stored.0;
        let is_another = place.file != Some(FileId::of(&file.metadata().unwrap()));
        let is_known = place.bytes > 0 && Seen::before(place, &file).unwrap().is_some();
        let is_all_read = self.world.stored.2.len() == self.written.len();
        if is_all_read && self.random.bool() {
            self.world.truncate();
        } else if is_all_read || is_another || is_known {
            self.world.copy_and_truncate();
        }
    }

    fn read(&mut self) {
        if self.world.tail.is_none() {
            // In the middle of a rotation there may be no file at all: here, too, one is waited for.
            if !self.world.path("log").exists() {
                self.world.add(b"");
            }
            self.world.start();
        }
        let (waits, mut random) = (self.random.usize(1..12), self.random.fork());
        self.world.run(waits, || random.u8(..4) == 0);
    }

    fn step(&mut self) {
        match self.random.u8(..100) {
            0..45 => self.write(),
            45..75 => self.read(),
            75..87 => self.world.kill(),
            87..95 => self.rotate(),
            _ => self.truncate(),
        }
    }
}

#[test]
fn every_line_is_read_once_whatever_happens_to_the_log() {
    let seeds = std::env::var("SEED").ok().map(|seed| vec![seed.parse().unwrap()]);
    let count = std::env::var("SEEDS").map_or(100, |count| count.parse().unwrap());
    for seed in seeds.unwrap_or_else(|| (0..count).map(|_| fastrand::u64(..)).collect()) {
        let mut model = Model::new(seed);
        for _ in 0..80 {
            model.step();
        }
        model.finish_line();
        model.finish_old_line();
        model.world.add(b"{\"last\":true}\n");
        model.written.push("{\"last\":true}".to_owned());
        let (_, read) = model.world.read_all();
        assert_eq!(read, model.written, "SEED={seed}");
        assert!(model.world.rests.is_empty(), "SEED={seed}");
    }
}

/// Where another file follows, nothing more is to be waited for.
#[test]
fn a_file_that_another_one_follows_is_read_to_its_last_byte() {
    for (text, read) in [("1\n{\"a\"", ["1", "{\"a\""]), ("1\n{}", ["1", "{}"])] {
        let mut world = World::new(Way::Complete, text.as_bytes());
        assert_eq!(world.run(1, || false), Left::End);
        assert_eq!(world.stored.2, read);
    }
}
