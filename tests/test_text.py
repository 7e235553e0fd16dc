import ast
import pickle
import subprocess
import sys
from pathlib import Path
from pydoc_data.topics import topics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.other_text import OTHERS
from transformer_lib import text
from transformer_lib.text import (
    SIX_PACKAGES,
    Passage,
    check_texts,
    clean,
    count_words,
    cut_long,
    docstrings,
    documentation,
    in_portions,
    normalize_text,
    python_documentation,
    sentences,
    source_files,
)

ROOT = Path(__file__).parents[1]


# The corpus


def test_clean_keeps_prose_and_drops_the_rest():
    assert clean("One sentence that\n    is broken in two.\n\n>>> f(1)\n2\n\nReturns\n-------") == [
        "One sentence that is broken in two."
    ]
    assert clean("") == [] and clean("x = {1: 2, 3: 4, 5: 6} + [7, 8].") == []
    assert clean("no full stop at the end of it") == []


def test_each_docstring_belongs_to_its_top_level_definition():
    tree = ast.parse(
        '"""M."""\nclass A:\n  """A."""\n  def f(self):\n    """F."""\nif 1:\n  def g():\n    """G."""'
    )
    assert list(docstrings(tree)) == [("", "M."), ("A", "A."), ("A", "F."), ("", "G.")]


def test_docstrings_in_every_branch_are_found():
    parts = ("if 1:", "else:", "for i in a:", "else:", "while 1:", "else:", "with a:", "try:")
    parts += ("except A:", "else:", "finally:", "match a:\n case 1:")
    lines = [f"{part}\n  def f():\n    'D{i}.'\n" for i, part in enumerate(parts)]
    found = docstrings(ast.parse("".join(lines)))
    assert sorted(found) == sorted(("", f"D{i}.") for i in range(len(parts)))


