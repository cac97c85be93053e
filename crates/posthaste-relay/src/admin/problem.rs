//! Why a question has no answer: what the asker did wrong, or what does not answer here.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::Admin;
use crate::tail::LISTENERS_MAX;

#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("the disk does not answer, or too many ask it; GET /readyz says how it is")]
    Busy,
    #[error("there is no tenant {name:?}; there is {}", known.join(", "))]
    NoSuchTenant { name: String, known: Vec<String> },
    #[error(
        "there is no reason {0:?}; posthaste_relay_events_dead_lettered_total in GET /metrics has all of them"
    )]
    NoSuchReason(String),
    #[error("after={0:?} is no place: leave it out at first, then give what the last answer said is `next`")]
    NoPlace(String),
    #[error("limit={0} is no number of letters: give 1 to {1}")]
    NoLimit(usize, usize),
    #[error("{LISTENERS_MAX} are listening already, as many as may; end one of them")]
    TooManyListeners,
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::Busy | Self::TooManyListeners => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoSuchTenant { .. } => StatusCode::NOT_FOUND,
            Self::NoSuchReason(_) | Self::NoPlace(_) | Self::NoLimit(..) => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status(), format!("{self}\n")).into_response()
    }
}

impl Admin {
    /// Where a tenant is named, there has to be one of this name.
    pub(super) fn check_tenant(&self, name: Option<&str>) -> Result<(), Problem> {
        let tenants = self.relay().tenants();
        match name.filter(|name| tenants.named(name).is_none()) {
            None => Ok(()),
            Some(name) => {
                let known = tenants.iter().map(|tenant| tenant.name().to_owned()).collect();
                Err(Problem::NoSuchTenant { name: name.to_owned(), known })
            }
        }
    }
}
