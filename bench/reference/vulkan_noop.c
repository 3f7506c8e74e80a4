/* The least that one can do with Vulkan: submit an empty command buffer and wait, N threads.
   vulkan_noop DEVICE THREADS shared|own event|queue SECONDS      prints ops per second
   cc -O2 -o vulkan_noop vulkan_noop.c -lvulkan -lpthread         (Debian: libvulkan-dev) */
#include "common.h"
#include <vulkan/vulkan.h>

#define CHECK(call) do { VkResult r_ = (call); if (r_ != VK_SUCCESS) die(#call, r_); } while (0)

static VkDevice device;
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static int shared, wait_for_queue;

struct lane {
    VkQueue queue;
    VkFence fence;
    VkCommandBuffer commands;
};

static void op(struct lane *lane) {
    VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                         .commandBufferCount = 1,
                         .pCommandBuffers = &lane->commands};
    VkFence fence = wait_for_queue ? VK_NULL_HANDLE : lane->fence;
    if (shared) pthread_mutex_lock(&queue_lock);
    CHECK(vkQueueSubmit(lane->queue, 1, &info, fence));
    if (shared) pthread_mutex_unlock(&queue_lock);
    if (wait_for_queue) {
        if (shared) pthread_mutex_lock(&queue_lock);
        CHECK(vkQueueWaitIdle(lane->queue));
        if (shared) pthread_mutex_unlock(&queue_lock);
    } else {
        CHECK(vkWaitForFences(device, 1, &fence, VK_TRUE, UINT64_MAX));
        CHECK(vkResetFences(device, 1, &fence));
    }
}

/* The compute family with most queues. */
static uint32_t family_of(VkPhysicalDevice physical, uint32_t *queues) {
    VkQueueFamilyProperties families[32];
    uint32_t count = 32, best = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    *queues = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT && families[i].queueCount > *queues) {
            best = i;
            *queues = families[i].queueCount;
        }
    }
    return best;
}

static void make_lane(struct lane *lane, uint32_t family, uint32_t queue) {
    VkCommandPoolCreateInfo pool_info = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                         .queueFamilyIndex = family};
    VkCommandPool pool;
    CHECK(vkCreateCommandPool(device, &pool_info, NULL, &pool));
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = pool,
                                        .commandBufferCount = 1};
    CHECK(vkAllocateCommandBuffers(device, &info, &lane->commands));
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    CHECK(vkBeginCommandBuffer(lane->commands, &begin));
    CHECK(vkEndCommandBuffer(lane->commands));
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    CHECK(vkCreateFence(device, &fence, NULL, &lane->fence));
    vkGetDeviceQueue(device, family, queue, &lane->queue);
}

int main(int argc, char **argv) {
    if (argc != 6) die("arguments: DEVICE THREADS shared|own event|queue SECONDS", argc);
    uint32_t index = (uint32_t)atoi(argv[1]), threads = (uint32_t)atoi(argv[2]);
    shared = !strcmp(argv[3], "shared");
    wait_for_queue = !strcmp(argv[4], "queue");

    VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                             .apiVersion = VK_API_VERSION_1_1};
    VkInstanceCreateInfo instance_info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                          .pApplicationInfo = &app};
    VkInstance instance;
    CHECK(vkCreateInstance(&instance_info, NULL, &instance));
    VkPhysicalDevice physicals[16];
    uint32_t count = 16, queues;
    CHECK(vkEnumeratePhysicalDevices(instance, &count, physicals));
    if (index >= count) die("device index", (long)count);
    uint32_t family = family_of(physicals[index], &queues);
    uint32_t wanted = shared ? 1 : threads;
    if (wanted > queues) die("own queues", (long)queues);

    float priorities[64];
    for (int i = 0; i < 64; i++) priorities[i] = 1.0f;
    VkDeviceQueueCreateInfo queue_info = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                          .queueFamilyIndex = family,
                                          .queueCount = wanted,
                                          .pQueuePriorities = priorities};
    VkDeviceCreateInfo device_info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                      .queueCreateInfoCount = 1,
                                      .pQueueCreateInfos = &queue_info};
    CHECK(vkCreateDevice(physicals[index], &device_info, NULL, &device));
    struct lane *lanes = calloc(threads, sizeof *lanes);
    for (uint32_t i = 0; i < threads; i++) make_lane(&lanes[i], family, shared ? 0 : i);
    measure(lanes, sizeof *lanes, (int)threads, atof(argv[5]));
    return 0;
}
