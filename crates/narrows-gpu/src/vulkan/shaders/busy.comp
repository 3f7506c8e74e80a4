#version 450
// One invocation that takes a number of dependent steps, 64 an iteration. They are written out, as
// some software drivers end all loops of an invocation after 65,535 iterations together.
layout(local_size_x = 1) in;
layout(push_constant) uniform Push { uint iterations; };
layout(std430, set = 0, binding = 2) writeonly buffer Result { uint result[]; };

#define STEP x = x * 1664525u + 1013904223u; x ^= x >> 15;
#define STEPS_4 STEP STEP STEP STEP
#define STEPS_16 STEPS_4 STEPS_4 STEPS_4 STEPS_4

void main() {
    uint x = iterations;
    for (uint i = 0; i < iterations; i++) {
        STEPS_16 STEPS_16 STEPS_16 STEPS_16
    }
    result[0] = x;
}
