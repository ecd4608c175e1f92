import pytest

from flows.engine.failure import Ending


def failing(_item: int) -> int:
    raise KeyError("told")


def keeps(error: Exception) -> bool:
    return isinstance(error, KeyError)


def test_an_error_with_words_is_kept_and_ends_the_source() -> None:
    ending = Ending(keeps)
    assert ending.step(failing)(1) is None
    with pytest.raises(StopIteration):
        ending.source(lambda: 1)
    with pytest.raises(KeyError, match="told"):
        ending.tell()


def test_what_was_under_way_is_let_go() -> None:
    ending, seen = Ending(keeps), list[int]()
    after = ending.step(seen.append)
    after(1)
    ending.step(failing)(2)
    after(3)
    assert seen == [1]


def test_an_error_of_a_source_is_kept_and_its_end_is_none() -> None:
    ending = Ending(keeps)
    with pytest.raises(StopIteration):
        ending.source(lambda: next(iter(())))
    ending.tell()
    with pytest.raises(StopIteration):
        ending.source(lambda: failing(1))
    with pytest.raises(KeyError):
        ending.tell()


def test_an_error_without_words_leaves_the_step_as_it_is() -> None:
    ending = Ending()
    with pytest.raises(KeyError):
        ending.step(failing)(1)
    with pytest.raises(KeyError):
        ending.source(lambda: failing(1))
    assert ending.source(lambda: 7) == 7
    ending.tell()
