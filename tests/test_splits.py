import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer_lib.splits import (
    assign_parts,
    hold_out,
    overlap,
    python_prose,
    split_by_source,
    stable_hash,
    which_library,
)
from transformer_lib.text import SIX_PACKAGES, Passage, normalize_text

PARTS = ("train", "validation", "test")
ROOT = Path(__file__).parents[1]

passages = st.lists(
    st.builds(
        Passage,
        st.text(max_size=3),
        st.sampled_from("abcdefghij"),
        st.sampled_from([None, "x", "y"]),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(passages, st.floats(0, 0.49), st.floats(0, 0.49), st.integers(0, 99))
def test_a_split_shares_no_source_and_loses_nothing(made, validation, test, seed):
    split = split_by_source(made, validation=validation, test=test, seed=seed)
    parts = [getattr(split, part) for part in PARTS]
    owners = [{p.source for p in part} for part in parts]
    assert not (owners[0] & owners[1] or owners[0] & owners[2] or owners[1] & owners[2])
    assert sorted(map(repr, sum(parts, []))) == sorted(map(repr, made))
    assert len(split.test) <= 1.1 * test * len(made) + 1e-6
    assert split == split_by_source(made, validation=validation, test=test, seed=seed)


def test_many_labels_are_not_compared_with_each_other():
    compared = []

    class Label(str):
        def __eq__(self, other):
            compared.append(other)
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    made = [Passage(str(i), f"s{i}", Label(i % 500)) for i in range(2_000)]
    assert len(split_by_source(made, validation=0.25).validation) == 500
    assert len(compared) < 20 * len(made)  # not 500 times as many


def test_a_source_with_two_labels_stays_whole():
    made = [Passage(str(i), f"s{i // 2}", "xy"[i % 2]) for i in range(200)]
    split = split_by_source(made, test=0.3)
    assert len(split.test) > 40
    assert not {p.source for p in split.train} & {p.source for p in split.test}


def test_the_order_of_the_passages_does_not_move_the_split():
    made = [Passage(str(i), f"s{i % 50}", "a") for i in range(300)]
    one, two = split_by_source(made), split_by_source(made[::-1])
    assert {p.source for p in one.test} == {p.source for p in two.test}
    assert {p.source for p in one.test} != {p.source for p in split_by_source(made, seed=1).test}


def test_the_order_of_the_passages_does_not_move_units_with_several_labels():
    made = [Passage(str(i), f"s{i // 5}", "xy"[i * i % 7 > 2]) for i in range(200)]
    one, two = split_by_source(made), split_by_source(made[::-1])
    assert {p.source for p in one.test} == {p.source for p in two.test}


def test_the_split_is_the_same_in_every_process():
    made = [Passage(str(i), f"s{i}", "a") for i in range(30)]
    split = split_by_source(made)
    assert [p.source for p in split.test] == ["s14", "s21", "s23"]
    assert [p.source for p in split.validation] == ["s2", "s3", "s27"]


def test_every_label_is_dealt_by_itself():
    made = [Passage(str(i), f"s{i}", "rare" if i % 10 == 0 else "common") for i in range(500)]
    split = split_by_source(made, validation=0.1, test=0.2)
    for part, share in (("validation", 5), ("test", 11)):  # a tenth more than asked may come
        assert sum(p.label == "rare" for p in getattr(split, part)) == share


def test_a_new_source_moves_few_others():
    made = [Passage(str(i), f"s{i % 100}", "a") for i in range(500)]
    more = [*made, Passage("new", "new", "a")]
    moved = {p.source for p in split_by_source(made).test} ^ {
        p.source for p in split_by_source(more).test
    }
    assert len(moved - {"new"}) <= 2


@pytest.mark.parametrize(
    "shares",
    [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (0.0, 1.0), (float("nan"), 0.0), ("0.1", 0.1)],
)
def test_shares_that_make_no_sense_are_refused(shares):
    with pytest.raises(
        ValueError, match="validation and test must be shares from 0 whose sum is below 1, got"
    ):
        inspect.unwrap(split_by_source)([], validation=shares[0], test=shares[1])


@pytest.mark.parametrize("seed", range(3))
def test_the_books_tasks_leak_no_source(seed):
    library, prose = which_library(seed=seed), python_prose(seed=seed)
    for split, unit in (
        (library, lambda p: p.source),
        (prose, lambda p: p.source.split(".py:")[0]),
    ):
        owners = [{unit(p) for p in getattr(split, part)} for part in PARTS]
        assert not (owners[0] & owners[1] or owners[0] & owners[2] or owners[1] & owners[2])
        assert all(owners)
    for part in PARTS:
        assert {p.label for p in getattr(library, part)} == set(SIX_PACKAGES)
    assert overlap([p.text for p in library.train], [p.text for p in library.test])["texts"] == 0


def test_the_prose_stands_once_and_has_no_labels():
    prose = python_prose()
    every = [p for part in PARTS for p in getattr(prose, part)]
    assert len({normalize_text(p.text) for p in every}) == len(every) and {
        p.label for p in every
    } == {None}


# Overlap


def test_overlap_by_hand():
    assert overlap(["a b c d"], ["B  c\nD e"], 2) == {"texts": 0.0, "runs": 2 / 3}
    assert overlap(["a b"], ["A B", "c"], 5) == {"texts": 0.5, "runs": 0.0}


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab c", max_size=9), min_size=1, max_size=8), st.integers(1, 4))
def test_a_test_set_overlaps_wholly_with_itself(texts, words):
    own = overlap(texts, texts, words)
    assert own["texts"] == 1 and own["runs"] in (0, 1)
    assert overlap([], texts, words) == {"texts": 0, "runs": 0}


def plain_overlap(train, test, words):
    """What the page defines: sets of tuples of words."""

    def runs(one):
        said = normalize_text(one).split()
        return [tuple(said[i : i + words]) for i in range(len(said) - words + 1)]

    known = {run for one in train for run in runs(one)}
    asked = [run for one in test for run in runs(one)]
    whole = set(map(normalize_text, train))
    return {
        "texts": sum(normalize_text(one) in whole for one in test) / len(test),
        "runs": sum(run in known for run in asked) / max(len(asked), 1),
    }


LISTS = st.lists(st.text(alphabet="ab cÉ\n", max_size=30), max_size=8)


@settings(max_examples=300, deadline=None)
@given(LISTS, LISTS.filter(bool), st.integers(1, 4), st.integers(3, 50))
def test_overlap_is_what_sets_of_words_say(train, test, words, portion):
    from transformer_lib import text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "PORTION", portion)  # how much at a time makes no difference
        assert overlap(train, test, words) == plain_overlap(train, test, words)


def test_overlap_of_real_text_is_what_sets_of_words_say():
    split = which_library()
    parts = [[p.text for p in part] for part in (split.train, split.test)]
    for words in (1, 5, 8):
        assert overlap(*parts, words) == plain_overlap(*parts, words)


@pytest.mark.parametrize(
    "one",
    ["这个电影很好看，我非常喜欢，你也应该去看看", "ねこがすわったとおもう", "แมวนั่งบนเสื่อผืนเล็ก"],
)
def test_nearly_equal_texts_without_spaces_overlap(one):
    found = overlap([one], [one + "吧"])
    assert found["texts"] == 0 and found["runs"] > 0.7
    assert overlap([one], ["完全不同的一句话在这里说别的事情"])["runs"] == 0
    assert overlap([one], [one]) == {"texts": 1, "runs": 1}


def test_composed_and_decomposed_letters_overlap():
    assert overlap(["un café noir"], ["un cafe\u0301 noir"], 3) == {"texts": 1, "runs": 1}


def test_texts_may_come_one_by_one():
    assert overlap(iter(["a b c"]), (text for text in ["a b d"]), 2) == {"texts": 0, "runs": 0.5}


SPENT = """
import random, sys, time
from tests.memory import peak
from transformer_lib.splits import overlap
draw = random.Random(0)
words = [f"word{i}" for i in range(30_000)]
texts = [" ".join(draw.choices(words, k=40)) for _ in range(60_000)]
overlap(texts[:10], texts[:10])  # numpy is loaded, and what is needed once is there
size = sum(map(len, texts)) / 1e6
before, start = peak(), time.process_time()
found = overlap(texts, texts[::10])
spent = time.process_time() - start
print(found["runs"], (peak() - before) / 1e6 / size, spent / size)
"""


@pytest.mark.slow
def test_overlap_takes_little_memory_and_time():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.check_output([sys.executable, "-c", SPENT], env=environment, text=True)
    runs, megabytes, seconds = map(float, said.split())
    assert runs == 1
    assert megabytes < 6 and seconds < 1, said  # for each megabyte of text; 49 MB once


def test_overlap_refuses_what_it_cannot_measure():
    with pytest.raises(ValueError, match="test must hold at least one text"):
        overlap(["a"], [])
    with pytest.raises(ValueError, match="words must be at least 1, got 0"):
        overlap(["a"], ["a"], 0)
    for train, test, name in (("ab", ["ab"], "train"), (["ab"], "ab", "test")):
        with pytest.raises(ValueError, match=f"{name} must be a list of texts, got one str"):
            overlap(train, test)
    with pytest.raises(ValueError, match="test must be valid Unicode"):
        overlap(["a"], ["a \ud83d"])
    with pytest.raises(ValueError, match=r"packages: no sentence of \['emial'\]"):
        which_library(("emial",))
    with pytest.raises(ValueError, match="packages must be a list of texts, got one str"):
        which_library("email")


# Setting some aside


def test_hold_out_keeps_sources_whole_and_takes_the_end_of_one():
    one = [Passage(str(i), "book") for i in range(20)]
    assert hold_out(one) == (one[:18], one[18:])
    many = [Passage(str(i), f"file{i % 20}") for i in range(40)]
    kept, aside = hold_out(many)
    assert aside and not {p.source for p in kept} & {p.source for p in aside}
    with pytest.raises(ValueError, match="^passages must be at least two, so"):
        hold_out(one[:1])


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_to_set_aside_lies_between_0_and_1(share):
    with pytest.raises(ValueError, match="share must be above 0 and below 1, got"):
        hold_out([Passage("a b", "c")] * 4, share)


@pytest.mark.parametrize(
    "texts",
    [
        ["one line of many words " * 40],
        ["A title", "\n".join(f"line {i} of a text" for i in range(60))],
        ["\n".join(f"line {i} of a text" for i in range(60)), "The end"],
        ["\u65e5\u672c\u8a9e" * 300],
        ["x" * 999],
    ],
)
def test_a_text_without_paragraphs_is_cut_at_its_end_and_loses_nothing(texts):
    passages = [Passage(text, "book") for text in texts]
    kept, aside = hold_out(passages)
    assert "".join(p.text for p in [*kept, *aside]) == "".join(texts)
    share = sum(len(p.text) for p in aside) / len("".join(texts))
    assert 0.1 <= share < 0.15
    if any(" " in text for text in texts):  # no word is cut in two
        assert kept[-1].text[-1].isspace()


def test_a_share_is_one_of_the_characters_and_not_of_the_paragraphs():
    """Short ones at the end of a text, and at its beginning."""
    sizes = [90] * 20 + [10] * 20
    for lengths in (sizes, sizes[::-1]):
        text = [Passage("x" * length, "book") for length in lengths]
        kept, aside = hold_out(text)
        assert kept + aside == text
        assert 0.9 * 200 <= sum(len(p.text) for p in aside) <= 1.1 * 200
    three = [Passage("x", "book") for _ in range(3)]
    assert hold_out(three, 0.99) == (three[:1], three[1:])  # neither side is empty


@pytest.mark.parametrize("labels", ["abcd" * 3, "aaabbbcccddd", "aab", "ab" + "c" * 9])
def test_a_small_table_keeps_every_label_on_the_side_that_is_learned(labels):
    rows = [Passage(f"text {i}", "table", label) for i, label in enumerate(labels)]
    kept, aside = hold_out(rows)
    assert {p.label for p in kept} == set(labels) and aside
    assert sorted(map(repr, kept + aside)) == sorted(map(repr, rows))


def test_labels_of_few_rows_are_judged_too():
    rows = [
        Passage(f"t{label} {i}", f"s{label}.{i}", str(label))
        for label in range(60)
        for i in range(9)
    ]
    rows += [Passage(f"o {i}", f"o{i}", "other") for i in range(120)]
    kept, aside = hold_out(rows)
    assert len(aside) == 66 and len({p.label for p in kept}) == 61
    assert len({p.label for p in aside}) > 30  # of 54 rows of small labels


@pytest.mark.parametrize("name", ["server", "app", "access", "worker"])
def test_one_large_file_in_a_folder_is_not_the_test(name):
    """It has no blank line, so that it is a single passage."""
    passages = [Passage("x" * 900_000, name)]
    passages += [Passage("some words " * 20, f"file{i}") for i in range(12) for _ in range(20)]
    kept, aside = hold_out(passages)
    assert {p.source for p in kept} & {f"file{i}" for i in range(12)}
    assert name not in {p.source for p in aside} and 3 <= len({p.source for p in aside}) <= 6


def test_a_folder_of_tiny_files_beside_a_large_one_is_cut_at_its_end():
    passages = [Passage("hello you", f"file{i}") for i in range(12)] + [
        Passage("x " * 5_000, "large")
    ]
    kept, aside = hold_out(passages)
    assert kept[:12] == passages[:12] and 1_000 <= sum(len(p.text) for p in aside) < 1_100


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
def test_a_folder_gives_about_the_share_that_is_asked(share):
    kept, aside = hold_out([Passage("a word " * 9, f"file{i // 10}") for i in range(400)], share)
    assert share * 0.99 < len(aside) / 400 < share * 1.1 + 0.001


def test_labelled_sources_of_several_rows_stay_whole():
    passages = [Passage(f"row {i}", f"file{i // 10}", "ab"[i % 2]) for i in range(400)]
    kept, aside = hold_out(passages)
    assert aside and not {p.source for p in kept} & {p.source for p in aside}


# What is no list of passages


@pytest.mark.parametrize("function", [split_by_source, hold_out])
def test_what_is_no_list_of_passages_is_refused(function):
    with pytest.raises(ValueError, match="passages must be a list of Passages, got one str"):
        inspect.unwrap(function)("The cat sat.")
    with pytest.raises(ValueError, match="one of them is of type str"):
        inspect.unwrap(function)(["The cat sat.", "It lay."])


def test_units_go_to_the_first_part_with_room():
    parts = assign_parts({"a": 4, "b": 6, "c": 1, "d": 1}, {"test": 5, "validation": 1})
    assert parts == {"a": "test", "b": "train", "c": "test", "d": "validation"}
    assert stable_hash("a", 0) != stable_hash("a", 1) and len(stable_hash("a", 0)) == 32
