/* Does nothing: OpenCL has no empty submission. */
kernel void noop(void) {}

/* One work item that takes a number of dependent steps, 64 an iteration. */
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

/* With F16, elements are stored in 16 bits. */
#ifdef F16
#define ELEMENT half
#define LOAD(matrix, index) vload_half(index, matrix)
#define STORE(matrix, index, value) vstore_half(value, index, matrix)
#else
#define ELEMENT float
#define LOAD(matrix, index) matrix[index]
#define STORE(matrix, index, value) matrix[index] = (value)
#endif

/* C = A B, row-major, summed in 32 bits; a block of 4 x 4 entries per work item. Reads past the
   edge are moved to the last row or column, and what they give is not stored. */
kernel void matmul(uint n, global ELEMENT *c, global const ELEMENT *a, global const ELEMENT *b) {
    uint row[4], column[4];
    float sum[4][4];
    for (uint i = 0; i < 4; i++) {
        row[i] = min((uint)get_global_id(1) * 4 + i, n - 1);
        column[i] = min((uint)get_global_id(0) * 4 + i, n - 1);
        for (uint j = 0; j < 4; j++) {
            sum[i][j] = 0.0f;
        }
    }
    for (uint k = 0; k < n; k++) {
        float right[4];
        for (uint j = 0; j < 4; j++) {
            right[j] = LOAD(b, k * n + column[j]);
        }
        for (uint i = 0; i < 4; i++) {
            float left = LOAD(a, row[i] * n + k);
            for (uint j = 0; j < 4; j++) {
                sum[i][j] += left * right[j];
            }
        }
    }
    for (uint i = 0; i < 4; i++) {
        for (uint j = 0; j < 4; j++) {
            uint y = (uint)get_global_id(1) * 4 + i;
            uint x = (uint)get_global_id(0) * 4 + j;
            if (y < n && x < n) {
                STORE(c, y * n + x, sum[i][j]);
            }
        }
    }
}
