//! The collector as its users meet it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod api;
mod bounds;
mod data;
mod expect;
mod faults;
mod faults_http2;
mod forward;
mod guard;
mod hostile;
mod http;
mod larkspur;
mod page;
mod parallel;
mod problems;
mod project;
mod running;
mod stream;
mod summary;
mod support;
mod vectors;
