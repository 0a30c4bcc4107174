//! The plan of a load between nodes: which node serves, which ones generate, and how much.

use std::{
    fs::{self, File},
    io::Write,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Fault, PlanFolder};
use crate::load::{IntervalFormat, Order, RequestOptions, Target, Url};
use paceline_core::{
    generator::{Drive, MOST_GENERATORS},
    job::Workload,
    models::Entry,
    network::{Listen, allowed},
};

/// The port on which the server's node waits for the generators.
pub const PORT: u16 = 7473;
const TOKEN: &str = "token";
/// Bytes of a token: 128 bits as hexadecimal digits.
pub(super) const TOKEN_BYTES: usize = 32;

/// A load between nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadPlan {
    /// The node of the server.
    pub server: PlanNode,
    /// The nodes of the generators.
    pub generators: Vec<PlanNode>,
    /// Where the server's node waits for them.
    pub port: u16,
    /// A server of the user's own on the server's node; otherwise each model serves each workload.
    pub url: Option<Url>,
    /// How requests start.
    pub drive: Drive,
    /// Connections; `None` for as many as an open loop may need.
    pub connections: Option<usize>,
    /// How long requests are sent before they count.
    pub warm_up: Duration,
    /// How long they count.
    pub duration: Duration,
}

/// A node of the plan, and the only address at which it is met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanNode {
    /// Its name.
    pub id: String,
    /// Its IPv4 address.
    pub address: IpAddr,
}

impl PlanNode {
    /// Reads `box1=10.0.0.1`, or a name alone. Names are resolved here and never again.
    ///
    /// # Errors
    ///
    /// Returns a sentence if there is no such address.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (id, host) = text.split_once('=').unwrap_or((text, text));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if id.is_empty() || !id.chars().all(is_plain) {
            return Err(format!("a node is NAME=ADDRESS, such as box1=10.0.0.1, not {text:?}"));
        }
        let found = (host, 0)
            .to_socket_addrs()
            .map_err(|error| format!("the address of the node {id} cannot be found: {error}"))?;
        let ip = found.map(|address| address.ip()).find(IpAddr::is_ipv4);
        let ip = ip.ok_or_else(|| format!("the node {id} has no IPv4 address"))?;
        if ip.is_unspecified() || ip.is_multicast() {
            return Err(format!("{ip} is not the address of one node"));
        }
        Ok(PlanNode { id: id.into(), address: ip })
    }
}

impl LoadPlan {
    /// Checks the nodes, and keeps the first `count` generators.
    ///
    /// # Errors
    ///
    /// Returns a sentence if there are too few nodes, or one of them twice.
    pub fn with_generators(mut self, count: Option<usize>) -> Result<Self, String> {
        let has = self.generators.len();
        let wanted = count.unwrap_or(has);
        if wanted > has {
            return Err(format!(
                "{wanted} generators need as many nodes, and {has} are named: name more with --generator"
            ));
        }
        if !(1..=MOST_GENERATORS).contains(&wanted) {
            return Err(format!(
                "a load has 1 to {MOST_GENERATORS} generators: name each with --generator NODE=ADDRESS"
            ));
        }
        self.generators.truncate(wanted);
        let nodes = self.nodes();
        for (place, node) in nodes.iter().enumerate() {
            if nodes[..place]
                .iter()
                .any(|other| other.id == node.id || other.address == node.address)
            {
                return Err(format!(
                    "the node {} has two roles, or its address is another's: a node has one",
                    node.id
                ));
            }
        }
        Ok(self)
    }

    /// All nodes, the server's first.
    pub(super) fn nodes(&self) -> Vec<&PlanNode> {
        std::iter::once(&self.server).chain(&self.generators).collect()
    }

