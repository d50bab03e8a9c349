# shellcheck shell=sh disable=SC2154  # ROOT and variables.sh set what is not set here
# The Python environment of scripts/demo and scripts/bench. Sourced after helpers.sh, never run.
# It is made once, in build/demo, or in the cache folder where the checkout is read-only. TMUX_AGENT_DEMO_PYTHON names a
# Python that has the packages already.

fail() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 1
}

data_place() {
	if mkdir -p "${ROOT}/build/demo" 2>/dev/null && [ -w "${ROOT}/build/demo" ]; then
		printf '%s' "${ROOT}/build/demo"
	else
		printf '%s' "${XDG_CACHE_HOME:-${HOME}/.cache}/tmux-agent-demo"
	fi
}

# make_environment: as the plugin makes its own, but in a place of ours.
make_environment() {
	data=$(data_place)
	[ -d "${data}/home" ] || printf 'making a Python environment in %s, once\n' "${data}" >&2
	mkdir -p "${data}/home"
	# The real Python, not a shim that looks for its settings in a home folder.
	folder=$(python3 -c 'import os, sys; print(os.path.dirname(os.path.realpath(sys.executable)))') ||
		fail "needs Python 3.11 or newer as python3"
	command=$(
		XDG_CACHE_HOME=${XDG_CACHE_HOME:-${HOME:-${data}}/.cache}
		PATH="${folder}:${PATH}" HOME="${data}/home" XDG_DATA_HOME="${data}"
		export PATH HOME XDG_DATA_HOME XDG_CACHE_HOME
		unset TMUX TMUX_PANE
		"${ROOT}/scripts/install.sh"
	) || exit 1
	python=$(dirname -- "${command}")/python
}

# add_screen: what reads a screen needs one package more (whose own needs are in requirements.txt).
add_screen() {
	"${python}" -c 'import pyte' 2>/dev/null && return
	set -- --no-deps --require-hashes -r "${ROOT}/scripts/demo-requirements.txt"
	if command -v uv >/dev/null; then
		uv pip install --quiet --python "${python}" "$@"
	else
		"${python}" -m pip install --quiet --disable-pip-version-check --no-input "$@"
	fi || fail "the screen reader could not be installed"
}

# find_environment: sets `python`, and what it needs to find the package and the tests.
find_environment() {
	python=${TMUX_AGENT_DEMO_PYTHON:-}
	[ -n "${python}" ] || make_environment
	PYTHONPATH="${ROOT}/sidecar:${ROOT}${PYTHONPATH:+:${PYTHONPATH}}"
	export PYTHONPATH
}
