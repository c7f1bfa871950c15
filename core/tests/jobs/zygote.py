"""Starts jobs at once: everything is imported before, and each job is a process of its own, forked from this one.

Reads a job a line (its arguments as JSON) and writes the number of its process; reads any other line, waits for the
end, and writes how it ended. So what a test kills is a whole process, and need not import torch thirty times.
"""

from __future__ import annotations

import json
import os
import sys

from FlagEmbedding.inference.embedder.encoder_only import base  # noqa: F401 - so that no job needs to import it
from FlagEmbedding.jobs import EmbedJob, run


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main() -> None:
    say("ready")
    while line := sys.stdin.readline():
        process = os.fork()
        if process == 0:
            try:
                run(EmbedJob(**json.loads(line)))
            finally:
                os._exit(0)
        say(process)
        sys.stdin.readline()  # not before its caller has killed it, or will not
        say(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


if __name__ == "__main__":
    main()
