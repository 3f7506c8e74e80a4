//! Devices and instances that live, and the functions of the next layer for each.
//!
//! Found by the first word of a dispatchable handle, which all handles of a device share. The
//! lists are never locked: entries are pushed to the front, marked free when their owner is
//! destroyed, and used again; their memory is never given back.

use super::abi::{Function, GetDeviceProcAddr, GetInstanceProcAddr, Handle};
use super::table::{COUNT, NAMES};
use super::times::Times;
use core::ffi::CStr;
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// An entry of a list.
pub(super) trait Listed: Sized + 'static {
    /// The list's head.
    fn head() -> &'static AtomicPtr<Self>;
    /// The key; 0 while the entry is free.
    fn key(&self) -> &AtomicUsize;
    /// The next entry.
    fn next(&self) -> &AtomicPtr<Self>;
    /// An entry with no key.
    fn empty() -> Self;
}

/// A key that no handle has, for an entry that is being filled.
const FILLING: usize = 1;

/// The entry with this key.
#[inline(always)]
fn find<T: Listed>(key: usize) -> Option<&'static T> {
    let mut at = T::head().load(Ordering::Acquire);
    // SAFETY: entries are leaked boxes, filled before they are in the list.
    while let Some(entry) = unsafe { at.as_ref() } {
        if entry.key().load(Ordering::Acquire) == key {
            return Some(entry);
        }
        at = entry.next().load(Ordering::Acquire);
    }
    None
}

/// A free entry, marked as being filled: an old one or a new one.
fn take<T: Listed>() -> &'static T {
    let mut at = T::head().load(Ordering::Acquire);
    // SAFETY: as in `find`.
    while let Some(entry) = unsafe { at.as_ref() } {
        let key = entry.key();
        if key.load(Ordering::Relaxed) == 0
            && key
                .compare_exchange(0, FILLING, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        {
            return entry;
        }
        at = entry.next().load(Ordering::Acquire);
    }
    let entry: &'static T = Box::leak(Box::new(T::empty()));
    entry.key().store(FILLING, Ordering::Relaxed);
    let mut head = T::head().load(Ordering::Relaxed);
    loop {
        entry.next().store(head, Ordering::Relaxed);
        let new = core::ptr::from_ref(entry).cast_mut();
        match T::head().compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return entry,
            Err(other) => head = other,
        }
    }
}

/// The key of a dispatchable handle.
///
/// # Safety
/// The handle is alive.
#[inline(always)]
unsafe fn key_of(handle: Handle) -> usize {
    // SAFETY: a dispatchable handle points to the loader's table pointer, say the loader's rules.
    unsafe { (handle as *const usize).read() }
}

/// A `VkInstance` and what the layer below offers for it.
pub(super) struct Instance {
    key: AtomicUsize,
    next: AtomicPtr<Self>,
    handle: AtomicUsize,
    get: AtomicPtr<()>,
    pub(super) destroy: AtomicPtr<()>,
    pub(super) queue_families: AtomicPtr<()>,
    pub(super) properties: AtomicPtr<()>,
    pub(super) device_extensions: AtomicPtr<()>,
}

static INSTANCES: AtomicPtr<Instance> = AtomicPtr::new(null_mut());
static DEVICES: AtomicPtr<Device> = AtomicPtr::new(null_mut());

impl Listed for Instance {
    fn head() -> &'static AtomicPtr<Self> {
        &INSTANCES
    }
    fn key(&self) -> &AtomicUsize {
        &self.key
    }
    fn next(&self) -> &AtomicPtr<Self> {
        &self.next
    }
    fn empty() -> Self {
        Self {
            key: AtomicUsize::new(0),
            next: AtomicPtr::new(null_mut()),
            handle: AtomicUsize::new(0),
            get: AtomicPtr::new(null_mut()),
            destroy: AtomicPtr::new(null_mut()),
            queue_families: AtomicPtr::new(null_mut()),
            properties: AtomicPtr::new(null_mut()),
            device_extensions: AtomicPtr::new(null_mut()),
        }
    }
}

