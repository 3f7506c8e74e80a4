//! The two forms of `vkQueueSubmit`, with our command buffers added to copies of the batches.

use super::super::abi::{Handle, Head};
use super::super::device::Device;
use super::After;
use super::ring::{BATCHES, Gpu};

/// Command buffers of the first and the last batch that fit a copy, ours among them.
const BUFFERS: usize = 66;

const DEVICE_GROUP: u32 = 1_000_060_005;
const PROTECTED: u32 = 1_000_145_000;
const COMMAND_BUFFER_INFO: u32 = 1_000_314_006;

/// `VkSubmitInfo`.
#[repr(C)]
#[derive(Clone, Copy)]
struct First {
    head: Head,
    wait_count: u32,
    waits: *const u64,
    stages: *const u32,
    count: u32,
    buffers: *const Handle,
    signal_count: u32,
    signals: *const u64,
}

/// `VkSubmitInfo2`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Second {
    head: Head,
    flags: u32,
    wait_count: u32,
    waits: *const u64,
    count: u32,
    buffers: *const BufferInfo,
    signal_count: u32,
    signals: *const u64,
}

/// `VkCommandBufferSubmitInfo`.
#[repr(C)]
#[derive(Clone, Copy)]
struct BufferInfo {
    head: Head,
    buffer: Handle,
    mask: u32,
}

const _: () = assert!(size_of::<First>() == 72);
const _: () = assert!(size_of::<Second>() == 64 && size_of::<BufferInfo>() == 32);

/// A batch of either form.
trait Batch: Copy {
    /// What its list holds.
    type Item: Copy;
    /// An empty list's filling, and the item for one of our command buffers.
    fn item(buffer: Handle) -> Self::Item;
    fn head(&self) -> &Head;
    fn list(&self) -> (*const Self::Item, u32);
    fn set_list(&mut self, items: *const Self::Item, count: u32);
}

impl Batch for First {
    type Item = Handle;
    fn item(buffer: Handle) -> Handle {
        buffer
    }
    fn head(&self) -> &Head {
        &self.head
    }
    fn list(&self) -> (*const Handle, u32) {
        (self.buffers, self.count)
    }
    fn set_list(&mut self, items: *const Handle, count: u32) {
        (self.buffers, self.count) = (items, count);
    }
}

impl Batch for Second {
    type Item = BufferInfo;
    fn item(buffer: Handle) -> BufferInfo {
        BufferInfo {
            head: Head {
                kind: COMMAND_BUFFER_INFO,
                next: core::ptr::null(),
            },
            buffer,
            mask: 0,
        }
    }
    fn head(&self) -> &Head {
        &self.head
    }
    fn list(&self) -> (*const BufferInfo, u32) {
        (self.buffers, self.count)
    }
    fn set_list(&mut self, items: *const BufferInfo, count: u32) {
        (self.buffers, self.count) = (items, count);
    }
}

/// `vkQueueSubmit`.
pub(super) fn first<const N: usize>(
    gpu: &'static Gpu,
    device: &'static Device,
    arguments: [u64; N],
    call: impl Fn(&[u64; N]) -> u64,
) -> (u64, After) {
    send::<First, N>(gpu, device, arguments, call)
}

/// `vkQueueSubmit2` and `vkQueueSubmit2KHR`.
pub(super) fn second<const N: usize>(
    gpu: &'static Gpu,
    device: &'static Device,
    arguments: [u64; N],
    call: impl Fn(&[u64; N]) -> u64,
) -> (u64, After) {
    send::<Second, N>(gpu, device, arguments, call)
}

fn send<B: Batch, const N: usize>(
    gpu: &'static Gpu,
    device: &'static Device,
    arguments: [u64; N],
    call: impl Fn(&[u64; N]) -> u64,
) -> (u64, After) {
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
    let (queue, count) = (argument(0), argument(1) as u32 as usize);
    let given = argument(2) as *const B;
    if count == 0 {
        return (call(&arguments), After::Nothing);
    }
    let untimed = || (call(&arguments), After::Untimed);
    // SAFETY: the API's list of `count` batches.
    let Some(mut batches) = (unsafe { copy(given, count) }) else {
        return untimed();
    };
    let Some(ring) = gpu.ring(queue) else {
        return untimed();
    };
    let Some((slot, [begin, end])) = gpu.take(device, ring) else {
        return untimed();
    };
    // The first and the last batch may be the same one.
    let mut front = [B::item(begin); BUFFERS];
    let mut back = [B::item(end); BUFFERS];
    let last = count - 1;
    let added = add(&mut batches, 0, &mut front, Some(B::item(begin)), None)
        .and_then(|()| add(&mut batches, last, &mut back, None, Some(B::item(end))));
    if added.is_none() {
        ring.give_back(slot);
        return untimed();
    }
    let mut changed = arguments;
    if let Some(list) = changed.get_mut(2) {
        *list = batches.as_ptr() as u64;
    }
    let result = call(&changed);
    if (result as i32) < 0 {
        ring.give_back(slot);
        return (result, After::Nothing);
    }
    (result, After::Sent(ring, slot))
}

/// Copies the batches. `None`: too many, or one that must not be changed.
///
/// # Safety
/// `given` has `count` batches.
unsafe fn copy<B: Batch>(given: *const B, count: usize) -> Option<[B; BATCHES]> {
    if count > BATCHES {
        return None;
    }
    // SAFETY: at least one, says the caller.
    let mut batches = [unsafe { given.read() }; BATCHES];
    for (index, batch) in batches.iter_mut().enumerate().take(count) {
        // SAFETY: below `count`.
        *batch = unsafe { given.wrapping_add(index).read() };
        if !may_change(batch.head()) {
            return None;
        }
    }
    Some(batches)
}

/// Whether a batch may get command buffers more: not if its chain counts them or protects them.
fn may_change(head: &Head) -> bool {
    let mut at = head.next;
    while !at.is_null() {
        // SAFETY: structures in a chain begin with a head.
        let this = unsafe { at.read() };
        if matches!(this.kind, DEVICE_GROUP | PROTECTED) {
            return false;
        }
        at = this.next;
    }
    true
}

/// Replaces the list of batch `index` by one with an item more, kept in `room`.
fn add<B: Batch>(
    batches: &mut [B; BATCHES],
    index: usize,
    room: &mut [B::Item; BUFFERS],
    before: Option<B::Item>,
    behind: Option<B::Item>,
) -> Option<()> {
    let batch = batches.get_mut(index)?;
    let (items, count) = batch.list();
    if count as usize + 1 > BUFFERS {
        return None;
    }
    let mut length = 0;
    let mut push = |item: B::Item| {
        if let Some(place) = room.get_mut(length) {
            *place = item;
            length += 1;
        }
    };
    if let Some(item) = before {
        push(item);
    }
    for index in 0..count as usize {
        // SAFETY: the batch's list has `count` items.
        push(unsafe { items.wrapping_add(index).read() });
    }
    if let Some(item) = behind {
        push(item);
    }
    let length = length as u32;
    batch.set_list(room.as_ptr(), length);
    Some(())
}
