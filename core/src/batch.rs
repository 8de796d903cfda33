//! Batches: the same verbs, many at a time. Each request stands for itself; what is gained is time, since the
//! cache lines of one are on their way while those of others are used.

use std::time::Duration;

use crate::claim::Claim;
use crate::error::Result;
use crate::key::{Identity, Place};
use crate::limits;
use crate::outcome::Outcome;
use crate::request::{Request, Response};
use crate::store::Store;

/// Requests whose lines are on their way at a time: about as many as a core can wait for.
const GROUP: usize = 16;

impl Store {
    /// [`begin`](Store::begin) for each of these requests, 1 to 4,096, in their order: one answer for each. A
    /// key that comes twice is begun by the first and `InProgress` for the second.
    ///
    /// # Errors
    /// `InvalidArgument` for more or fewer requests than that; nothing was begun. An error of one request is
    /// its own answer, and hinders no other.
    pub fn begin_many(&self, requests: &[Request<'_>]) -> Result<Vec<Result<Outcome>>> {
        limits::BATCH.check(requests.len() as u64)?;
        let mut answers = Vec::with_capacity(requests.len());
        for group in requests.chunks(GROUP) {
            let named = self.named(group.iter().map(|request| Identity::new(request.scope, request.key)));
            for (request, named) in group.iter().zip(named) {
                answers.push(named.and_then(|(identity, place)| self.begin_at(request, identity, place)));
            }
        }
        Ok(answers)
    }

    /// [`mark_seen`](Store::mark_seen) for each of these keys, 1 to 4,096, in their order.
    ///
    /// # Errors
    /// As [`begin_many`](Store::begin_many), and `InvalidArgument` for a scope or ttl outside its limit.
    pub fn mark_seen_many<K: AsRef<[u8]>>(
        &self,
        scope: &str,
        keys: &[K],
        ttl: Duration,
    ) -> Result<Vec<Result<bool>>> {
        limits::BATCH.check(keys.len() as u64)?;
        limits::SCOPE.check(scope.len() as u64)?;
        let ttl_ms = limits::TTL.check_duration(ttl)?;
        let mut answers = Vec::with_capacity(keys.len());
        for group in keys.chunks(GROUP) {
            for named in self.named(group.iter().map(|key| Identity::new(scope, key.as_ref()))) {
                answers.push(named.and_then(|(identity, place)| self.mark_seen_at(identity, place, ttl_ms)));
            }
        }
        Ok(answers)
    }

    /// [`complete`](Claim::complete) for each of these claims, 1 to 4,096, in their order.
    ///
    /// # Errors
    /// As [`begin_many`](Store::begin_many).
    pub fn complete_many(&self, completions: &[(&Claim, Response<'_>)]) -> Result<Vec<Result<()>>> {
        limits::BATCH.check(completions.len() as u64)?;
        let mut answers = Vec::with_capacity(completions.len());
        for group in completions.chunks(GROUP) {
            group.iter().for_each(|(claim, _)| claim.prefetch());
            answers.extend(group.iter().map(|(claim, response)| claim.complete(response.clone())));
        }
        Ok(answers)
    }

    /// The places of these identities, with their lines of the index on their way, and then their records.
    fn named<'a>(
        &self,
        identities: impl Iterator<Item = Result<Identity<'a>>>,
    ) -> Vec<Result<(Identity<'a>, Place)>> {
        let engine = self.engine();
        let named: Vec<_> =
            identities.map(|identity| identity.map(|identity| (identity, engine.place(&identity)))).collect();
        named.iter().flatten().for_each(|(_, place)| engine.prefetch_records(*place));
        named
    }
}