impl Instance {
    /// Remembers a new instance.
    ///
    /// # Safety
    /// `handle` is alive and `get` is the next layer's function.
    pub(super) unsafe fn add(handle: Handle, get: GetInstanceProcAddr) -> &'static Self {
        let entry: &'static Self = take();
        entry.get.store(get as *mut (), Ordering::Relaxed);
        entry.handle.store(handle as usize, Ordering::Relaxed);
        let ask = |name: &CStr| {
            // SAFETY: a live instance and a C string.
            unsafe { get(handle, name.as_ptr()) }.cast_mut()
        };
        // Now: asked later, some layers answer with the top of the chain.
        entry
            .destroy
            .store(ask(c"vkDestroyInstance"), Ordering::Relaxed);
        entry.queue_families.store(
            ask(c"vkGetPhysicalDeviceQueueFamilyProperties"),
            Ordering::Relaxed,
        );
        entry
            .properties
            .store(ask(c"vkGetPhysicalDeviceProperties"), Ordering::Relaxed);
        entry.device_extensions.store(
            ask(c"vkEnumerateDeviceExtensionProperties"),
            Ordering::Relaxed,
        );
        // SAFETY: passed on.
        let key = unsafe { key_of(handle) };
        entry.key.store(key, Ordering::Release);
        entry
    }

    /// The instance that a handle (its own or a physical device's) belongs to.
    ///
    /// # Safety
    /// The handle is alive.
    pub(super) unsafe fn of(handle: Handle) -> Option<&'static Self> {
        // SAFETY: passed on.
        find(unsafe { key_of(handle) })
    }

    /// The `VkInstance`.
    pub(super) fn handle(&self) -> Handle {
        self.handle.load(Ordering::Relaxed) as Handle
    }

    /// What the next layer answers to `name`.
    ///
    /// # Safety
    /// `handle` is this instance.
    pub(super) unsafe fn ask(&self, handle: Handle, name: &CStr) -> Function {
        let get = self.get.load(Ordering::Relaxed);
        if get.is_null() {
            return null();
        }
        // SAFETY: stored from a function of this type.
        let get = unsafe { core::mem::transmute::<*mut (), GetInstanceProcAddr>(get) };
        // SAFETY: a live instance and a C string.
        unsafe { get(handle, name.as_ptr()) }
    }

    /// Forgets it.
    pub(super) fn remove(&self) {
        self.key.store(0, Ordering::Release);
    }
}

/// A `VkDevice` and the next layer's functions for it.
pub(crate) struct Device {
    key: AtomicUsize,
    next: AtomicPtr<Self>,
    handle: AtomicUsize,
    get: AtomicPtr<()>,
    pub(super) destroy: AtomicPtr<()>,
    functions: [AtomicPtr<()>; COUNT],
    /// GPU times, if they were asked for.
    pub(super) times: Times,
}

impl Listed for Device {
    fn head() -> &'static AtomicPtr<Self> {
        &DEVICES
    }
    fn key(&self) -> &AtomicUsize {
        &self.key
    }
    fn next(&self) -> &AtomicPtr<Self> {
        &self.next
    }
    fn empty() -> Self {
        Self {
            key: AtomicUsize::new(0),
            next: AtomicPtr::new(null_mut()),
            handle: AtomicUsize::new(0),
            get: AtomicPtr::new(null_mut()),
            destroy: AtomicPtr::new(null_mut()),
            functions: [const { AtomicPtr::new(null_mut()) }; COUNT],
            times: Times::new(),
        }
    }
}

impl Device {
    /// Remembers a new device; it is found once [`Device::open`] is called.
    ///
    /// # Safety
    /// `handle` is alive and `get` is the next layer's function.
    pub(super) unsafe fn add(handle: Handle, get: GetDeviceProcAddr) -> &'static Self {
        let entry: &'static Self = take();
        entry.get.store(get as *mut (), Ordering::Relaxed);
        entry.handle.store(handle as usize, Ordering::Relaxed);
        for (slot, name) in entry.functions.iter().zip(NAMES) {
            // SAFETY: a live device and a C string.
            let function = unsafe { get(handle, name.as_ptr()) };
            slot.store(function.cast_mut(), Ordering::Relaxed);
        }
        // SAFETY: a live device and a C string.
        let destroy = unsafe { get(handle, c"vkDestroyDevice".as_ptr()) };
        entry.destroy.store(destroy.cast_mut(), Ordering::Relaxed);
        entry
    }

    /// Makes the device findable.
    ///
    /// # Safety
    /// `handle` is alive.
    pub(super) unsafe fn open(&self, handle: Handle) {
        // SAFETY: passed on.
        let key = unsafe { key_of(handle) };
        self.key.store(key, Ordering::Release);
    }

    /// The device that a handle (its own, a queue's or a command buffer's) belongs to.
    ///
    /// # Safety
    /// The handle is alive.
    #[inline(always)]
    pub(super) unsafe fn of(handle: Handle) -> Option<&'static Self> {
        // SAFETY: passed on.
        find(unsafe { key_of(handle) })
    }

    /// The `VkDevice`.
    pub(super) fn handle(&self) -> Handle {
        self.handle.load(Ordering::Relaxed) as Handle
    }

    /// The next layer's function; null if it lacks it.
    #[inline(always)]
    pub(super) fn function(&self, index: usize) -> Function {
        match self.functions.get(index) {
            Some(function) => function.load(Ordering::Relaxed),
            None => null(),
        }
    }

    /// What the next layer answers to `name`.
    ///
    /// # Safety
    /// `handle` is this device.
    pub(super) unsafe fn ask(&self, handle: Handle, name: &CStr) -> Function {
        let get = self.get.load(Ordering::Relaxed);
        if get.is_null() {
            return null();
        }
        // SAFETY: stored from a function of this type.
        let get = unsafe { core::mem::transmute::<*mut (), GetDeviceProcAddr>(get) };
        // SAFETY: a live device and a C string.
        unsafe { get(handle, name.as_ptr()) }
    }

    /// Forgets it.
    pub(super) fn remove(&self) {
        self.key.store(0, Ordering::Release);
    }
}
