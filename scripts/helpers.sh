# shellcheck shell=sh disable=SC2154  # variables.sh and tmux set what is not set here
# What the plugin's scripts share: options, versions, words to the person. Sourced after variables.sh, never run.

# get_tmux_option NAME DEFAULT: the option's value; an option set to nothing is nothing, not the default.
get_tmux_option() {
	if [ -n "$(tmux show-options -gq "$1")" ]; then
		tmux show-options -gqv "$1"
	else
		printf '%s' "$2"
	fi
}

# bound_keys: what was bound at the last load, as "popup=A next=N", from one look.
bound_keys() {
	tmux show-environment -gh | sed -n 's/^TMUX_AGENT_KEY=\(..*\)/popup=\1/p; s/^TMUX_AGENT_KEYS=//p' | tr '\n' ' '
}

# key_of KEYS NAME: the key of that name in what bound_keys printed; nothing where there is none.
key_of() {
	case " $1" in *" $2="*) ;; *) return ;; esac
	rest=${1#*"$2="}
	printf '%s' "${rest%% *}"
}

# is_ours BINDING [NAME]: whether we bound it, to the key of that name.
is_ours() {
	case "$1" in *TMUX_AGENT_EVENTS*"press:${2:-}"*) true ;; *) false ;; esac
}

# version_ok HAVE WANTED: whether HAVE ("3.3a", "next-3.5", "3.11.7") is WANTED ("3.2") or newer.
version_ok() {
	have=$(printf '%s' "$1" | sed -n 's/^[^0-9]*\([0-9][0-9]*\)\.\([0-9][0-9]*\).*/\1 \2/p')
	[ -n "${have}" ] || return 1
	[ "${have% *}" -gt "${2%.*}" ] || { [ "${have% *}" -eq "${2%.*}" ] && [ "${have#* }" -ge "${2#*.}" ]; }
}

supported_tmux() {
	version_ok "$(tmux display-message -p '#{version}')" "${oldest_tmux}"
}

# supported_python: prints the first Python that is new enough, the person's choice first; fails where there is none.
supported_python() {
	chosen=$(get_tmux_option "${option_python}" "${default_python}")
	for python in "${chosen}" python3.13 python3.12 python3.11; do
		if version_ok "$("${python}" -V 2>/dev/null)" "${oldest_python}"; then
			command -v "${python}"
			return
		fi
	done
	return 1
}

# tell TEXT: shows it at every client; where none is attached yet, at the first that comes.
tell() {
	text=$(printf 'tmux-agent: %s' "$1" | sed 's/#/##/g; s/%/%%/g')
	clients=$(tmux list-clients -F '#{client_control_mode} #{client_name}' | sed -n 's/^0 //p')
	if [ -n "${clients}" ]; then
		printf '%s\n' "${clients}" | while IFS= read -r client; do
			# tmux 3.2 does not take -c rightly, older ones no -d: then the client used last is told.
			tmux display-message -d 8000 -c "${client}" "${text}" 2>/dev/null ||
				tmux display-message -d 8000 "${text}" 2>/dev/null || tmux display-message "${text}"
		done
	else
		quoted=$(printf '%s' "${text}" | sed "s/'/'\\\\''/g")
		hook="client-attached[${message_index}]"
		tmux set-hook -g "${hook}" "display-message -d 8000 '${quoted}' ; set-hook -gu ${hook}" 2>/dev/null ||
			tmux set-hook -g "${hook}" "display-message '${quoted}' ; set-hook -gu ${hook}"
	fi
}

# Folders, by the same rules as sidecar/tmux_agent/services/places.py.
state_folder() {
	printf '%s' "${TMUX_AGENT_STATE_DIR:-${XDG_STATE_HOME:-${HOME}/.local/state}/tmux-agent}"
}

data_folder() {
	printf '%s' "${XDG_DATA_HOME:-${HOME}/.local/share}/tmux-agent"
}

# tmux_socket: the server that runs us.
tmux_socket() {
	printf '%s' "${TMUX%%,*}"
}
