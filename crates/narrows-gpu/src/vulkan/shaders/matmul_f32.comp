#version 450
// C = A B, row-major, summed in 32 bits; a block of 4 x 4 entries per invocation. Reads past the
// edge are moved to the last row or column, and what they give is not stored.
layout(local_size_x = 8, local_size_y = 8) in;
layout(push_constant) uniform Push { uint n; };
layout(std430, set = 0, binding = 0) readonly buffer A { float a[]; };
layout(std430, set = 0, binding = 1) readonly buffer B { float b[]; };
layout(std430, set = 0, binding = 2) writeonly buffer C { float c[]; };

void main() {
    uvec4 lane = uvec4(0, 1, 2, 3);
    uvec4 row = min(gl_GlobalInvocationID.y * 4 + lane, uvec4(n - 1));
    uvec4 column = min(gl_GlobalInvocationID.x * 4 + lane, uvec4(n - 1));
    vec4 sum[4] = vec4[4](vec4(0.0), vec4(0.0), vec4(0.0), vec4(0.0));
    for (uint k = 0; k < n; k++) {
        uint at = k * n;
        vec4 right = vec4(b[at + column.x], b[at + column.y], b[at + column.z], b[at + column.w]);
        for (uint i = 0; i < 4; i++) {
            sum[i] += float(a[row[i] * n + k]) * right;
        }
    }
    for (uint i = 0; i < 4; i++) {
        for (uint j = 0; j < 4; j++) {
            uvec2 entry = gl_GlobalInvocationID.yx * 4 + uvec2(i, j);
            if (entry.x < n && entry.y < n) {
                c[entry.x * n + entry.y] = float(sum[i][j]);
            }
        }
    }
}
