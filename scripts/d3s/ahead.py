"""Work done ahead by threads: batches are decoded while the network computes; what they hold is not changed by it."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Request = TypeVar("Request")
Made = TypeVar("Made")


class Ahead(Generic[Request, Made]):
    """Makes what will be asked for, in the order in which it will be.

    Args:
        make: from a request; called by several threads at once.
        requests: all that will be asked for, in order.
        workers: threads; 0 makes each thing when it is asked for.
    """

    def __init__(self, make: Callable[[Request], Made], requests: Iterator[Request], workers: int) -> None:
        self._make, self._requests = make, requests
        self._pool = ThreadPoolExecutor(workers) if workers else None
        self._waiting: deque[tuple[Request, Future[Made]]] = deque()
        self._most = 2 * workers

    def take(self, request: Request) -> Made:
        """What a request gives; errors of ``make`` are raised here.

        Raises:
            ValueError: something else was to be asked for.
        """
        if self._pool is None:
            return self._make(request)
        while len(self._waiting) < self._most:
            upcoming = next(self._requests, None)
            if upcoming is None:
                break
            self._waiting.append((upcoming, self._pool.submit(self._make, upcoming)))
        if not self._waiting or self._waiting[0][0] != request:
            raise ValueError(f"{request} was asked for out of turn")
        return self._waiting.popleft()[1].result()

    def close(self) -> None:
        """Stop; what is not begun is not made."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._waiting.clear()
