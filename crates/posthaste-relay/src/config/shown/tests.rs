use std::fmt::Debug;

use super::{
    written::{sample, table},
    *,
};
use crate::config::{
    AccessConfig, Config, DeadLetterLimits, Forward, Limits, Nats, Outage, Repeats, TenantConfig,
};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/relay.toml");
const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/RELAY.md");

fn read(text: &str) -> Settings {
    let mut settings = Settings::new();
    settings.text("relay.toml", text);
    settings
}

/// The names of a struct's fields, as its `Debug` writes them.
fn names(section: &str, value: &impl Debug) -> Vec<String> {
    let text = format!("{value:#?}");
    let fields = text.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": "));
    let own = fields.filter(|(name, _)| !name.starts_with([' ', ']', '}']));
    own.map(|(name, _)| format!("{section}{name}")).collect()
}

/// A field of the config that is not on the list could be set nowhere.
#[test]
fn every_field_of_the_config_is_an_option() {
    let config = Config::to("");
    let sections = ["forward", "outage", "dead_letters", "repeats", "nats", "access", "limits"];
    let of_config = names("", &config).into_iter().filter(|name| !sections.contains(&&**name));
    let mut all: Vec<String> = of_config.filter(|name| name != "store" && name != "tenants").collect();
    all.extend(["upstream", "data", "memory", "disk_bytes_max", "memory_bytes_max"].map(str::to_owned));
    all.extend(names("forward.", &Forward::default()));
    all.extend(names("outage.", &Outage::default()));
    all.extend(names("dead_letters.", &DeadLetterLimits::default()));
    all.extend(names("repeats.", &Repeats::default()));
    all.extend(names("nats.", &Nats::default()));
    all.extend(names("access.", &AccessConfig::default()));
    all.extend(names("limits.", &Limits::default()));
    all.sort();
    let mut options: Vec<&str> = FIELDS.iter().map(|field| field.key).collect();
    options.sort_unstable();
    assert_eq!(options, all);
    let mut of_tenants: Vec<&str> = TENANT_FIELDS.iter().map(|field| field.key).collect();
    of_tenants.sort_unstable();
    let mut all = names("", &TenantConfig::default_to(""));
    all.sort();
    assert_eq!(of_tenants, all);
}

#[test]
fn the_sample_has_every_option_with_its_default() {
    let file = std::fs::read_to_string(SAMPLE).unwrap();
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        std::fs::write(SAMPLE, sample()).unwrap();
    }
    assert_eq!(file, sample(), "INSTA_UPDATE=always writes docs/relay.toml anew");
    let settings = read(&file);
    let of_nothing = read("upstream = 'us'").config().unwrap();
    assert_eq!(settings.config().unwrap(), of_nothing);
    for field in FIELDS {
        assert_ne!(settings.origin(field.key), crate::config::Origin::Default, "{} is missing", field.key);
    }
    // What is commented out is right as well.
    let (before, tenant) = file.split_once("# [[tenant]]").unwrap();
    let tenant: String = tenant.lines().map(|line| line.trim_start_matches("# ").to_owned() + "\n").collect();
    let keys = |line: &&str| line.contains(" = ");
    let lines: Vec<&str> = tenant.lines().filter(keys).collect();
    let config = read(&format!("{before}[[tenant]]\n{}", lines.join("\n"))).config().unwrap();
    assert_eq!((config.tenants.len(), lines.len()), (2, TENANT_FIELDS.len()));
}

#[test]
fn the_guide_has_the_table_of_options() {
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let (before, rest) = guide.split_once("<!-- options -->\n").unwrap();
    let (there, after) = rest.split_once("<!-- end of options -->").unwrap();
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        let anew = format!("{before}<!-- options -->\n{}<!-- end of options -->{after}", table());
        std::fs::write(GUIDE, anew).unwrap();
    }
    assert_eq!(there, table(), "INSTA_UPDATE=always writes the table of docs/RELAY.md anew");
}

#[test]
fn what_is_shown_is_read_as_the_same() {
    let text = "upstream = 'https://a.example/x'\nlisten = '0.0.0.0:0'\nadmin = 'none'\npaths = ['/a']\n[forward]\n\
                drain_rate = 'none'\n[access]\ntokens_file = 'a \"b\"'\naccounts = [1, 2]\n[[tenant]]\nname = 'x'\n\
                projects = [3]\nupstream = 'eu'";
    let settings = read(text);
    let again = read(&settings.to_string());
    assert_eq!(again.config().unwrap(), settings.config().unwrap(), "{settings}");
    assert_eq!(again.to_json()["config"], settings.to_json()["config"]);
    let shown = settings.to_string();
    assert!(shown.contains("upstream = \"https://a.example/x\"              # relay.toml:1\n"), "{shown}");
    assert!(shown.contains("\n[[tenant]] # relay.toml:10\n"), "{shown}");
    let json = settings.to_json();
    assert_eq!(json["config"]["access"]["accounts"], json!(["1", "2"]));
    assert_eq!((&json["from"]["admin"], &json["from"]["data"]), (&json!("relay.toml:3"), &json!(null)));
}

#[test]
fn secrets_of_urls_are_not_shown() {
    let settings = read(
        "upstream = 'https://a.example/?key=secret'\n[[tenant]]\nname = 'x'\naccounts = [1]\nupstream = 'http://me:secret@b/'",
    );
    let shown = format!("{settings}{}", settings.to_json());
    assert!(!shown.contains("secret") && shown.contains("https://a.example/?***"), "{shown}");
}
