//! What bodies must be, compiled once for all checks that say the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use weir_config::model::health::HttpBody;
use weir_health::answer::body::Expected;

use crate::talk::Fault;

/// So many are remembered; then those of a configuration that is gone are forgotten with all others.
const MANY: usize = 1024;

/// What was compiled.
#[derive(Default)]
pub struct Patterns {
    compiled: Mutex<HashMap<Vec<HttpBody>, Arc<[Expected]>>>,
}

impl Patterns {
    /// Compiles it, if it was not before.
    pub fn of(&self, configured: &[HttpBody]) -> Result<Arc<[Expected]>, Fault> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = compiled.get(configured) {
            return Ok(known.clone());
        }
        let all: Result<Vec<_>, _> = configured.iter().map(Expected::new).collect();
        let all: Arc<[Expected]> = all.map_err(Fault::ours)?.into();
        if compiled.len() >= MANY {
            compiled.clear();
        }
        compiled.insert(configured.to_vec(), all.clone());
        Ok(all)
    }
}
