"""In each round everybody gets the same, as much as the smallest wish or the budget allows; then one goes home."""


def split_evenly(pending: list[int], budget: int) -> list[int]:
    given = [0] * len(pending)
    wanting = list(range(len(pending)))
    while budget and wanting:
        smallest_wish = min(pending[i] - given[i] for i in wanting)
        share = max(1, min(budget // len(wanting), smallest_wish))
        for i in wanting[: budget // share]:
            given[i] += share
            budget -= share
        wanting = [i for i in wanting if given[i] < pending[i]]
    return given
