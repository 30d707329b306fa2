"""Runs a command in a pseudo-terminal of argv[1] x argv[2]: stdin is the keyboard, stdout the screen's bytes.

The first line on stderr is the command's process id; the exit status is the command's. Python is here anyway.
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios

columns, rows = int(sys.argv[1]), int(sys.argv[2])
pid, screen = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.execvp(sys.argv[3], sys.argv[3:])
print(pid, file=sys.stderr, flush=True)

keyboard = [0]
while True:
    ready, _, _ = select.select([screen, *keyboard], [], [])
    if 0 in ready:
        typed = os.read(0, 4096)
        if typed:
            os.write(screen, typed)
        else:
            keyboard = []
    if screen in ready:
        try:
            shown = os.read(screen, 65536)
        except OSError:
            break
        if not shown:
            break
        os.write(1, shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF)
