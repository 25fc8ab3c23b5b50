#!/bin/sh
# Writes deploy/.env with fresh random secrets, mode 0600; an existing file is never touched.
# LANGFUSE=off leaves the Langfuse stack out of `docker compose up` (its secrets are made all the same).
set -eu
file="${1:-$(dirname "$0")/.env}"
if [ -e "$file" ] || [ -L "$file" ]; then
  echo "$file is there already and is left as it is: delete it yourself to make new secrets" >&2
  exit 2
fi
command -v openssl >/dev/null || { echo "openssl is needed to make secrets and was not found" >&2; exit 2; }
hex() { openssl rand -hex 32; }
if [ "${LANGFUSE:-on}" = off ]; then profiles=; else profiles=langfuse; fi
vault=$(openssl rand -base64 32)
umask 077
set -C  # two generators at once: the second one fails
cat > "$file" <<END
COMPOSE_PROFILES=$profiles
POSTGRES_PASSWORD=$(hex)
REDIS_PASSWORD=$(hex)
FRONTDESK_VAULT_KEY=$vault
FRONTDESK_JWT_SECRET=$(hex)
LANGFUSE_PUBLIC_KEY=pk-lf-$(openssl rand -hex 16)
LANGFUSE_SECRET_KEY=sk-lf-$(hex)
LANGFUSE_USER_PASSWORD=$(hex)
LANGFUSE_POSTGRES_PASSWORD=$(hex)
LANGFUSE_REDIS_PASSWORD=$(hex)
LANGFUSE_SALT=$(hex)
LANGFUSE_ENCRYPTION_KEY=$(hex)
NEXTAUTH_SECRET=$(hex)
CLICKHOUSE_PASSWORD=$(hex)
MINIO_PASSWORD=$(hex)
END
echo "wrote $file (mode 0600): keep a copy of FRONTDESK_VAULT_KEY, stored personal data cannot be read without it"
