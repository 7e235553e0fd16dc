import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer_lib.tokens import (
    END,
    MASK,
    PAD,
    SPECIAL_TOKENS,
    UNK,
    load_tokenizer,
    train_tokenizer,
)

SENTENCE = "the cat sat on the mat"
KINDS = ("char", "word", "bpe")
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
BPE = train_tokenizer([SENTENCE, "Return the value of a message."] * 3, "bpe", 300)


@settings(max_examples=300, deadline=None)
@given(ANY)
def test_bytes_decode_what_was_encoded(text):
    ids = BPE.encode(text).ids
    assert BPE.decode(ids) == text
    assert not set(ids) & {PAD, UNK, END, MASK}


@settings(max_examples=100, deadline=None)
@given(ANY.filter(bool))
def test_characters_decode_what_was_encoded(text):
    tokenizer = train_tokenizer([text], "char")
    row = tokenizer.encode(text)
    assert tokenizer.decode(row.ids) == text
    assert len(row.ids) == len(text) and UNK not in row.ids


def test_line_breaks_and_rare_spaces_are_characters_too():
    text = "a\n\nb\r\n\tc\x85\u2028\x00 e\u0301"
    tokenizer = train_tokenizer([text], "char")
    assert len(tokenizer.encode(text).ids) == len(text)
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_have_the_first_ids(kind):
    tokenizer = train_tokenizer([SENTENCE], kind)
    assert (
        [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS]
        == [PAD, UNK, END, MASK]
        == [0, 1, 2, 3]
    )


@pytest.mark.parametrize("kind", ["char", "word"])
def test_vocabularies_are_sorted(kind):
    vocabulary = train_tokenizer(["the mat, the cat. A zoo!"], kind).get_vocab()
    known = sorted(vocabulary, key=vocabulary.get)
    assert known[4:] == sorted(known[4:]) and sorted(vocabulary.values()) == list(range(len(known)))


def test_words_and_marks():
    tokenizer = train_tokenizer([SENTENCE + "."], "word")
    assert tokenizer.encode("the  dog\nsat.").tokens == ["the", "<unk>", "sat", "."]
    assert tokenizer.encode("the dog").ids[1] == UNK


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seen", [False, True], ids=["unseen", "in training"])
def test_nobody_can_type_a_special_token(kind, seen, tmp_path):
    texts = [SENTENCE, "".join(SPECIAL_TOKENS) + " ".join(SPECIAL_TOKENS)] if seen else [SENTENCE]
    tokenizer = train_tokenizer(texts * 40, kind, 400)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    for one in (tokenizer, load_tokenizer(tmp_path / "tokenizer.json")):
        for text in ("a<end>b", "<pad>", " <mask> <end>"):
            for row in (
                one.encode(text),
                one.encode_batch_fast([text], add_special_tokens=False)[0],
            ):
                assert not set(row.ids) & {PAD, END, MASK}


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_is_the_same(kind, tmp_path):
    tokenizer = train_tokenizer([SENTENCE, "naïve 猫"], kind, 300)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert loaded.to_str() == tokenizer.to_str()
    ids = tokenizer.encode("the naïve dog 猫 <end>").ids
    assert loaded.encode("the naïve dog 猫 <end>").ids == ids and loaded.decode(
        ids
    ) == tokenizer.decode(ids)


def test_the_same_training_gives_the_same_ids_in_every_process():
    code = (
        "from transformer_lib.tokens import train_tokenizer as t; import json;"
        "x = ['the cat sat on the mat', 'a dog, a cow; an owl'];"
        "print(json.dumps([sorted(t(x, k, 290).get_vocab().items()) for k in ('char', 'word', 'bpe')]))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in "12"
    }
    assert len(said) == 1 and len(json.loads(said.pop())) == 3


@pytest.mark.parametrize("kind, size", [("char", 8), ("word", 6), ("bpe", 265)])
def test_the_vocabulary_is_not_larger_than_asked(kind, size):
    tokenizer = train_tokenizer([SENTENCE], kind, size)
    assert tokenizer.get_vocab_size() == size
    assert max(tokenizer.encode(SENTENCE).ids) < size


@pytest.mark.parametrize("texts", [[], [""], ["", ""], iter(())])
def test_nothing_to_learn_from_is_refused(texts):
    with pytest.raises(ValueError, match="texts must hold at least one character"):
        train_tokenizer(texts)


@pytest.mark.parametrize(
    "kind, size, smallest", [("char", 4, 5), ("word", 0, 5), ("bpe", 259, 260)]
)
def test_a_vocabulary_too_small_is_refused(kind, size, smallest):
    with pytest.raises(
        ValueError, match=f"vocab_size must be at least {smallest} for '{kind}', got {size}"
    ):
        train_tokenizer([SENTENCE], kind, size)


def test_an_unknown_kind_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match="kind must be 'char', 'word' or 'bpe', got 'byte'"):
        train_tokenizer([SENTENCE], "byte")
    with pytest.raises(FileNotFoundError, match="path: there is no tokenizer file '.*none.json'"):
        load_tokenizer(tmp_path / "none.json")
