"""Exercise 1: a cache in Python that makes each value once, whoever asks.

This one is right for one thread. Two that ask for a new key together both find nothing, and both make.
Change it so that

- threads that ask for one key together make its value once,
- different keys are made side by side (so one lock around all of get() will not do),
- a make() that raises leaves nothing behind: who waited gets the exception or tries itself, and the next
  call tries again.

    python3 exercises/check.py 1
"""


class Cache:
    def __init__(self):
        self.values = {}

    def get(self, key, make):
        if key not in self.values:
            self.values[key] = make()
        return self.values[key]
