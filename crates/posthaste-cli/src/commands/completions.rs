//! `posthaste completions`: what a shell needs to complete commands and options.

use crate::common::{
    exit::Exit,
    output::{Audience, Output},
};

/// Write a shell's completions to standard output
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste completions bash > \\
      ~/.local/share/bash-completion/completions/posthaste
  posthaste completions zsh > \"${fpath[1]}/_posthaste\"")]
pub(crate) struct CompletionsArgs {
    /// Which shell
    shell: clap_complete::Shell,
}

/// Of this command line.
pub(crate) fn run(args: &CompletionsArgs, mut command_line: clap::Command) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command_line, "posthaste", &mut script);
    Output::new(Audience::People).say(String::from_utf8_lossy(&script).trim_end());
    Exit::Fine
}
