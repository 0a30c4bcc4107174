//! The examples below the help of each command.

/// A command's path, and its examples: the line, and what it does.
type Examples = (&'static str, &'static [(&'static str, &'static str); 3]);

/// The examples of every command.
pub(super) const EXAMPLES: &[Examples] = &[
    (
        "",
        &[
            ("paceline doctor", "is this machine fit to measure on?"),
            ("paceline run echo --model tokio,smol --scale 100", "compares two models"),
            ("paceline advise job.toml", "which model suits your job?"),
        ],
    ),
    (
        "models",
        &[
            ("paceline models", "lists the models, and why some cannot run here"),
            ("paceline models --format json", "the same for other programs"),
            ("COLUMNS=80 paceline models", "in lines of 80 columns"),
        ],
    ),
    (
        "workloads",
        &[
            ("paceline workloads", "lists the built-in workloads and their scales"),
            ("paceline workloads --format json", "with the text of each, to begin your own from"),
            ("COLUMNS=80 paceline workloads", "in a table of 80 columns"),
        ],
    ),
    (
        "run",
        &[
            ("paceline run echo --model tokio,smol --scale 100", "compares two models"),
            ("paceline run job.toml --budget 5m", "measures your own job on all models"),
            ("paceline run sleep --model threads --to-the-limit", "finds what breaks first"),
        ],
    ),
    (
        "load",
        &[
            ("paceline load serve-plain --model tokio,pool --rate 500", "500 requests per second"),
            (
                "paceline load serve-plain --model tokio --p99-limit 10ms",
                "the highest rate with a p99 latency within 10 ms",
            ),
            (
                "paceline load http://127.0.0.1:8080/ --connections 16 --duration 10s",
                "your own server, 16 connections that each wait for their answers",
            ),
        ],
    ),
    (
        "serve",
        &[
            ("paceline serve serve-plain --model tokio", "a server for curl or wrk"),
            ("paceline serve job.toml --model threads", "your own job at each request"),
            ("paceline serve serve-plain --model smol --workers 1", "with one worker"),
        ],
    ),
    (
        "doctor",
        &[
            ("paceline doctor", "says what disturbs measurements here, and what to do"),
            ("paceline doctor --format json", "the same for other programs"),
            ("paceline doctor && paceline run", "measures only if the machine is fit"),
        ],
    ),
    (
        "gate",
        &[
            ("paceline gate --base main", "did the working tree get slower than main?"),
            (
                "paceline gate --base tokio@1.50.0 --head tokio@1.51.0",
                "did a dependency get slower?",
            ),
            ("paceline gate --base v1.0 --bench hot --strict", "gates your own bench, for CI"),
        ],
    ),
    (
        "init",
        &[
            ("paceline init gate --dry-run", "what would be written, and where"),
            ("paceline init gate", "sets the crate of this folder up for the gate"),
            ("paceline init gate --package my-crate", "one crate of a workspace"),
        ],
    ),
    (
        "cluster",
        &[
            (
                "paceline cluster run echo --scale 100 --engine local --out matrix",
                "plans, measures and collects here, in blocks that can be stopped and resumed",
            ),
            ("paceline cluster plan echo sleep --out matrix", "writes a plan for other nodes"),
            ("paceline cluster submit matrix --engine slurm", "submits its blocks to Slurm"),
        ],
    ),
    (
        "cluster plan",
        &[
            ("paceline cluster plan echo cpu --trials 8 --out plan", "two workloads"),
            (
                "paceline cluster plan --model tokio,smol --budget 5m --out plan",
                "the core workloads on two models, each block within 5 minutes",
            ),
            (
                "paceline cluster plan serve-plain --model tokio --rate 1000 --connections 64 --server n1=10.0.0.1 \
                 --generator n2=10.0.0.2 --out plan",
                "a server on one node, put under load from another",
            ),
        ],
    ),
    (
        "cluster submit",
        &[
            (
                "paceline cluster submit plan --engine slurm --set options=--partition=batch",
                "as an array of jobs",
            ),
            ("paceline cluster submit plan --engine ssh --set hosts=box1,box2", "to two machines"),
            ("paceline cluster submit plan", "again: blocks without a result, to the same engine"),
        ],
    ),
    (
        "cluster status",
        &[
            ("paceline cluster status plan", "the state of each block"),
            ("paceline cluster status plan --wait", "waits; exits with 3 if a result is missing"),
            ("paceline cluster status plan --format json", "the same for other programs"),
        ],
    ),
    (
        "cluster collect",
        &[
            ("paceline cluster collect plan", "makes a record in the folder results"),
            ("paceline cluster collect plan --partial", "also if blocks have no result"),
            ("paceline cluster collect plan --any-machine", "one record of all kinds of machines"),
        ],
    ),
    (
        "cluster cancel",
        &[
            ("paceline cluster cancel plan", "ends what waits or runs"),
            (
                "paceline cluster cancel plan && paceline cluster collect plan --partial",
                "and records the blocks that are done",
            ),
            (
                "paceline cluster cancel plan && paceline cluster submit plan",
                "and begins again with the blocks that are not",
            ),
        ],
    ),
    (
        "cluster run",
        &[
            (
                "paceline cluster run echo --scale 100 --engine local --out matrix",
                "on this machine, in blocks that can be stopped and resumed",
            ),
            (
                "paceline cluster run echo cpu --engine slurm --set options=--partition=batch --out matrix",
                "two workloads with Slurm",
            ),
            (
                "paceline cluster run --trials 8 --engine ssh --set hosts=box1,box2 --out matrix",
                "the core workloads on two machines",
            ),
        ],
    ),
    (
        "cluster work",
        &[
            ("paceline cluster work plan 0000", "the first block"),
            ("paceline cluster work plan 0000 --node box1", "as the node box1 of the plan"),
            ("PACELINE_NODE_NAME=box1 paceline cluster work plan 0000", "the same"),
        ],
    ),
    (
        "cluster manifest",
        &[
            (
                "paceline cluster manifest plan --image registry.example/paceline:1",
                "prints the manifest",
            ),
            (
                "paceline cluster manifest plan --image registry.example/paceline:1 --cpus 4",
                "with 4 CPUs for each pod",
            ),
            (
                "paceline cluster manifest plan --image registry.example/paceline:1 | kubectl apply -f -",
                "starts it",
            ),
        ],
    ),
    (
        "selftest",
        &[
            ("paceline selftest", "an hour: false alarms and planted slowdowns"),
            ("paceline selftest --budget 10m --suites 0", "planted slowdowns only"),
            ("paceline selftest --kind cpu --budget 10m", "of one kind of work"),
        ],
    ),
    (
        "advise",
        &[
            ("paceline advise job.toml", "which model suits your job"),
            ("paceline advise service --model tokio,threads", "of two models"),
            ("paceline advise job.toml --scale 10,1000 --budget 2m", "at two scales"),
        ],
    ),
    (
        "claims",
        &[
            ("paceline claims", "tests every claim on every model, within 3 minutes"),
            ("paceline claims sleeps freezes --model tokio,asyncio", "two claims on two models"),
            ("paceline claims cancel --all", "with all figures and their intervals"),
        ],
    ),
    (
        "compare",
        &[
            ("paceline compare monday tuesday --out results", "two runs in the folder results"),
            ("paceline compare results/a results/b --all", "with every figure"),
            ("paceline compare a b c --agreement", "how often runs of one build disagree"),
        ],
    ),
    (
        "history",
        &[
            ("paceline history", "all runs in the folder results"),
            ("paceline history --filter echo/tokio --metric p99", "one model's tail latency"),
            ("paceline history --format otava", "CSV for change-point tools"),
        ],
    ),
    (
        "report",
        &[
            ("paceline report", "a page of the newest run"),
            ("paceline report monday --format table --all", "every figure in the terminal"),
            ("paceline report monday --format csv -o monday.csv", "for a spreadsheet"),
        ],
    ),
    (
        "completions",
        &[
            (
                "paceline completions bash > ~/.local/share/bash-completion/completions/paceline",
                "for bash",
            ),
            ("paceline completions zsh > ~/.zfunc/_paceline", "for zsh, with ~/.zfunc in fpath"),
            ("paceline completions fish > ~/.config/fish/completions/paceline.fish", "for fish"),
        ],
    ),
    (
        "man",
        &[
            ("paceline man | man -l -", "shows the first page"),
            ("paceline man --out ~/.local/share/man/man1", "installs a page for each command"),
            ("paceline man --out man", "writes them into a folder"),
        ],
    ),
];
