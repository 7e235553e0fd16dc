import ast
import csv
import hashlib
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from pydoc_data.topics import topics

import pooch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.other_text import run_on
from transformer_lib import text
from transformer_lib.text import (
    SIX_PACKAGES,
    Download,
    Passage,
    bare,
    clean,
    documentation,
    fetch,
    overlap,
    python_documentation,
    python_prose,
    read_labelled,
    read_text,
    sentences,
    source_files,
    split_by_source,
    units,
    which_library,
)

# Other Pythons that stand beside this one, where there are any.
OTHERS = sorted(Path(sys.base_prefix).parent.glob("3.1[0-4]*/lib/python3.1[0-4]"))
PARTS = ("train", "validation", "test")


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
    assert list(units(tree)) == [("", "M."), ("A", "A."), ("A", "F."), ("", "G.")]


def test_docstrings_in_every_branch_are_found():
    parts = ("if 1:", "else:", "for i in a:", "else:", "while 1:", "else:", "with a:", "try:")
    parts += ("except A:", "else:", "finally:", "match a:\n case 1:")
    lines = [f"{part}\n  def f():\n    'D{i}.'\n" for i, part in enumerate(parts)]
    found = units(ast.parse("".join(lines)))
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


def test_an_installation_without_sources_says_so(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"folder: no Python sources .* a text of your own \(read_text\)"
    ):
        python_documentation(tmp_path)


def test_the_corpus_is_in_a_fixed_order_and_safe_to_change():
    first = python_documentation()
    first.pop()
    second = python_documentation()
    documentation.cache_clear()
    assert second == python_documentation() and len(second) == len(first) + 1
    assert len(second) > 10_000 and set(SIX_PACKAGES) <= {p.label for p in second}
    assert {p.source for p in second if p.label == "topics"} <= {
        f"topics:{name}" for name in topics
    }


def test_no_sentence_occurs_twice():
    cut = sentences(python_documentation())
    assert len({bare(p.text) for p in cut}) == len(cut)
    assert all(5 <= len(p.text.split()) <= 40 for p in cut)
    twice = [Passage("It sat on  the mat.", "a"), Passage("it sat\non the mat.", "b")]
    assert sentences(twice) == []


# What the chapters say holds on other texts too


def thinned(salt, what):
    def fewer(root):
        kept = (
            p
            for p in documentation(root)
            if hashlib.sha256(f"{salt}{what(p)}".encode()).digest()[0] >= 26
        )
        return tuple(kept)

    return fewer


THINNED = {
    "passages": thinned(0, lambda p: p.text),
    "sources": thinned(0, lambda p: p.source),
}


@pytest.mark.parametrize("by", THINNED)
@pytest.mark.parametrize(
    "chapter",
    [
        "01_text",
        "02_tokens",
        "03_batches",
        "12_trained_classifier",
        "15_ngrams",
        "17_sampling",
        "18_seeing_attention",
    ],
)
def test_the_chapters_hold_when_a_tenth_of_the_corpus_is_missing(chapter, by, monkeypatch):
    monkeypatch.setattr(text, "documentation", THINNED[by])
    run_on(chapter, THINNED[by])


@pytest.mark.parametrize("folder", OTHERS, ids=lambda folder: folder.name)
def test_the_chapter_holds_on_the_sources_of_other_pythons(folder, monkeypatch):
    def other(root):
        return documentation(folder)

    monkeypatch.setattr(text, "documentation", other)
    run_on("01_text", other)


@pytest.mark.parametrize(
    "folder", [None, *OTHERS], ids=lambda folder: folder.name if folder else "running"
)
def test_the_six_packages_are_in_every_python(folder):
    six = [p for p in sentences(python_documentation(folder)) if p.label in SIX_PACKAGES]
    counts = [sum(p.label == name for p in six) for name in SIX_PACKAGES]
    assert min(counts) > 250 and 2_500 < len(six) < 3_500


# Splits

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
    "shares", [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (0.0, 1.0), (float("nan"), 0.0)]
)
def test_shares_that_make_no_sense_are_refused(shares):
    with pytest.raises(
        ValueError, match="validation and test must be shares from 0 whose sum is below 1, got"
    ):
        split_by_source([], validation=shares[0], test=shares[1])


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
    assert len({bare(p.text) for p in every}) == len(every) and {p.label for p in every} == {None}


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


