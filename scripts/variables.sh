# shellcheck shell=sh disable=SC2034  # read by those who source this
# Every option of the plugin with its default, and the names that the plugin takes in tmux. Sourced, never run.
# Set an option before the plugin is loaded: set -g @tmux-agent-key-popup 'a'

our_keys="popup next menu pipelines fleet spawn agent pending" # each with option_key_… and default_key_…

option_key_popup="@tmux-agent-key-popup" # key after the prefix that opens the popup; empty: none
default_key_popup="A"

option_key_next="@tmux-agent-key-next" # key after the prefix that goes to the next agent that waits; empty: none
default_key_next="N"

option_key_menu="@tmux-agent-key-menu" # key after the prefix that opens the main menu; empty: none
default_key_menu="G"

option_key_pipelines="@tmux-agent-key-pipelines" # key after the prefix that opens the pipelines; empty: none
default_key_pipelines="P"

option_key_fleet="@tmux-agent-key-fleet" # key after the prefix that opens the fleet; empty: none
default_key_fleet="F"

option_key_spawn="@tmux-agent-key-spawn" # key after the prefix that spawns an agent into a worktree; empty: none
default_key_spawn="S"

option_key_agent="@tmux-agent-key-agent" # key after the prefix that opens the menu of the agent in this pane; empty: none
default_key_agent=""

option_key_pending="@tmux-agent-key-pending" # key after the prefix that opens what waits as a menu; empty: none
default_key_pending=""

option_attention="@tmux-agent-attention" # how new requests are told, several of: popup message bell osc9 osc777
default_attention=""

option_command="@tmux-agent-command" # an installed tmux-agent to use (pipx, uv tool); empty: the plugin installs its own
default_command=""

option_python="@tmux-agent-python" # Python 3.11 or newer for the plugin's own environment
default_python="python3"

# Read by the sidecar, with the same defaults there:
#   @tmux-agent-popup-width   90%      @tmux-agent-popup-height  80%
#   @tmux-agent-attention-idle 3
#   @tmux-agent-style-working fg=green @tmux-agent-style-waiting fg=red,bold  @tmux-agent-style-done fg=blue
#   @tmux-agent-style-error   fg=red   @tmux-agent-style-warning fg=yellow,bold
#   @tmux-agent-style-limit   fg=yellow

oldest_tmux="3.2"
oldest_python="3.11"

# Names shared with sidecar/tmux_agent/services/tmux/signals.py and badge.py.
hidden_session="_tmux-agent"
hook_index="77"
message_index="78"
our_hooks="client-attached client-detached client-session-changed session-created session-renamed session-closed
window-linked window-unlinked window-renamed window-layout-changed pane-exited pane-died
after-split-window after-new-window after-kill-pane pane-title-changed"
our_variables="tmux_agent tmux_agent_pending TMUX_AGENT_STATUS TMUX_AGENT_PENDING
TMUX_AGENT_EVENTS TMUX_AGENT_ALIVE TMUX_AGENT_TITLES TMUX_AGENT_ENSURE TMUX_AGENT_KEY TMUX_AGENT_KEYS"
