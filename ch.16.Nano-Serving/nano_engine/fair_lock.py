"""A lock that is handed over in order of arrival.

Threads that call an engine take turns at stepping it. With `threading.Lock` the one that releases often
takes the lock again before another wakes, and a caller whose answer is complete could wait until all others
are done.
"""

import threading
from collections import deque


class FairLock:
    def __init__(self):
        self._mutex = threading.Lock()
        self._held = False
        self._gates: deque[threading.Lock] = deque()  # one closed gate for each thread that waits

    def __enter__(self) -> "FairLock":
        with self._mutex:
            if not self._held:
                self._held = True
                return self
            gate = threading.Lock()
            gate.acquire()
            self._gates.append(gate)
        try:
            gate.acquire()  # until it is our turn: `_held` stays True, the lock is handed over
        except BaseException:  # Ctrl-C while waiting
            self._leave(gate)
            raise
        return self

    def _leave(self, gate: threading.Lock) -> None:
        with self._mutex:
            if gate in self._gates:
                self._gates.remove(gate)
                return
        self._release()  # the lock was ours already

    def __exit__(self, *_) -> None:
        self._release()

    def _release(self) -> None:
        with self._mutex:
            if self._gates:
                self._gates.popleft().release()
            else:
                self._held = False
