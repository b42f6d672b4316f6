#!/usr/bin/env bash
# Everything that is measured on a GPU, in about eight minutes: bash benchmarks/gpu.sh [options of benchmarks/gpu.py]
# Writes gpu.json into $OUT, or into benchmarks/results/. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false
export PYTORCH_CUDA_ALLOC_CONF="${PYTORCH_CUDA_ALLOC_CONF:-expandable_segments:True}"
exec "${PYTHON:-python3}" benchmarks/gpu.py --out "${OUT:-benchmarks/results}" "$@"
