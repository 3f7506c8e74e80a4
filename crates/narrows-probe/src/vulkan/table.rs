//! The device functions that the layer wraps: those that submit, wait, signal, map, allocate or
//! compile. Functions that only record commands (`vkCmd*`) are not among them: they cost tens of
//! nanoseconds and do not wait.
//!
//! Name, number of arguments, kind, object, how it fails. Every argument is an integer, a pointer
//! or a 64-bit handle; functions with floating-point arguments are not in the list.

use super::call::entries;
use crate::trampoline::{Fails, Object};

entries! {
    // Queues. The first two are looked up by index in `device`.
    vkGetDeviceQueue w4 Queue, Object::Out(3), Fails::Never;
    vkGetDeviceQueue2 w3 Queue, Object::Out(2), Fails::Never;
    vkQueueSubmit w4 Submit, Object::Arg(0), Fails::Negative;
    vkQueueSubmit2 w4 Submit, Object::Arg(0), Fails::Negative;
    vkQueueSubmit2KHR w4 Submit, Object::Arg(0), Fails::Negative;
    vkQueueBindSparse w4 Submit, Object::Arg(0), Fails::Negative;
    vkQueuePresentKHR w2 Present, Object::Arg(0), Fails::Negative;
    vkQueueWaitIdle w1 Sync, Object::Arg(0), Fails::Negative;
    vkDeviceWaitIdle w1 Sync, Object::None, Fails::Negative;
    // Fences, semaphores, events, queries.
    vkWaitForFences w5 Sync, Object::Field(2, 0), Fails::Negative;
    vkWaitSemaphores w3 Sync, Object::None, Fails::Negative;
    vkWaitSemaphoresKHR w3 Sync, Object::None, Fails::Negative;
    vkWaitForPresentKHR w4 Sync, Object::Arg(1), Fails::Negative;
    vkAcquireNextImageKHR w6 Sync, Object::Arg(1), Fails::Negative;
    vkAcquireNextImage2KHR w3 Sync, Object::None, Fails::Negative;
    vkGetFenceStatus w2 Query, Object::Arg(1), Fails::Negative;
    vkGetSemaphoreCounterValue w3 Query, Object::Arg(1), Fails::Negative;
    vkGetSemaphoreCounterValueKHR w3 Query, Object::Arg(1), Fails::Negative;
    vkGetEventStatus w2 Query, Object::Arg(1), Fails::Negative;
    vkGetQueryPoolResults w8 Query, Object::Arg(1), Fails::Negative;
    vkSignalSemaphore w2 Event, Object::None, Fails::Negative;
    vkSignalSemaphoreKHR w2 Event, Object::None, Fails::Negative;
    vkResetFences w3 Event, Object::Field(2, 0), Fails::Negative;
    vkSetEvent w2 Event, Object::Arg(1), Fails::Negative;
    vkResetEvent w2 Event, Object::Arg(1), Fails::Negative;
    vkCreateFence w4 Event, Object::Out(3), Fails::Negative;
    vkDestroyFence w3 Event, Object::Arg(1), Fails::Never;
    vkCreateSemaphore w4 Event, Object::Out(3), Fails::Negative;
    vkDestroySemaphore w3 Event, Object::Arg(1), Fails::Never;
    vkCreateEvent w4 Event, Object::Out(3), Fails::Negative;
    vkDestroyEvent w3 Event, Object::Arg(1), Fails::Never;
    vkCreateQueryPool w4 Event, Object::Out(3), Fails::Negative;
    vkDestroyQueryPool w3 Event, Object::Arg(1), Fails::Never;
    vkResetQueryPool w4 Event, Object::Arg(1), Fails::Never;
    vkResetQueryPoolEXT w4 Event, Object::Arg(1), Fails::Never;
    // Memory.
    vkMapMemory w6 Map, Object::Arg(1), Fails::Negative;
    vkUnmapMemory w2 Map, Object::Arg(1), Fails::Never;
    vkMapMemory2 w3 Map, Object::None, Fails::Negative;
    vkMapMemory2KHR w3 Map, Object::None, Fails::Negative;
    vkUnmapMemory2 w2 Map, Object::None, Fails::Negative;
    vkUnmapMemory2KHR w2 Map, Object::None, Fails::Negative;
    vkFlushMappedMemoryRanges w3 Map, Object::None, Fails::Negative;
    vkInvalidateMappedMemoryRanges w3 Map, Object::None, Fails::Negative;
    vkAllocateMemory w4 Alloc, Object::Out(3), Fails::Negative;
    vkFreeMemory w3 Alloc, Object::Arg(1), Fails::Never;
    vkBindBufferMemory w4 Alloc, Object::Arg(1), Fails::Negative;
    vkBindBufferMemory2 w3 Alloc, Object::None, Fails::Negative;
    vkBindBufferMemory2KHR w3 Alloc, Object::None, Fails::Negative;
    vkBindImageMemory w4 Alloc, Object::Arg(1), Fails::Negative;
    vkBindImageMemory2 w3 Alloc, Object::None, Fails::Negative;
    vkBindImageMemory2KHR w3 Alloc, Object::None, Fails::Negative;
    vkCreateBuffer w4 Alloc, Object::Out(3), Fails::Negative;
    vkDestroyBuffer w3 Alloc, Object::Arg(1), Fails::Never;
    vkCreateBufferView w4 Alloc, Object::Out(3), Fails::Negative;
    vkDestroyBufferView w3 Alloc, Object::Arg(1), Fails::Never;
    vkCreateImage w4 Alloc, Object::Out(3), Fails::Negative;
    vkDestroyImage w3 Alloc, Object::Arg(1), Fails::Never;
    vkCreateImageView w4 Alloc, Object::Out(3), Fails::Negative;
    vkDestroyImageView w3 Alloc, Object::Arg(1), Fails::Never;
    vkCreateSampler w4 Alloc, Object::Out(3), Fails::Negative;
    vkDestroySampler w3 Alloc, Object::Arg(1), Fails::Never;
    vkCreateFramebuffer w4 Alloc, Object::Out(3), Fails::Negative;
    vkDestroyFramebuffer w3 Alloc, Object::Arg(1), Fails::Never;
    vkCreateSwapchainKHR w4 Alloc, Object::Out(3), Fails::Negative;
    vkDestroySwapchainKHR w3 Alloc, Object::Arg(1), Fails::Never;
    vkGetSwapchainImagesKHR w4 Alloc, Object::Arg(1), Fails::Negative;
    vkCreateDescriptorPool w4 Alloc, Object::Out(3), Fails::Negative;
    vkDestroyDescriptorPool w3 Alloc, Object::Arg(1), Fails::Never;
    vkResetDescriptorPool w3 Alloc, Object::Arg(1), Fails::Negative;
    vkAllocateDescriptorSets w3 Alloc, Object::Out(2), Fails::Negative;
    vkFreeDescriptorSets w4 Alloc, Object::Arg(1), Fails::Negative;
    vkUpdateDescriptorSets w5 Alloc, Object::None, Fails::Never;
    vkCreateAccelerationStructureKHR w4 Alloc, Object::Out(3), Fails::Negative;
    vkDestroyAccelerationStructureKHR w3 Alloc, Object::Arg(1), Fails::Never;
    // Copies by the host.
    vkCopyMemoryToImage w2 Copy, Object::None, Fails::Negative;
    vkCopyMemoryToImageEXT w2 Copy, Object::None, Fails::Negative;
    vkCopyImageToMemory w2 Copy, Object::None, Fails::Negative;
    vkCopyImageToMemoryEXT w2 Copy, Object::None, Fails::Negative;
    // Command buffers.
    vkCreateCommandPool w4 Alloc, Object::Out(3), Fails::Negative;
    vkDestroyCommandPool w3 Alloc, Object::Arg(1), Fails::Never;
    vkResetCommandPool w3 Alloc, Object::Arg(1), Fails::Negative;
    vkTrimCommandPool w3 Alloc, Object::Arg(1), Fails::Never;
    vkAllocateCommandBuffers w3 Alloc, Object::Out(2), Fails::Negative;
    vkFreeCommandBuffers w4 Alloc, Object::Arg(1), Fails::Never;
    vkBeginCommandBuffer w2 Encode, Object::Arg(0), Fails::Negative;
    vkEndCommandBuffer w1 Encode, Object::Arg(0), Fails::Negative;
    vkResetCommandBuffer w2 Encode, Object::Arg(0), Fails::Negative;
    // Code.
    vkCreateShaderModule w4 Module, Object::Out(3), Fails::Negative;
    vkDestroyShaderModule w3 Module, Object::Arg(1), Fails::Never;
    vkCreateShadersEXT w5 Module, Object::Out(4), Fails::Negative;
    vkDestroyShaderEXT w3 Module, Object::Arg(1), Fails::Never;
    vkCreateGraphicsPipelines w6 Module, Object::Out(5), Fails::Negative;
    vkCreateComputePipelines w6 Module, Object::Out(5), Fails::Negative;
    vkCreateRayTracingPipelinesKHR w7 Module, Object::Out(6), Fails::Negative;
    vkDestroyPipeline w3 Module, Object::Arg(1), Fails::Never;
    vkCreatePipelineCache w4 Module, Object::Out(3), Fails::Negative;
    vkDestroyPipelineCache w3 Module, Object::Arg(1), Fails::Never;
    vkGetPipelineCacheData w4 Module, Object::Arg(1), Fails::Negative;
    vkMergePipelineCaches w4 Module, Object::Arg(1), Fails::Negative;
    vkCreatePipelineLayout w4 Module, Object::Out(3), Fails::Negative;
    vkDestroyPipelineLayout w3 Module, Object::Arg(1), Fails::Never;
    vkCreateDescriptorSetLayout w4 Module, Object::Out(3), Fails::Negative;
    vkDestroyDescriptorSetLayout w3 Module, Object::Arg(1), Fails::Never;
    vkCreateRenderPass w4 Module, Object::Out(3), Fails::Negative;
    vkCreateRenderPass2 w4 Module, Object::Out(3), Fails::Negative;
    vkCreateRenderPass2KHR w4 Module, Object::Out(3), Fails::Negative;
    vkDestroyRenderPass w3 Module, Object::Arg(1), Fails::Never;
    vkDeferredOperationJoinKHR w2 Module, Object::Arg(1), Fails::Negative;
}
