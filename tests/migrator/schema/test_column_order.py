from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migrator.schema.column_order import merge_order
from migrator.schema.longest import longest_increasing

BASE = ["a", "b", "c", "d"]


def order(base: str, ours: str, theirs: str) -> str:
    columns = (base.split(), ours.split(), theirs.split())
    return " ".join(merge_order(*columns, alive(*columns)).columns)


def alive(base: list[str], ours: list[str], theirs: list[str]) -> set[str]:
    return {key for key in {*ours, *theirs} if key not in base or (key in ours and key in theirs)}


def clashes(base: str, ours: str, theirs: str) -> tuple[tuple[str, str], ...]:
    columns = (base.split(), ours.split(), theirs.split())
    return merge_order(*columns, alive(*columns)).clashes


def test_ours_follow_theirs_at_the_same_place_and_clash() -> None:
    assert order("a b", "a x b", "a y b") == "a y x b"
    assert clashes("a b", "a x b", "a y b") == (("x", "y"),)


def test_columns_at_other_places_do_not_clash() -> None:
    assert clashes("a b", "x a b", "a b y") == ()
    assert clashes("a b", "a x b", "a b y") == ()


def test_the_same_column_of_both_sides_does_not_clash_with_itself() -> None:
    assert clashes("a", "a x", "a x") == ()
    assert clashes("a", "a x y", "a x z") == (("y", "z"),)


def test_a_moved_column_clashes_with_a_new_one_behind_the_same() -> None:
    assert clashes("a b c", "a c b", "a n b c") == (("c", "n"),)
    assert clashes("a b c", "a n b c", "a c b") == (("n", "c"),)


def test_columns_clash_where_what_was_between_them_has_gone() -> None:
    assert clashes("a b", "a x", "a b y") == (("x", "y"),)


def test_one_column_at_two_places_clashes_with_itself() -> None:
    assert clashes("a b", "a x b", "a b x") == (("x", "x"),)
    assert clashes("a b", "a x b", "a y x b") == ()


def edited(added: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from([*BASE, *added]), unique=True, min_size=1)


@given(edited("xy"), edited("xuv"))
def test_clashes_are_the_same_from_both_sides(ours: list[str], theirs: list[str]) -> None:
    names = alive(BASE, ours, theirs)
    found = merge_order(BASE, ours, theirs, names)
    mirrored = merge_order(BASE, theirs, ours, names)
    assert set(found.clashes) == {(mine, other) for other, mine in mirrored.clashes}
    assert found.torn == mirrored.torn
    assert set(found.columns) == set(mirrored.columns) == names


@given(edited("xy"), edited("xuv"))
def test_both_ways_give_one_order_where_nothing_clashes(ours: list[str], theirs: list[str]) -> None:
    names = alive(BASE, ours, theirs)
    found = merge_order(BASE, ours, theirs, names)
    if not found.clashes and not found.torn:
        assert found.columns == merge_order(BASE, theirs, ours, names).columns


@given(st.permutations(range(8)))
def test_the_longest_increasing_part_stays(numbers: list[int]) -> None:
    found = longest_increasing(numbers)
    kept = [number for number in numbers if number in found]
    assert kept == sorted(kept)
    best = max(
        bin(mask).count("1")
        for mask in range(1 << len(numbers))
        if (part := [n for i, n in enumerate(numbers) if mask >> i & 1]) == sorted(part)
    )
    assert len(found) == best
