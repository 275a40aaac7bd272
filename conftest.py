"""Makes the chapters of this tree importable for every test, and gives the tests a disk cache of their own."""

import os
import pathlib
import signal
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import chapters  # noqa: F401

# Neither is the user's cache filled by tests, nor does a test depend on what is in it. Set here, before a chapter is
# imported, and for the processes that tests start; removed when this process ends.
_cache = tempfile.TemporaryDirectory(prefix="course-tests-")
os.environ["COURSE_CACHE_DIR"] = _cache.name

# A shell without job control ignores Ctrl-C on behalf of what it starts with "&", and that is inherited: tests that
# send one, to themselves or to a process of theirs, would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
