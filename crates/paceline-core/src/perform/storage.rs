//! Where a job's future stores the state of its waits. Types decide this, because conditions cannot.
//!
//! rustc lays a future out before it knows which branches are dead, but after it knows the types. A job that only
//! sleeps must not carry a socket, nor a compute job a timer: with a million tasks, that costs more than dispatch does.

use std::{
    convert::Infallible,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{Context, Poll},
};

/// Where the state of one kind of wait is stored while it lasts. All implementations behave the same; they differ in
/// the size of the job's future and in allocations.
pub trait Storage: 'static {
    /// A future in this storage.
    type Wait<F: Future + Send>: Future<Output = F::Output> + Send;
    /// A value in this storage.
    type Held<T: Send>: DerefMut<Target = T> + Send;
    /// Stores `wait`.
    fn wait<F: Future + Send>(wait: F) -> Self::Wait<F>;
    /// Stores `value`.
    fn hold<T: Send>(value: T) -> Self::Held<T>;
}

/// In the job's future: no allocation, but every such job is larger.
pub enum InPlace {}

impl Storage for InPlace {
    type Wait<F: Future + Send> = F;
    type Held<T: Send> = Inline<T>;
    fn wait<F: Future + Send>(wait: F) -> F {
        wait
    }
    fn hold<T: Send>(value: T) -> Inline<T> {
        Inline(value)
    }
}

/// Inline storage with the interface of a box.
pub struct Inline<T>(T);

impl<T> Deref for Inline<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Inline<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// Nowhere: the job has no such wait. [`Jobs::waits`](crate::job::Jobs::waits) ensures this when it selects the policy.
pub enum NoStorage {}

impl Storage for NoStorage {
    type Wait<F: Future + Send> = Never<F>;
    type Held<T: Send> = Never<T>;
    fn wait<F: Future + Send>(_: F) -> Never<F> {
        unreachable!("a job of another kind")
    }
    fn hold<T: Send>(_: T) -> Never<T> {
        unreachable!("a job of another kind")
    }
}

/// An uninhabited stand-in for `T`.
pub struct Never<T>(Infallible, PhantomData<T>);

impl<T> Deref for Never<T> {
    type Target = T;
    fn deref(&self) -> &T {
        match self.0 {}
    }
}

impl<T> DerefMut for Never<T> {
    fn deref_mut(&mut self) -> &mut T {
        match self.0 {}
    }
}

impl<F: Future> Future for Never<F> {
    type Output = F::Output;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<F::Output> {
        match self.0 {}
    }
}

/// On the heap, with one word in the job's future.
pub enum Boxed {}

impl Storage for Boxed {
    type Wait<F: Future + Send> = Pin<Box<F>>;
    type Held<T: Send> = Box<T>;
    fn wait<F: Future + Send>(wait: F) -> Pin<Box<F>> {
        Box::pin(wait)
    }
    fn hold<T: Send>(value: T) -> Box<T> {
        Box::new(value)
    }
}

/// Which waits are stored inside the job's future. It is selected once per cell, by what its jobs wait for.
pub trait StoragePolicy: 'static {
    /// The storage of sleeps and yields.
    type Timer: Storage;
    /// The storage of connections and exchanges.
    type Socket: Storage;
    /// The storage of hops.
    type Partner: Storage;
    /// The storage of offloaded work.
    type Offload: Storage;
    /// The storage of pooled connections.
    type Pool: Storage;
    /// The policy of children. Only jobs of `Mixed` and of blocking models have any; with a policy of their own, the others
    /// would have every way to spawn children compiled for them as well.
    type Child: StoragePolicy;
}

macro_rules! kinds {
    ($(
        $(#[$doc:meta])*
        $name:ident { $timer:ident, $socket:ident, $partner:ident, $offload:ident, $pool:ident }
    )*) => {$(
        $(#[$doc])*
        pub enum $name {}
        impl StoragePolicy for $name {
            type Timer = $timer;
            type Socket = $socket;
            type Partner = $partner;
            type Offload = $offload;
            type Pool = $pool;
            type Child = Mixed;
        }
    )*};
}

kinds! {
    /// Jobs that wait only for timers.
    Timers { InPlace, NoStorage, NoStorage, NoStorage, NoStorage }
    /// Jobs that wait only for sockets.
    Sockets { NoStorage, InPlace, NoStorage, NoStorage, NoStorage }
    /// Jobs that wait only for partners.
    Partners { NoStorage, NoStorage, InPlace, NoStorage, NoStorage }
    /// Jobs that wait only for offloaded work.
    Offloads { NoStorage, NoStorage, NoStorage, InPlace, NoStorage }
    /// Jobs that wait for several of these, or use pooled connections.
    Mixed { Boxed, Boxed, Boxed, Boxed, Boxed }
}

/// Jobs of blocking models that wait for several of these. Their futures are never stored.
pub(super) enum All {}

impl StoragePolicy for All {
    type Timer = InPlace;
    type Socket = InPlace;
    type Partner = InPlace;
    type Offload = InPlace;
    type Pool = InPlace;
    type Child = All;
}
