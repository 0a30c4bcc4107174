//! The load generator against real servers with their defaults, those that are installed: every answer counts.

mod listener;

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use listener::order;
use paceline_core::{
    generator::{Arrivals, Drive, Loaded, Order, Request},
    process::{HostError, Program},
};
use rustix::process::{Pid, Signal, kill_process_group};

/// A server: what shows that it is installed, the file that it needs, and how it is started in the foreground. In the
/// last two, `{port}` and `{folder}` stand for its own.
struct Real {
    name: &'static str,
    installed: &'static str,
    file: (&'static str, &'static str),
    start: &'static str,
}

const ASGI: (&str, &str) = (
    "app.py",
    "async def app(scope, receive, send):
    if scope['type'] == 'lifespan':
        while True:
            kind = (await receive())['type']
            await send({'type': kind + '.complete'})
            if kind == 'lifespan.shutdown':
                return
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'hello'})",
);

const SERVERS: [Real; 10] = [
    Real {
        name: "nginx",
        installed: "nginx -v",
        file: (
            "nginx.conf",
            "daemon off; pid nginx.pid; error_log stderr; events {} http { access_log off;
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fast; uwsgi_temp_path uwsgi;
             scgi_temp_path scgi; server { listen 127.0.0.1:{port}; location / { return 200 hello; } } }",
        ),
        start: "nginx -e stderr -p {folder} -c nginx.conf",
    },
    Real {
        name: "lighttpd",
        installed: "lighttpd -v",
        file: (
            "lighttpd.conf",
            "server.bind = \"127.0.0.1\"\nserver.port = {port}\nserver.document-root = \"{folder}\"\n
             index-file.names = ( \"lighttpd.conf\" )",
        ),
        start: "lighttpd -D -f {folder}/lighttpd.conf",
    },
    Real {
        name: "Apache",
        installed: "apache2 -v",
        file: (
            "apache.conf",
            "ServerRoot {folder}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {folder}/pid\nErrorLog {folder}/log
             LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
             LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
             LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
             User nobody\nDocumentRoot {folder}\nDirectoryIndex apache.conf",
        ),
        start: "apache2 -DFOREGROUND -f {folder}/apache.conf",
    },
    Real {
        name: "HAProxy",
        installed: "haproxy -v",
        file: (
            "haproxy.cfg",
            "defaults\n mode http\n timeout client 5s\nfrontend it\n bind 127.0.0.1:{port}
             http-request return status 200 content-type text/plain string hello\n",
        ),
        start: "haproxy -db -f {folder}/haproxy.cfg",
    },
    Real {
        name: "Node",
        installed: "node --version",
        file: (
            "server.mjs",
            "import http from 'node:http';
             http.createServer((_, answer) => answer.end('hello')).listen({port}, '127.0.0.1');",
        ),
        start: "node {folder}/server.mjs",
    },
    Real {
        name: "Go",
        installed: "go version",
        file: (
            "server.go",
            "package main\nimport \"net/http\"\nfunc main() {
             http.HandleFunc(\"/\", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(\"hello\")) })
             http.ListenAndServe(\"127.0.0.1:{port}\", nil)\n}",
        ),
        start: "go run {folder}/server.go",
    },
    Real {
        name: "Python's http.server",
        installed: "python3 --version",
        file: ("index.html", "hello"),
        start: "python3 -m http.server {port} --bind 127.0.0.1 --directory {folder}",
    },
    Real {
        name: "uvicorn",
        installed: "python3 -m uvicorn --version",
        file: ASGI,
        start: "python3 -m uvicorn app:app --app-dir {folder} --port {port} --log-level warning",
    },
    Real {
        name: "gunicorn",
        installed: "python3 -m gunicorn --version",
        file: (
            "app.py",
            "def app(environ, start):\n    start('200 OK', [])\n    return [b'hello']",
        ),
        start: "python3 -m gunicorn app:app --chdir {folder} --bind 127.0.0.1:{port} --log-level warning",
    },
    Real {
        name: "hypercorn",
        installed: "python3 -m hypercorn --help",
        file: ASGI,
        start: "python3 -m hypercorn {folder}/app:app --bind 127.0.0.1:{port} --log-level warning",
    },
];

/// A running server. Dropping it ends it, and all that it started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).unwrap();
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.0.wait();
    }
}

/// The words of a command line.
fn command(line: &str) -> Command {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    command
}

/// Starts a server in `folder`, and waits until it listens.
fn start(server: &Real, folder: &Path) -> (Running, SocketAddr) {
    // Free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let own = |text: &str| {
        let port = address.port().to_string();
        text.replace("{port}", &port).replace("{folder}", folder.to_str().unwrap())
    };
    fs::write(folder.join(server.file.0), own(server.file.1)).unwrap();
    let errors = folder.join("stderr");
    let child = command(&own(server.start))
        .process_group(0)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&errors).unwrap())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    // Go compiles first.
    let deadline = Instant::now() + Duration::from_mins(3);
    while TcpStream::connect(address).is_err() {
        let ended = running.0.try_wait().unwrap();
        if ended.is_some() || Instant::now() > deadline {
            let said = fs::read_to_string(&errors).unwrap();
            panic!("{} does not listen ({ended:?}): {said}", server.name);
        }
        thread::sleep(Duration::from_millis(20));
    }
    (running, address)
}

fn load(address: SocketAddr, drive: Drive) -> Result<Loaded, HostError> {
    let requests = vec![Request::get("/", None)];
    let order = Order { requests, ..order(address, drive, 4, [100, 700, 20_000]) };
    Program::at(env!("CARGO_BIN_EXE_paceline")).load(&order, Duration::from_mins(1))
}

#[test]
fn every_real_server_that_is_installed_answers_each_request_of_a_load() {
    let (mut faults, mut tried) = (vec![], vec![]);
    for server in &SERVERS {
        let mut probe = command(server.installed);
        let probe = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if !probe.status().is_ok_and(|status| status.success()) {
            eprintln!("{} is not installed: not tried", server.name);
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        // Apache's workers are of another user.
        let open = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        fs::set_permissions(folder.path(), open).unwrap();
        let (_running, address) = start(server, folder.path());
        for drive in [Drive::Closed, Drive::Open { rate: 50.0, arrivals: Arrivals::Uniform }] {
            match load(address, drive) {
                Ok(loaded) if loaded.completed > 0 && loaded.completed == loaded.offered => {
                    let Loaded { completed, reconnects, .. } = loaded;
                    tried.push(format!(
                        "{}: {completed} answers, {reconnects} reconnects",
                        server.name
                    ));
                }
                other => faults.push(format!("{}, {drive:?}: {other:?}", server.name)),
            }
        }
    }
    eprintln!("{tried:#?}");
    assert!(faults.is_empty(), "{faults:#?}");
}
