/* Cheap calls of two interfaces, in a loop: one that is mostly only counted, one that is always timed. Prints nanoseconds a call, one line each.
 * calls SECONDS vulkan|opencl */
#define _POSIX_C_SOURCE 200809L
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vulkan/vulkan.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Best of many short blocks: the machine is shared, and what disturbs only makes it slower. */
#define LOOP(name, seconds, call)                                   \
    do {                                                            \
        double best = 1e9, end = now() + (seconds);                 \
        while (now() < end) {                                       \
            double start = now();                                   \
            for (int i = 0; i < 2000; i++)                          \
                call;                                               \
            double each = (now() - start) / 2000;                   \
            best = each < best ? each : best;                       \
        }                                                           \
        printf(name " %.2f\n", best * 1e9);                         \
    } while (0)

static void vulkan(double seconds)
{
    VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO };
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    VkFence fence;
    uint32_t count = 1;
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority,
    };
    VkDeviceCreateInfo device_info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue,
    };
    VkFenceCreateInfo fence_info = {
        .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO, .flags = VK_FENCE_CREATE_SIGNALED_BIT,
    };
    if (vkCreateInstance(&info, NULL, &instance) || vkEnumeratePhysicalDevices(instance, &count, &physical) < 0
        || vkCreateDevice(physical, &device_info, NULL, &device) || vkCreateFence(device, &fence_info, NULL, &fence))
        exit(3);
    LOOP("vkGetFenceStatus", seconds, vkGetFenceStatus(device, fence));
    LOOP("vkResetFences", seconds, vkResetFences(device, 1, &fence));
    vkDestroyFence(device, fence, NULL);
    vkDestroyDevice(device, NULL);
    vkDestroyInstance(instance, NULL);
}

static void opencl(double seconds)
{
    const char *source = "__kernel void k(__global uint *p, uint x) { p[0] = x; }";
    cl_platform_id platform;
    cl_device_id device;
    cl_uint x = 1;
    if (clGetPlatformIDs(1, &platform, NULL) || clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL))
        exit(3);
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, NULL);
    cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, NULL);
    if (clBuildProgram(program, 1, &device, "", NULL, NULL))
        exit(3);
    cl_kernel kernel = clCreateKernel(program, "k", NULL);
    LOOP("clSetKernelArg", seconds, clSetKernelArg(kernel, 1, sizeof x, &x));
    LOOP("clRetainContext", seconds, clRetainContext(context));
}

int main(int count, char **words)
{
    if (count < 3)
        return 2;
    double seconds = atof(words[1]);
    strcmp(words[2], "vulkan") ? opencl(seconds) : vulkan(seconds);
    return 0;
}
