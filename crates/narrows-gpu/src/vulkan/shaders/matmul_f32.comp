#version 450
// C = A B, row-major, one entry per invocation, tiles of 16 x 16 in shared memory.
layout(local_size_x = 16, local_size_y = 16) in;
layout(push_constant) uniform Push { uint n; };
layout(std430, set = 0, binding = 0) readonly buffer A { float a[]; };
layout(std430, set = 0, binding = 1) readonly buffer B { float b[]; };
layout(std430, set = 0, binding = 2) writeonly buffer C { float c[]; };
shared float tile_a[16][16];
shared float tile_b[16][16];

void main() {
    uint row = gl_GlobalInvocationID.y;
    uint column = gl_GlobalInvocationID.x;
    uint y = gl_LocalInvocationID.y;
    uint x = gl_LocalInvocationID.x;
    float sum = 0.0;
    for (uint k = 0; k < n; k += 16) {
        tile_a[y][x] = row < n && k + x < n ? a[row * n + k + x] : 0.0;
        tile_b[y][x] = k + y < n && column < n ? b[(k + y) * n + column] : 0.0;
        barrier();
        for (uint i = 0; i < 16; i++) {
            sum += tile_a[y][i] * tile_b[i][x];
        }
        barrier();
    }
    if (row < n && column < n) {
        c[row * n + column] = sum;
    }
}
