import inspect
import json
import os
import random
import subprocess
import sys
import time
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer_lib import text as text_module
from transformer_lib import tokens as tokens_module
from transformer_lib.splits import which_library
from transformer_lib.tokens import (
    END,
    MASK,
    PAD,
    SPECIAL_TOKENS,
    UNK,
    encode_rows,
    load_tokenizer,
    train_tokenizer,
    unknown_share,
)

SENTENCE = "the cat sat on the mat"
KINDS = ("char", "word", "bpe")
ANY = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=60)
BPE = train_tokenizer([SENTENCE, "Return the value of a message."] * 3, "bpe", 300)


@settings(max_examples=300, deadline=None)
@given(ANY)
def test_bytes_decode_what_was_encoded(text):
    ids = BPE.encode(text).ids
    assert BPE.decode(ids) == unicodedata.normalize("NFC", text)
    assert not set(ids) & {PAD, UNK, END, MASK}


@settings(max_examples=100, deadline=None)
@given(ANY.filter(bool))
def test_characters_decode_what_was_encoded(text):
    tokenizer = train_tokenizer([text], "char")
    row = tokenizer.encode(text)
    composed = unicodedata.normalize("NFC", text)
    assert tokenizer.decode(row.ids) == composed
    assert len(row.ids) == len(composed) and UNK not in row.ids


def test_line_breaks_and_rare_spaces_are_characters_too():
    text = "a\n\nb\r\n\tc\x85\u2028\x00 x\u0301"
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


def test_words_are_not_learned_from_spaces():
    with pytest.raises(ValueError, match="texts must hold at least one word"):
        train_tokenizer([" ", "\n\t"], "word")
    assert train_tokenizer([" "], "char").encode(" ").ids


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
    with pytest.raises(FileNotFoundError, match="there is no tokenizer file '.*none.json'"):
        load_tokenizer(tmp_path / "none.json")


# Spellings, scripts, long texts


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100)
@given(ANY.filter(str.strip))
def test_composed_and_decomposed_letters_meet(kind, text):
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    for learned in (composed, decomposed):
        tokenizer = train_tokenizer([learned], kind, 400)
        assert tokenizer.encode(composed).ids == tokenizer.encode(decomposed).ids
    tokenizer = train_tokenizer([decomposed], "char", 400)
    assert UNK not in tokenizer.encode(composed).ids


@pytest.mark.slow
def test_ordinary_text_is_cut_as_gpt2_cuts_it():
    from tokenizers import pre_tokenizers

    split = which_library()
    train, test = ([p.text for p in part] for part in (split.train, split.test))
    theirs = pre_tokenizers.ByteLevel(add_prefix_space=False)
    ours = train_tokenizer(train, "bpe", 600)
    for text in [*test[:200], "It's  two\n\nlines, isn't it?  ", " a", "1234 56"]:
        pieces = ours.pre_tokenizer.pre_tokenize_str(text)
        assert [p for p, _ in pieces] == [p for p, _ in theirs.pre_tokenize_str(text)]


@pytest.mark.slow
def test_a_long_text_without_a_mark_takes_no_longer_than_one_with_marks():
    draw = random.Random(0)
    signs = [chr(0x4E00 + draw.randrange(800)) for _ in range(100_000)]
    spent = {}
    for name, text in (("none", "".join(signs)), ("marks", "，".join(signs[:50_000]))):
        start = time.process_time()
        tokenizer = train_tokenizer([text], "bpe", 2048)
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
        spent[name] = time.process_time() - start
    assert spent["none"] < 4 * spent["marks"] + 1, spent


def test_where_words_have_no_spaces_each_character_is_a_word():
    tokenizer = train_tokenizer(["这个电影 is good, สวัสดี ok 123猫a"], "word")
    tokens = tokenizer.encode("这电 good สวั ok 123猫a").tokens
    assert tokens == ["这", "电", "good", "ส", "ว", "ั", "ok", "123", "猫", "a"]
    learned = ["我喜欢这个电影", "我不喜欢这本书", "他的书很好看"]
    tokenizer = train_tokenizer(learned, "word")
    assert unknown_share(tokenizer, ["我很喜欢他的电影"]) == 0


def test_the_unknown_share_is_counted_over_all_tokens():
    tokenizer = train_tokenizer([SENTENCE], "word")
    assert unknown_share(tokenizer, ["the cat", "the dog ran"]) == 2 / 5
    assert unknown_share(tokenizer, []) == 0 and unknown_share(BPE, ["Кошка 猫"]) == 0
    with pytest.raises(ValueError, match="texts must be a list of texts, got one str"):
        unknown_share(tokenizer, "the cat")


@settings(max_examples=60)
@given(
    st.lists(st.text("ab. \n猫é", max_size=60), max_size=6),
    st.integers(4, 40),
    st.sampled_from(KINDS),
)
def test_rows_encoded_in_portions_are_the_rows(texts, portion, kind):
    tokenizer = train_tokenizer(["ab. 猫é", "aa bb ab ab."], kind, 300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "PORTION", portion)
        rows = list(encode_rows(texts, tokenizer))
    assert all(row.dtype == np.int32 for row in rows)
    assert [row.tolist() for row in rows] == [tokenizer.encode(text).ids for text in texts]


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_longer_than_a_portion_is_encoded_as_a_whole(kind):
    split = which_library()
    text = "  \n".join(p.text for p in split.train)
    tokenizer = train_tokenizer([text], kind, 500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module.cut_long, "__defaults__", (1000,))
        if hasattr(text_module.cut_long, "__wrapped__"):
            patch.setattr(inspect.unwrap(text_module.cut_long), "__defaults__", (1000,))
        (row,) = encode_rows([text], tokenizer)
    assert row.tolist() == tokenizer.encode(text).ids


# What people pass


@pytest.mark.parametrize("texts", ["the cat", b"the cat", 3, None])
def test_one_text_is_not_a_list_of_texts(texts):
    for function in (train_tokenizer, lambda t: unknown_share(BPE, t)):
        with pytest.raises((ValueError, TypeError), match="texts"):
            inspect.unwrap(function)(texts)


def test_half_a_character_gets_a_sentence():
    with pytest.raises(ValueError, match="texts must be valid Unicode, number 1"):
        train_tokenizer(["a", "\ud83d"])


def test_sizes_may_be_of_numpy_and_no_floats():
    train = inspect.unwrap(train_tokenizer)
    assert train([SENTENCE], "word", np.int64(6)).get_vocab_size() == 6
    for wrong in (6.0, "6", None):
        with pytest.raises(ValueError, match="vocab_size must be a whole number, got"):
            train([SENTENCE], "word", wrong)


def test_byte_pairs_of_a_long_text_are_learned_from_portions_all_over_it(monkeypatch):
    texts = [f"{word} " * 40 for word in ("alpha", "beta", "gamma", "delta")] * 25
    whole = train_tokenizer(texts).to_str()
    monkeypatch.setattr(tokens_module, "LEARNED", sum(map(len, texts)))
    assert train_tokenizer(texts).to_str() == whole
    monkeypatch.setattr(tokens_module, "LEARNED", sum(map(len, texts)) // 5)
    found = train_tokenizer(texts)  # every fifth: all four words still
    assert all(len(found.encode(f" {w}").ids) == 1 for w in ("alpha", "beta", "gamma", "delta"))
    seen = []
    monkeypatch.setattr(
        tokens_module, "train_bytes", lambda pieces, size: seen.extend(pieces) or found
    )
    train_tokenizer(texts)
    assert seen == texts[::5]