    /// The addresses beyond loopback that a socket may have; see [`allowed`].
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.nodes().into_iter().map(|node| node.address).collect()
    }

    /// Where the server's node waits for the generators.
    pub(super) fn meeting(&self) -> Result<SocketAddr, Fault> {
        let at = SocketAddr::new(self.server.address, self.port);
        allowed(&self.addresses(), at).map_err(Fault::Usage)?;
        Ok(at)
    }

    /// Where servers of ours listen.
    pub(super) fn listen(&self, token: String) -> Listen {
        Listen { address: self.server.address, plan: self.addresses(), token }
    }

    /// What to measure of one block: `workload`, or the plan's URL.
    ///
    /// # Panics
    ///
    /// Panics if there is neither.
    #[must_use]
    pub fn order(
        &self,
        workload: Option<&Workload>,
        models: &[&'static Entry],
        (workers, cores): (Option<usize>, usize),
        (trials, seed): (u32, u64),
    ) -> Order {
        let target = match (&self.url, workload) {
            (Some(url), _) => Target::Url(url.clone()),
            (None, Some(workload)) => Target::Workload(Box::new(workload.clone())),
            (None, None) => unreachable!("a block without a URL has a workload"),
        };
        Order {
            models: if self.url.is_some() { vec![] } else { models.to_vec() },
            target,
            workers,
            cores,
            accept: vec![],
            request_options: RequestOptions::default(),
            timeout: None,
            max_errors: None,
            drive: self.drive,
            generators: self.generators.len(),
            connections: self.connections,
            p99_limit: None,
            shares: vec![],
            every: None,
            interval_format: IntervalFormat::None,
            other: None,
            paired: false,
            warm_up: self.warm_up,
            duration: self.duration,
            patience: Duration::from_secs(10),
            trials,
            seed,
            pin: false,
            results: PathBuf::new(),
        }
    }
}

/// Writes a new token to the folder of a plan, readable by its owner only.
pub(super) fn write_token(dir: &Path) -> Result<(), Fault> {
    let path = dir.join(TOKEN);
    let cannot = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut random = [0; TOKEN_BYTES / 2];
    let mut source = File::open("/dev/urandom").map_err(cannot)?;
    std::io::Read::read_exact(&mut source, &mut random).map_err(cannot)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(cannot)?;
    file.write_all(crate::machine::hex(&random).as_bytes()).map_err(cannot)?;
    Ok(())
}

/// Reads the token of a plan.
pub(super) fn token(plan: &PlanFolder) -> Result<String, Fault> {
    let path = plan.dir.join(TOKEN);
    let text = fs::read_to_string(&path).map_err(|error| {
        Fault::Usage(format!("{}: {error}; copy the plan's token to this node", path.display()))
    })?;
    let token = text.trim().to_owned();
    if token.len() != TOKEN_BYTES || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Fault::Usage(format!(
            "{} is not a token of 32 hexadecimal digits",
            path.display()
        )));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        machine::Fingerprint,
        record::{Hosts, Node},
    };
    use paceline_core::generator::Drive;

    fn plan(generators: &[&str]) -> LoadPlan {
        LoadPlan {
            server: PlanNode::parse("a=10.9.0.1").unwrap(),
            generators: generators.iter().map(|text| PlanNode::parse(text).unwrap()).collect(),
            port: PORT,
            url: None,
            drive: Drive::Closed,
            connections: Some(4),
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_node_has_one_role_and_each_generator_a_node() {
        let two = ["b=10.9.0.2", "c=10.9.0.3"];
        assert_eq!(plan(&two).with_generators(Some(1)).unwrap().generators.len(), 1);
        assert_eq!(plan(&two).with_generators(None).unwrap().addresses().len(), 3);
        let why = plan(&two).with_generators(Some(3)).unwrap_err();
        assert!(why.contains("3 generators need as many nodes, and 2 are named"), "{why}");
        assert!(plan(&[]).with_generators(None).is_err());
        for twice in ["a=10.9.0.2", "b=10.9.0.1"] {
            assert!(plan(&[twice]).with_generators(None).unwrap_err().contains("two roles"));
        }
        for wrong in ["=10.9.0.1", "b=0.0.0.0", "b=224.0.0.1", "b=::1", "a b=10.9.0.1"] {
            assert!(PlanNode::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nodes_that_share_a_boot_id_are_a_shared_host() {
        let node = |id: &str, boot_id: &str| Node {
            id: id.into(),
            host: "h".into(),
            boot_id: boot_id.into(),
            fingerprint: Fingerprint::default(),
            clock_ahead_seconds: None,
        };
        let shared = |server: &Node, generators: &[Node]| Hosts::of(server, generators).shared_host;
        assert!(!shared(&node("a", "1"), &[node("b", "2"), node("c", "3")]));
        assert!(shared(&node("a", "1"), &[node("b", "2"), node("c", "1")]));
        assert!(shared(&node("a", "1"), &[node("b", "2"), node("c", "2")]));
    }

    #[test]
    fn a_token_is_new_each_time_and_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let tokens = folders.each_ref().map(|folder| {
            write_token(folder.path()).unwrap();
            let path = folder.path().join(TOKEN);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::read_to_string(path).unwrap()
        });
        assert!(tokens[0].len() == TOKEN_BYTES && tokens[0] != tokens[1], "{tokens:?}");
    }
}
