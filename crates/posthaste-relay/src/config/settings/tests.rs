use super::*;
use crate::config::{Limits, Store};

/// What is wrong with this file, without its name.
fn faults(text: &str) -> Vec<String> {
    let mut settings = Settings::new();
    settings.text("f", text);
    let error = settings.config().expect_err(text);
    error.faults().iter().map(|fault| fault.to_string().replacen("f:", "", 1)).collect()
}

fn good(text: &str) -> Config {
    let mut settings = Settings::new();
    settings.text("f", text);
    settings.config().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_what_to_do() {
    for (text, said) in [
        ("lisen = 80", r#"1: there is no "lisen": did you mean "listen"?"#),
        (
            "strict = true\n\n[limits]\nhead_timout = '3s'",
            r#"4: there is no "limits.head_timout": did you mean "limits.head_timeout"?"#,
        ),
        ("[limit]\nheaders_max = 3", r#"1: there is no "limit": did you mean "limits"?"#),
        (
            "[forward]\nlisten = 80",
            r#"2: there is no "forward.listen": did you mean "listen"? That stands above the first [table]"#,
        ),
        (
            "batch_events = 5",
            r#"1: there is no "batch_events": did you mean "batch_events"? That stands in [forward]"#,
        ),
        ("xyzzy = 5", r#"1: there is no "xyzzy"; `posthaste relay config` shows all that there are"#),
        ("limits = 5", "1: limits is a table; write [limits], and its options below"),
        ("[tenant]\nname = 'x'", "1: a tenant begins with [[tenant]], in two brackets"),
        ("strict = 'true'", r#"1: strict is "true"; give true or false"#),
        ("strict = 1", "1: strict is 1; give true or false"),
        ("limits.head_timeout = 30", "1: limits.head_timeout is 30; give a time such as \"500ms\""),
        ("limits.head_timeout = '0s'", "1: limits.head_timeout is \"0s\"; give a time such as"),
        ("[limits]\nheaders_max = 0", "2: limits.headers_max is 0; give a number, 1 at least"),
        ("[limits]\nheaders_max = -1", "2: limits.headers_max is a negative number; give a number"),
        (
            "[limits]\nbody_bytes_max = 1.5",
            "2: limits.body_bytes_max is a number with a fraction; give a size",
        ),
        (
            "limits.head_bytes_max = '1 KiB'",
            "1: limits.head_bytes_max is \"1 KiB\"; give a size such as \"64 MiB\" or 3_500_000, 8 KiB at least",
        ),
        ("listen = 'nowhere'", "1: listen is \"nowhere\"; give HOST:PORT"),
        ("admin = 70000", "1: admin is 70000; give HOST:PORT"),
        ("paths = ['events']", "1: paths is a list; give a list of paths that begin with a slash"),
        ("outage.when_full = 'wait'", "1: outage.when_full is \"wait\"; give \"refuse-new\" or"),
        ("access.accounts = 12", "1: access.accounts is 12; give a list of ids"),
        ("a = \n", "1: it is no TOML: "),
        ("upstream = 'us'\nupstream = 'eu'", "2: it is no TOML: duplicate key"),
        ("", " nothing says where events go; give us, eu, or a URL"),
        ("upstream = 'usa'", "1: \"usa\" is no address for events: "),
        ("upstream = ''", "1: upstream is \"\"; give us, eu, or a whole URL"),
        (
            "[[tenant]]\nname = 'a'\naccounts = ['1']\nupstream = 'us'",
            " nothing says where events go that no tenant takes",
        ),
        (
            "upstream = 'us'\n[[tenant]]\nname = 'a'\nupstream = 'eu'",
            "2: tenants \"default\" (f:1) and \"a\" both take",
        ),
        ("upstream = 'us'\n[[tenant]]\nname = 'a'", "2: a tenant has no upstream; write upstream = "),
        (
            "upstream = 'us'\n[[tenant]]\nname = 'a/b'\nupstream = 'eu'",
            "3: tenant.name is \"a/b\"; give letters, digits",
        ),
        (
            "upstream = 'us'\n[[tenant]]\nname = 'a'\nupstream = 'eu'\nacounts = ['1']",
            "5: there is no \"tenant.acounts\": did you mean \"accounts\"?",
        ),
        (
            "listen = 8090\nadmin = '127.0.0.1:8090'\nupstream = 'us'",
            "2: admin and listen are both 127.0.0.1:8090",
        ),
        (
            "upstream = 'us'\n[forward]\nbatch_bytes = '20 MiB'",
            "3: forward.batch_bytes (20 MiB) is more than forward.window_bytes (16 MiB); lower",
        ),
        (
            "upstream = 'us'\n[forward]\nbatch_bytes = '4 MiB'",
            "3: forward.batch_bytes (4 MiB) is more than limits.unpacked_bytes_max (3500000)",
        ),
        (
            "upstream = 'us'\n[limits]\nintake_bytes_max = '1 MiB'",
            "3: limits.body_bytes_max (3500000) is more than limits.intake_bytes_max (1 MiB)",
        ),
        ("upstream = 'us'\ndisk_bytes_max = '10 MiB'", "2: disk_bytes_max is 10 MiB; give 14524288 at least"),
        (
            "upstream = 'us'\nlimits.unpacked_bytes_max = '20 MiB'",
            "2: limits.unpacked_bytes_max is 20 MiB; a queue on disk takes 15 MiB",
        ),
        (
            "upstream = 'us'\nmemory = true\nmemory_bytes_max = 1",
            "3: limits.unpacked_bytes_max (3500000) is more than memory_bytes_max (1)",
        ),
    ] {
        assert_told_first(text, said);
    }
}

#[test]
fn upstreams_that_take_no_events_are_told_without_their_secrets() {
    for (text, said) in [
        (
            "upstream = 'ftp://me:secret@a/'",
            "1: \"ftp://***@a/\" is no address for events: it begins neither",
        ),
        (
            "upstream = 'http://localhost:8090/v1/events'",
            "1: upstream http://localhost:8090/v1/events is this relay itself, which listens at 127.0.0.1:8090",
        ),
        (
            "upstream = 'http://localhost:8091/v1/events'",
            "1: upstream http://localhost:8091/v1/events is this relay itself, whose admin interface is at 127.0.0.1:8091",
        ),
        (
            "upstream = 'http://me:secret@a/'",
            "1: \"http://***@a/\" is no address for events: it holds a user name or a password, which is not sent; leave \
             that out (or",
        ),
    ] {
        assert_told_first(text, said);
    }
}

fn assert_told_first(text: &str, said: &str) {
    let told = faults(text);
    assert!(told.first().is_some_and(|told| told.starts_with(said)), "{text}\n{said}\n{told:#?}");
    assert!(told.iter().all(|told| !told.contains("secret") && !told.contains('\n')), "{told:#?}");
}

#[test]
fn what_two_tenants_claim_is_told_with_both_places() {
    let two = |one: &str, other: &str| {
        faults(&format!(
            "upstream = 'us'\n[[tenant]]\nname = 'a'\nupstream = 'eu'\n{one}\n[[tenant]]\nname = 'b'\nupstream = 'eu'\n{other}"
        ))
    };
    assert_eq!(
        two("accounts = ['1', '2']", "accounts = [2]"),
        ["6: account \"2\" is there twice (before: f:2); its events can go to one tenant alone"]
    );
    assert_eq!(
        two("projects = ['7']", "accounts = [7]\nprojects = ['7']"),
        ["6: project \"7\" is there twice (before: f:2); its events can go to one tenant alone"]
    );
    let text = "upstream = 'us'\n[[tenant]]\nname = 'default'\nupstream = 'eu'\naccounts = ['1']";
    assert_eq!(faults(text), ["2: tenant \"default\" is there twice (before: f:1); rename one"]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_in_order() {
    let lines = |text: &str| -> Vec<String> {
        faults(text).iter().map(|told| told.split(':').next().unwrap().to_owned()).collect()
    };
    let nowhere = " nothing says where events go; give us, eu, or a URL";
    assert_eq!(lines("strict = 1\nlisen = 2\n[limits]\nheaders_max = 'x'"), ["1", "2", "4", nowhere]);
    // What is wrong by itself, and what does not go together.
    let text = "upstream = 'http://a/'\nadmin = 8090\n[limits]\nintake_bytes_max = 1\nunpack_ratio_max = 'x'\n[[tenant]]\n\
                name = 'a/b'\naccounts = [1]\nupstream = 'http://localhost:8090/'\n[[tenant]]\naccounts = ['1']";
    assert_eq!(lines(text), ["2", "4", "4", "5", "6", "7", "10", "10", "10"]);
}

/// Of what is not known nothing is said but that: neither an upstream that is misspelt nor one that is wrong is
/// missing.
#[test]
fn one_mistake_is_told_once() {
    for text in [
        "upstreem = 'us'",
        "upstream = 5",
        "a = ",
        "[tenant]\nname = 'a'",
        "[[tenants]]\nname = 'a'",
        "[[tenant]]\nname = 'a'\nupstream = 'us'\nacounts = [1]",
        "upstream = 'us'\n[[tenant]]\nname = 'a'\nupstream = 'eu'\naccounts = 1",
        "upstream = 'us'\nlisten = 'x'\nadmin = 8090",
        "upstream = 'http://127.0.0.1:8090'\nlisten = 'x'",
        "upstream = 'us'\n[limits]\nbody_bytes_max = 'x'\nintake_bytes_max = 3_500_000",
        "upstream = 'us'\n[limits]\nunpacked_bytes_max = '14 MiB'\n[forward]\nbatch_bytes = 'x'",
    ] {
        assert_eq!(faults(text).len(), 1, "{text}: {:#?}", faults(text));
    }
}

#[test]
fn the_tenant_that_takes_the_rest_comes_first() {
    let tenants =
        "[[tenant]]\nname = 'a'\naccounts = [1]\nupstream = 'eu'\n[[tenant]]\nname = 'b'\nupstream = 'us'";
    let config = good(tenants);
    assert_eq!(config.tenants.iter().map(|tenant| &*tenant.name).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(config.tenants[1].upstream, "https://eu.logx.optimizely.com/v1/events");
    let config =
        good("upstream = 'http://a.example/'\n[[tenant]]\nname = 'a'\nprojects = [1]\nupstream = 'EU'");
    assert_eq!(config.tenants[0].upstream, "http://a.example/");
    assert_eq!(config.tenants[1].projects, ["1"]);
}

#[test]
fn the_environment_is_over_the_file_and_flags_are_over_both() {
    let mut settings = Settings::new();
    settings.text("f", "listen = 1\nadmin = 2\nstrict = true\nupstream = 'us'\n[forward]\nwait = '3s'");
    settings.variables([
        ("POSTHASTE_RELAY_LISTEN", "11"),
        ("POSTHASTE_RELAY_FORWARD_WAIT", "4s"),
        ("POSTHASTE_RELAY_PATHS", "/a,/b"),
        ("POSTHASTE_RELAY_UPSTREAM", ""),
        ("POSTHASTE_RELAY_SERVICE_HOST", "10.0.0.1"),
        ("POSTHASTE_RELAY_PORT", "tcp://10.0.0.1:80"),
        ("POSTHASTE_RELAY_CONFIG", "f"),
        ("POSTHASTE_LOG", "info"),
        ("HOME", "/"),
    ]);
    settings.flag("--listen", "listen", "21");
    let config = settings.config().unwrap();
    assert_eq!((config.listen.port(), config.admin.unwrap().port()), (21, 2));
    assert_eq!((config.forward.wait.as_secs(), config.strict), (4, true));
    assert_eq!(config.paths, ["/a", "/b"]);
    let origins = ["listen", "admin", "forward.wait", "data"].map(|key| settings.origin(key).to_string());
    assert_eq!(origins, ["--listen", "f:2", "POSTHASTE_RELAY_FORWARD_WAIT", "default"]);
}

#[test]
fn a_variable_that_there_is_not_or_that_is_wrong_is_told() {
    let mut settings = Settings::new();
    settings.variables([
        ("POSTHASTE_RELAY_UPSTREEM", "us"),
        ("POSTHASTE_RELAY_STRICT", "yes"),
        ("POSTHASTE_RELAY_LIMITS_HEADERS_MAX", "-1"),
    ]);
    let error = settings.config().unwrap_err();
    assert_eq!(
        error.to_string(),
        "POSTHASTE_RELAY_LIMITS_HEADERS_MAX: limits.headers_max is \"-1\"; give a number, 1 at least\n\
         POSTHASTE_RELAY_STRICT: strict is \"yes\"; give true or false\n\
         POSTHASTE_RELAY_UPSTREEM: there is no such variable: did you mean \"POSTHASTE_RELAY_UPSTREAM\"?"
    );
    assert!(!error.is_usage());
}

#[test]
fn a_wrong_flag_is_wrong_usage() {
    let mut settings = Settings::new();
    settings.flag("--listen", "listen", "nowhere");
    let error = settings.config().unwrap_err();
    assert!(
        error.is_usage() && error.to_string().starts_with("--listen: it is \"nowhere\"; give"),
        "{error}"
    );
    let error = Settings::new().config().unwrap_err();
    assert!(error.is_usage() && error.to_string().starts_with("--upstream: nothing says"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    std::fs::write(&large, "#".repeat((1 << 20) + 1)).unwrap();
    for (path, said) in
        [(folder.path().join("none"), "failed to read it: "), (large, "has more than 1048576 bytes")]
    {
        let mut settings = Settings::new();
        settings.file(&path);
        let error = settings.config().unwrap_err();
        assert!(error.to_string().contains(said) && error.faults().len() == 1, "{error}");
    }
}

#[test]
fn the_defaults_are_those_of_programs() {
    let config = good("upstream = 'us'");
    let of_programs = Config::to("https://logx.optimizely.com/v1/events").on_disk("./posthaste-data");
    let (listen, admin) = (config.listen, config.admin);
    assert_eq!(config, Config { listen, admin, ..of_programs });
    assert_eq!(
        (listen.to_string(), admin.unwrap().to_string()),
        ("127.0.0.1:8090".into(), "127.0.0.1:8091".into())
    );
    assert!(matches!(good("upstream = 'us'\nmemory = true").store, Store::Memory { .. }));
    assert_eq!(good("upstream = 'us'\n[limits]").limits, Limits::default());
}
