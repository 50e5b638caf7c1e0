"""Work done ahead."""

import pytest

from d3s.ahead import Ahead


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_things_come_in_the_order_in_which_they_are_asked_for(workers: int) -> None:
    ahead = Ahead(lambda n: n * n, iter(range(20)), workers)
    assert [ahead.take(n) for n in range(20)] == [n * n for n in range(20)]
    ahead.close()


def test_an_error_is_raised_where_the_thing_is_asked_for() -> None:
    def make(n: int) -> int:
        if n == 3:
            raise KeyError(n)
        return n

    ahead = Ahead(make, iter(range(9)), 2)
    assert [ahead.take(n) for n in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        ahead.take(3)
    ahead.close()


def test_out_of_turn_is_a_mistake() -> None:
    ahead = Ahead(lambda n: n, iter(range(3)), 1)
    with pytest.raises(ValueError, match="out of turn"):
        ahead.take(2)
    ahead.close()
