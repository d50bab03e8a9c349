#!/bin/sh
# Takes out of tmux, and off the disk with --all, what the plugin put there, and nothing else. Run inside tmux.
#   uninstall.sh        stops the sidecar; keys, hooks (of tmux, of agents), variables and hidden session go
#   uninstall.sh --all  the plugin's own Python environment too (state, audit log and configuration stay)

SCRIPTS_DIR=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
# shellcheck source=scripts/variables.sh
. "${SCRIPTS_DIR}/variables.sh"
# shellcheck source=scripts/helpers.sh
. "${SCRIPTS_DIR}/helpers.sh"

stop_sidecar() {
	command=$(get_tmux_option "${option_command}" "$(data_folder)/env/bin/tmux-agent")
	[ ! -x "${command}" ] || "${command}" sidecar stop
}

# disconnect_agents: an agent whose hook names a relay that is gone can use no tool any more.
disconnect_agents() {
	command=$(get_tmux_option "${option_command}" "$(data_folder)/env/bin/tmux-agent")
	if [ -x "${command}" ] && ! "${command}" setup all --uninstall --yes >/dev/null; then
		tell "its hooks are still in the settings of agents; take them out before you remove the plugin's folder"
	fi
}

free_keys() {
	keys=$(bound_keys)
	for name in ${our_keys}; do
		key=$(key_of "${keys}" "${name}")
		[ -n "${key}" ] || continue
		if is_ours "$(tmux list-keys -T prefix "${key}" 2>/dev/null)"; then # else it is the person's by now
			tmux unbind-key -T prefix "${key}"
		fi
	done
}

remove_hooks() {
	for hook in ${our_hooks}; do
		tmux set-hook -gu "${hook}[${hook_index}]" 2>/dev/null
	done
	tmux set-hook -gu "client-attached[${message_index}]" 2>/dev/null
}

remove_variables() {
	windows=$(tmux show-environment -gh | sed -n 's/^\(TMUX_AGENT_W_@[0-9]*\)=.*/\1/p')
	for variable in ${our_variables} ${windows}; do
		tmux set-environment -gu "${variable}"
	done
}

remove_environment() {
	data=$(data_folder)
	link="${HOME}/.local/bin/tmux-agent"
	[ "$(readlink "${link}" 2>/dev/null)" != "${data}/env/bin/tmux-agent" ] || rm -f "${link}"
	rm -rf "${data}"/env "${data}"/env-* "${data:?}/bin" "${data}/install.log"
}

main() {
	stop_sidecar
	disconnect_agents
	free_keys
	remove_hooks
	remove_variables
	tmux kill-session -t "=${hidden_session}" 2>/dev/null
	[ "${1:-}" != --all ] || remove_environment
}
main "$@"
