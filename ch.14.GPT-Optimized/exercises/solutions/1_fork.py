"""A solution of exercise 1."""


def fork(cache, sequence: int) -> int:
    new = cache.add_sequence()
    length, table = cache.lengths[sequence], cache.tables[sequence]
    num_full = length // cache.page_size
    cache.tables[new] = list(table[:num_full])
    cache.lengths[new] = num_full * cache.page_size
    if rest := length - cache.lengths[new]:
        cache.extend(new, rest)  # takes a fresh page, and may move the arrays
        cache.k[:, cache.tables[new][-1]] = cache.k[:, table[-1]]
        cache.v[:, cache.tables[new][-1]] = cache.v[:, table[-1]]
    return new
