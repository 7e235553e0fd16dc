"""The checks of chapter 24 accept what is right and name what is wrong."""

import hashlib

import pytest

from tests.exercises.checks import verdict

CHAPTER = "24_files"


def broken(content, encoding="utf-8", letters=False):
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        return len(content[: error.start].decode()) if letters else error.start


@pytest.mark.parametrize(
    "answer, said",
    [
        (broken, "Right:"),
        (lambda content: None, "Not yet"),
        (lambda content: broken(content, "ascii"), "may be good UTF-8"),
        (lambda content: broken(content) is not None or None, "not whether"),
        (lambda content: None if broken(content) is None else 3, "it is byte 7"),
        (lambda content: None if broken(content) is None else broken(content) + 1, "from 0"),
        (lambda content: broken(content, letters=True), "Count bytes"),
        (lambda content: broken(content) if content else 0, "In nothing"),
        (lambda content: broken(content) or None, "0 is a place"),
        (lambda: None, "stopped with TypeError"),
    ],
)
def test_broken(answer, said):
    assert said in verdict(CHAPTER, "check_broken", answer)


@pytest.mark.parametrize(
    "answer, said",
    [
        ((3, "three\nfour"), "Right:"),
        (None, "Not yet"),
        (3, "a number and a text"),
        ((4, "four"), "does not part"),
        ((2, "two\n \t\nthree\nfour"), "is blank, too"),
        ((5, ""), "What is empty"),
        ((3, "three\nfour\n"), "two lines"),
        ((1, "one"), "between blank lines"),
    ],
)
def test_blocks(answer, said):
    assert said in verdict(CHAPTER, "check_blocks", answer)


def meant(content, size, sha256, sized=True, hashed=True, folded=True):
    found = hashlib.sha256(content).hexdigest()
    sha256 = sha256.lower() if folded else sha256
    return (not sized or len(content) == size) and (not hashed or found == sha256)


@pytest.mark.parametrize(
    "answer, said",
    [
        (meant, "Right:"),
        (lambda *_: None, "Not yet"),
        (lambda *_: False, "This is the file"),
        (lambda *a: meant(*a, hashed=False), "One letter differs"),
        (lambda *a: meant(*a, sized=False), "The size must be right"),
        (lambda *a: meant(*a, folded=False), "in capitals"),
        (lambda: None, "stopped with TypeError"),
    ],
)
def test_meant(answer, said):
    assert said in verdict(CHAPTER, "check_meant", answer)
