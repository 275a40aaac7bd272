"""A progress bar on stderr, for work that takes longer than a second.

for item in track(items, "matrix", progress):
    ...

with progress_bar(total, "token", progress) as bar:
    bar.update(n)         n more are done
    bar.total -= n        n fewer will be
"""

from collections.abc import Collection, Iterator

SECONDS_BEFORE_IT_SHOWS = 1


class _NoBar:
    """What there is instead where nobody looks, or where tqdm is not installed."""

    total = 0

    def __enter__(self) -> "_NoBar":
        return self

    def __exit__(self, *error) -> None:
        pass

    def update(self, n: int = 1) -> None:
        pass


def progress_bar(total: int, unit: str, progress: bool | None = None, description: str | None = None):
    """A tqdm bar that appears after a second and goes away at the end.

    progress: None shows it where stderr is a terminal, True always, False never. TypeError for anything else.
    """
    if progress is not None and not isinstance(progress, bool):
        raise TypeError(f"progress: expected True, False or None, got {type(progress).__name__}")
    if progress is False:
        return _NoBar()
    try:
        from tqdm import tqdm
    except ImportError:
        return _NoBar()
    return tqdm(
        total=total,
        unit=unit,
        desc=description,
        disable=None if progress is None else False,  # None: off where stderr is no terminal
        delay=SECONDS_BEFORE_IT_SHOWS,
        leave=False,
        dynamic_ncols=True,
    )


def track(
    items: Collection, unit: str, progress: bool | None = None, description: str | None = None
) -> Iterator:
    """The items one by one, with a bar that counts them."""
    with progress_bar(len(items), unit, progress, description) as bar:
        for item in items:
            yield item
            bar.update()
