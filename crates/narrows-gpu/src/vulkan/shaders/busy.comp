#version 450
// One invocation that takes a number of dependent steps. Each iteration is 64 steps long because
// some software drivers cut a loop off after 65,535 iterations.
layout(local_size_x = 1) in;
layout(push_constant) uniform Push { uint iterations; };
layout(std430, set = 0, binding = 2) writeonly buffer Result { uint result[]; };

void main() {
    uint x = iterations;
    for (uint i = 0; i < iterations; i++) {
        for (uint j = 0; j < 64; j++) {
            x = x * 1664525u + 1013904223u;
            x ^= x >> 15;
        }
    }
    result[0] = x;
}
