#!/bin/sh
# What tmux runs to load the plugin (TPM, or run-shell). Owns the key; the rest is started in the background.

PLUGIN_DIR=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
# shellcheck source=scripts/variables.sh
. "${PLUGIN_DIR}/scripts/variables.sh"
# shellcheck source=scripts/helpers.sh
. "${PLUGIN_DIR}/scripts/helpers.sh"

# Internal commands only: pressing the key starts no process. The words are those of signals.py.
append='set-environment -gFh TMUX_AGENT_EVENTS "#{=-2000:TMUX_AGENT_EVENTS} press:popup:#{client_name}"'
wake="if-shell -F '#{m:* ${hidden_session} *, #{S:#{session_name} }}' { send-keys -t '=${hidden_session}:' Enter }"
press="if-shell -F '#{TMUX_AGENT_EVENTS}' { ${append} } { ${append} ; ${wake} }"
start="display-message -d 5000 'tmux-agent: the sidecar is not running; starting it, press again in a moment'
	run-shell -b '#{q:TMUX_AGENT_ENSURE} key'"

is_ours() {
	case "$1" in *TMUX_AGENT_EVENTS*) true ;; *) false ;; esac
}

# A throwaway server knows what this version binds by itself.
is_default() {
	default=$(env -u TMUX tmux -L "tmux-agent-keys-$$" -f /dev/null start-server \; \
		list-keys -T prefix "$2" \; kill-server 2>/dev/null)
	[ "$1" = "${default}" ]
}

free_former_key() {
	former=$(tmux show-environment -gh TMUX_AGENT_KEY 2>/dev/null | sed 's/^TMUX_AGENT_KEY=//')
	[ -n "${former}" ] && [ "${former}" != "$1" ] || return 0
	if is_ours "$(tmux list-keys -T prefix "${former}" 2>/dev/null)"; then
		tmux unbind-key -T prefix "${former}"
	fi
}

bind_popup_key() {
	key=$(get_tmux_option "${option_key_popup}" "${default_key_popup}")
	free_former_key "${key}"
	[ -n "${key}" ] || return 0
	bound=$(tmux list-keys -T prefix "${key}" 2>/dev/null)
	if [ -n "${bound}" ] && ! is_ours "${bound}" && ! is_default "${bound}" "${key}"; then
		tell "prefix + ${key} is bound to something of yours; choose another key: set -g ${option_key_popup} KEY"
		return 0
	fi
	tmux set-environment -gh TMUX_AGENT_KEY "${key}" \; bind-key -T prefix -N 'tmux-agent: what waits for you' \
		"${key}" if-shell -F '#{TMUX_AGENT_ALIVE}' "${press}" "${start}"
}

can_run() {
	if ! supported_tmux; then
		tell "this tmux is older than ${oldest_tmux}; the plugin was not loaded"
		return 1
	fi
	[ -z "$(get_tmux_option "${option_command}" "${default_command}")" ] || return 0
	if ! supported_python >/dev/null; then
		tell "needs Python ${oldest_python} or newer; name one: set -g ${option_python} /path/to/python3"
		return 1
	fi
}

main() {
	can_run || return 0
	bind_popup_key
	tmux set-environment -gh TMUX_AGENT_ENSURE "${PLUGIN_DIR}/scripts/ensure_sidecar.sh" \; \
		run-shell -b '#{q:TMUX_AGENT_ENSURE} plugin'
}
main
