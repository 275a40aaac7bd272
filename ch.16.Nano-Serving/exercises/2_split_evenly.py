"""Exercise 2: a fair split of the budget.

chunked_prefill.py lets the oldest prompt take all it can, so a short prompt waits behind a long one. split_evenly says
how many tokens of each prompt a step reads if the budget is dealt out one token at a time, in turn, to the prompts that
still want one. `pending` are the tokens that each still has to read, oldest prompt first. The budget may be a million:
divide, do not deal.

    python3 exercises/check.py 2
"""


def split_evenly(pending: list[int], budget: int) -> list[int]:
    raise NotImplementedError
