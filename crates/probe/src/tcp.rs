//! Whether a connection is accepted.

use weir_config::model::health::TcpCheck;
use weir_health::verdict::{Outcome, Reading};

use crate::Finding;
use crate::stream::{Opening, Stream};
use crate::talk::Talk;
use crate::tls::Protocol;

pub async fn check(talk: &mut Talk<'_>, check: &TcpCheck) -> Finding {
    let opening = Opening {
        proxy: check.proxy,
        tls: check.tls.as_ref(),
        name: None,
        protocol: Protocol::Any,
    };
    Stream::open(talk, opening).await?;
    Ok((Outcome::Passed, Reading::default()))
}
