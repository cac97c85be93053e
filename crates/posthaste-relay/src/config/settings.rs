//! A config in the making: defaults, a file over them, the environment over that, and flags over all.
//!
//! Invariant: what is wrong is collected, so that all of it is told at once, each once: of an option whose value is not
//! known nothing else is said. A config comes out only where nothing is wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use posthaste::project::NearMisses;

use super::{
    Config, TenantConfig, check,
    draft::Draft,
    fault::{ConfigError, Fault, Origin},
    fields::{FIELDS, Field, SECTIONS, TENANT_FIELDS, is_ours},
    file::{self, Entry},
    value::Value,
};

/// Bytes of a config file, at most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A config in the making.
///
/// ```
/// use posthaste_relay::config::Settings;
///
/// let mut settings = Settings::new();
/// settings.text("relay.toml", "upstream = 'eu'\n[limits]\nhead_timeout = '3s'");
/// settings.variables([("POSTHASTE_RELAY_LISTEN", "0.0.0.0:8090")]);
/// settings.flag("--strict", "strict", "true");
/// let config = settings.config()?;
/// assert_eq!(config.tenants[0].upstream, "https://eu.logx.optimizely.com/v1/events");
/// assert_eq!(config.limits.head_timeout.as_secs(), 3);
///
/// settings.text("relay.toml", "\nlisen = 80");
/// let error = settings.config().unwrap_err();
/// assert_eq!(error.to_string(), r#"relay.toml:2: there is no "lisen": did you mean "listen"?"#);
/// # Ok::<(), posthaste_relay::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub(super) draft: Draft,
    /// Where each value comes from that is no default.
    pub(super) origins: BTreeMap<&'static str, Origin>,
    file: Option<PathBuf>,
    faults: Vec<Fault>,
    /// Options that were given, or meant, and are not known for that: nothing else is said of them.
    unsure: BTreeSet<&'static str>,
    /// Lines of tenants of which no upstream is said.
    without_upstream: Vec<usize>,
}

/// What all tenants together are called among options.
const TENANTS: &str = "tenant";

impl Settings {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a file says.
    pub fn file(&mut self, path: &Path) {
        match read(path) {
            Ok(text) => self.text(path, &text),
            Err(error) => {
                self.knows_nothing();
                self.fault(
                    Origin::File { path: path.to_owned(), line: 0 },
                    format!("failed to read it: {error}; check the path and its permissions"),
                );
            }
        }
    }

    /// What a file of this name says.
    pub fn text(&mut self, path: impl Into<PathBuf>, text: &str) {
        let path = path.into();
        self.file = Some(path.clone());
        let at = |line| Origin::File { path: path.clone(), line };
        let found = match file::entries(text) {
            Ok(found) => found,
            Err(no_toml) => {
                self.knows_nothing();
                return self.fault(at(no_toml.line), format!("it is no TOML: {}", no_toml.problem));
            }
        };
        let is_known = |section: &str| SECTIONS.iter().any(|(known, _)| *known == section);
        for (section, line) in &found.sections {
            if section == TENANTS {
                self.unsure.insert(TENANTS);
                self.fault(at(*line), "a tenant begins with [[tenant]], in two brackets");
            } else if !is_known(section) {
                self.fault(at(*line), unknown(section, SECTIONS.iter().map(|(known, _)| *known)));
            }
        }
        for Entry { key, value, line } in found.fields {
            if key.split_once('.').is_none_or(|(section, _)| is_known(section)) {
                self.set(at(line), &key, &value);
            }
        }
        for tenant in found.tenants {
            self.tenant(&at, tenant);
        }
    }

