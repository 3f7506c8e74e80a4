#!/bin/sh
# Compiles the shaders beside this script to SPIR-V; into the folder given, else in place.
# Needs glslangValidator (Debian: glslang-tools).
set -eu
here=$(dirname "$0")
out=${1:-$here}
for shader in busy matmul_f32 matmul_f16; do
    glslangValidator --quiet -V --target-env vulkan1.1 -o "$out/$shader.spv" "$here/$shader.comp"
done
