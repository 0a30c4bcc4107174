//! The plan of a load between nodes: the server's node, the generators' nodes, and the load.

use std::{
    fs,
    io::Write,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Block, Fault, PlanFolder, random, unwritable_file};
use crate::load::{IntervalFormat, MaxErrors, Order, RequestOptions, Target, Url};
use paceline_core::{
    generator::{Drive, MOST_GENERATORS},
    job::Workload,
    models::Entry,
    network::{Listen, allowed},
};

/// The default port on which the server's node waits for the generators.
pub const PORT: u16 = 7473;
/// The time after the duration in which the last answers are awaited.
const PATIENCE: Duration = Duration::from_secs(10);
/// The file in the plan's folder that holds the token.
const TOKEN: &str = "token";
/// The length of a token: 128 bits as hexadecimal digits.
pub(super) const TOKEN_BYTES: usize = 32;

/// A load between nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadPlan {
    /// The server's node.
    pub server: PlanNode,
    /// The generators' nodes.
    pub generators: Vec<PlanNode>,
    /// The port on which the server's node waits for them.
    pub port: u16,
    /// The URL of the user's own server; `None` if each model serves each workload.
    pub url: Option<Url>,
    /// How requests start.
    pub drive: Drive,
    /// The number of connections; `None` for the default.
    pub connections: Option<usize>,
    /// The time before the measured window.
    pub warm_up: Duration,
    /// The measured window.
    pub duration: Duration,
    /// Whether each node is the server's in turn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub swap_roles: bool,
    /// What requests and answers are like.
    #[serde(default)]
    pub options: LoadOptions,
}

/// What the requests of a load between nodes are like, and which answers are right.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadOptions {
    /// The method of requests to the URL; `None` for GET.
    pub method: Option<String>,
    /// The statuses of the URL that are right answers; if empty, every 2xx.
    pub accept: Vec<u16>,
    /// The time from its intended start within which a request must be answered; `None` without a limit.
    pub timeout: Option<Duration>,
    /// How many requests of a trial may be errors; `None` if none may.
    pub max_errors: Option<MaxErrors>,
}

/// A node of the plan, with the only address that it uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanNode {
    /// Its name.
    pub id: String,
    /// Its IPv4 address.
    pub address: IpAddr,
}

impl PlanNode {
    /// Parses `box1=10.0.0.1`, or a host name alone. Host names are resolved here and never again.
    ///
    /// # Errors
    ///
    /// Returns a sentence if the address is missing or cannot be that of a node.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (id, host) = text.split_once('=').unwrap_or((text, text));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if id.is_empty() || host.is_empty() || !id.chars().all(is_plain) {
            return Err(format!("a node is NAME=ADDRESS, such as box1=10.0.0.1, not {text:?}"));
        }
        if let Ok(with_port) = host.parse::<SocketAddr>() {
            return Err(format!(
                "an address has no port here: give {id}={}, and the port with --port",
                with_port.ip()
            ));
        }
        let found = (host, 0).to_socket_addrs().map_err(|_| {
            format!(
                "{host:?} is neither an IPv4 address nor a host name that can be resolved: give {id}'s address, such as {id}=10.0.0.1"
            )
        })?;
        let ipv4 = found.filter_map(|address| match address.ip() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        });
        let ip = ipv4.into_iter().next().ok_or_else(|| {
            format!("{host:?} has no IPv4 address, and load between nodes does not support IPv6")
        })?;
        if ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() {
            return Err(format!("{ip} is not the address of a single node"));
        }
        Ok(PlanNode { id: id.into(), address: ip.into() })
    }
}