def test_overlap_refuses_what_it_cannot_measure():
    with pytest.raises(ValueError, match="test must hold at least one text"):
        overlap(["a"], [])
    with pytest.raises(ValueError, match="words must be at least 1, got 0"):
        overlap(["a"], ["a"], 0)
    with pytest.raises((TypeError, ValueError), match="train"):
        overlap("ab", ["ab"])
    with pytest.raises(ValueError, match="packages"):
        which_library(("emial",))


# A text of one's own


def test_paragraphs_of_a_file_with_bom_and_crlf(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfOne\r\nline.\r\n \r\n\r\nTwo.\r\n")
    assert read_text(tmp_path / "a.txt") == [
        Passage("One\nline.", "a.txt"),
        Passage("Two.", "a.txt"),
    ]


def test_a_folder_is_read_in_order_and_only_its_texts(tmp_path):
    folder = tmp_path / "f"
    for name in ("b.md", "a/z.TXT", "a.csv", "c.txt/x.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    assert [p.source for p in read_text(folder)] == ["f/a/z.TXT", "f/b.md", "f/c.txt/x.md"]


def test_texts_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="path: there is no file or folder '.*none'"):
        read_text(tmp_path / "none")
    with pytest.raises(ValueError, match="path: no text in .* a folder with .txt or .md files"):
        read_text(tmp_path)
    (tmp_path / "a.txt").write_text(" \n\n ")
    with pytest.raises(ValueError, match="path: no text in"):
        read_text(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_bytes("né".encode("latin-1"))
    with pytest.raises(ValueError, match=r"path: .*b.txt is not UTF-8 text \(byte 1\)"):
        read_text(tmp_path)


def test_tab_separated_labels(tmp_path):
    file = tmp_path / "a.tsv"
    file.write_bytes("\ufeff cat \tIt sat. \r\n\r\n  \r\nmat\tIt\tlay\u2028down.\x0c\r\n".encode())
    assert read_labelled(file) == [
        Passage("It sat.", "a.tsv:1", "cat"),
        Passage("It\tlay\u2028down.", "a.tsv:4", "mat"),
    ]


def test_csv_with_quoted_lines_bom_and_other_columns(tmp_path):
    file = tmp_path / "a.CSV"
    file.write_bytes(
        '\ufefftext,who,label\r\n"It sat,\r\n""there"".",me,cat\r\n\r\nIt\u2028lay.,,mat\r\n'.encode()
    )
    read = read_labelled(file)
    assert [(p.text, p.label) for p in read] == [
        ('It sat,\n"there".', "cat"),
        ("It\u2028lay.", "mat"),
    ]
    assert len({p.source for p in read}) == 2


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            *[st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)]
            * 2
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_csv_writes_is_what_is_read(rows, tmp_path_factory):
    file = tmp_path_factory.mktemp("csv") / "a.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("label", "text"), *rows])
    assert [(p.label, p.text) for p in read_labelled(file)] == [
        (a.strip(), b.strip()) for a, b in rows
    ]


@pytest.mark.parametrize(
    "name, content, message",
    [
        (
            "a.tsv",
            "cat\tIt sat.\nno tab here\n",
            "path: line 2 of a.tsv must be a label, a tab and a text",
        ),
        ("a.tsv", "\tIt sat.\n", "path: line 1 of a.tsv must be a label, a tab and a text"),
        ("a.tsv", "cat\t \n", "path: line 1 of a.tsv must be a label, a tab and a text"),
        ("a.tsv", "\n\n", "path: a.tsv holds no labelled text"),
        ("a.csv", "label,text\n", "path: a.csv holds no labelled text"),
        (
            "a.csv",
            "",
            "path: the first line of a.csv must name the columns label and text, it names None",
        ),
        ("a.csv", "label,words\ncat,x\n", r"it names \['label', 'words'\]"),
        (
            "a.csv",
            "label,text\ncat,It sat.\n,It lay.\n",
            "path: line 3 of a.csv must have a label and a text",
        ),
        ("a.csv", "label,text\ncat\n", "path: line 2 of a.csv must have a label and a text"),
        ("a.csv", 'label,text\ncat,"It sat.\n', "path: line 2 of a.csv is not CSV"),
        ("a.csv", "label,text\ncat,a, b\n", "path: line 2 of a.csv has more fields than the first"),
        ("a.tsv", "label\ttext\ncat\tIt sat.\n", "path: line 1 of a.tsv is a header"),
    ],
)
def test_labelled_files_that_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_labelled(tmp_path / name)


def test_a_text_in_a_table_may_be_as_long_as_a_book(tmp_path):
    (tmp_path / "a.csv").write_text("label,text\ncat," + "x" * 200_000)
    assert len(read_labelled(tmp_path / "a.csv")[0].text) == 200_000


def test_labelled_files_that_are_not_there_or_not_text(tmp_path):
    with pytest.raises(FileNotFoundError, match="path: there is no file"):
        read_labelled(tmp_path)
    (tmp_path / "a.tsv").write_bytes("cat\tsat".encode("utf-16"))
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        read_labelled(tmp_path / "a.tsv")


# Fetching

GOOD = b"the cat sat on the mat\n" * 1000


class Server(BaseHTTPRequestHandler):
    """Sends what the test put into `body`; says `promised` bytes; counts the requests."""

    def __init__(self, state, *args):
        self.state = state
        super().__init__(*args)

    def do_GET(self):
        self.state["requests"] += 1
        self.send_response(self.state["status"])
        self.send_header("Content-Length", str(self.state.get("promised", len(self.state["body"]))))
        self.end_headers()
        self.wfile.write(self.state["body"])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    pooch.get_logger().setLevel("ERROR")
    state = {"requests": 0, "status": 200, "body": GOOD}
    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, state))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    state["url"] = f"http://127.0.0.1:{running.server_port}/toy.txt"
    known = Download(state["url"], len(GOOD), hashlib.sha256(GOOD).hexdigest())
    monkeypatch.setitem(text.DOWNLOADS, "toy", known)
    yield state
    running.shutdown()
    running.server_close()


