//! `posthaste man`: the manual, made of what the commands say of themselves.

use std::{io, path::PathBuf};

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
            Output::new(Audience::People).say(String::from_utf8_lossy(&page).trim_end());
        }
        Some(dir) => {
            let write = || -> io::Result<()> {
                std::fs::create_dir_all(dir)?;
                clap_mangen::generate_to(command_line, dir)
            };
            write().map_err(|source| Failure::Write { path: dir.clone(), source })?;
        }
    }
    Ok(Exit::Fine)
}