impl LoadPlan {
    /// Keeps the first `count` generators, and checks the plan.
    ///
    /// # Errors
    ///
    /// Returns a sentence if there are too few nodes, if two share a name or an address, if some addresses are loopback
    /// and others are not, if the URL has the port on which the server's node waits, or if the timeout is too long.
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
            let PlanNode { id, address } = node;
            if nodes[..place].iter().any(|other| other.id == *id) {
                return Err(format!("the node {id} is named twice: give each node one role"));
            }
            if let Some(other) = nodes[..place].iter().find(|other| other.address == *address) {
                return Err(format!(
                    "the nodes {} and {id} both have the address {address}: give each its own",
                    other.id
                ));
            }
        }
        let is_loopback = |node: &&&PlanNode| node.address.is_loopback();
        if let Some(node) = nodes.iter().find(is_loopback)
            && !nodes.iter().all(|node| node.address.is_loopback())
        {
            return Err(format!(
                "other nodes cannot reach {} at {}: give an address of its network",
                node.id, node.address
            ));
        }
        if let Some(timeout) = self.options.timeout.filter(|timeout| *timeout > PATIENCE) {
            let [timeout, most] = [timeout, PATIENCE].map(humantime::format_duration);
            return Err(format!(
                "--timeout {timeout} is too long: a load between nodes awaits its last answers for {most}, so give at most that"
            ));
        }
        if self.swap_roles && self.url.is_some() {
            return Err(
                "--swap-roles is for servers of paceline, and a URL names one that stays where it is: leave it out, and \
                 make a plan for each server"
                    .into(),
            );
        }
        if self.url.as_ref().is_some_and(|url| url.port() == self.port) {
            return Err(format!(
                "the URL's port {} is also the port on which the generators meet the server's node: give another --port",
                self.port
            ));
        }
        Ok(self)
    }

    /// Returns the load of one block: where roles are swapped, another node is the server's in each pass.
    #[must_use]
    pub(super) fn of(&self, block: &Block) -> Self {
        let mut nodes: Vec<PlanNode> = self.nodes().into_iter().cloned().collect();
        let turn = if self.swap_roles { block.pass as usize % nodes.len() } else { 0 };
        nodes.rotate_left(turn);
        let server = nodes.remove(0);
        LoadPlan { server, generators: nodes, ..self.clone() }
    }

    /// Returns how many passes there are: one for each node that is the server's.
    pub(super) fn passes(&self) -> u32 {
        if self.swap_roles { self.nodes().len() as u32 } else { 1 }
    }

    /// Returns how long the trials of a block may take: twice their time, because servers start and stop between them.
    #[must_use]
    pub fn block_time(&self, models: usize, trials: u32) -> Duration {
        (self.warm_up + self.duration) * 2 * trials * models.max(1) as u32
    }

    /// All nodes, the server's first.
    pub(super) fn nodes(&self) -> Vec<&PlanNode> {
        std::iter::once(&self.server).chain(&self.generators).collect()
    }

    /// Returns the addresses beyond loopback that sockets may use; see [`allowed`].
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.nodes().into_iter().map(|node| node.address).collect()
    }

    /// Returns the address on which the server's node waits for the generators.
    pub(super) fn meeting(&self) -> Result<SocketAddr, Fault> {
        let at = SocketAddr::new(self.server.address, self.port);
        allowed(&self.addresses(), at).map_err(Fault::Usage)?;
        Ok(at)
    }

    /// Returns the address on which models' servers listen.
    pub(super) fn listen(&self, token: String) -> Listen {
        Listen { address: self.server.address, plan: self.addresses(), token }
    }

    /// Returns the order of one block: for `workload`, or for the plan's URL.
    ///
    /// # Panics
    ///
    /// Panics without a workload and a URL.
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
        let options = self.options.clone();
        Order {
            models: if self.url.is_some() { vec![] } else { models.to_vec() },
            target,
            workers,
            cores,
            accept: options.accept,
            request_options: RequestOptions { method: options.method, ..RequestOptions::default() },
            timeout: options.timeout,
            max_errors: options.max_errors,
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
            patience: PATIENCE,
            trials,
            seed,
            pin: false,
            results: PathBuf::new(),
        }
    }
}

/// Writes a new token to a plan's folder, readable only by its owner.
pub(super) fn write_token(dir: &Path) -> Result<(), Fault> {
    let path = dir.join(TOKEN);
    let cannot = |error: std::io::Error| unwritable_file(&path, &error);
    // One may be left of a plan that could not be written.
    let _ = fs::remove_file(&path);
    let token = random::<{ TOKEN_BYTES / 2 }>().map_err(cannot)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(cannot)?;
    file.write_all(token.as_bytes()).map_err(cannot)
}

