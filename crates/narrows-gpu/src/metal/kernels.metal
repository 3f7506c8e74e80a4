#include <metal_stdlib>
using namespace metal;

/* One thread that takes a number of dependent steps, 64 an iteration. */
kernel void busy(constant uint &iterations [[buffer(0)]], device uint *result [[buffer(1)]]) {
    uint x = iterations;
    for (uint i = 0; i < iterations; i++) {
        for (uint j = 0; j < 64; j++) {
            x = x * 1664525u + 1013904223u;
            x ^= x >> 15;
        }
    }
    result[0] = x;
}

/* C = A B, row-major, summed in 32 bits; a block of 4 x 4 entries per thread. Reads past the edge
   are moved to the last row or column, and what they give is not stored. */
template <typename Element>
void multiply(uint n, device Element *c, device const Element *a, device const Element *b, uint2 at) {
    uint row[4], column[4];
    float sum[4][4];
    for (uint i = 0; i < 4; i++) {
        row[i] = min(at.y * 4 + i, n - 1);
        column[i] = min(at.x * 4 + i, n - 1);
        for (uint j = 0; j < 4; j++) {
            sum[i][j] = 0.0f;
        }
    }
    for (uint k = 0; k < n; k++) {
        float right[4];
        for (uint j = 0; j < 4; j++) {
            right[j] = float(b[k * n + column[j]]);
        }
        for (uint i = 0; i < 4; i++) {
            float left = float(a[row[i] * n + k]);
            for (uint j = 0; j < 4; j++) {
                sum[i][j] += left * right[j];
            }
        }
    }
    for (uint i = 0; i < 4; i++) {
        for (uint j = 0; j < 4; j++) {
            uint y = at.y * 4 + i;
            uint x = at.x * 4 + j;
            if (y < n && x < n) {
                c[y * n + x] = Element(sum[i][j]);
            }
        }
    }
}

kernel void matmul_f32(constant uint &n [[buffer(0)]], device float *c [[buffer(1)]],
                       device const float *a [[buffer(2)]], device const float *b [[buffer(3)]],
                       uint2 at [[thread_position_in_grid]]) {
    multiply<float>(n, c, a, b, at);
}

kernel void matmul_f16(constant uint &n [[buffer(0)]], device half *c [[buffer(1)]],
                       device const half *a [[buffer(2)]], device const half *b [[buffer(3)]],
                       uint2 at [[thread_position_in_grid]]) {
    multiply<half>(n, c, a, b, at);
}
