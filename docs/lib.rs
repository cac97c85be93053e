//! The code in the repository's documents, compiled by the tests; and their promises, held against the tests.
//!
//! It is here and not in the library, because a published package has no folder above it: each of those compiles a
//! README of its own.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod promises;