    /// What variables of the environment say. An empty one says nothing.
    pub fn variables<N: Into<OsString>, V: Into<OsString>>(
        &mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) {
        let mut ours: Vec<(String, OsString)> = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into().into_string().ok()?, value.into())))
            .filter(|(name, value)| is_ours(name) && !value.is_empty())
            .collect();
        ours.sort_unstable();
        for (name, value) in ours {
            let origin = Origin::Environment(name.clone());
            let field = FIELDS.iter().find(|field| field.variable() == name);
            match (field, value.into_string()) {
                (Some(field), Ok(value)) => self.set(origin, field.key, &Value::Word(value)),
                (Some(_), Err(_)) => self.fault(origin, "it is not UTF-8; write it anew"),
                (None, _) => {
                    let names: Vec<String> = FIELDS.iter().map(Field::variable).collect();
                    let near = NearMisses::of(&name, names.iter().map(String::as_str));
                    let is_meant = |field: &&Field<Draft>| near.keys().any(|key| key == field.variable());
                    self.unsure.extend(FIELDS.iter().filter(is_meant).map(|field| field.key));
                    self.fault(origin, format!("there is no such variable{}", hint(&near)));
                }
            }
        }
    }

    /// What a flag says of a field.
    pub fn flag(&mut self, flag: &'static str, key: &'static str, value: &str) {
        self.set(Origin::Flag(flag), key, &Value::Word(value.to_owned()));
    }

    /// What is in force; or everything that is wrong.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let faults = self.faults();
        if faults.is_empty() { Ok(self.draft.config()) } else { Err(ConfigError::new(faults)) }
    }

    /// Everything that is wrong, as far as values tell.
    pub(super) fn faults(&self) -> Vec<Fault> {
        [self.faults.clone(), check::faults(self)].concat()
    }

    /// Whether all of these are known: they are as they were given, or nobody said anything.
    pub(super) fn is_sure(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| !self.unsure.contains(key))
    }

    /// Whether all that was said of upstreams is known.
    pub(super) fn is_sure_of_tenants(&self) -> bool {
        self.is_sure(&["upstream", TENANTS])
    }

    /// Where tenants stand of which no upstream is said. Whether they need one hangs on the relay's role.
    pub(super) fn without_upstream(&self) -> &[usize] {
        &self.without_upstream
    }

    /// A file may have said anything.
    fn knows_nothing(&mut self) {
        self.unsure.extend(FIELDS.iter().map(|field| field.key));
        self.unsure.insert(TENANTS);
    }

    /// Where the value comes from.
    pub(super) fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or_default()
    }

    /// Where the first of these comes from that is no default; the last one's, where all are.
    pub(super) fn origin_of(&self, keys: &[&str]) -> Origin {
        keys.iter().find_map(|key| self.origins.get(*key)).cloned().unwrap_or_default()
    }

    /// A line of the file; where there is none, of the flags.
    pub(super) fn line(&self, line: usize) -> Origin {
        match &self.file {
            Some(path) => Origin::File { path: path.clone(), line },
            None => Origin::Flag("--upstream"),
        }
    }

    fn set(&mut self, origin: Origin, key: &str, value: &Value) {
        let Some(field) = FIELDS.iter().find(|field| field.key == key) else {
            self.unsure.extend(meant(key));
            return self.fault(origin, unknown_key(key));
        };
        match (field.set)(&mut self.draft, value) {
            Ok(()) => {
                // What counts for more makes up for what was wrong.
                self.unsure.remove(field.key);
                self.origins.insert(field.key, origin);
            }
            Err(wanted) => {
                // A flag names itself.
                let what = if matches!(origin, Origin::Flag(_)) { "it" } else { field.key };
                self.unsure.insert(field.key);
                self.fault(origin, wrong(what, value, &wanted));
            }
        }
    }

    /// Takes it as far as it goes, so that what else is wrong with it is found as well.
    fn tenant(&mut self, at: &impl Fn(usize) -> Origin, given: file::Tenant) {
        let mut tenant = TenantConfig { name: String::new(), ..TenantConfig::default_to("") };
        let before = self.faults.len();
        let has = |needed: &str| given.entries.iter().any(|entry| entry.key == needed);
        if !has("name") {
            self.fault(at(given.line), lacks("name"));
        }
        if !has("upstream") {
            self.without_upstream.push(given.line);
        }
        for Entry { key, value, line } in given.entries {
            let Some(field) = TENANT_FIELDS.iter().find(|field| field.key == key) else {
                let keys = TENANT_FIELDS.iter().map(|field| field.key);
                self.fault(at(line), unknown(&format!("tenant.{key}"), keys));
                continue;
            };
            if let Err(wanted) = (field.set)(&mut tenant, &value) {
                self.fault(at(line), wrong(&format!("tenant.{key}"), &value, &wanted));
            }
        }
        if self.faults.len() > before {
            self.unsure.insert(TENANTS);
        }
        self.draft.tenants.push((given.line, tenant));
    }

    fn fault(&mut self, origin: Origin, text: impl Into<String>) {
        self.faults.push(Fault::new(origin, text));
    }
}

/// A file that is too large to be one is not read to its end.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!(
            "it has more than {FILE_BYTES_MAX} bytes: is it the right file?"
        )));
    }
    Ok(text)
}

/// What is missing of a tenant.
pub(super) fn lacks(needed: &str) -> String {
    format!("a tenant has no {needed}; write {needed} = \"…\" below [[tenant]]")
}

fn wrong(key: &str, value: &Value, wanted: &str) -> String {
    format!("{key} is {value}; {wanted}")
}

/// The options that an unknown key may have been meant for.
fn meant(key: &str) -> Vec<&'static str> {
    let name = key.rsplit('.').next().unwrap_or(key);
    let near = NearMisses::of(name, FIELDS.iter().map(Field::name));
    let is_meant = |field: &&Field<Draft>| near.keys().any(|key| key == field.name());
    let tenants = key.starts_with(TENANTS).then_some(TENANTS);
    FIELDS.iter().filter(is_meant).map(|field| field.key).chain(tenants).collect()
}

/// A key may be a misspelt one, or stand in the wrong table.
fn unknown_key(key: &str) -> String {
    if SECTIONS.iter().any(|(section, _)| *section == key) {
        return format!("{key} is a table; write [{key}], and its options below");
    }
    let name = key.rsplit('.').next().unwrap_or(key);
    match FIELDS.iter().find(|field| field.name() == name) {
        Some(field) if field.section().is_empty() => {
            format!("there is no {key:?}: did you mean {name:?}? That stands above the first [table]")
        }
        Some(field) => {
            format!("there is no {key:?}: did you mean {:?}? That stands in [{}]", name, field.section())
        }
        None => unknown(key, FIELDS.iter().map(|field| field.key)),
    }
}

fn unknown<'a>(key: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let within = key.rsplit('.').next().unwrap_or(key);
    let mut near = NearMisses::of(key, known.clone());
    if near.keys().len() == 0 {
        near = NearMisses::of(within, known);
    }
    format!("there is no {key:?}{}", hint(&near))
}

fn hint(near: &NearMisses) -> String {
    if near.keys().len() == 0 {
        "; `posthaste relay config` shows all that there are".to_owned()
    } else {
        near.to_string()
    }
}

#[cfg(test)]
mod tests;
