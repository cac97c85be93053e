//! What is written of the options in `docs/`: the sample, and the table. Tests hold the files against these.

use std::fmt::{self, Write as _};

use super::sections;
use crate::config::{
    TenantConfig,
    draft::Draft,
    fields::{FIELDS, SECTIONS, TENANT_FIELDS},
    value::AsToml,
};

/// A file with every option, its default and what it is for. The upstream has none, and is `us` there.
pub(super) fn sample() -> String {
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
pub(super) fn table() -> String {
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
