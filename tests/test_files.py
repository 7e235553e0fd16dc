import csv
import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import unicodedata
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer_lib import files
from transformer_lib.files import (
    Download,
    Found,
    estimate_memory,
    fetch,
    read_labelled,
    read_table,
    read_text,
)
from transformer_lib.text import Passage

ROOT = Path(__file__).parents[1]

# Texts


def test_paragraphs_of_a_file_with_bom_and_crlf(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfOne\r\nline.\r\n \r\n\r\nTwo.\r\n")
    assert read_text(tmp_path / "a.txt") == [
        Passage("One\nline.", "a.txt"),
        Passage("Two.", "a.txt"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_what_a_byte_order_mark_says_is_believed(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes("Ein Käfer.\r\n\r\n猫".encode(encoding))
    assert [p.text for p in read_text(tmp_path / "a.txt")] == ["Ein Käfer.", "猫"]


def test_letters_are_composed_when_they_are_read(tmp_path):
    composed = "café Å 한국"
    for name in ("NFC", "NFD"):
        (tmp_path / "a.txt").write_text(unicodedata.normalize(name, composed), "utf-8")
        assert read_text(tmp_path / "a.txt")[0].text == unicodedata.normalize("NFC", composed)
        (tmp_path / "a.tsv").write_text(
            unicodedata.normalize(name, f"é\t{composed}\nx\tno"), "utf-8"
        )
        assert read_labelled(tmp_path / "a.tsv")[0].label == "\u00e9"


def test_a_folder_is_read_in_order_and_only_its_texts(tmp_path):
    folder = tmp_path / "f"
    for name in ("b.md", "a/z.TXT", "a.csv", "c.txt/x.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    assert [p.source for p in read_text(folder)] == ["f/a/z.TXT", "f/b.md", "f/c.txt/x.md"]


def test_what_nobody_meant_is_left_out_of_a_folder(tmp_path):
    folder = tmp_path / ".hidden parent"  # what was asked for is read, whatever its name
    for name in ("a.txt", "._a.txt", ".venv/b.txt", "node_modules/m/README.md", "__MACOSX/a.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    assert [p.text for p in read_text(folder)] == ["a.txt"]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "there is no text in .*; it may be a text file, or a folder with .txt or .md files"),
        (b" \n\n ", "there is no text in"),
        ("né".encode("latin-1"), r"is not UTF-8 text \(byte 1\); .*iconv -f WINDOWS-1252 -t UTF-8"),
        (b"\xff\xfea", r"is not UTF-16 text \(byte "),
        ("Hi.".encode("utf-16-le"), "holds a NUL character at place 1: .* a byte-order mark"),
        (b"a\0b", "holds a NUL character at place 1"),
        (b"\x1f\x8b\x08\0\0", "is no text, it is a gzip file: unpack it"),
        (b"PK\x03\x04 and more", "is no text, it is a zip"),
        (b"%PDF-1.7", "is no text, it is a PDF file"),
        (b"\x89PNG\r\n\x1a\n", "is no text, it is a PNG file"),
        (b"\xed\xa0\xbd", "is not UTF-8 text"),  # half a character, as some programs write it
    ],
)
def test_what_is_no_text_gets_a_sentence(tmp_path, content, message):
    for name, read in (("a.txt", read_text), ("a.tsv", read_labelled), ("a.csv", read_labelled)):
        (tmp_path / name).write_bytes(content)
        said = (
            "holds no labelled text" if "no text in" in message and read != read_text else message
        )
        with pytest.raises(ValueError, match=said):
            read(tmp_path / name)


@pytest.mark.parametrize("read", [read_text, read_table, read_labelled, estimate_memory])
@pytest.mark.parametrize("path", ["none", "x" * 5000, "a\0b", "", "none/none.txt"])
def test_a_path_that_leads_nowhere_is_named(tmp_path, monkeypatch, read, path):
    monkeypatch.chdir(tmp_path)
    if path == "":
        path = "-missing"
    with pytest.raises(FileNotFoundError, match="there is no file or folder '") as error:
        read(path)
    assert len(str(error.value)) < 300


def test_a_folder_is_no_table_and_a_device_no_text(tmp_path):
    with pytest.raises(ValueError, match="is a folder; labels stand in a file"):
        read_table(tmp_path)
    with pytest.raises(ValueError, match="there is no text in"):
        read_text(tmp_path)
    with pytest.raises(ValueError, match="'/dev/zero' is a device"):
        read_text("/dev/zero")


CODE = """
import sys
from transformer_lib.files import read_table, read_text
for path in sys.argv[2:]:
    print(*{"t": read_text, "l": lambda p: read_table(p).passages}[sys.argv[1]](path), sep="\\n")
"""


def shell(line):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CODE": CODE, "PY": sys.executable}
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "line",
    [
        """printf 'pos\\tgood\\nneg\\tbad\\n' | "$PY" -c "$CODE" l -""",
        """printf 'text,label\\ngood,pos\\nbad,neg\\n' | "$PY" -c "$CODE" l /dev/stdin""",
        """"$PY" -c "$CODE" l <(printf 'Sentence\\tClass\\ngood\\tpos\\nbad\\tneg\\n')""",
        """printf '{"label": "pos", "text": "good"}\\n{"label": "neg", "text": "bad"}' """
        """| "$PY" -c "$CODE" l -""",
    ],
)
def test_pipes_are_tables(line):
    assert shell(line).count("label='") == 2 and "label='pos'" in shell(line)


def test_pipes_are_texts():
    line = """printf 'One.\\n\\nTwo.' | "$PY" -c "$CODE" t - <(printf 'Three.')"""
    assert [part.split("'")[0] for part in shell(line).split("text='")[1:]] == [
        "One.",
        "Two.",
        "Three.",
    ]


# Tables: the same forty rows in many shapes

ROWS = [
    (f"this is {'good' if i % 2 else 'bad'}, text {i}", "neg pos".split()[i % 2]) for i in range(40)
]


def lines(row, first=None):
    return (
        "\n".join([*([first] if first else []), *(row(i, *r) for i, r in enumerate(ROWS))]) + "\n"
    )


SHAPES = {
    "label, text.tsv": lines(lambda i, t, k: f"{k}\t{t}"),
    "text, label.tsv": lines(lambda i, t, k: f"{t}\t{k}"),
    "names.tsv": lines(lambda i, t, k: f"{k}\t{t}", "sentiment\tsentence"),
    "names in capitals.tsv": lines(lambda i, t, k: f"{t}\t{k}", "REVIEW\tCLASS"),
    "one known name.tsv": lines(lambda i, t, k: f"{k}\t{t}", "mood\tutterance"),
    "id, label, text.tsv": lines(lambda i, t, k: f"{i}\t{k}\t{t}"),
    "id, label, text with names.tsv": lines(lambda i, t, k: f"{i}\t{k}\t{t}", "id\tlabel\ttext"),
    "label, text, url.tsv": lines(
        lambda i, t, k: f"{k}\t{t}\thttps://a.film/long/long/long/way/{i}"
    ),
    "pandas.tsv": lines(lambda i, t, k: f'{i}\t"{t} ""so"""\t{k}', "\ttext\tlabel"),
    "quotes as they come.tsv": lines(lambda i, t, k: f'{k}\t"{t}" he said'),
    "quotes left open.tsv": lines(lambda i, t, k: f'{k}\t"{t}' if i % 2 else f'{k}\t{t}"'),
    "tabs in the text.tsv": lines(lambda i, t, k: f"{k}\t{t}" + "\tmore" * (i % 3)),
    "capitals.tsv": lines(lambda i, t, k: f"{k.upper() if i < 7 else k}\t{t}"),
    "windows.tsv": lines(lambda i, t, k: f"{k}\t{t}\r"),
    "plain.txt": lines(lambda i, t, k: f"{k}\t{t}"),
    "a.csv": lines(lambda i, t, k: f'{k},"{t}"', "label,text"),
    "capitals.csv": lines(lambda i, t, k: f'{k},"{t}"', "Label,Text"),
    "index.csv": lines(lambda i, t, k: f'{i},"{t}",{k}', ",review,sentiment"),
    "semicolons.csv": lines(lambda i, t, k: f"{t};{k}", "content;category"),
    "no names.csv": lines(lambda i, t, k: f'"{t}",{k}'),
    "tabs.csv": lines(lambda i, t, k: f"{k}\t{t}", "label\ttext"),
    "endings.csv": lines(
        lambda i, t, k: f'{i},{k},"{t}"', "tweet_id,airline_sentiment,review_text"
    ),
    "lines.jsonl": lines(lambda i, t, k: json.dumps({"id": i, "class": k, "sentence": t})),
    "list.json": json.dumps([{"text": t, "label": k, "more": [1]} for t, k in ROWS]),
    "no suffix": lines(lambda i, t, k: f'{k},"{t}"', "label,text"),
    "no suffix, JSON": lines(lambda i, t, k: json.dumps({"text": t, "label": k})),
    "Chinese.tsv": lines(lambda i, t, k: f"{k}\t这个电影很好看，我非常喜欢它{i}"),
    "Chinese, text first.tsv": lines(lambda i, t, k: f"这个电影很好看，我非常喜欢它{i}\t{k}"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_gives_the_same_rows(tmp_path, name):
    (tmp_path / name).write_text(SHAPES[name], "utf-8", newline="")
    found = read_table(tmp_path / name)
    assert found.classes == {"neg": 20, "pos": 20}
    assert [p.label for p in found.passages] == [label for _, label in ROWS]
    for passage, (text, _) in zip(found.passages, ROWS, strict=True):
        if "Chinese" not in name:
            assert text in passage.text and "http" not in passage.text and "\r" not in passage.text
    assert len({p.source for p in found.passages}) == 40
    if name == "pandas.tsv":
        assert found.passages[1].text == 'this is good, text 1 "so"'
    if "quotes" in name:
        assert found.passages[1].text.startswith('"')


def test_what_was_found_is_said(tmp_path):
    (tmp_path / "a.tsv").write_text(SHAPES["capitals.tsv"])
    found = read_table(tmp_path / "a.tsv")
    assert str(found).split("\n") == [
        "a.tsv: tab-separated, no names of columns; text: column 2, label: column 1; "
        "also read as the same label: 'NEG', 'POS'",
        "40 texts, 790 characters, 200 words".replace("790", str(sum(len(t) for t, _ in ROWS))),
        "2 labels: neg 20, pos 20",
        "first: neg | this is bad, text 0",
    ]
    assert found.words == 200
    (tmp_path / "zh.txt").write_text("这个电影很好看。", "utf-8")
    found = Found(read_text(tmp_path / "zh.txt"))
    assert found.words is None and found.classes == {}
    assert str(found) == "1 texts, 8 characters\nfirst: 这个电影很好看。"
    many = Found([Passage("a", "b", f"label {i}") for i in range(30)])
    assert "30 labels: " in str(many) and " and 18 more" in str(many)


@pytest.mark.parametrize(
    "text_column, label_column",
    [("sentence", "mark"), ("Sentence", " MARK "), (4, 2), ("4", "2"), ("sentence", 2)],
)
def test_columns_can_be_said(tmp_path, text_column, label_column):
    cola = lines(lambda i, t, k: f"gj{i % 7}\t{k}\t{'*' if i % 2 else ''}\t{t}")
    named = "source\tmark\tauthor\tsentence\n" + cola
    asked = dict(text_column=text_column, label_column=label_column)
    for name, content in (("named.tsv", named), ("plain.tsv", cola)):
        (tmp_path / name).write_text(content)
        if name == "plain.tsv" and not str(text_column).isdigit():
            with pytest.raises(ValueError, match="text_column must be a column of plain.tsv"):
                read_table(tmp_path / name, **asked)
            continue
        if name == "named.tsv" and str(text_column).isdigit():
            continue  # by numbers, the first line is a row unless its names are known
        found = read_table(tmp_path / name, **asked)
        assert [(p.text, p.label) for p in found.passages] == ROWS


def test_one_column_may_be_enough(tmp_path):
    (tmp_path / "a.csv").write_text(lines(lambda i, t, k: f'{i},"{t}",{k}', "id,text,mood"))
    assert read_table(tmp_path / "a.csv", label_column="mood").classes == {"neg": 20, "pos": 20}


@pytest.mark.parametrize(
    "asked, message",
    [
        (
            dict(text_column="body", label_column=1),
            r"text_column must be a column of a.tsv, by its",
        ),
        (dict(text_column=3, label_column=1), r"number from 1 to 2 .* got 3"),
        (dict(text_column=0, label_column=1), "got 0"),
        (dict(text_column=1, label_column=1), "must be two columns, both are number 1"),
    ],
)
def test_columns_that_are_not_there_are_refused(tmp_path, asked, message):
    (tmp_path / "a.tsv").write_text(SHAPES["label, text.tsv"])
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "a.tsv", **asked)


@pytest.mark.parametrize(
    "name, content, message",
    [
        (
            "a.tsv",
            "cat\tIt sat.\nno tab here\n",
            "a.tsv, line 2: must be a label, a tab and a text",
        ),
        ("a.tsv", "\tIt sat.\n", "a.tsv, line 1: has no label"),
        ("a.tsv", "cat\t \n", "a.tsv, line 1: has no text"),
        ("a.tsv", "\n\n", "a.tsv holds no labelled text"),
        ("a.tsv", "just a text\n\nand another", "a.tsv, line 1: must be a label, a tab and a text"),
        ("a.csv", "label,text\n", "a.csv holds no labelled text"),
        ("a.csv", "", "a.csv holds no labelled text"),
        ("a.csv", "label,text\ncat,It sat.\n,It lay.\n", "a.csv, line 3: has no label"),
        ("a.csv", "label,text\ncat\n", "a.csv, line 2: must have a label and a text"),
        ("a.csv", 'label,text\ncat,"It sat.\n', "a.csv, line 3: not CSV"),
        ("a.csv", "label,text\ncat,a, b\n", "a.csv, line 2: has 3 fields, the first line has 2"),
        ("a.csv", lines(lambda i, t, k: f"{k},{t}"), "a.csv, line 1: has 3 fields, .* in quotes"),
        ("a.tsv", lines(lambda i, t, k: f"kind {i}\t{t}"), "40 different labels in 40 rows"),
        (
            "a.tsv",
            lines(lambda i, t, k: f"{k}\t{t}", "mood\tstuff"),
            r"first line, \['mood', 'stuff'\], looks like names",
        ),
        (
            "a.tsv",
            lines(lambda i, t, k: f"gj{i % 7}\t{k}\t\t{t}"),
            "a.tsv has 4 columns and no line that names them: the text seems to stand in 4, the "
            "label in 1 or 2; say which with label_column",
        ),
        (
            "a.tsv",
            "label\ttext\ncat\tIt sat.\tmore\n",
            "a.tsv, line 2: has 3 fields, the first line has 2",
        ),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": \n', "a.jsonl, line 2: not JSON"),
        (
            "a.jsonl",
            '{"text": "a", "label": "x"}\n{"text": "b"}\n',
            "a.jsonl, line 2: has no label",
        ),
        ("a.jsonl", '{"text": "a", "label": "x"}\n[1]\n', "a.jsonl, line 2: must be an object"),
        ("a.jsonl", '{"words": "a", "mood": "x"}\n', r"the columns \['words', 'mood'\]: say which"),
        (
            "a.jsonl",
            '{"text": "a \\ud83d", "label": "x"}\n',
            "must be valid Unicode, .* half a character",
        ),
        ("a.json", "[1, 2", "a.json, line 1: not JSON"),
        ("a.json", "[" * 100_000, "a.json, line 1: not JSON"),
    ],
)
def test_labelled_files_that_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_labelled(tmp_path / name)


def test_a_small_table_may_have_a_label_a_row(tmp_path):
    (tmp_path / "a.tsv").write_text(" cat \tIt sat. \n\n  \nmat\tIt\tlay\u2028down.\x0c\n", "utf-8")
    assert read_labelled(tmp_path / "a.tsv") == [
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


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            *[
                st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1).filter(
                    str.strip
                )
            ]
            * 2
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda row: row[0].strip().casefold(),
    ),
    dialect=st.sampled_from(["excel", "excel-tab"]),
)
def test_what_csv_writes_is_what_is_read(rows, dialect, tmp_path_factory):
    file = tmp_path_factory.mktemp("csv") / ("a.csv" if dialect == "excel" else "a.tsv")
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, dialect).writerows([("label", "text"), *rows])
    composed = [[unicodedata.normalize("NFC", cell).strip() for cell in row] for row in rows]
    assert [[p.label, p.text] for p in read_labelled(file)] == composed


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=80) | st.text('ab,;\t"\n{}[]: 1é', max_size=60).map(str.encode))
def test_whatever_the_bytes_are_it_is_rows_or_a_sentence(content, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    for suffix in (".tsv", ".csv", ".jsonl", ""):
        (folder / f"a{suffix}").write_bytes(content)
        try:
            found = read_table(folder / f"a{suffix}")
            assert all(p.text.strip() and p.label.strip() for p in found.passages) and str(found)
        except ValueError as error:
            assert f"a{suffix}" in str(error)


def test_a_text_in_a_table_may_be_as_long_as_a_book(tmp_path):
    (tmp_path / "a.csv").write_text("label,text\ncat," + "x" * 200_000)
    assert len(read_labelled(tmp_path / "a.csv")[0].text) == 200_000


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
    monkeypatch.setitem(files.DOWNLOADS, "toy", known)
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
        match=rf"what came for 'toy' is not the expected file \(23,000 bytes, "
        rf"received {len(body):,}; SHA-256 .*\); nothing was kept",
    ):
        fetch("toy", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_breaks_off_is_refused(server, tmp_path):
    server.update(body=GOOD[:5000], promised=len(GOOD))
    with pytest.raises((ValueError, ConnectionError), match="'toy'"):
        fetch("toy", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_error_and_no_network_are_told(server, tmp_path):
    server["status"] = 404
    with pytest.raises(
        ConnectionError,
        match=r"'toy' could not be fetched from http.*\(HTTPError\); connect, or",
    ):
        fetch("toy", tmp_path)
    for url in ("http://127.0.0.1:9/nobody", "no address at all"):
        with pytest.raises(
            ConnectionError, match=r"'toy' could not be fetched from .* \(read_text\)"
        ):
            fetch("toy", tmp_path, url)
    assert list(tmp_path.iterdir()) == []


def test_another_address_for_the_same_file(server, tmp_path, monkeypatch):
    known = files.DOWNLOADS["toy"]
    monkeypatch.setitem(
        files.DOWNLOADS, "toy", Download("http://127.0.0.1:9/", known.size, known.sha256)
    )
    assert fetch("toy", tmp_path, server["url"]).read_bytes() == GOOD


def test_an_unknown_name_is_refused():
    with pytest.raises(
        ValueError, match=r"name must be one of \['tinyshakespeare'\], got 'hamlet'"
    ):
        fetch("hamlet")


def test_tiny_shakespeare_is_the_one_everybody_means():
    known = files.DOWNLOADS["tinyshakespeare"]
    assert known.url.endswith("/karpathy/char-rnn/master/data/tinyshakespeare/input.txt")
    assert known.size == 1_115_394 and len(known.sha256) == 64


# Memory

LEARNING = """
import os, random, resource, sys
from transformer_lib.batches import Windows, encode_all
from transformer_lib.files import estimate_memory, read_text
from transformer_lib.splits import hold_out, overlap
from transformer_lib.tokens import train_tokenizer
said = estimate_memory(sys.argv[1])
kept, aside = hold_out(read_text(sys.argv[1]))
texts = [passage.text for passage in kept]
tokens = encode_all(texts, train_tokenizer(texts))
Windows(tokens, 64, 32)(0)
overlap(texts, [passage.text for passage in aside])
print(said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("words, end", [(40, "\n\n"), (9, "\n\n"), (40, "\n")])
def test_what_a_text_takes_is_said_beforehand_and_kept(tmp_path, words, end):
    """In paragraphs, in short lines, and as one long paragraph."""
    draw = random.Random(0)
    known = [f"{a}{b}" for a in ("ka", "ti", "so", "me", "ru") for b in ("lan", "der", "ist", "or")]
    texts = (" ".join(draw.choices(known, k=words)) for _ in range(5_000_000 // (6 * words)))
    (tmp_path / "a.txt").write_text(end.join(texts))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-c", LEARNING, tmp_path / "a.txt"]
    said, taken = map(int, subprocess.check_output(line, env=environment).split())
    assert said / 5 < taken < said, (said, taken)
    assert 8 * 500_000_000 + 600_000_000 < 6 * 2**30  # half a gigabyte, on a machine with six
