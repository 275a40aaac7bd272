"""The prefix cache as the scheduler uses it: pages of what has been computed stay, and who begins alike gets them.

It decides when the radix tree (C++) is asked and told: `reuse` before a request's tokens are read, `keep` after some
have been, `evict` when pages are needed. A request that waits has none of its pages; a request that runs holds all it
was given, so they cannot be evicted. What a page holds depends on the tokens before it alone, to the last bit, so a
page that another request has computed is as good as one's own.
"""

from ch16_nano_serving import KVCachePool, RadixCache

from .request import Request


class RadixManager:
    def __init__(self, kv_pool: KVCachePool, enabled: bool = True):
        self.kv_pool = kv_pool
        self.enabled = enabled
        self.cache = RadixCache(kv_pool)  # stays empty if it is not enabled
        self.num_prompt_tokens = 0  # of prompts that have been read
        self.num_cached_prompt_tokens = 0  # these of them were in the cache
        self.num_evicted_pages = 0

    # [reuse]
    def reuse(self, request: Request) -> None:
        """Gives a request the pages of what others have computed of its tokens, if that is more than it has itself.

        Its last token it reads in any case: its logits are wanted.
        """
        if not self.enabled:
            return
        tokens = request.tokens(0, request.num_tokens - 1)
        pages = self.cache.match_prefix(tokens, request.cache_salt)
        num_tokens = len(pages) * self.kv_pool.page_size
        if num_tokens <= request.num_computed_tokens:
            self.kv_pool.free(pages)
            return
        self.kv_pool.free(request.page_table[: len(pages)])
        request.page_table[: len(pages)] = pages
        request.num_kept_pages = len(pages)
        if not request.num_preemptions:  # afterwards it finds what it had computed itself
            request.num_cached_tokens += num_tokens - request.num_computed_tokens
        request.num_computed_tokens = num_tokens

    # [/reuse]
    # [keep]
    def keep(self, request: Request) -> None:
        """Puts the pages that a request has filled into the tree. Where the tree has them already, it gets those."""
        num_pages = request.num_computed_tokens // self.kv_pool.page_size
        if not self.enabled or num_pages == request.num_kept_pages:
            return
        tokens = request.tokens(0, num_pages * self.kv_pool.page_size)
        request.page_table[:num_pages] = self.cache.insert(
            tokens, request.page_table[:num_pages], request.cache_salt
        )
        request.num_kept_pages = num_pages

    # [/keep]
    def evict(self, num_pages: int) -> int:
        """Frees up to so many pages that no request holds; returns how many."""
        num_evicted = self.cache.evict(num_pages)
        self.num_evicted_pages += num_evicted
        return num_evicted

    def forget(self, request: Request) -> None:
        """Takes whatever begins like this request out of the tree: its pages may hold NaN."""
        self.cache.remove(request.tokens(0, request.num_tokens), request.cache_salt)

    def count_prompt(self, request: Request) -> None:
        """Notes what part of a prompt, now read for the first time, was cached."""
        self.num_prompt_tokens += request.num_prompt_tokens
        self.num_cached_prompt_tokens += request.num_cached_tokens

    @property
    def hit_rate(self) -> float:
        """The part of all prompt tokens that was in the cache; 0 before there were any."""
        return self.num_cached_prompt_tokens / max(1, self.num_prompt_tokens)

    @property
    def num_available_pages(self) -> int:
        """Pages that are free, or will be once they are evicted."""
        return self.kv_pool.num_free_pages + self.cache.num_evictable_pages

    def check_integrity(self) -> None:
        self.cache.check_integrity()
