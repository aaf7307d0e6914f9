//! Weights that follow the servers. All of it is off unless configured.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Pace, Tls};
use crate::model::Weight;

/// What a real server's weight follows, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightPolicy {
    /// Where it comes from; what checks say (a dynamic script, a file, an agent) counts beside.
    pub source: Option<WeightSource>,
    /// The least.
    pub least: u32,
    /// The greatest.
    pub most: u32,
    /// How much of a new value counts, in hundredths: 100 follows at once.
    pub smoothing: u8,
    /// A change by less than so many hundredths of the present weight is not made.
    pub tolerance: u8,
    /// How it begins after it came up.
    pub slow_start: Option<SlowStart>,
    /// Whether what the director sees may take it out.
    pub passive: Option<Passive>,
}

/// Where a weight comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightSource {
    /// An agent's or a dynamic script's word: in `checks`.
    Checks,
    /// A figure of the real server over HTTP.
    Figure(Box<Figure>),
    /// The time from a client's SYN to the real server's SYN-ACK: the configured weight at `target`, less
    /// in proportion when it takes longer.
    ConnectTime {
        /// What is well.
        target: Duration,
    },
}

/// A figure of the real server over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Whom; nothing is the real server itself.
    pub target: Option<SocketAddr>,
    /// The path.
    pub path: String,
    /// `Host`.
    pub host: Option<String>,
    /// Over TLS.
    pub tls: Option<Tls>,
    /// When it is asked.
    pub pace: Pace,
    /// Where it is in the answer.
    pub form: FigureForm,
    /// The figure at which the weight is the configured one, in thousandths. Less load, more weight, in
    /// inverse proportion; nothing takes the figure itself as the weight.
    pub at: Option<u64>,
}

/// Where a figure is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FigureForm {
    /// JSON: a pointer (RFC 6901).
    Json(String),
    /// Prometheus' text: a metric, with all labels that it must have.
    Prometheus {
        /// The metric's name.
        metric: String,
        /// Its labels.
        labels: Vec<(String, String)>,
    },
}

/// How a real server begins after it came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlowStart {
    /// How long until it has its whole weight.
    pub duration: Duration,
    /// With how many hundredths of it it begins, at least 1.
    pub from: u8,
}

/// When what the director sees takes a real server out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Passive {
    /// So many hundredths of new connections that are refused or time out.
    pub share: u8,
    /// Among at least so many.
    pub least: u32,
    /// In this time.
    pub window: Duration,
    /// For so long, or until a check has passed anew.
    pub pause: Duration,
}

impl WeightPolicy {
    /// What `weir.toml` has where nothing else is said.
    pub fn following(source: Option<WeightSource>) -> Self {
        let (least, most, smoothing, tolerance) = match &source {
            None | Some(WeightSource::Checks) => (0, Weight::MAX, 100, 0),
            Some(WeightSource::Figure(_)) => (1, 256, 30, 10),
            Some(WeightSource::ConnectTime { .. }) => (1, Weight::MAX, 30, 10),
        };
        Self {
            source,
            least,
            most,
            smoothing,
            tolerance,
            slow_start: None,
            passive: None,
        }
    }
}

impl SlowStart {
    /// What `weir.toml` has where nothing is said.
    pub const DEFAULT: Self = Self {
        duration: Duration::from_secs(30),
        from: 10,
    };
}

impl Passive {
    /// What `weir.toml` has where nothing is said: half of at least twenty connections in ten seconds.
    pub const DEFAULT: Self = Self {
        share: 50,
        least: 20,
        window: Duration::from_secs(10),
        pause: Duration::from_secs(30),
    };
}
