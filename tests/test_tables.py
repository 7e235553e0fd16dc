"""Tables of every shape that people have: the same forty rows come out, or a sentence."""

import csv
import json
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transformer_lib.files import read_text
from transformer_lib.tables import Found, read_labelled, read_table
from transformer_lib.text import Passage

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
    "many names.csv": lines(lambda i, t, k: f'{i},a,"{t}",{k}', ",Title,Review Text,Rating"),
    "gaps before marks.csv": lines(lambda i, t, k: f'{k}, "{t}"', "label, text"),
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


def test_names_of_columns_are_no_row_when_the_columns_are_numbers(tmp_path):
    table = tmp_path / "a.tsv"
    table.write_text(lines(lambda i, t, k: f"{i}\t{k}\t{t}", "nr\tmood\tstuff"))
    with pytest.raises(ValueError, match=r"\['nr', 'mood', 'stuff'\], looks like names"):
        read_table(table, text_column=3, label_column=2)
    found = read_table(table, text_column="stuff", label_column="mood")
    assert found.classes == {"neg": 20, "pos": 20}
    words = "".join(f"{'it en'.split()[i % 2]}\tword{i}\n" for i in range(20))
    table.write_text("lang\tmot\n" + words)  # single words: no row can be told from names
    with pytest.raises(ValueError, match="looks like names of columns.*put another one first"):
        read_table(table, text_column=2, label_column=1)
    table.write_text(words + "fr\tmot\n")
    assert len(read_table(table, text_column=2, label_column=1).passages) == 21
    table.write_text(lines(lambda i, t, k: f"{k}\t{t}", "label\ttext\nrare\tNo!"))
    assert read_table(table).classes["rare"] == 1  # below names that are known


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
        ("a.csv", 'label,text\ncat,"It sat.\n', "a.csv, line 2: not CSV"),
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
            "a.tsv has 4 columns and none of the usual names: the text seems to stand in 4, the "
            "label in 1 or 2; say which with label_column",
        ),
        (
            "a.tsv",
            "label\ttext\ncat\tIt sat.\tmore\n",
            "a.tsv, line 2: has 3 fields, the first line has 2",
        ),
        (  # with more than two columns, a row that lacks a cell has lost one
            "a.tsv",
            lines(lambda i, t, k: f"{i}\t{k}\t{t}" if i != 7 else f"{k}\t{t}"),
            "a.tsv, line 8: has 2 fields, the first line has 3",
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


def as_read(cell):
    """A cell as it should be read: composed, without byte-order marks and spaces around it."""
    return unicodedata.normalize("NFC", cell.replace("\ufeff", "")).strip()


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            *[st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"])).filter(as_read)] * 2
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda row: as_read(row[0]).casefold(),
    ),
    dialect=st.sampled_from(["excel", "excel-tab"]),
)
@example(rows=[("a\ufeff", "\ufeffe\u0301 b")], dialect="excel")
def test_what_csv_writes_is_what_is_read(rows, dialect, tmp_path_factory):
    file = tmp_path_factory.mktemp("csv") / ("a.csv" if dialect == "excel" else "a.tsv")
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, dialect).writerows([("label", "text"), *rows])
    composed = [[as_read(cell) for cell in row] for row in rows]
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


@pytest.mark.parametrize(
    "content, asked, found",
    [
        ("none\tIt sat.\npos\tGood film.\n", {}, ("It sat.", "none")),
        (
            "1\tBad film here.\n2\tMeh, so so.\n",
            {"label_column": 1, "text_column": 2},
            ("Bad film here.", "1"),
        ),
        (
            "Good film here\t1\nBad film here\t0\n",
            {"text_column": 1, "label_column": 2},
            ("Good film here", "1"),
        ),
    ],
)
def test_a_column_asked_for_by_its_number_is_no_name_of_one(tmp_path, content, asked, found):
    (tmp_path / "a.tsv").write_text(content)
    rows = read_table(tmp_path / "a.tsv", **asked).passages
    assert len(rows) == 2 and (rows[0].text, rows[0].label) == found


