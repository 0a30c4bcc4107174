//! Every model, as the name of a module of tests and its own.

/// Gives all of them to the macro `$tests`. A model that is missing here fails `every_model_is_tested`.
macro_rules! each_model {
    ($tests:ident) => {
        $tests! {
            sequential = "sequential"
            threads = "threads"
            pool = "pool"
            rayon = "rayon"
            tokio = "tokio"
            tokio_current_thread = "tokio-current-thread"
            tokio_per_core = "tokio-per-core"
            tokio_rayon = "tokio+rayon"
            smol = "smol"
            smol_per_core = "smol-per-core"
            async_std = "async-std"
            compio = "compio"
            monoio = "monoio"
            glommio = "glommio"
            tokio_uring = "tokio-uring"
            may = "may"
            asyncio = "asyncio"
            uvloop = "uvloop"
            asyncio_processes = "asyncio+processes"
            python_threads = "python-threads"
            python_processes = "python-processes"
            python_sequential = "python-sequential"
            node = "node"
            go = "go"
        }
    };
}
