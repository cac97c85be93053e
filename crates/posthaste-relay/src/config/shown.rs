//! What is in force as TOML that can be read again, or as JSON; the sample; the table of the documentation.

use std::fmt::{self, Write as _};

use serde_json::{Map, json};

use super::{
    TenantConfig,
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

/// A file with every option, its default and what it is for. The upstream has none, and is `us` there.
pub fn sample() -> String {
    let draft = Draft { upstream: Some("us".to_owned()), ..Draft::default() };
    let mut text = String::from(
        "# posthaste relay --config relay.toml\n#\n# Every option with its default; `upstream` has none. What stands here \
         can be left out.\n# Times: \"500ms\", \"30s\", \"2h\", \"30d\". Sizes: \"64 MiB\", \"10 GB\", 3_500_000.\n",
    );
    for (section, fields) in sections() {
        if let Some((name, about)) = SECTIONS.iter().find(|(name, _)| *name == section) {
            add(&mut text, format_args!("\n# {about}\n[{name}]\n"));
        }
        for field in fields {
            let value = (field.get)(&draft);
            add(&mut text, format_args!("\n# {}\n{} = {}\n", field.about, field.name(), AsToml(&value)));
        }
    }
    text += "\n# Events of some accounts or projects go elsewhere, each tenant's through a queue and a breaker of its own.\n\
             #\n";
    let tenant = TenantConfig {
        name: "europe".to_owned(),
        accounts: vec!["12345".to_owned()],
        projects: Vec::new(),
        upstream: "eu".to_owned(),
    };
    text += "# [[tenant]]\n";
    for field in TENANT_FIELDS {
        let value = (field.get)(&tenant);
        add(&mut text, format_args!("# # {}\n# {} = {}\n", field.about, field.name(), AsToml(&value)));
    }
    text
}

/// The options as a table in Markdown: in the file, in the environment, the default, and what each is for.
pub fn table() -> String {
    let mut text =
        String::from("| in the file | in the environment | default | what it is for |\n|---|---|---|---|\n");
    for field in FIELDS {
        let value = (field.get)(&Draft::default());
        let default = if field.key == "upstream" { String::new() } else { format!("`{}`", AsToml(&value)) };
        add(
            &mut text,
            format_args!("| `{}` | `{}` | {default} | {} |\n", field.key, field.variable(), field.about),
        );
    }
    for field in TENANT_FIELDS {
        add(&mut text, format_args!("| `tenant.{}` | | | {} |\n", field.key, field.about));
    }
    text
}

fn add(text: &mut String, more: fmt::Arguments<'_>) {
    text.write_fmt(more).expect("writing to memory cannot fail");
}

#[cfg(test)]
mod tests;
