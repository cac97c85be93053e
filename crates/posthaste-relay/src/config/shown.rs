//! What is in force as TOML that can be read again, or as JSON.

use std::fmt;

use serde_json::{Map, json};

use super::{
    draft::Draft,
    fields::{FIELDS, Field, SECTIONS, TENANT_FIELDS},
    settings::Settings,
    value::AsToml,
};

/// Each value with where it comes from: TOML that can be read again. What may be secret in a URL is hidden.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (section, fields) in sections() {
            if !section.is_empty() {
                writeln!(f, "\n[{section}]")?;
            }
            for field in fields {
                let line = format!("{} = {}", field.name(), AsToml(&(field.get)(&self.draft)));
                writeln!(f, "{line:<45} # {}", self.origin(field.key))?;
            }
        }
        for (line, tenant) in &self.draft.tenants {
            writeln!(f, "\n[[tenant]] # {}", self.line(*line))?;
            for field in TENANT_FIELDS {
                writeln!(f, "{} = {}", field.name(), AsToml(&(field.get)(tenant)))?;
            }
        }
        Ok(())
    }
}

impl Settings {
    /// The same as JSON: the values (`config`), and where those come from that are no defaults (`from`).
    pub fn to_json(&self) -> serde_json::Value {
        let mut config = Map::new();
        for (section, fields) in sections() {
            let of = |field: &&Field<Draft>| (field.name().to_owned(), json!((field.get)(&self.draft)));
            let values: Map<_, _> = fields.iter().map(of).collect();
            if section.is_empty() {
                config.extend(values);
            } else {
                drop(config.insert(section.to_owned(), values.into()));
            }
        }
        let tenants = self.draft.tenants.iter().map(|(_, tenant)| {
            TENANT_FIELDS
                .iter()
                .map(|field| (field.name(), json!((field.get)(tenant))))
                .collect::<serde_json::Value>()
        });
        config.insert("tenant".to_owned(), tenants.collect());
        json!({"config": config, "from": self.origins})
    }
}

/// The fields of each table, in order; those of none first.
fn sections() -> impl Iterator<Item = (&'static str, Vec<&'static Field<Draft>>)> {
    let names = std::iter::once("").chain(SECTIONS.iter().map(|(name, _)| *name));
    names.map(|name| (name, FIELDS.iter().filter(|field| field.section() == name).collect()))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod written;
