import pytest

from flows.engine.failure import DeferredFailure


def failing(_item: int) -> int:
    raise KeyError("told")


def keeps(error: Exception) -> bool:
    return isinstance(error, KeyError)


def test_an_error_with_words_is_kept_and_ends_the_source() -> None:
    failure = DeferredFailure(keeps)
    assert failure.step(failing)(1) is None
    with pytest.raises(StopIteration):
        failure.source(lambda: 1)()
    with pytest.raises(KeyError, match="told"):
        failure.reraise()


def test_what_was_under_way_is_let_go() -> None:
    failure, seen = DeferredFailure(keeps), list[int]()
    after = failure.step(seen.append)
    after(1)
    failure.step(failing)(2)
    after(3)
    assert seen == [1]


def test_an_error_of_a_source_is_kept_and_its_end_is_none() -> None:
    failure = DeferredFailure(keeps)
    with pytest.raises(StopIteration):
        failure.source(lambda: next(iter(())))()
    failure.reraise()
    with pytest.raises(StopIteration):
        failure.source(lambda: failing(1))()
    with pytest.raises(KeyError):
        failure.reraise()


def test_an_error_without_words_leaves_the_step_as_it_is() -> None:
    failure = DeferredFailure()
    with pytest.raises(KeyError):
        failure.step(failing)(1)
    with pytest.raises(KeyError):
        failure.source(lambda: failing(1))()
    assert failure.source(lambda: 7)() == 7
    failure.reraise()
