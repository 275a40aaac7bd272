"""Exercise 1: views are arithmetic on descriptors.

A descriptor is what ch2.descriptor(array) returns: {"allocated", "aligned", "offset", "sizes", "strides"}. Return
the descriptor of a view of the same memory, without touching a number of it. Addresses count bytes, offset and
strides count elements of four bytes.

    python3 exercises/check.py 1
"""


def transposed(d: dict) -> dict:
    """Of A, the descriptor of A.T."""
    raise NotImplementedError("transposed")


def sliced(d: dict, rows: slice, columns: slice) -> dict:
    """Of A, the descriptor of A[rows, columns]. Both slices have a start, a stop and a step, all within A and not
    negative; a step may not divide the length."""
    raise NotImplementedError("sliced")


def repeated(d: dict, times: int) -> dict:
    """Of A with one row, the descriptor of that row `times` times, one below the other."""
    raise NotImplementedError("repeated")


def blocks_of_rows(d: dict, size: int) -> list[dict]:
    """Of A, the descriptors of A[:size], A[size : 2 * size], …; the last one may be shorter."""
    raise NotImplementedError("blocks_of_rows")