def test_a_number_that_is_none_of_ours_is_refused_by_name(tmp_path):
    (tmp_path / "a.tsv").write_text("cat\tIt sat.\ndog\tIt lay.\n")
    with pytest.raises(ValueError, match="text_column must be a column of a.tsv"):
        read_table(tmp_path / "a.tsv", text_column="\u00b2")


def test_a_text_with_a_tab_before_its_label_makes_no_label(tmp_path):
    rows = [f"number {i} is fine\t{'pos' if i % 2 else 'neg'}" for i in range(40)]
    rows[5] = "number\t5 is good\tpos"
    (tmp_path / "a.tsv").write_text("\n".join(rows))
    with pytest.raises(ValueError, match="line 6: the label would hold a tab"):
        read_table(tmp_path / "a.tsv")


def test_separators_within_quotes_do_not_count(tmp_path):
    (tmp_path / "a.csv").write_text('"Good, bad, ugly";pos\n"So, bad, ugly";neg\n')
    rows = read_table(tmp_path / "a.csv").passages
    assert [(p.text, p.label) for p in rows] == [
        ("Good, bad, ugly", "pos"),
        ("So, bad, ugly", "neg"),
    ]


def test_a_row_is_named_by_the_line_on_which_it_begins(tmp_path):
    (tmp_path / "a.csv").write_text('label,text\ncat,"It\nsat."\ndog,It lay.\n')
    rows = read_table(tmp_path / "a.csv").passages
    assert [p.source.rpartition(":")[2] for p in rows] == ["2", "4"]


