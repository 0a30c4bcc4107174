//! The addresses that sockets may use: loopback, and beyond it only those of a cluster's plan.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Checks an address before a socket is bound or connected to it. `plan` has the addresses of the plan's nodes. If it is
/// empty, only loopback is allowed.
///
/// # Errors
///
/// Returns a sentence that names the address if it is not allowed.
pub fn allowed(plan: &[IpAddr], address: SocketAddr) -> Result<(), String> {
    let ip = address.ip().to_canonical();
    if ip.is_loopback() || plan.contains(&ip) {
        return Ok(());
    }
    Err(if plan.is_empty() {
        format!("{address} is not a loopback address: load is sent to no other")
    } else {
        let plan: Vec<String> = plan.iter().map(ToString::to_string).collect();
        let plan = plan.join(", ");
        format!(
            "{address} is not at an address of the plan, whose nodes are at {plan}: make a new plan with it"
        )
    })
}

/// Checks each of `addresses` with [`allowed`].
pub fn all_allowed(plan: &[IpAddr], addresses: &[SocketAddr]) -> Result<(), String> {
    addresses.iter().try_for_each(|address| allowed(plan, *address))
}

/// How a model's server listens beyond loopback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// The address of the server's node.
    pub address: IpAddr,
    /// The addresses of the plan's nodes.
    pub plan: Vec<IpAddr>,
    /// The token that each connection must begin with. Other connections are closed without an answer.
    pub token: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_the_addresses_of_the_plan_are_allowed() {
        let ip = |text: &str| SocketAddr::new(text.parse().unwrap(), 80);
        let plan = [ip("10.9.0.1").ip(), ip("10.9.0.2").ip()];
        for own in ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(allowed(&[], ip(own)), Ok(()));
            assert_eq!(allowed(&plan, ip(own)), Ok(()));
        }
        assert_eq!(allowed(&plan, ip("10.9.0.2")), Ok(()));
        assert_eq!(allowed(&plan, ip("::ffff:10.9.0.2")), Ok(()));
        for other in ["10.9.0.3", "0.0.0.0", "::", "192.0.2.1", "169.254.0.1", "255.255.255.255"] {
            assert!(allowed(&[], ip(other)).unwrap_err().contains("not a loopback address"));
            assert!(
                allowed(&plan, ip(other)).unwrap_err().contains("not at an address of the plan")
            );
        }
        assert!(allowed(&[], ip("10.9.0.1")).is_err(), "there is no plan");
    }
}
