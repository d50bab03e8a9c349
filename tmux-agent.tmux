#!/bin/sh
# What tmux runs to load the plugin (TPM, or run-shell). Owns the keys; the rest is started in the background.

PLUGIN_DIR=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
# shellcheck source=scripts/variables.sh
. "${PLUGIN_DIR}/scripts/variables.sh"
# shellcheck source=scripts/helpers.sh
. "${PLUGIN_DIR}/scripts/helpers.sh"

# Internal commands only: pressing a key starts no process. The words are those of signals.py.
wake="if-shell -F '#{m:* ${hidden_session} *, #{S:#{session_name} }}' { send-keys -t '=${hidden_session}:' Enter }"
start="display-message -d 5000 'tmux-agent: the sidecar is not running; starting it, press again in a moment'
	run-shell -b '#{q:TMUX_AGENT_ENSURE} key'"

# pressing WORD: the commands that tell the sidecar that the key of that name was pressed at this client.
pressing() {
	append='set-environment -gFh TMUX_AGENT_EVENTS "#{=-2000:TMUX_AGENT_EVENTS} press:'"$1"':#{client_name}"'
	printf '%s' "if-shell -F '#{TMUX_AGENT_EVENTS}' { ${append} } { ${append} ; ${wake} }"
}

# A throwaway server knows what this version binds by itself.
is_default() {
	default=$(env -u TMUX tmux -L "tmux-agent-keys-$$" -f /dev/null start-server \; \
		list-keys -T prefix "$2" \; kill-server 2>/dev/null)
	[ "$1" = "${default}" ]
}

# chosen_keys: as bound_keys prints them, what the person wants.
chosen_keys() {
	set_options=$(tmux show-options -g | sed -n 's/^\(@tmux-agent-key-[a-z]*\).*/ \1 /p')
	for name in ${our_keys}; do
		option="" key=""
		eval "option=\${option_key_${name}} key=\${default_key_${name}}"
		case "${set_options}" in *" ${option} "*) key=$(tmux show-options -gqv "${option}") ;; *) ;; esac
		[ -z "${key}" ] || printf '%s=%s ' "${name}" "${key}"
	done
}

# free_former_keys FORMER KEYS: unbinds those that are others by now, where they still are ours.
free_former_keys() {
	for name in ${our_keys}; do
		former=$(key_of "$1" "${name}")
		if [ -z "${former}" ] || [ "${former}" = "$(key_of "$2" "${name}")" ]; then continue; fi
		if is_ours "$(tmux list-keys -T prefix "${former}" 2>/dev/null)" "${name}:"; then
			tmux unbind-key -T prefix "${former}"
		fi
	done
}

# can_bind NAME KEY: whether the key is free, or ours for that; says so where not.
can_bind() {
	bound=$(tmux list-keys -T prefix "$2" 2>/dev/null)
	[ -n "${bound}" ] && ! is_ours "${bound}" "$1:" || return 0
	owner="something of yours"
	if is_ours "${bound}"; then
		owner="another key of tmux-agent"
	elif is_default "${bound}" "$2"; then
		return 0
	fi
	tell "prefix + $2 is bound to ${owner}; choose another key: set -g @tmux-agent-key-$1 KEY"
	return 1
}

about_key() {
	case "$1" in
	popup) printf 'what waits for you' ;;
	next) printf 'the next agent that waits' ;;
	menu) printf 'menu' ;;
	pipelines) printf 'pipelines' ;;
	fleet) printf 'the fleet' ;;
	spawn) printf 'spawn an agent' ;;
	agent) printf 'menu of the agent in this pane' ;;
	*) printf 'what waits, as a menu' ;;
	esac
}

bind_keys() {
	former=$(bound_keys)
	keys=$(chosen_keys)
	free_former_keys "${former}" "${keys}"
	ours="" popup=""
	for name in ${our_keys}; do
		key=$(key_of "${keys}" "${name}")
		if [ -z "${key}" ] || ! can_bind "${name}" "${key}"; then continue; fi
		tmux bind-key -T prefix -N "tmux-agent: $(about_key "${name}")" \
			"${key}" if-shell -F '#{TMUX_AGENT_ALIVE}' "$(pressing "${name}")" "${start}"
		if [ "${name}" = popup ]; then popup=${key}; else ours="${ours}${name}=${key} "; fi
	done
	tmux set-environment -gh TMUX_AGENT_KEY "${popup}" \; set-environment -gh TMUX_AGENT_KEYS "${ours}"
}

# check_attention: says which of its words nobody knows, and which this tmux cannot do.
check_attention() {
	unknown="" early=""
	for word in $(get_tmux_option "${option_attention}" "${default_attention}" | tr ',' ' '); do
		case "${word}" in
		popup | message)
			version_ok "$(tmux display-message -p '#{version}')" 3.3 || early="; before tmux 3.3 there is no ${word}"
			;;
		bell | osc9 | osc777) ;;
		*) unknown="${unknown} ${word}" ;;
		esac
	done
	[ -z "${unknown}" ] || early=": known are popup message bell osc9 osc777, not${unknown}${early}"
	[ -z "${early}" ] || tell "${option_attention}${early}"
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
	bind_keys
	check_attention
	tmux set-environment -gh TMUX_AGENT_ENSURE "${PLUGIN_DIR}/scripts/ensure_sidecar.sh" \; \
		run-shell -b '#{q:TMUX_AGENT_ENSURE} plugin'
}
main
