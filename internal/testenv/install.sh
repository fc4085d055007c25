#!/bin/sh
# Installs what the tests need and is missing: redis-server, memcached and
# PostgreSQL, git for the mutants, a C compiler for the race detector (freshet
# itself is built without cgo). Along with them comes PgBouncer, which no test
# needs: `make show-store` compares with it, and goes on without. Debian and
# Ubuntu: by apt, as root or through sudo. Elsewhere it says what to install. It
# leaves no service running or enabled that was not there before.
set -eu

have() { command -v "$1" >/dev/null 2>&1; }

have_postgres() {
	have postgres && have initdb && return 0
	for initdb in /usr/lib/postgresql/*/bin/initdb; do
		[ -x "$initdb" ] && return 0
	done
	return 1
}

missing=
services=
have redis-server || { missing="$missing redis-server" services="$services redis-server"; }
have memcached || { missing="$missing memcached" services="$services memcached"; }
have_postgres || { missing="$missing postgresql" services="$services postgresql"; }
have git || missing="$missing git"
have cc || have gcc || missing="$missing gcc libc6-dev"
[ -n "$missing" ] || exit 0
wanted=
have pgbouncer || [ -x /usr/sbin/pgbouncer ] || { wanted=" pgbouncer" services="$services pgbouncer"; }

if ! have apt-get; then
	echo "install: the tests need:$missing" >&2
	echo "hint: on macOS: brew install redis memcached postgresql@15 git, and put them in PATH" >&2
	exit 1
fi

if [ "$(id -u)" = 0 ]; then
	as_root() { "$@"; }
elif have sudo; then
	as_root() { sudo "$@"; }
else
	echo "install: the tests need:$missing" >&2
	echo "hint: as root: apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

# While packages are installed, a policy that denies it keeps their services
# from being started (invoke-rc.d(8)). One that is there already stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'as_root rm -f "$policy"' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
	as_root chmod 755 "$policy"
fi

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

echo "install:$missing$wanted"
log=$(mktemp)
# A list of packages that is there may be good enough, and one source that does
# not answer need not be the one that has them: what counts is the install.
# shellcheck disable=SC2086 # the names are to be split
if ! { apt update >"$log" 2>&1 || echo "install: apt-get update failed; going on with the lists at hand"
	apt install -y --no-install-recommends $missing $wanted >>"$log" 2>&1 ||
	apt install -y --no-install-recommends $missing >>"$log" 2>&1; }; then
	cat "$log" >&2
	echo "install: apt-get failed" >&2
	exit 1
fi
rm -f "$log"

# Nor are they to start with the machine.
if have systemctl; then
	for service in $services; do
		as_root systemctl disable "$service" >/dev/null 2>&1 || echo "install: could not disable the service $service"
	done
fi
