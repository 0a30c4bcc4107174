//! Where a job's future keeps the state of its waits: decided by types, because conditions cannot do it.
//!
//! rustc lays a future out before it knows which branches are dead, but after it knows the types. A job that only
//! sleeps must not carry a socket, nor a compute job a timer: at a million tasks that is what costs, not dispatch.

use std::{
    convert::Infallible,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{Context, Poll},
};

/// Where the state of a sort of wait is kept while it lasts. All places mean the same: they differ in the size of a
/// job's future, and in allocations.
pub trait Storage: 'static {
    /// A future, in this place.
    type Wait<F: Future + Send>: Future<Output = F::Output> + Send;
    /// A value, in this place.
    type Held<T: Send>: DerefMut<Target = T> + Send;
    /// Puts `wait` in this place.
    fn wait<F: Future + Send>(wait: F) -> Self::Wait<F>;
    /// Puts `value` in this place.
    fn hold<T: Send>(value: T) -> Self::Held<T>;
}

/// In the job's future: no allocation, and every such job is the larger for it.
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

/// Nowhere: the job has no such wait, which [`Waits::of`](crate::job::Waits::of) made sure of when it chose the kind.
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

/// What stands for a `T` that cannot be.
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

/// On the heap: a word in the job's future.
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

/// Which waits a job keeps in place: chosen once for a cell, by what its jobs wait for.
pub trait StoragePolicy: 'static {
    /// Where sleeps and yields are kept.
    type Timer: Storage;
    /// Where connections and exchanges are kept.
    type Socket: Storage;
    /// Where hops are kept.
    type Partner: Storage;
    /// Where connections of pools are kept.
    type Pool: Storage;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident { $timer:ident, $socket:ident, $partner:ident, $pool:ident })*) => {$(
        $(#[$doc])*
        pub enum $name {}
        impl StoragePolicy for $name {
            type Timer = $timer;
            type Socket = $socket;
            type Partner = $partner;
            type Pool = $pool;
        }
    )*};
}

kinds! {
    /// Jobs that wait for timers alone.
    Timers { InPlace, NoStorage, NoStorage, NoStorage }
    /// Jobs that wait for sockets alone.
    Sockets { NoStorage, InPlace, NoStorage, NoStorage }
    /// Jobs that wait for partners alone.
    Partners { NoStorage, NoStorage, InPlace, NoStorage }
    /// Jobs that wait for more than one of these, or have connections of pools.
    Mixed { Boxed, Boxed, Boxed, Boxed }
}

/// Jobs of blocking models, whose futures are never stored.
pub(super) enum All {}

impl StoragePolicy for All {
    type Timer = InPlace;
    type Socket = InPlace;
    type Partner = InPlace;
    type Pool = InPlace;
}
