//! `posthaste man`: the manual, made of what the commands say of themselves.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap_mangen::Man;

use crate::common::{
    exit::{Exit, Failure},
    output::{Audience, Output},
};

/// Write man pages
///
/// Without --dir, the page of posthaste itself goes to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste man | man -l -
  posthaste man --dir ~/.local/share/man/man1 && man posthaste-send")]
pub(crate) struct ManArgs {
    /// Write a page for each command into this folder, which is made if need be
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Of this command line.
pub(crate) fn run(args: &ManArgs, command_line: clap::Command) -> Result<Exit, Failure> {
    match &args.dir {
        None => {
            let mut page = Vec::new();
            Man::new(command_line.disable_help_subcommand(true)).render(&mut page)?;
            let page = with_lines_kept(&String::from_utf8_lossy(&page));
            Output::new(Audience::People).say(page.trim_end());
        }
        Some(dir) => {
            let write = || -> io::Result<()> {
                std::fs::create_dir_all(dir)?;
                clap_mangen::generate_to(command_line, dir)?;
                std::fs::read_dir(dir)?.try_for_each(|page| keep_lines_of(&page?.path()))
            };
            write().map_err(|source| Failure::Write { path: dir.clone(), source })?;
        }
    }
    Ok(Exit::Fine)
}

/// Of a page of ours.
fn keep_lines_of(path: &Path) -> io::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !(name.starts_with("posthaste") && name.ends_with(".1")) {
        return Ok(());
    }
    let page = std::fs::read_to_string(path)?;
    let kept = with_lines_kept(&page);
    if kept == page { Ok(()) } else { std::fs::write(path, kept) }
}

/// What follows the options is mostly examples: their lines stay as they are, neither filled nor hyphenated.
fn with_lines_kept(page: &str) -> String {
    const EXTRA: &str = ".SH EXTRA\n";
    let Some((before, rest)) = page.split_once(EXTRA) else { return page.to_owned() };
    let end = rest.find("\n.SH ").map_or(rest.len(), |at| at + 1);
    let (examples, after) = rest.split_at(end);
    format!("{before}.SH EXAMPLES\n.nf\n{}\n.fi\n{after}", examples.trim_end())
}
