"""`tmux-agent wrap`: an agent and the process above it. Standard library only: that one stays as long as the agent.

instruction.py: how each agent takes an instruction. folder.py: where the files for that are. parent.py: the process.
"""
