#!/bin/sh
# Makes the sidecar's Python environment on first use and after requirements.txt changed; prints the path of its
# tmux-agent. Nothing is downloaded that the hashes in requirements.txt do not name. Safe to run twice at once.
# The package itself is not copied: a .pth names the plugin's folder, so updating the plugin updates it.

SCRIPTS_DIR=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
PLUGIN_DIR=$(dirname -- "${SCRIPTS_DIR}")
# shellcheck source=scripts/variables.sh
. "${SCRIPTS_DIR}/variables.sh"
# shellcheck source=scripts/helpers.sh
. "${SCRIPTS_DIR}/helpers.sh"

data=$(data_folder)
requirements="${PLUGIN_DIR}/requirements.txt"
log="${data}/install.log"
lock="${data}/install.lock"

# say TEXT: to the person in tmux, or on the terminal where there is no tmux.
say() {
	if [ -n "${TMUX:-}" ]; then tell "$1"; else printf 'tmux-agent: %s\n' "$1" >&2; fi
}

fail() {
	say "$1"
	exit 1
}

find_python() {
	if [ -n "${TMUX:-}" ]; then
		supported_python
	else
		version_ok "$(python3 -V)" "${oldest_python}" && command -v python3
	fi
}

# The folder's name changes with what must be in it, and with nothing else.
environment_folder() {
	stamp=$({ cat "${requirements}" && "${python}" -V && printf '%s' "${python}"; } | cksum | tr -d ' ')
	printf '%s/env-%s' "${data}" "${stamp}"
}

is_complete() {
	[ -e "${environment}/complete" ] && [ -x "${environment}/bin/python" ]
}

# take_lock: waits while another installation runs; takes over the lock of one that died.
take_lock() {
	until mkdir "${lock}" 2>/dev/null; do
		read -r owner <"${lock}/pid" 2>/dev/null || owner=
		if [ -n "${owner}" ] && ! kill -0 "${owner}" 2>/dev/null; then
			rm -rf "${lock}"
		else
			sleep 1
		fi
		[ -d "${data}" ] || return 1
	done
	printf '%s\n' "$$" >"${lock}/pid"
	trap 'rm -rf "${lock}"' EXIT
	trap 'exit 1' HUP INT TERM
}

make_environment() {
	rm -rf "${environment}"
	if command -v uv >/dev/null; then
		say "installing its sidecar with uv (once)"
		uv venv --quiet --python "${python}" "${environment}" &&
			uv pip install --quiet --python "${environment}/bin/python" --require-hashes -r "${requirements}"
	else
		say "installing its sidecar (once; 1 of 2: environment)"
		"${python}" -m venv "${environment}" && say "installing its sidecar (2 of 2: packages)" &&
			"${environment}/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
				--require-hashes -r "${requirements}"
	fi
}

# add_package: puts the plugin's own package on the environment's path, and a tmux-agent beside its Python.
add_package() {
	packages=$("${environment}/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))') &&
		printf '%s\n' "${PLUGIN_DIR}/sidecar" >"${packages}/tmux-agent.pth" &&
		printf '#!/bin/sh\nexec %s -I -m tmux_agent "$@"\n' "$(quoted "${environment}/bin/python")" \
			>"${environment}/bin/tmux-agent" &&
		chmod 755 "${environment}/bin/tmux-agent" &&
		"${environment}/bin/python" -I -c 'import tmux_agent.cli'
}

# quoted TEXT: as one word of the shell.
quoted() {
	printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"
}

# add_command: a folder for PATH that holds our command alone, not the environment's python and pip; and a command at
# once where there is a folder for such and the name is free.
add_command() {
	mkdir -p "${data}/bin" && ln -sfn "${data}/env/bin/tmux-agent" "${data}/bin/tmux-agent"
	link="${HOME}/.local/bin/tmux-agent"
	[ -d "${HOME}/.local/bin" ] && [ ! -e "${link}" ] && ln -sfn "${data}/env/bin/tmux-agent" "${link}"
}

# use_environment: `env` is the one in use; older ones go, but for the last, which a sidecar may still run from.
use_environment() {
	: >"${environment}/complete"
	before=$(readlink "${data}/env" 2>/dev/null)
	ln -sfn "${environment}" "${data}/env"
	for old in "${data}"/env-*; do
		[ "${old}" = "${environment}" ] || [ "${old}" = "${before}" ] || rm -rf "${old}"
	done
}

install() {
	if ! make_environment >"${log}" 2>&1 </dev/null || ! add_package >>"${log}" 2>&1 </dev/null; then
		rm -rf "${environment}"
		fail "the installation failed: $(tail -n 1 "${log}") (all of it: ${log}); prefix + key tries again"
	fi
	use_environment
	say "installed; its command is ${data}/bin/tmux-agent"
}

main() {
	python=$(find_python) || fail "needs Python ${oldest_python} or newer"
	mkdir -p "${data}" || fail "cannot make the folder ${data}"
	environment=$(environment_folder)
	if ! is_complete; then
		take_lock || fail "cannot install into ${data}"
		is_complete || install
	fi
	add_command
	# Another checkout of the plugin may have been used before.
	add_package >/dev/null 2>&1 </dev/null || fail "${environment} does not work; remove it and try again"
	printf '%s\n' "${data}/env/bin/tmux-agent"
}
main
