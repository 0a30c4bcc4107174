//! The URL of a running server: its parts as typed, and the loopback addresses of its host.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
};

use http::Uri;
use serde::{Deserialize, Serialize};

use paceline_core::network::all_allowed;

/// The default port of `http://`.
const PORT: u16 = 80;

/// A URL such as `http://localhost:8080/path?query`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Url {
    /// The host as typed; an IPv6 address is in brackets.
    host: String,
    port: u16,
    /// The addresses of the host, in the system's order.
    pub(super) addresses: Vec<SocketAddr>,
    /// The path and the query as typed; never empty.
    pub(super) path: String,
}

impl Url {
    /// Parses `text`; `None` if it has no scheme. Resolves `localhost`, and accepts only loopback addresses.
    ///
    /// Follows RFC 3986 and RFC 9112, section 3.2: the fragment is dropped, an empty path becomes `/`, and the scheme may
    /// be in capitals. Percent-encoding and dots stay as typed.
    ///
    /// # Errors
    ///
    /// Returns a sentence with the fault.
    #[must_use]
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let (scheme, _) = text.split_once("://")?;
        Some(read(text, scheme, &[]))
    }

    /// Returns the URL that `text` is probably meant to be, if it has no scheme but an address, such as
    /// `localhost:8080/path`, or has too few slashes behind it, such as `http:/localhost`.
    #[must_use]
    pub fn meant(text: &str) -> Option<String> {
        let scheme = ["http:", "https:"].into_iter().find(|scheme| {
            text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
        });
        let rest = scheme.map_or(text, |scheme| text[scheme.len()..].trim_start_matches('/'));
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let port = host.rsplit_once(':').map(|(_, port)| port);
        let has_port = port.is_some_and(|port| port.parse::<u16>().is_ok());
        let is_local = host.eq_ignore_ascii_case("localhost");
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
        if host.is_empty() || !(scheme.is_some() || has_port || is_local || ip.is_ok()) {
            return None;
        }
        let host = ip.ok().filter(IpAddr::is_ipv6).map_or(host.into(), |ip| format!("[{ip}]"));
        Some(format!("http://{host}{}", if path.is_empty() { "/" } else { path }))
    }

    /// Reads `text` if it has a scheme, as the URL of a server on the node with the address `node`. Its host is that
    /// address, or a name that is resolved to it here and never again.
    ///
    /// # Errors
    ///
    /// Returns a sentence that says what is wrong with it.
    #[must_use]
    pub fn on_node(text: &str, node: IpAddr) -> Option<Result<Self, String>> {
        let (scheme, _) = text.split_once("://")?;
        Some(read(text, scheme, &[node]))
    }

    /// Returns its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the value of the `Host` field: the host as typed, with the port unless it is the default.
    pub(super) fn authority(&self) -> String {
        if self.port == PORT { self.host.clone() } else { self.to_string() }
    }
}

/// Shows the host and always the port.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn read(text: &str, scheme: &str, plan: &[IpAddr]) -> Result<Url, String> {
    // Before any sentence that repeats the URL: it may have a password.
    if text[scheme.len() + "://".len()..]
        .split(['/', '?', '#'])
        .next()
        .is_some_and(|of| of.contains('@'))
    {
        return Err("the URL has a user before its host, and load does not log in: leave out what is before the @".into());
    }
    if scheme.eq_ignore_ascii_case("https") {
        return Err(format!("{text} needs TLS, which load does not support: give an http:// URL"));
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(format!("{text} has the scheme {scheme:?}: load supports only http://"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "{text:?} has a character that no URL can have: percent-encode it, a space as %20"
        ));
    }
    let wrong =
        |why: &str| format!("{text} is not a URL such as http://localhost:8080/path: {why}");
    let uri: Uri =
        text.parse().map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
    let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
    let host = authority.host();
    let port = match authority.as_str()[host.len()..].strip_prefix(':') {
        None | Some("") => PORT,
        Some(port) => {
            number(port).ok_or_else(|| wrong("its port is not a number from 1 to 65535"))?
        }
    };
    let mut addresses = match plan {
        [] => addresses(host, port)?,
        _ => (host.trim_matches(['[', ']']), port)
            .to_socket_addrs()
            .map_err(|error| format!("the host of {text} cannot be resolved: {error}"))?
            .collect(),
    };
    all_allowed(plan, &addresses)?;
    if !plan.is_empty() {
        // Loopback of another node is not the server's.
        addresses.retain(|address| plan.contains(&address.ip()));
        if addresses.is_empty() {
            return Err(format!(
                "{text} is not at an address of the server's node: give that as its host"
            ));
        }
    }
    let path = uri.path_and_query().map_or_else(|| "/".into(), ToString::to_string);
    Ok(Url { host: host.to_owned(), port, addresses, path })
}

