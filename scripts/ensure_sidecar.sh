#!/bin/sh
# Makes sure that a sidecar runs and serves this tmux server. Run by tmux: ensure_sidecar.sh plugin|died|key.
# `plugin`: it was loaded; `died`: a sidecar ended without a word; `key`: a person wants it now.

SCRIPTS_DIR=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
# shellcheck source=scripts/variables.sh
. "${SCRIPTS_DIR}/variables.sh"
# shellcheck source=scripts/helpers.sh
. "${SCRIPTS_DIR}/helpers.sh"

reason=${1:-plugin}
socket=$(tmux_socket)
state=$(state_folder)
log="${state}/start.log"
ours="$(data_folder)/env" # made by install.sh
requirements="${SCRIPTS_DIR}/../requirements.txt"
longest_wait=60 # seconds between two starts of a sidecar that keeps dying
quiet_after=120 # seconds after which a death counts as the first again

# Where it was stopped on purpose only a person's key starts it again.
stopped_on_purpose() {
	[ -e "${state}/stopped" ] && [ "${reason}" != key ]
}

# back_off: waits longer after each death that follows soon on the last.
back_off() {
	[ "${reason}" = died ] || return 0
	now=$(date +%s)
	read -r last count <"${state}/deaths" 2>/dev/null || { last=0 count=0; }
	[ "$((now - last))" -lt "${quiet_after}" ] || count=0
	wait=$((count * count))
	[ "${wait}" -le "${longest_wait}" ] || wait=${longest_wait}
	printf '%s %s\n' "${now}" "$((count + 1))" >"${state}/deaths"
	sleep "${wait}"
}

# forget_marks: what the windows' agents do is not known until a sidecar is back.
forget_marks() {
	[ -z "$(tmux display-message -p '#{TMUX_AGENT_ALIVE}')" ] || return 0
	for mark in $(tmux show-environment -gh | sed -n 's/^\(TMUX_AGENT_W_@[0-9]*\)=.*/\1/p'); do
		tmux set-environment -gu "${mark}"
	done
}

refresh_status() {
	tmux list-clients -F '#{client_control_mode} #{client_name}' | sed -n 's/^0 //p' | while IFS= read -r client; do
		tmux refresh-client -S -t "${client}"
	done
}

# served_before: whether what a sidecar that died was started from is there as it was, so that nothing need be checked.
served_before() {
	[ "${reason}" = died ] && [ -x "${ours}/bin/tmux-agent" ] && [ -e "${ours}/complete" ] &&
		[ -z "$(find "${requirements}" -newer "${ours}/complete")" ]
}

# sidecar_command: prints the tmux-agent to run, installing it first where it is ours to install.
sidecar_command() {
	chosen=$(get_tmux_option "${option_command}" "${default_command}")
	if [ -n "${chosen}" ]; then
		printf '%s' "${chosen}"
	elif served_before; then
		printf '%s' "${ours}/bin/tmux-agent"
	else
		"${SCRIPTS_DIR}/install.sh"
	fi
}

start_sidecar() {
	command=$(sidecar_command) || return 1
	set -- sidecar start --tmux "${socket}"
	[ "${reason}" != plugin ] || set -- "$@" --renew # it may have been updated
	if ! "${command}" "$@" >"${log}" 2>&1; then
		tell "the sidecar did not start: $(tail -n 1 "${log}") (all of it: ${log})"
		tmux set-environment -gh tmux_agent 'tmux-agent ! sidecar' \; \
			set-environment -gh TMUX_AGENT_STATUS 'tmux-agent ! sidecar'
		return 1
	fi
}

main() {
	mkdir -p "${state}" && chmod 700 "${state}"
	if [ "${reason}" = died ]; then
		forget_marks
		refresh_status
	fi
	stopped_on_purpose && return 0
	back_off
	start_sidecar
	refresh_status
	true # tmux would show a script's failure over the person's pane; it has been told already
}
main
