//! What keepalived calls services and real servers, in its log, FIFOs and mail.

use std::net::SocketAddr;

use weir_config::model::{Protocol, ServiceKey};

/// `[192.0.2.10]:tcp:80`, `FWM 7`.
pub fn service(key: &ServiceKey) -> String {
    match key {
        ServiceKey::Address { protocol, address } => place(*protocol, *address),
        ServiceKey::FirewallMark { mark, .. } => format!("FWM {mark}"),
    }
}

/// `[10.0.0.11]:tcp:8080`. Those of a firewall mark have no protocol: keepalived says `none`.
pub fn server(key: &ServiceKey, address: SocketAddr) -> String {
    match key {
        ServiceKey::Address { protocol, .. } => place(*protocol, address),
        ServiceKey::FirewallMark { .. } => {
            format!("[{}]:none:{}", address.ip(), address.port())
        }
    }
}

fn place(protocol: Protocol, address: SocketAddr) -> String {
    format!("[{}]:{}:{}", address.ip(), protocol.name(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_and_real_servers_are_called_as_keepalived_calls_them() {
        let key: ServiceKey = "tcp:192.0.2.10:80".parse().unwrap();
        assert_eq!(service(&key), "[192.0.2.10]:tcp:80");
        assert_eq!(
            server(&key, "10.0.0.11:8080".parse().unwrap()),
            "[10.0.0.11]:tcp:8080"
        );
        let mark: ServiceKey = "fwmark:7".parse().unwrap();
        assert_eq!(service(&mark), "FWM 7");
        assert_eq!(
            server(&mark, "10.0.0.11:80".parse().unwrap()),
            "[10.0.0.11]:none:80"
        );
    }
}
