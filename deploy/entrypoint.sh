#!/bin/sh
# Weights that were baked into the image are linked into the state folder: the root is read-only, and the
# service keeps a lock and a checked-stamp beside its weights.
set -eu
weights="${FRONTDESK_WEIGHTS_DIR:-/data/weights}"
mkdir -p "$weights"
for file in /opt/weights/*.gguf; do
  if [ -e "$file" ]; then ln -sfn "$file" "$weights/$(basename "$file")"; fi
done
exec "$@"
