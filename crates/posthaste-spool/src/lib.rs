//! posthaste.
