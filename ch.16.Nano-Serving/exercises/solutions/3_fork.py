"""Take the own page first: it is the only thing that can fail."""

from ch16_nano_serving import KVCachePool


def fork(pool: KVCachePool, pages: list[int], num_tokens: int) -> list[int]:
    full, rest = divmod(num_tokens, pool.page_size)
    own = pool.allocate(rest)
    pool.share(pages[:full])
    for page in own:
        pool.k_cache[:, page] = pool.k_cache[:, pages[full]]
        pool.v_cache[:, page] = pool.v_cache[:, pages[full]]
    return pages[:full] + own
