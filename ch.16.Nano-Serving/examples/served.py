"""Runs a command while a server runs: python3 examples/served.py [--serve OPTION …] -- COMMAND …

The command finds the server's address in $URL. In what it prints, times are replaced by 0, so that it is the same
each time.
"""

import os
import re
import subprocess
import sys


def main() -> int:
    options, command = split(sys.argv[1:])
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    serve = [sys.executable, "-m", "nano_engine", "serve", "--port", "0", *options]
    server = subprocess.Popen(serve, stderr=subprocess.PIPE, text=True)
    try:
        for line in server.stderr:
            if ready := re.match(r"ready: (\S+)", line):
                environment = os.environ | {"URL": ready[1]}
                done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
                print(re.sub(r'("created": ?)\d+', r"\g<1>0", done.stdout), end="")
                return done.returncode
            print(line, end="", file=sys.stderr)
        return 1
    finally:
        server.terminate()
        server.communicate()


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return [], arguments
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


if __name__ == "__main__":
    sys.exit(main())
