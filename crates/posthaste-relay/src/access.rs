//! Who may post: bearer tokens and accounts, read from files, and read anew when the relay is told to.
//!
//! Invariants: a token is never printed; tokens are compared in a time that tells nothing of them; what is read anew
//! takes the place of what was there as a whole, or not at all.

use std::{
    collections::BTreeSet,
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use parking_lot::RwLock;

use crate::config::AccessConfig;

/// Bytes of a file of tokens or accounts, at most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why the files of tokens or accounts cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// It cannot be read.
    #[error("failed to read {path:?}: {source}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is too large to be one.
    #[error("{path:?} has more than {FILE_BYTES_MAX} bytes: is it the right file?")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in it: everybody would be locked out.
    #[error("{path:?} names nobody; write one on each line, or leave the option out")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A line is not what it should be.
    #[error("{path:?}:{line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
}

/// What is in force.
#[derive(Debug)]
pub(crate) struct Access {
    config: AccessConfig,
    rules: RwLock<Arc<Rules>>,
}

/// What a file said.
#[derive(Default)]
pub(crate) struct Rules {
    /// `None`: nobody needs one.
    tokens: Option<Vec<String>>,
    /// `None`: all.
    accounts: Option<BTreeSet<String>>,
}

impl Access {
    pub(crate) fn open(config: AccessConfig) -> Result<Self, AccessError> {
        let rules = Rules::read(&config)?;
        Ok(Self { config, rules: RwLock::new(Arc::new(rules)) })
    }

    /// Reads the files anew. Where one cannot be used, everything stays as it was. Each time is told in the log.
    pub(crate) fn reload(&self) -> Result<(), AccessError> {
        match Rules::read(&self.config) {
            Ok(rules) => {
                let (tokens, accounts) = (rules.tokens(), rules.accounts());
                *self.rules.write() = Arc::new(rules);
                tracing::info!(tokens, accounts, "tokens and accounts were read anew");
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "tokens and accounts could not be read anew; those of before stay in force");
                Err(error)
            }
        }
    }

    /// What is in force now: for one request, from its beginning to its end.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read())
    }
}

impl Rules {
    fn read(config: &AccessConfig) -> Result<Self, AccessError> {
        let tokens = config.tokens_file.as_deref().map(tokens_in).transpose()?;
        let mut accounts: BTreeSet<String> = config.accounts.iter().cloned().collect();
        if let Some(path) = &config.accounts_file {
            accounts.extend(accounts_in(path)?);
        }
        let accounts = (!accounts.is_empty()).then_some(accounts);
        Ok(Self { tokens, accounts })
    }

    /// Whether the request brings a token that is known, or needs none.
    pub(crate) fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Some(tokens) = &self.tokens else { return true };
        let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).and_then(bearer);
        // Every token is looked at, whichever it is.
        given.is_some_and(|given| {
            tokens.iter().fold(false, |known, token| known | same(token.as_bytes(), given))
        })
    }

    /// How many tokens are known; `None`: nobody needs one.
    pub(crate) fn tokens(&self) -> Option<usize> {
        self.tokens.as_ref().map(Vec::len)
    }

    /// How many accounts are on the list; `None`: there is no list.
    pub(crate) fn accounts(&self) -> Option<usize> {
        self.accounts.as_ref().map(BTreeSet::len)
    }

    /// Whether events of this account are taken.
    pub(crate) fn takes(&self, account: &str) -> bool {
        self.accounts.as_ref().is_none_or(|accounts| accounts.contains(account))
    }
}

/// The tokens of a file.
pub(crate) fn tokens_in(path: &Path) -> Result<Vec<String>, AccessError> {
    lines(path, check_token)
}

/// The accounts of a file.
pub(crate) fn accounts_in(path: &Path) -> Result<Vec<String>, AccessError> {
    lines(path, check_account)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Whether the two are the same, in a time that depends on the length of what was given alone.
fn same(token: &[u8], given: &[u8]) -> bool {
    let padded = token.iter().copied().chain(std::iter::repeat(0));
    let difference = given.iter().zip(padded).fold(0, |difference, (one, other)| difference | (one ^ other));
    // Both are looked at, whatever the first says.
    (std::hint::black_box(difference) == 0) & (token.len() == given.len())
}

fn lines(path: &Path, check: fn(&str) -> Result<(), &'static str>) -> Result<Vec<String>, AccessError> {
    let text = read(path).map_err(|source| AccessError::Read { path: path.to_owned(), source })?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(AccessError::TooLarge { path: path.to_owned() });
    }
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line_text = line.trim();
        if line_text.is_empty() || line_text.starts_with('#') {
            continue;
        }
        check(line_text).map_err(|problem| AccessError::Line {
            path: path.to_owned(),
            line: at + 1,
            problem,
        })?;
        found.push(line_text.to_owned());
    }
    if found.is_empty() { Err(AccessError::Empty { path: path.to_owned() }) } else { Ok(found) }
}

/// The file, or more of it than one may have.
fn read(path: &Path) -> io::Result<String> {
    // It is read again and again, so a pipe will not do; and opening one waits for whoever writes to it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn check_token(token: &str) -> Result<(), &'static str> {
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err("a token has no spaces, and nothing but ASCII; write one on each line")
    } else if token.len() < 16 {
        Err("a token shorter than 16 characters is easily guessed; make one with `openssl rand -hex 32`")
    } else {
        Ok(())
    }
}

fn check_account(account: &str) -> Result<(), &'static str> {
    let is_id = account.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_id { Ok(()) } else { Err("not an account id; write one on each line") }
}

/// Tokens are never printed.
impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("tokens", &self.tokens.as_ref().map(Vec::len))
            .field("accounts", &self.accounts)
            .finish()
    }
}

#[cfg(test)]
mod tests;
