//! The parameters of a request, in its path and query, as axum hands them over.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::reply::{self, Reply};
use crate::Error;
use crate::net::percent;
use crate::net::request::{Parameters, not_text};

/// The ids in a request's path, decoded.
pub(super) struct InPath<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<InPath<T>, Reply> {
        let read = Path::<T>::from_request_parts(parts, state).await;
        read.map(|Path(ids)| InPath(ids)).map_err(|why| {
            let odd = parts.uri.path().split('/').find(|part| percent::decode(part).is_none());
            let text = || Error::invalid(format!("the path is not understood: {why}"));
            reply::error(&odd.map_or_else(text, |part| not_text("the path's part", part)))
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Parameters, Reply> {
        Parameters::parse(parts.uri.query()).map_err(|error| reply::error(&error))
    }
}
