"""`python -m tmux_agent`: the same as `tmux-agent`."""

import sys

from .cli import main

sys.exit(main())
