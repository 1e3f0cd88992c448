#!/bin/sh
# Writes the secrets of compose-cluster.yaml into the folder `secrets` beside this file. Never overwrites them.
set -eu
folder="${1:-$(dirname "$0")/secrets}"
if [ -e "$folder" ]; then
  echo "$folder is there already; nothing was changed" >&2
  exit 1
fi
random() { od -An -tx1 -N "$1" /dev/urandom | tr -d ' \n'; }

# The folder is closed to others; the files in it are read inside containers, under accounts of their own.
mkdir -m 700 "$folder"
access_key="GK$(random 12)"
secret="$(random 32)"
postgres="$(random 24)"
valkey="$(random 24)"

printf '%s' "$access_key" >"$folder/s3-access-key"
printf '%s' "$secret" >"$folder/s3-secret"
cat >"$folder/s3.env" <<END
GARAGE_RPC_SECRET=$(random 32)
GARAGE_DEFAULT_ACCESS_KEY=$access_key
GARAGE_DEFAULT_SECRET_KEY=$secret
GARAGE_DEFAULT_BUCKET=sealift
END
printf '%s' "$postgres" >"$folder/postgres-password"
printf 'postgres://sealift:%s@postgres:5432/sealift' "$postgres" >"$folder/postgres-url"
printf 'redis://:%s@valkey:6379' "$valkey" >"$folder/valkey-url"
cat >"$folder/valkey.conf" <<END
bind * -::*
requirepass $valkey
save ""
appendonly no
maxmemory 256mb
maxmemory-policy noeviction
END
chmod 644 "$folder"/*
echo "Secrets were written to $folder"
