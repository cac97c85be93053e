//! Whether what a config names is there: its files can be read, and its folder can be written. Nothing is changed.

use super::{
    Config, Nats, Settings, Store,
    fault::{ConfigError, Fault},
};
use crate::{access, tenants};

/// What a config's files and folder hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Found {
    /// Tokens that are known; `None`: nobody needs one.
    pub tokens: Option<usize>,
    /// Accounts that are on the list; `None`: events of all are taken.
    pub accounts: Option<usize>,
    /// Tenants whose events the folder holds.
    pub tenants: Vec<String>,
}

impl Settings {
    /// What is in force, and what its files and its folder hold; or everything that is wrong with any of it. A relay
    /// with this config would start, if its addresses are free and no other has its folder.
    pub fn try_out(&self) -> Result<(Config, Found), ConfigError> {
        let config = self.draft.config();
        let mut trial = Trial { settings: self, faults: self.faults() };
        let (tokens, accounts) = trial.access(&config);
        trial.nats(&config);
        let found = Found { tokens, accounts, tenants: trial.folder(&config) };
        if trial.faults.is_empty() { Ok((config, found)) } else { Err(ConfigError::new(trial.faults)) }
    }
}

struct Trial<'a> {
    settings: &'a Settings,
    faults: Vec<Fault>,
}

impl Trial<'_> {
    /// What this option names, or a fault there.
    fn of<T, E: std::error::Error>(&mut self, key: &str, found: Result<T, E>) -> Option<T> {
        let fault = |error: E| Fault::of_what_is_named(self.settings.origin(key), error.to_string());
        found.map_err(|error| self.faults.push(fault(error))).ok()
    }

    /// How many tokens and accounts there are.
    fn access(&mut self, config: &Config) -> (Option<usize>, Option<usize>) {
        let tokens = config.access.tokens_file.as_deref().map(access::tokens_in);
        let tokens = tokens.and_then(|tokens| self.of("access.tokens_file", tokens));
        let more = config.access.accounts_file.as_deref().map(access::accounts_in);
        let more = more.and_then(|more| self.of("access.accounts_file", more)).unwrap_or_default();
        let accounts: std::collections::BTreeSet<_> = config.access.accounts.iter().chain(&more).collect();
        (tokens.map(|tokens| tokens.len()), Some(accounts.len()).filter(|count| *count > 0))
    }

    /// Whether what says who the relay is to NATS can be read.
    fn nats(&mut self, config: &Config) {
        if config.queue.is_none() {
            return;
        }
        let Nats { creds_file, nkey_file, ca_file, cert_file, key_file, .. } = &config.nats;
        for (key, path) in [
            ("nats.creds_file", creds_file),
            ("nats.nkey_file", nkey_file),
            ("nats.ca_file", ca_file),
            ("nats.cert_file", cert_file),
            ("nats.key_file", key_file),
        ] {
            if let Some(path) = path {
                let said =
                    |error| std::io::Error::other(format!("failed to read {}: {error}", path.display()));
                self.of(key, std::fs::File::open(path).map_err(said));
            }
        }
    }

    /// The tenants that the folder has.
    fn folder(&mut self, config: &Config) -> Vec<String> {
        let Store::Disk { folder, .. } = &config.store else { return Vec::new() };
        if !config.keeps() {
            return Vec::new();
        }
        if !self.settings.is_sure(&["data", "memory"]) {
            return Vec::new();
        }
        let own = config.tenants.iter().map(|tenant| tenant.name.clone()).filter(|name| !name.is_empty());
        if self.of("data", tenants::check_writable(folder, &own.collect::<Vec<_>>())).is_none() {
            return Vec::new();
        }
        let found = self.of("data", tenants::tenants_in(folder)).unwrap_or_default();
        let found: Vec<String> = found.into_iter().map(|tenant| tenant.about.name).collect();
        self.of("data", tenants::check_writable(folder, &found));
        found
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn settings(text: &str) -> Settings {
        let mut settings = Settings::new();
        settings.text("relay.toml", text);
        settings
    }

    fn with_data(data: &Path) -> Settings {
        settings(&format!("upstream = 'us'\ndata = {data:?}"))
    }

    #[test]
    fn a_folder_is_tried_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for data in [folder.path().join("not/there"), folder.path().to_owned()] {
            assert_eq!(with_data(&data).try_out().unwrap().1, Found::default());
        }
        let error = with_data(&file.join("below")).try_out().unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with("relay.toml:2: failed to write to ") && said.contains("file"), "{said}");
        assert!(!error.is_usage());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn values_and_what_they_name_are_told_in_one_round_each_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let text = format!(
            "strict = 1\ndata = {:?}\nadmin = 8090\n[forward]\nbatch_bytes = '20 MiB'\n[access]\ntokens_file = \
             '/none/tokens'\naccounts_file = '/none/accounts'\n[limits]\nheaders_max = 0\n[[tenant]]\nname = 'a'\n\
             accounts = ['1']\nupstream = 'ftp://a/'\n[[tenant]]\nname = 'a'\naccounts = ['1']\n[[tenant]]\n\
             name = 'rest'\nupstream = 'http://127.0.0.1:8090/'",
            file.join("below")
        );
        let error = settings(&text).try_out().unwrap_err();
        let lines: Vec<String> = error.faults().iter().map(|fault| fault.origin().to_string()).collect();
        // Of the tenants: an address, a name twice, an account twice, no upstream, and one that is the relay itself.
        let expected = [1, 2, 3, 5, 5, 7, 8, 10, 11, 15, 15, 15, 18].map(|line| format!("relay.toml:{line}"));
        assert_eq!(lines, expected, "{error}");
    }
}