def test_a_text_is_fetched_once(server, tmp_path):
    path = fetch("toy", tmp_path / "new" / "folder")
    assert path.read_bytes() == GOOD and path.name == "toy.txt"
    assert fetch("toy", tmp_path / "new" / "folder") == path and server["requests"] == 1


def test_a_damaged_copy_in_the_cache_is_fetched_again(server, tmp_path):
    fetch("toy", tmp_path).write_bytes(b"damaged")
    assert fetch("toy", tmp_path).read_bytes() == GOOD and server["requests"] == 2


@pytest.mark.parametrize(
    "body",
    [GOOD.replace(b"cat", b"bat", 1), GOOD[:-1], b"", b"<html>not found</html>"],
    ids=["tampered", "truncated", "empty", "page"],
)
def test_another_file_is_refused_and_not_kept(server, tmp_path, body):
    server["body"] = body
    with pytest.raises(
        ValueError,
        match=rf"name: what came for 'toy' is not the expected file \(23,000 bytes, "
        rf"received {len(body):,}; SHA-256 .*\); nothing was kept",
    ):
        fetch("toy", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_breaks_off_is_refused(server, tmp_path):
    server.update(body=GOOD[:5000], promised=len(GOOD))
    with pytest.raises((ValueError, ConnectionError), match="name: .*'toy'"):
        fetch("toy", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_error_and_no_network_are_told(server, tmp_path):
    server["status"] = 404
    with pytest.raises(
        ConnectionError,
        match=r"name: 'toy' could not be fetched from http.*\(HTTPError\); connect, or",
    ):
        fetch("toy", tmp_path)
    for url in ("http://127.0.0.1:9/nobody", "no address at all"):
        with pytest.raises(
            ConnectionError, match=r"name: 'toy' could not be fetched from .* \(read_text\)"
        ):
            fetch("toy", tmp_path, url)
    assert list(tmp_path.iterdir()) == []


def test_another_address_for_the_same_file(server, tmp_path, monkeypatch):
    known = text.DOWNLOADS["toy"]
    monkeypatch.setitem(
        text.DOWNLOADS, "toy", Download("http://127.0.0.1:9/", known.size, known.sha256)
    )
    assert fetch("toy", tmp_path, server["url"]).read_bytes() == GOOD


def test_an_unknown_name_is_refused():
    with pytest.raises(
        ValueError, match=r"name must be one of \['tinyshakespeare'\], got 'hamlet'"
    ):
        fetch("hamlet")


def test_tiny_shakespeare_is_the_one_everybody_means():
    known = text.DOWNLOADS["tinyshakespeare"]
    assert known.url.endswith("/karpathy/char-rnn/master/data/tinyshakespeare/input.txt")
    assert known.size == 1_115_394 and len(known.sha256) == 64
