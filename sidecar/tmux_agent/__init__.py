"""tmux-agent: the approver's seat for AI coding agents in tmux. Start reading at daemon.py."""

__version__ = "0.1.0"