def test_what_json_escapes_is_composed_as_other_text(tmp_path):
    rows = [{"label": "a", "text": "a cafe\u0301"}, {"label": "b", "text": "a bar"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read_table(tmp_path / "a.jsonl").passages[0].text == "a caf\u00e9"


def said_of(tmp_path, name, content, **asked):
    """What read_table answers: the number of rows, or its sentence."""
    (tmp_path / name).write_text(content)
    try:
        return len(read_table(tmp_path / name, **asked).passages)
    except ValueError as error:
        return str(error)


def test_open_quotes_swallow_no_rows_where_texts_hold_tabs(tmp_path):
    rows = [f"{'np'[i % 2]}\tfilm {i} is fine" for i in range(40)]
    rows[3], rows[37] = 'n\t"film 3 starts', 'n\tfilm 37 ends"'
    rows[5] += "\tmore"
    assert said_of(tmp_path, "a.tsv", "\n".join(rows)) == 40
    quoted = [f'{"np"[i % 2]}\t"film {i}\nsecond {i}\tline\nthird"' for i in range(40)]
    assert said_of(tmp_path, "b.tsv", "\n".join(quoted)) == 40


def test_quoted_texts_may_begin_with_a_space(tmp_path):
    rows = "\n".join(f'{1 + i % 4},"Firm {i}"," Firm {i}, of a town, is one."' for i in range(40))
    assert said_of(tmp_path, "a.csv", rows, text_column=3, label_column=1) == 40
    assert "put a text that holds" in said_of(tmp_path, "b.csv", "a,b, c\na,b, c\n")


@pytest.mark.parametrize("asked", [{}, {"text_column": 3, "label_column": 1}])
def test_names_of_columns_with_a_space_are_no_row(tmp_path, asked):
    rows = [f'{1 + i % 4},Film {i},"It is number {i}, and a good one."' for i in range(40)]
    content = "\n".join(["Class Index,Name,More Words", *rows])
    assert "looks like names of columns" in said_of(tmp_path, "a.csv", content, **asked)


def test_a_label_that_is_missing_once_makes_no_other_column_the_label(tmp_path):
    rows = [f"{i}\t{'pn'[i % 2]}\t{2000 + i % 3}\tthis is text {i}" for i in range(40)]
    rows[7] = "7\t\t2001\tthis is text 7"
    assert "the label in 2 or 3" in said_of(tmp_path, "a.tsv", "\n".join(rows))
    asked = {"text_column": 4, "label_column": 2}
    assert "line 8: has no label" in said_of(tmp_path, "a.tsv", "\n".join(rows), **asked)


def test_names_that_come_once_more_are_no_class(tmp_path):
    rows = ["label,text", *(f"{'np'[i % 2]},film {i}" for i in range(20))]
    assert "line 22: names the columns once more" in said_of(tmp_path, "a.csv", "\n".join(rows * 2))


def test_lists_and_objects_are_no_texts(tmp_path):
    for value in (["a", "b"], {"0": "a b"}):
        line = json.dumps({"text": value, "label": "x", "more": value})
        assert "holds a list or an object, no text" in said_of(tmp_path, "a.jsonl", line)
    fine = json.dumps({"text": "a\r\nb", "label": "x", "more": [1]})
    (tmp_path / "b.jsonl").write_text(fine)
    assert read_table(tmp_path / "b.jsonl").passages[0].text == "a\nb"


def test_columns_that_are_numbered_from_0_are_named_so(tmp_path):
    content = "\n".join(["0,1", *(f"film {i} is fine,{i % 2}" for i in range(40))])
    assert "say which is which" in said_of(tmp_path, "a.csv", content)
    assert said_of(tmp_path, "a.csv", content, text_column=1, label_column=2) == 40


@pytest.mark.parametrize(
    "content, words",
    [
        ('{"text": "a b", "label": NaN}\n', "a.jsonl, line 1: has no label"),
        ('{"text": NaN, "label": "x"}\n', "a.jsonl, line 1: has no text"),
        ('{"text": %s, "label": "x"}\n' % ("1" * 5000), "a.jsonl, line 1: not JSON"),
        ('{"text": "a b"}\n', "a.jsonl, line 1: must have a label and a text"),
        ('{}\n{"text": "a b", "label": "x"}\n', "a.jsonl, line 1: must have a label and a text"),
        ('{\n "text": "a b",\n "label": "x"\n}\n', "line 1: not JSON with an object in each line"),
    ],
)
def test_json_without_a_text_and_a_label_is_named_by_its_line(tmp_path, content, words):
    assert words in said_of(tmp_path, "a.jsonl", content)


def test_one_known_name_of_three_columns_makes_no_row_of_them(tmp_path):
    rows = [f"{i},word{i},{'it en'.split()[i % 2]}" for i in range(20)]
    content = "\n".join(["id,word,language", *rows])
    assert "has the columns ['id', 'word', 'language']" in said_of(tmp_path, "a.csv", content)
    for text in ("word", 2):
        assert said_of(tmp_path, "a.csv", content, text_column=text, label_column=3) == 20
    again = "\n".join(["id,topic,one", *rows, "21,topic,two"])  # a word that comes again is no name
    assert said_of(tmp_path, "b.csv", again, text_column=2, label_column=3) == 22


def test_a_label_of_two_lines_is_none(tmp_path):
    content = 'text,label\na b,"pos\nc d,neg"\ne f,pos\n'
    assert "line 2: the label would hold a tab or a line break" in said_of(
        tmp_path, "a.csv", content
    )


def test_nothing_found_can_be_shown():
    assert str(Found([], "a.tsv: empty")).split("\n")[:2] == [
        "a.tsv: empty",
        "0 texts, 0 characters, 0 words",
    ]


@pytest.mark.parametrize("first", ["label,text", "pos,Good"])
@pytest.mark.parametrize("closed", ["pos,It was fun.", "neg,bad film\nneg,Bad, bad film"])
def test_open_quotes_swallow_no_rows_of_csv(tmp_path, first, closed):
    content = f'{first}\npos,Fine\nneg,Dull\npos,"I liked it.\n{closed}"\nneg,Bad\n'
    said = said_of(tmp_path, "a.csv", content)
    assert said == "a.csv, line 4: a quote is left open, and takes in the rows below it"
    turned = [line.split(",")[::-1] for line in 'neg,Dull\npos,"I was\npos,at home"'.split("\n")]
    last = "text,label\nFine,pos\nNo,neg\n" + "\n".join(map(",".join, turned))
    assert "line 5: a quote is left open" in said_of(tmp_path, "b.csv", last)


def test_texts_of_several_lines_are_read(tmp_path):
    rows = "".join(f'{i % 5},"It went\n{i % 5},000 miles\nand back"\n' for i in range(40))
    assert said_of(tmp_path, "a.csv", f"label,text\n{rows}") == 40


def repeated(row, first="", number=60):
    """A first line, and rows made of their number and of one that comes again."""
    return first + "".join(row(i, i % 2) for i in range(number))


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.csv", repeated(lambda i, k: f"这部电影很好看第{i}次,{'正负'[k]}\n", "内容,情感\n")),
        ("a.csv", repeated(lambda i, k: f"{i},好看第{i}次,{'正负'[k]}\n", "编号,内容,情感\n")),
        ("a.tsv", repeated(lambda i, k: f"Xavier{i}\t{'NV'[k]}\n", "wort\twortart\n")),
        (
            "a.tsv",
            repeated(lambda i, k: f"{i % 5}\tganz gut {i}\n", "Note\tIhr Kommentar zu uns\n"),
        ),
        ("a.tsv", repeated(lambda i, k: f"{k - 0.5}\tgut {i}\n", "Note\tIhr Kommentar zu uns\n")),
        (
            "a.tsv",
            repeated(lambda i, k: f"{'np'[k]}\tit is {i}\n", "How is it?\tTell us all of it\n"),
        ),
    ],
)
def test_names_of_columns_in_any_language_are_no_class(tmp_path, name, content):
    assert "looks like names of columns" in said_of(tmp_path, name, content)
    rows = content.split("\n", 1)[1]
    assert said_of(tmp_path, name, rows) == 60
    assert said_of(tmp_path, name, rows + content.split("\n")[0]) == 61  # not the first