def test_tests_and_installed_packages_are_not_read(tmp_path):
    for name in ("a.py", "test/b.py", "site-packages/c.py", "p/tests/d.py", "p/e.py", "p/f.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('"""A docstring of at least five words."""')
    assert [p.relative_to(tmp_path).as_posix() for p in source_files(tmp_path)] == [
        "a.py",
        "p/e.py",
    ]
    assert [(p.source, p.label) for p in python_documentation(tmp_path)] == [
        ("a.py:", "a"),
        ("p/e.py:", "p"),
    ]


def test_a_file_that_cannot_be_parsed_is_skipped(tmp_path):
    (tmp_path / "a.py").write_text("def f(:")
    (tmp_path / "b.py").write_bytes(b'"""caf\xe9 is not UTF-8 at all."""')
    (tmp_path / "c.py").write_bytes(b"\0")
    (tmp_path / "d.py").write_text('"""A docstring of at least five words."""')
    assert [p.label for p in python_documentation(tmp_path)] == ["d"]


def test_a_folder_that_changes_is_read_again(tmp_path):
    (tmp_path / "a.py").write_text("'It sat there all day long.'")
    assert len(python_documentation(tmp_path)) == 1
    (tmp_path / "b.py").write_text("'It lay there all day long.'")
    assert len(python_documentation(tmp_path)) == 2


def test_an_installation_without_sources_says_so(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"folder: no Python sources .* a text of your own \(read_text\)"
    ):
        python_documentation(tmp_path)


@pytest.mark.slow
def test_the_corpus_is_in_a_fixed_order_and_safe_to_change():
    first = python_documentation()
    first.pop()
    second = python_documentation()
    documentation.cache_clear()
    assert second == python_documentation() and len(second) == len(first) + 1
    assert set(SIX_PACKAGES) <= {p.label for p in second}
    assert {p.source for p in second if p.label == "topics"} <= {
        f"topics:{name}" for name in topics
    }


def test_no_sentence_occurs_twice():
    cut = sentences(python_documentation())
    assert len({normalize_text(p.text) for p in cut}) == len(cut)
    assert all(5 <= len(p.text.split()) <= 40 for p in cut)
    twice = [Passage("It sat on  the mat.", "a"), Passage("it sat\non the mat.", "b")]
    assert sentences(twice) == []


def test_a_passage_is_small_frozen_and_can_be_sent_to_another_process():
    passage = Passage("a", "b")
    assert not hasattr(passage, "__dict__") and pickle.loads(pickle.dumps(passage)) == passage
    with pytest.raises(AttributeError):
        passage.text = "c"


# What a text is


@pytest.mark.parametrize("wrong", ["It sat.", b"It sat.", 3, None, 2.5])
def test_one_text_is_not_a_list_of_texts(wrong):
    with pytest.raises(
        ValueError, match=f"names must be a list of texts, got one {type(wrong).__name__}"
    ):
        check_texts(wrong, "names")


@pytest.mark.parametrize("wrong", [["a", 3], ["a", None], [Passage("a", "b")], [["a"]]])
def test_what_is_no_text_is_named(wrong):
    with pytest.raises(ValueError, match=rf"number {len(wrong) - 1} of them is of type "):
        check_texts(wrong)


def test_half_a_character_is_refused_and_a_whole_one_is_not():
    with pytest.raises(ValueError, match=r"valid Unicode, number 1 .*\('\\ud83d'\) at place 2"):
        check_texts(["a", "a \ud83d"])
    whole = ["a \U0001f600", "e\u0301", ""]
    assert check_texts(iter(whole)) == whole and check_texts([]) == []


@settings(max_examples=200)
@given(st.text(max_size=40))
def test_comparing_ignores_spelling_of_letters_capitals_and_space(made):
    once = normalize_text(made)
    assert normalize_text(once) == once == normalize_text(f"  {made} \n")
    assert once == " ".join(once.split())


def test_composed_and_decomposed_letters_are_compared_alike():
    assert (
        normalize_text("Cafe\u0301  OPEN") == normalize_text("caf\u00e9 open") == "caf\u00e9 open"
    )


@pytest.mark.parametrize(
    "made, words",
    [
        ("The cat sat.", 3),
        ("Кошка сидела на ковре.", 4),
        ("고양이가 앉았다.", 2),
        ("猫坐在垫子上。", None),
        ("ねこがすわった。", None),
        ("แมวนั่งบนเสื่อ", None),
        ("ឆ្មាអង្គុយលើកន្ទេល", None),
        ("བྱི་ལ་གདན་སྟེང་ལ་བསྡད།", None),
        ("ꦏꦸꦕꦶꦁꦭꦸꦁꦒꦸꦃ", None),
        ("ㄇㄠㄗㄨㄛ", None),
        ("ﾈｺｶﾞｽﾜｯﾀ", None),
        ("ACGT" * 20, None),
        ("Rindfleischetikettierungsgesetz", 1),
        ("A long English text with one 猫 in it and more words.", 12),
        ("", 0),
    ],
)
def test_words_are_counted_where_there_are_spaces_between_them(made, words):
    assert count_words([made]) == words
    assert count_words([made] * 3) == (None if words is None else 3 * words)


@settings(max_examples=200)
@given(st.text("ab \n\u3000猫", max_size=80), st.integers(2, 20))
def test_a_long_text_is_cut_between_words_and_loses_nothing(made, longest):
    parts = list(cut_long(made, longest))
    assert "".join(parts) == made and all(len(part) <= longest for part in parts)
    for one, other in zip(parts, parts[1:]):
        between = other[0] == " " and not one[-1].isspace() and not other[1:2].isspace()
        assert between or len(one) == longest


def test_portions_keep_every_text_in_order(monkeypatch):
    monkeypatch.setattr(text, "PORTION", 10)
    made = [str(i) * (i % 7) for i in range(50)]
    groups = list(in_portions(made))
    assert sum(groups, []) == made and all(sum(map(len, group[:-1])) < 10 for group in groups)
    assert list(in_portions([])) == []


# What the chapters say holds on other texts too


def holds_on(chapter, corpus):
    done = subprocess.run(
        [sys.executable, "-m", "tests.other_text", chapter, corpus],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr[-5000:]


# By passages for the first chapter alone: the others are run on the harder of the two, whole sources missing.
MISSING = [("01_text", "passages")]
MISSING += [(name, "sources") for name in ("01_text", "02_splits", "03_tokens", "04_batches")]
TRAINED = ("14_trained_classifier", "17_ngrams", "20_sampling", "22_seeing_attention")


@pytest.mark.slow
@pytest.mark.parametrize("chapter, by", MISSING + [(name, "sources") for name in TRAINED])
def test_the_chapters_hold_when_a_tenth_of_the_corpus_is_missing(chapter, by):
    holds_on(chapter, by)


# 01 and 02 need no package: test_every_python runs them under those Pythons themselves.
@pytest.mark.slow
@pytest.mark.parametrize("chapter", ["03_tokens", "04_batches"])
@pytest.mark.parametrize("python", OTHERS)
def test_the_chapter_holds_on_the_sources_of_other_pythons(chapter, python):
    holds_on(chapter, python)