/// Reads a plan's token.
pub(super) fn token(plan: &PlanFolder) -> Result<String, Fault> {
    let path = plan.dir.join(TOKEN);
    let text = fs::read_to_string(&path).map_err(|error| {
        Fault::Usage(format!("{}: {error}; copy the plan's token to this node", path.display()))
    })?;
    let token = text.trim().to_owned();
    if token.len() != TOKEN_BYTES || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Fault::Usage(format!(
            "{} is not a token of 32 hexadecimal digits: copy the plan's token to this node",
            path.display()
        )));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::tests::load_from as plan,
        machine::Fingerprint,
        record::{Hosts, Node},
    };
    fn block(pass: u32) -> Block {
        Block { id: "0000".into(), workload: "serve-plain".into(), scale: 4, pass, seed: 1 }
    }

    #[test]
    fn each_node_is_the_servers_in_turn_where_roles_are_swapped_and_one_alone_elsewhere() {
        let roles = |load: &LoadPlan, pass| {
            let load = load.of(&block(pass));
            let ids = load.nodes().into_iter().map(|node| &*node.id).collect::<Vec<_>>().join(" ");
            assert_eq!(load.meeting().unwrap().ip(), load.server.address);
            ids
        };
        let stays = plan(&["b=10.9.0.2", "c=10.9.0.3"]).with_generators(None).unwrap();
        assert_eq!((stays.passes(), roles(&stays, 0)), (1, "a b c".into()));
        let swaps = LoadPlan { swap_roles: true, ..stays.clone() };
        assert_eq!(swaps.passes(), 3);
        assert_eq!([0, 1, 2].map(|pass| roles(&swaps, pass)), ["a b c", "b c a", "c a b"]);
        // A plan of before has no such fields.
        let mut before = serde_json::to_value(&stays).unwrap();
        assert!(before.as_object_mut().unwrap().remove("options").is_some());
        assert_eq!(before.get("swap_roles"), None);
        let read: LoadPlan = serde_json::from_value(before).unwrap();
        assert_eq!((read.swap_roles, read.options), (false, LoadOptions::default()));
    }

    #[test]
    fn a_users_own_server_does_not_swap_its_role() {
        let ip = "10.9.0.1".parse().unwrap();
        let url = Url::on_node("http://10.9.0.1:8080/", ip).map(Result::unwrap);
        assert!(url.is_some());
        let why = LoadPlan { url, swap_roles: true, ..plan(&["b=10.9.0.2"]) }.with_generators(None);
        assert!(why.unwrap_err().contains("one that stays where it is"));
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
            let why = plan(&[twice]).with_generators(None).unwrap_err();
            assert!(why.contains("named twice") || why.contains("both have the address"), "{why}");
        }
        let why = plan(&["b=127.0.0.1"]).with_generators(None).unwrap_err();
        assert!(why.contains("other nodes cannot reach b at 127.0.0.1"), "{why}");
        for (wrong, why) in [
            ("=10.9.0.1", "a node is NAME=ADDRESS"),
            ("b=", "a node is NAME=ADDRESS"),
            ("a b=10.9.0.1", "a node is NAME=ADDRESS"),
            ("b=0.0.0.0", "not the address of a single node"),
            ("b=224.0.0.1", "not the address of a single node"),
            ("b=255.255.255.255", "not the address of a single node"),
            ("b=::1", "does not support IPv6"),
            ("b=10.9.0.1:80", "an address has no port here: give b=10.9.0.1"),
            ("b=999.1.1.1", "neither an IPv4 address nor a host name"),
        ] {
            let error = PlanNode::parse(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn nodes_that_share_a_boot_id_are_a_shared_host() {
        let node = |id: &str, boot_id: &str| Node {
            id: id.into(),
            host: "h".into(),
            boot_id: boot_id.into(),
            other_boot_ids: vec![],
            fingerprint: Fingerprint::default(),
            clock_ahead_seconds: None,
        };
        let shared = |server: &Node, generators: &[Node]| Hosts::of(server, generators).shared_host;
        assert!(!shared(&node("a", "1"), &[node("b", "2"), node("c", "3")]));
        assert!(shared(&node("a", "1"), &[node("b", "2"), node("c", "1")]));
        assert!(shared(&node("a", "1"), &[node("b", "2"), node("c", "2")]));
        assert!(!shared(&node("a", ""), &[node("b", ""), node("c", "")]), "their clocks tell");
    }

    #[test]
    fn each_token_is_new_and_readable_only_by_its_owner() {
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