def test_a_first_row_that_is_one_is_read(tmp_path):
    rows = repeated(lambda i, k: f"{'np'[k]}\tthis is film {i}\n")
    assert said_of(tmp_path, "a.tsv", "mixed\tit was so and so\n" + rows) == 61
    assert said_of(tmp_path, "a.tsv", "P\tgood\n" + rows) == 61  # "p", in capitals
    assert said_of(tmp_path, "a.tsv", "cat\tmiau\ndog\twow\ndog\twau\ndog\twuff\ndog\tarf") == 5


@pytest.mark.parametrize(
    "name, row, first",
    [
        ("a.csv", lambda i, k: f"{k};this is note, and {i}\n", ""),
        ("a.csv", lambda i, k: f"this, is, note {i};{k}\n", ""),
        ("a.csv", lambda i, k: f"this, is, note {i}\t{k}\n", ""),
        ("a.csv", lambda i, k: f'{k}|this is "note", and {i}\n', ""),
        ("a.csv", lambda i, k: f"{k};this is {'note, ' * (i % 3)}{i}\n", "0;so, it, is, 1\n"),
        ("a.csv", lambda i, k: f"{k};this is note, {i}\n", "sep=;\nlabel;text\n"),
        ("a.csv", lambda i, k: f"{k},this is note {i} &lt;b&gt;\n", ""),
        ("a.csv", lambda i, k: f'{k},"this; is; note {i}\nand; more"\n', ""),
        ("a.txt", lambda i, k: f"this is note, and {i};{k}\n", ""),
        ("a.data", lambda i, k: f'{k},{i},"this is note, and {i}"\n', ""),
        ("a.md", lambda i, k: f"| {k} | this is note {i} |\n", "| label | text |\n|:---|---:|\n"),
    ],
)
def test_the_mark_between_cells_is_the_one_in_every_line(tmp_path, name, row, first):
    (tmp_path / name).write_text(repeated(row, first))
    found = read_table(tmp_path / name)
    assert set(found.classes) == {"0", "1"} and 60 <= len(found.passages) <= 61
    assert all("this" in p.text or "so, it" in p.text for p in found.passages)


