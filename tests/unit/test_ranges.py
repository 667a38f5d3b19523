from hypothesis import given
from hypothesis import strategies as st

from agent.ranges import Ranges

RANGE = st.tuples(st.integers(0, 60), st.integers(1, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(RANGE, max_size=12), RANGE)
def test_as_a_set_of_bytes_would(ranges: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    released, gone = Ranges(), set[int]()
    for start, end in ranges:
        whole_start, whole_end = released.add(start, end)
        gone |= set(range(start, end))
        assert whole_start <= start
        assert end <= whole_end
        assert set(range(whole_start, whole_end)) <= gone
        assert not {whole_start - 1, whole_end} & gone
    assert released.overlap(*asked) == bool(gone & set(range(*asked)))
    assert not released.overlap(asked[0], asked[0])
    assert released.length == len(gone)
    assert {at for start, end in released.gaps(50) for at in range(start, end)} == set(range(50)) - gone


def test_none_again() -> None:
    released = Ranges()
    released.add(0, 10)
    released.clear()
    assert not released.overlap(0, 10)
    assert released.length == 0
    assert released.add(5, 7) == (5, 7)
