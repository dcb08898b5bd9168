"""The command line: parse, call, exit code. A command imports its modules when it is called.

Exit codes: 0 done; 1 some runs failed (a diverged run is a result); 2 the config or the call is invalid;
130 interrupted, resumable.
"""

import signal

from featlearn.cli import (  # each adds its commands to the application
    exploring,
    measuring,
    plotting,
    reading,
    reporting,
    running,
    storing,
)
from featlearn.cli.app import INTERRUPTED, app

__all__ = ["app", "exploring", "main", "measuring", "plotting", "reading", "reporting", "running", "storing"]


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="featlearn")
    except SystemExit as end:
        if end.code == INTERRUPTED:  # another Ctrl-C, while Python ends, would print a traceback
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise
