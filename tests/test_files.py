import hashlib
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

from transformer_lib import files
from transformer_lib.files import Download, estimate_memory, fetch, read_text
from transformer_lib.tables import read_labelled, read_table
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
    left_out = "._a.txt", ".venv/b.txt", "node_modules/m/README.md", "__MACOSX/a.txt", "~$a.txt"
    left_out += "env/pyvenv.cfg", "env/share/a.txt", "conda/conda-meta/a.txt", "conda/b.txt"
    left_out += "a.egg-info/SOURCES.txt", "b.dist-info/LICENSE.txt", "@eaDir/a.txt"
    for name in ("a.txt", *left_out):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    assert [p.text for p in read_text(folder)] == ["a.txt"]
    assert files.of_folder(folder) == "1 of 1 files are read"
    assert [p.text for p in read_text(folder / "env")] == ["env/share/a.txt"]  # asked for


def test_what_of_a_folder_is_not_read_is_said(tmp_path):
    for name in ("a.txt", "b.md", "c.ORG", "d.org", "Makefile", *(f"e.{i}" for i in range(9))):
        (tmp_path / name).write_text("a b")
    said = "2 of 14 files are read (.txt, .md); not: 2 .org, 1 "
    assert files.of_folder(tmp_path).startswith(said) and files.of_folder(tmp_path).endswith(" ...")


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.csv", "text,label\na b,c\n"),
        ("a.jsonl", '{"text": "a b"}'),
        ("a.txt", '\n{"text": "a b"}'),
        ("a.txt", "<!DOCTYPE html>\n<p>a b"),
        ("f/a.md", "<html>a b"),
    ],
)
def test_what_is_more_than_text_is_learned_with_a_warning(tmp_path, name, content):
    (tmp_path / "f").mkdir()
    (tmp_path / name).write_text(content)
    with pytest.warns(UserWarning, match="a.* is read as plain text, with its columns or tags"):
        assert read_text(tmp_path / Path(name).parts[0])[0].text == content.strip()


def test_a_closed_input_is_said_to_be(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    for read in (read_text, read_table):
        with pytest.raises(ValueError, match="stdin is closed"):
            read("-")


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
        (b"{\\rtf1\\ansi Hello", "is no text, it is a RTF file"),
        (b"\xd0\xcf\x11\xe0\xa1", "is no text, it is a doc or xls"),
        (b"BZh91AY&SY and more", "is no text, it is a bzip2 file"),
        (b"PAR1 and more PAR1", "is no text, it is a Parquet file"),
        (b"\xef\xbb\xbf\xef\xbb\xbf", "there is no text in"),
        (b"\x89PNG\r\n\x1a\n", "is no text, it is a PNG file"),
        (b"\x93NUMPY\1\0v\0", "is no text, it is a NumPy file"),
        (b"\x80\4\x95\3\0", "is no text, it is a pickle file"),
        (b"PK\5\6\0\0", "is no text, it is a zip file"),
        (b"ARROW1\0\0", "is no text, it is a Feather"),
        (b"\x28\xb5\x2f\xfd\x04\x58", "is no text, it is a zstd file"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "is no text, it is a 7z file"),
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
from transformer_lib.files import read_text
from transformer_lib.tables import read_table
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
import os, random, sys
from tests.memory import peak
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
print(said, peak())
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
    assert said / 8 < taken < said, (said, taken)
    with open(tmp_path / "large.txt", "wb") as file:
        file.truncate(500_000_000)
    assert estimate_memory(tmp_path / "large.txt") < 6 * 2**30  # on a machine with six


def test_a_text_about_sqlite_is_a_text(tmp_path):
    (tmp_path / "a.txt").write_text("SQLite is a database.")
    assert read_text(tmp_path / "a.txt")[0].text == "SQLite is a database."


@pytest.mark.parametrize(
    "content, words",
    [
        (b"\xef\xbb\xbfabc\xe9", r"is not UTF-8 text \(byte 6\); it is damaged"),
        ("abc".encode("utf-16") + b"x", r"is not UTF-16 text \(byte .*\); it is damaged"),
    ],
)
def test_what_is_damaged_is_named_by_its_byte_and_kind(tmp_path, content, words):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_text(tmp_path / "a.txt")


def test_no_path_is_not_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("It sat.")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file or folder ''"):
        read_text("")
    assert len(read_text(".")) == 1


def test_what_may_not_be_looked_at_is_not_called_missing(tmp_path, monkeypatch):
    def closed(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "exists", closed)
    with pytest.raises(PermissionError, match="no right to look at"):
        read_text(tmp_path / "a.txt")


def test_a_folder_that_cannot_be_listed_is_not_passed_over(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "a.txt").write_text("It sat.")
    scan = os.scandir

    def closed(path):
        if str(path).endswith("in"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(PermissionError, match="in"):
        read_text(tmp_path)


def test_words_that_look_like_a_program_s_mark_are_text(tmp_path):
    for words in ("BZhang wrote a book.", "PAR1 is the first part.", "%PDF files begin like this."):
        (tmp_path / "a.txt").write_text(words)
        assert read_text(tmp_path / "a.txt")[0].text == words


def test_marks_within_a_text_and_the_end_of_dos_are_no_letters(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfOne.\n\n\xef\xbb\xbfTwo.\n\x1a")
    assert [p.text for p in read_text(tmp_path / "a.txt")] == ["One.", "Two."]


def test_a_file_and_a_link_to_it_are_one_source(tmp_path):
    (tmp_path / "b.txt").write_text("A text.")
    (tmp_path / "a.txt").symlink_to("b.txt")
    assert [p.source for p in read_text(tmp_path)] == [f"{tmp_path.name}/b.txt"]
    (tmp_path / "c.txt").symlink_to("gone.txt")
    with pytest.raises(FileNotFoundError, match="c.txt is a link to nothing"):
        read_text(tmp_path)


def test_blank_lines_at_the_ends_are_not_of_a_paragraph():
    found = list(files.paragraphs("  \n \n  foo\n\nbar\n  "))
    assert found == ["  foo", "bar"]
    many = "\n" * 200_000  # in a time that grows as the text does
    assert list(files.paragraphs(f"a{many}b{many}")) == ["a", "b"]


def test_the_advice_for_another_encoding_can_be_typed(tmp_path):
    (tmp_path / "my book.txt").write_bytes("né".encode("latin-1"))
    with pytest.raises(ValueError, match=r"-t UTF-8 '.*my book.txt' > new.txt"):
        read_text(tmp_path / "my book.txt")
    (tmp_path / "a.csv").write_bytes("text,label\nné,x".encode("latin-1"))
    with pytest.raises(ValueError, match=r"-t UTF-8 .*a.csv > new.csv"):
        read_table(tmp_path / "a.csv")


def test_a_disk_without_room_is_no_network_without_a_way(server, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", full)
    with pytest.raises(OSError, match="folder: .* cannot be written .No space left") as error:
        fetch("toy", tmp_path)
    assert not isinstance(error.value, ConnectionError)


@pytest.mark.skipif(sys.platform == "darwin", reason="names are UTF-8 there")
def test_an_error_about_a_name_of_strange_bytes_can_be_printed(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path / "a") + b"\xff.txt")
    Path(path).write_bytes(b"n\xe9")
    with pytest.raises(ValueError, match=r"a\?.txt is not UTF-8 text") as error:
        read_text(path)
    assert str(error.value).encode()
