//! `posthaste relay check`: whether a relay would start, and what it would do.

use std::fmt;

use posthaste_relay::config::Found;
use serde::Serialize;

use super::{flags::Flags, plan::Plan};
use crate::common::{
    exit::{Exit, Failure},
    output::{Audience, Output, counted},
};

#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    plan: Plan,
    /// Tokens that are known; `None`: nobody needs one.
    tokens: Option<usize>,
    /// Accounts that are on the list; `None`: there is none.
    accounts: Option<usize>,
    /// Tenants whose events the folder holds.
    tenants_found: Vec<String>,
}

pub(super) fn run(flags: &Flags) -> Result<Exit, Failure> {
    let (config, found): (_, Found) = flags.settings().try_out()?;
    Output::new(Audience::of(flags.json)).result(&Checked {
        plan: Plan::of(&config),
        tokens: found.tokens,
        accounts: found.accounts,
        tenants_found: found.tenants,
    });
    Ok(Exit::Fine)
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = |count: Option<usize>, one, many| count.map(|count| counted(count as u64, one, many));
        let tokens = many(self.tokens, "token", "tokens").unwrap_or("anybody".to_owned());
        let accounts = many(self.accounts, "account", "accounts").unwrap_or("every account".to_owned());
        for line in self.plan.lines() {
            writeln!(f, "{line}")?;
        }
        write!(f, "takes events of {accounts}, from {tokens}")?;
        if !self.tenants_found.is_empty() {
            write!(f, "\nfound in the folder: {}", self.tenants_found.join(", "))?;
        }
        Ok(())
    }
}
