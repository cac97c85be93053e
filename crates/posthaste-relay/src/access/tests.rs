use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use super::*;

const ANN: &str = "token-of-ann-0123456789";
const BOB: &str = "token-of-bob-0123456789";

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// As one should write it: never half there.
    fn replace(&self, name: &str, text: &str) {
        fs::rename(self.write("draft", text), self.0.path().join(name)).unwrap();
    }
}

fn with_tokens(path: PathBuf) -> Access {
    Access::open(AccessConfig { tokens_file: Some(path), ..AccessConfig::default() }).unwrap()
}

fn lets_in(access: &Access, authorization: &str) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
    access.rules().lets_in(&headers)
}

#[test]
fn a_known_token_is_let_in_and_nothing_else() {
    let files = Files::new();
    let access = with_tokens(files.write("tokens", format!("# clients\n\n{ANN}\r\n  {BOB}  \n")));
    for (authorization, is_in) in [
        (format!("Bearer {ANN}"), true),
        (format!("bearer   {BOB} "), true),
        (format!("Bearer {ANN}x"), false),
        (format!("Bearer {}", &ANN[..ANN.len() - 1]), false),
        (format!("Bearer x{ANN}"), false),
        (format!("Bearer {ANN} {BOB}"), false),
        (format!("Basic {ANN}"), false),
        (ANN.to_owned(), false),
        ("Bearer ".to_owned(), false),
        ("Bearer".to_owned(), false),
        ("Bearer # clients".to_owned(), false),
        (String::new(), false),
    ] {
        assert_eq!(lets_in(&access, &authorization), is_in, "{authorization:?}");
    }
    assert!(!access.rules().lets_in(&HeaderMap::new()));
    let open = Access::open(AccessConfig::default()).unwrap();
    assert!(open.rules().lets_in(&HeaderMap::new()) && open.rules().takes("anybody"));
}

#[test]
fn tokens_are_the_same_only_where_every_byte_and_the_length_are() {
    for (token, given, is_same) in [
        ("abc", "abc", true),
        ("abc", "abd", false),
        ("abc", "ab", false),
        ("abc", "abcd", false),
        ("abc", "abc\0", false),
        ("abc", "", false),
        ("", "", true),
        ("", "\0", false),
    ] {
        assert_eq!(same(token.as_bytes(), given.as_bytes()), is_same, "{token:?} {given:?}");
    }
}

#[test]
fn accounts_of_the_config_and_of_the_file_are_taken() {
    let files = Files::new();
    let config = AccessConfig {
        accounts: vec!["1".to_owned()],
        accounts_file: Some(files.write("accounts", "2\n# three\n3\n")),
        tokens_file: None,
    };
    let rules = Access::open(config).unwrap().rules();
    let taken = ["1", "2", "3", "4", "", "# three"].map(|account| rules.takes(account));
    assert_eq!((taken, rules.accounts()), ([true, true, true, false, false, false], Some(3)));
}

#[test]
fn what_is_wrong_with_a_file_is_said_and_no_token_is() {
    let files = Files::new();
    let secret = "a secret that is no token";
    for (text, said) in [
        (format!("{ANN}\n{secret}\n"), ":2: a token has no spaces"),
        ("short\n".to_owned(), ":1: a token shorter than 16"),
        (format!("{ANN}é\n"), ":1: a token has no spaces, and nothing but ASCII"),
        ("\n# nothing\n".to_owned(), "names nobody"),
        ("x".repeat((1 << 20) + 1), "has more than 1048576 bytes"),
    ] {
        let path = files.write("tokens", &text);
        let error = Rules::read(&AccessConfig { tokens_file: Some(path), ..AccessConfig::default() });
        let error = error.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert!(!error.contains("secret") && !error.contains(ANN) && !error.contains("short\n"), "{error}");
    }
    let not_text = files.write("tokens", [0xff, 0xfe]);
    for path in [not_text, files.0.path().join("none"), files.0.path().to_owned()] {
        let error = Rules::read(&AccessConfig { tokens_file: Some(path), ..AccessConfig::default() });
        assert!(matches!(error.unwrap_err(), AccessError::Read { .. }));
    }
    let accounts =
        AccessConfig { accounts_file: Some(files.write("a", "1\n2 3\n")), ..AccessConfig::default() };
    assert!(Rules::read(&accounts).unwrap_err().to_string().contains(":2: not an account id"));
}

#[test]
fn tokens_are_never_printed() {
    let files = Files::new();
    let access = with_tokens(files.write("tokens", ANN));
    let printed = format!("{access:?} {:?}", access.rules());
    assert!(printed.contains("tokens: Some(1)") && !printed.contains(ANN), "{printed}");
}

#[test]
fn a_reload_changes_everything_or_nothing() {
    let files = Files::new();
    let config = AccessConfig {
        tokens_file: Some(files.write("tokens", ANN)),
        accounts_file: Some(files.write("accounts", "1")),
        accounts: Vec::new(),
    };
    let access = Access::open(config).unwrap();
    let in_force = || {
        let letters = [ANN, BOB].map(|token| lets_in(&access, &format!("Bearer {token}")));
        (letters, ["1", "2"].map(|account| access.rules().takes(account)))
    };
    files.replace("tokens", BOB);
    files.replace("accounts", "no id");
    assert!(access.reload().is_err());
    assert_eq!(
        in_force(),
        ([true, false], [true, false]),
        "the file of tokens was fine, and is not taken alone"
    );
    files.replace("accounts", "2");
    access.reload().unwrap();
    assert_eq!(in_force(), ([false, true], [false, true]));
}

#[test]
fn reloads_refuse_nobody_who_stays() {
    let files = Files::new();
    let access = with_tokens(files.write("tokens", format!("{ANN}\n")));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let authorization = format!("Bearer {ANN}");
            let mut asked = 0_u64;
            while !is_over.load(Relaxed) {
                assert!(lets_in(&access, &authorization));
                asked += 1;
            }
            asked
        });
        for round in 0..1_000 {
            let is_bad = round % 5 == 4;
            let other = if is_bad { "too short".to_owned() } else { format!("token-of-round-{round:08}") };
            files.replace("tokens", &format!("{ANN}\n{other}\n"));
            assert_eq!(access.reload().is_err(), is_bad, "{round}");
            assert!(is_bad || lets_in(&access, &format!("Bearer {other}")), "{round}");
            let before = format!("Bearer token-of-round-{:08}", round - i32::from(is_bad) - 1);
            assert!(!lets_in(&access, &before), "{round}");
        }
        is_over.store(true, Relaxed);
        assert!(asking.join().unwrap() > 0);
    });
}
