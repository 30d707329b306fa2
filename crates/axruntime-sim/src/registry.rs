//! Which handles are alive. A handle is a number that never points anywhere and never comes twice, so a stale,
//! wrong or invented one is found out here and nothing is ever read through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::connection::Connection;
use crate::context::Context;
use crate::error::{Failure, Outcome};
use crate::instance::Instance;
use crate::model::Model;
use crate::properties::Properties;

/// What a handle may stand for.
#[derive(Clone)]
pub(crate) enum Object {
    Context,
    Connection(Arc<Connection>),
    Model(Arc<Model>),
    Instance(Arc<Instance>),
    Properties(Arc<Mutex<Properties>>),
}

/// A kind of object that can be asked for.
pub(crate) trait Kind: Sized {
    const NAME: &'static str;
    fn of(object: &Object) -> Option<Arc<Self>>;
}

macro_rules! kinds {
    ($($type:ty, $variant:ident, $name:literal;)*) => { $(
        impl Kind for $type {
            const NAME: &'static str = $name;
            fn of(object: &Object) -> Option<Arc<Self>> {
                match object {
                    Object::$variant(inner) => Some(Arc::clone(inner)),
                    _ => None,
                }
            }
        }
    )* };
}
kinds! {
    Connection, Connection, "connection";
    Model, Model, "model";
    Instance, Instance, "model instance";
    Mutex<Properties>, Properties, "properties object";
}

/// An object's context, with the context's own handle.
#[derive(Clone)]
pub(crate) struct Scope {
    pub handle: usize,
    pub context: Arc<Context>,
}

struct Entry {
    scope: Scope,
    object: Object,
}

#[derive(Default)]
struct Registry {
    issued: usize,
    entries: BTreeMap<usize, Entry>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { issued: 0, entries: BTreeMap::new() });

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    fn next(&mut self) -> usize {
        self.issued += 1;
        // looks like an aligned address in the first, unmapped pages' neighbourhood; is none
        0x1000 + self.issued * 16
    }
}

/// Registers a context.
pub(crate) fn insert_context(context: Arc<Context>) -> usize {
    let mut registry = registry();
    let handle = registry.next();
    registry.entries.insert(handle, Entry { scope: Scope { handle, context }, object: Object::Context });
    handle
}

/// Registers an object of a context; `None` when another thread has destroyed that meanwhile.
pub(crate) fn insert(scope: &Scope, object: Object) -> Option<usize> {
    let mut registry = registry();
    if !registry.entries.contains_key(&scope.handle) {
        return None;
    }
    let handle = registry.next();
    registry.entries.insert(handle, Entry { scope: scope.clone(), object });
    Some(handle)
}

/// The context of any live handle.
pub(crate) fn scope(handle: usize) -> Option<Scope> {
    registry().entries.get(&handle).map(|entry| entry.scope.clone())
}

/// Whether a live handle is a context's.
pub(crate) fn is_context(handle: usize) -> bool {
    registry().entries.get(&handle).is_some_and(|entry| matches!(entry.object, Object::Context))
}

/// A live object of a kind.
pub(crate) fn get<T: Kind>(handle: usize) -> Outcome<Arc<T>> {
    let found = registry().entries.get(&handle).and_then(|entry| T::of(&entry.object));
    found.ok_or_else(|| Failure::argument(format!("not a live {}: {handle:#x}", T::NAME)))
}

/// Forgets an object; a context takes everything made from it along. What goes is dropped after the lock.
pub(crate) fn remove(handle: usize) {
    let removed: Vec<Option<Entry>> = {
        let mut registry = registry();
        let entry = registry.entries.remove(&handle);
        let mut gone = Vec::new();
        if entry.as_ref().is_some_and(|entry| matches!(entry.object, Object::Context)) {
            let made = registry.entries.iter().filter(|(_, entry)| entry.scope.handle == handle);
            gone.extend(made.map(|(key, _)| *key));
        }
        std::iter::once(entry).chain(gone.iter().map(|key| registry.entries.remove(key))).collect()
    };
    drop(removed);
}
