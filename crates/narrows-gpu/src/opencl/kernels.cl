/* Does nothing: OpenCL has no empty submission. */
kernel void noop(void) {}

/* One work item that takes a number of dependent steps. */
kernel void busy(uint iterations, global uint *result) {
    uint x = iterations;
    for (uint i = 0; i < iterations; i++) {
        for (uint j = 0; j < 64; j++) {
            x = x * 1664525u + 1013904223u;
            x ^= x >> 15;
        }
    }
    result[0] = x;
}

/* C = A B, row-major, one entry per work item, tiles of 16 x 16 in local memory. With F16,
   elements are stored in 16 bits and summed in 32. */
#ifdef F16
#define ELEMENT half
#define LOAD(matrix, index) vload_half(index, matrix)
#define STORE(matrix, index, value) vstore_half(value, index, matrix)
#else
#define ELEMENT float
#define LOAD(matrix, index) matrix[index]
#define STORE(matrix, index, value) matrix[index] = (value)
#endif

kernel __attribute__((reqd_work_group_size(16, 16, 1)))
void matmul(uint n, global ELEMENT *c, global const ELEMENT *a, global const ELEMENT *b) {
    local float tile_a[16][16];
    local float tile_b[16][16];
    uint row = get_global_id(1);
    uint column = get_global_id(0);
    uint y = get_local_id(1);
    uint x = get_local_id(0);
    float sum = 0.0f;
    for (uint k = 0; k < n; k += 16) {
        tile_a[y][x] = row < n && k + x < n ? LOAD(a, row * n + k + x) : 0.0f;
        tile_b[y][x] = k + y < n && column < n ? LOAD(b, (k + y) * n + column) : 0.0f;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint i = 0; i < 16; i++) {
            sum += tile_a[y][i] * tile_b[i][x];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (row < n && column < n) {
        STORE(c, row * n + column, sum);
    }
}