def test_a_sentence_that_is_cut_is_said_to_be(tmp_path):
    said = said_of(tmp_path, "a.csv", lines(lambda i, t, k: f"{k},{t}"))
    assert "has 3 fields, one of them begins with a space; put a text" in said


def test_where_words_and_kinds_disagree_nothing_is_guessed(tmp_path):
    orders = ["start it", "stop it", "play it", "stay as you are"]
    meaning = ["to begin what the user asks for", "to end what the user asks for"]
    rows = "".join(f"{orders[i % 4]}\t{meaning[i % 2]}\n" for i in range(60))
    assert "column 1 more different values; say which" in said_of(tmp_path, "a.tsv", rows)
    assert said_of(tmp_path, "a.tsv", rows, text_column=1, label_column=2) == 60


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_text_with_a_line_and_a_tab_does_not_keep_the_quotes_of_all(tmp_path, quoting):
    texts = [f'He said "fine {i}" and left' for i in range(60)]
    texts[20] = "Price list:\nbread\t2.50 and so on"
    with (tmp_path / "a.tsv").open("w", newline="") as out:
        writer = csv.writer(out, "excel-tab", quoting=quoting)
        writer.writerows((["pos", "neg"][i % 2], text) for i, text in enumerate(texts))
    found = read_table(tmp_path / "a.tsv")
    assert [p.text for p in found.passages] == texts and set(found.classes) == {"pos", "neg"}


def test_all_that_is_missing_is_said_at_once(tmp_path):
    content = "label,text\n" + "".join(f"a,{'' if i % 5 == 3 else 'b c'}\n" for i in range(40))
    said = said_of(tmp_path, "a.csv", content)
    assert (
        said == "a.csv, line 5: has no text; an empty cell in 7 more (lines 10, 15, 20, 25, 30 ...)"
    )


def test_names_and_labels_that_look_the_same_are_the_same(tmp_path):
    rows = "".join(f"{i % 2},it is {i}\n" for i in range(20))
    for kept, asked in (("NFC", "NFD"), ("NFD", "NFC")):
        first = unicodedata.normalize(kept, "étiquette,avis\n")
        label = unicodedata.normalize(asked, "Étiquette")
        assert said_of(tmp_path, "a.csv", first + rows, label_column=label) == 20
    numbers = [json.dumps({"text": f"it is {i}", "label": i % 2 or 0.0}) for i in range(20)]
    (tmp_path / "a.jsonl").write_text("\n".join([*numbers, '{"text": "a", "label": 1.0}']))
    found = read_table(tmp_path / "a.jsonl")
    assert found.classes == {"1": 11, "0.0": 10} and "the same label: '1.0'" in found.how


def test_half_a_character_in_a_label_is_named(tmp_path):
    content = '{"text": "a b", "label": "x"}\n{"text": "a c", "label": "x\\ud83d"}'
    assert "the labels of a.jsonl must be valid Unicode, number 1" in said_of(
        tmp_path, "a.jsonl", content
    )


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
@pytest.mark.parametrize("row", ["{0};{1}\n", "{1};{0}\n", '{0};"{1}\n{1}"\n'])
def test_the_mark_is_found_where_texts_are_long(tmp_path, name, row):
    texts = [f"so, it {i} is, " + "this,that " * 2000 for i in range(12)]
    (tmp_path / name).write_text("".join(row.format(i % 2, t) for i, t in enumerate(texts)))
    assert read_table(tmp_path / name).classes == {"0": 6, "1": 6}


def test_texts_that_are_all_alike_are_no_labels(tmp_path):
    rows = "".join(f"{'np'[i % 2]}\tit is so\n" for i in range(20))
    assert said_of(tmp_path, "a.tsv", rows) == 20