fn number(port: &str) -> Option<u16> {
    // `parse` alone would accept a sign.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port > 0)
}

/// Returns the addresses of a host. Only `localhost` and names below it are resolved, so that no name server is asked.
fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let ip = if let Some(inner) = host.strip_prefix('[') {
        let ip = inner.strip_suffix(']').and_then(|ip| ip.parse::<Ipv6Addr>().ok());
        let ip =
            ip.ok_or_else(|| format!("{host} is not an IPv6 address: give one such as [::1]"))?;
        Some(ip.into())
    } else {
        host.parse::<IpAddr>().ok()
    };
    match ip {
        // What servers print that listen on all addresses.
        Some(ip) if ip.is_unspecified() => {
            return Err(format!(
                "{host} is no address to connect to: give localhost, 127.0.0.1 or [::1]"
            ));
        }
        Some(ip) => return Ok(vec![SocketAddr::new(ip, port)]),
        None => {}
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if name != "localhost" && !name.ends_with(".localhost") {
        return Err(format!(
            "{host:?} is not a loopback address: load is sent to no other; give localhost, 127.0.0.1 or [::1]"
        ));
    }
    // By RFC 6761, section 6.3, names below localhost are loopback addresses, of both families. A server may listen on a
    // family that the system's resolver does not return.
    let mut found: Vec<SocketAddr> =
        ("localhost", port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        if !found.iter().any(|address| address.is_ipv4() == ip.is_ipv4()) {
            found.push(SocketAddr::new(ip, port));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Url, String> {
        Url::parse(text).unwrap_or_else(|| panic!("{text} is no URL"))
    }

    #[test]
    fn the_target_is_as_in_rfc_3986_and_9112() {
        for (text, authority, path) in [
            ("http://127.0.0.1:8080/a/b?c=1", "127.0.0.1:8080", "/a/b?c=1"),
            ("http://127.0.0.1", "127.0.0.1", "/"),
            ("http://127.0.0.1:", "127.0.0.1", "/"),
            ("http://127.0.0.1:80/", "127.0.0.1", "/"),
            ("HTTP://127.0.0.1:81/X", "127.0.0.1:81", "/X"),
            ("hTTp://127.0.0.1:81/X", "127.0.0.1:81", "/X"),
            ("http://127.0.0.1:1?x=1", "127.0.0.1:1", "/?x=1"),
            ("http://127.0.0.1?x=1", "127.0.0.1", "/?x=1"),
            ("http://127.0.0.1:1?", "127.0.0.1:1", "/?"),
            ("http://127.0.0.1:1/a#frag?no", "127.0.0.1:1", "/a"),
            ("http://127.0.0.1:1/a?b#frag", "127.0.0.1:1", "/a?b"),
            ("http://127.0.0.1:1#frag", "127.0.0.1:1", "/"),
            ("http://127.0.0.1:1?x#frag", "127.0.0.1:1", "/?x"),
            ("http://127.0.0.1:1/a%2Fb%20c/../d?e=%26", "127.0.0.1:1", "/a%2Fb%20c/../d?e=%26"),
            ("http://127.0.0.1:1//a@b:c?d=http://e/", "127.0.0.1:1", "//a@b:c?d=http://e/"),
            ("http://[::1]:8080/", "[::1]:8080", "/"),
            ("http://[::1]", "[::1]", "/"),
        ] {
            let url = parsed(text).unwrap();
            assert_eq!((&*url.authority(), &*url.path), (authority, path), "{text}");
            assert!(url.to_string().ends_with(&format!(":{}", url.port)), "{text}");
        }
    }

    #[test]
    fn localhost_is_on_both_families_in_the_order_of_the_system_and_stays_as_typed() {
        for (text, host) in [
            ("http://localhost:81", "localhost:81"),
            ("http://LocalHost:80", "LocalHost"),
            ("http://api.localhost:81", "api.localhost:81"),
            ("http://localhost.:81", "localhost.:81"),
        ] {
            let url = parsed(text).unwrap();
            assert_eq!(url.authority(), host);
            let system: Vec<_> = ("localhost", url.port).to_socket_addrs().unwrap().collect();
            assert!(url.addresses.starts_with(&system), "{url:?}");
            for v4 in [true, false] {
                assert!(url.addresses.iter().any(|address| address.is_ipv4() == v4), "{url:?}");
            }
        }
        assert_eq!(parsed("http://[::1]:9").unwrap().addresses, ["[::1]:9".parse().unwrap()]);
    }

    #[test]
    fn what_cannot_be_loaded_is_said() {
        for (text, why) in [
            ("https://127.0.0.1/", "TLS"),
            ("ftp://127.0.0.1/", "scheme \"ftp\""),
            ("http://example.com/", "not a loopback address"),
            ("http://notlocalhost/", "not a loopback address"),
            ("http://192.0.2.1:80/", "not a loopback address"),
            ("http://0.0.0.0:8000/", "give localhost, 127.0.0.1 or [::1]"),
            ("http://[::]:8000/", "give localhost, 127.0.0.1 or [::1]"),
            ("http://[2001:db8::1]:80/", "not a loopback address"),
            ("http://", "not a URL"),
            ("http:///path", "not a URL"),
            ("http://?x", "not a URL"),
            ("http://:80/", "not a"),
            ("http://me:secret@127.0.0.1/", "does not log in"),
            ("https://me:secret@127.0.0.1/", "does not log in"),
            ("http://me:secret@127.0.0.1:x/a b", "does not log in"),
            ("http://127.0.0.1:x/", "not a URL"),
            ("http://127.0.0.1:0/", "port"),
            ("http://127.0.0.1:65536/", "port"),
            ("http://127.0.0.1:+80/", "port"),
            ("http://127.0.0.1:80:80/", "not a URL"),
            ("http://[::1/", "not a"),
            ("http://[::1%25lo]/", "not a"),
            ("http://[127.0.0.1]/", "not an IPv6 address"),
            ("http://127.0.0.1/a b", "percent-encode"),
            ("http://127.0.0.1/a\r\nX: y", "percent-encode"),
            ("http://127.0.0.1/ä", "percent-encode"),
        ] {
            let said = parsed(text).unwrap_err();
            assert!(said.contains(why), "{text:?}: {said}");
            assert!(!said.contains("secret"), "{said}");
        }
        for text in ["serve-plain", "a.toml", "localhost:80"] {
            assert!(Url::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_address_without_its_scheme_is_the_url_of_the_same_resource() {
        for (text, url) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("127.0.0.1:8080/ok", "http://127.0.0.1:8080/ok"),
            ("127.0.0.1:8080?a=b:1", "http://127.0.0.1:8080?a=b:1"),
            ("localhost/ok/", "http://localhost/ok/"),
            ("[::1]:80/ok", "http://[::1]:80/ok"),
            ("::1", "http://[::1]/"),
            ("http:127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("HTTP:/127.0.0.1:8080/ok", "http://127.0.0.1:8080/ok"),
            ("https:/localhost", "http://localhost/"),
        ] {
            assert_eq!(Url::meant(text).as_deref(), Some(url), "{text}");
            assert!(parsed(url).is_ok(), "{url}");
        }
        for text in ["serve-plain", "a.toml", "a/b:c.toml", "", "/", "GET", "http:", "3"] {
            assert_eq!(Url::meant(text), None, "{text}");
        }
    }
}
