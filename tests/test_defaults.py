"""Settings that fit the text, and those that no run can have."""

import math

import pytest
import torch

from transformer_lib.defaults import (
    check_settings,
    fit_table,
    fit_text,
    hidden_share,
    hide_rare,
    steps_for,
    tokenizer_for,
)
from transformer_lib.tokens import UNK


@pytest.mark.parametrize("characters", [0, 59_999, 60_000, 1_000_000, 1_000_001, 10**9])
def test_what_is_chosen_can_be_trained(characters):
    for sizes in (fit_text(characters), fit_table(characters)):
        check_settings(sizes)
        assert sizes["embedding_dim"] % sizes["num_heads"] == 0


def test_a_large_table_is_learned_faster_and_a_small_one_with_more_words_hidden():
    small, large = fit_table(5_000), fit_table(5_001)
    assert small["embedding_dim"] < large["embedding_dim"]
    assert small["learning_rate"] < large["learning_rate"]
    assert 0 < hidden_share(5_001, 9) < hidden_share(5_000, 9) < 1
    assert hidden_share(5_001, 8) == hidden_share(5_000, 9)


def test_a_larger_text_gets_no_smaller_model():
    for name in ("embedding_dim", "num_layers", "vocab_size", "batch_size"):
        sizes = [fit_text(characters)[name] for characters in (1, 10**5, 10**7)]
        assert sizes == sorted(sizes), name


def test_steps_read_the_text_as_often_as_asked():
    assert steps_for(6, 64_000, 1024) == 375
    assert steps_for(6, 1, 1024) == 40 and steps_for(6, 10**9, 1024) == 1000
    assert steps_for(1, 100_001, 1000) == 101  # the last, shorter one counts


def test_a_small_table_is_read_more_often_and_a_large_one_is_not_read_to_the_end():
    assert steps_for(8, 200, 32) == 50 and steps_for(8, 200, 32, least=300) == 300
    assert steps_for(8, 2_000, 32, least=300) == 500
    assert steps_for(8, 10**6, 32, least=300) == 1000


def test_characters_take_the_place_of_words_where_none_are_parted():
    assert tokenizer_for(["the cat sat"], "word") == "word"
    assert tokenizer_for(["\u65e5\u672c\u8a9e" * 300], "word") == "char"
    assert tokenizer_for(["\u65e5\u672c\u8a9e" * 300], "bpe") == "bpe"


def test_rare_words_are_hidden_half_the_time():
    once = torch.arange(4, 1004)
    tokens = torch.cat([once, torch.full((50,), 2000)])
    hidden = hide_rare(tokens.clone(), 2001)
    assert 400 < (hidden[:1000] == UNK).sum() < 600 and (hidden[1000:] == 2000).all()
    assert torch.equal(hidden, hide_rare(tokens.clone(), 2001))
    long = torch.arange(3 << 19)  # more than one portion
    assert 0.49 < (hide_rare(long, 3 << 19) == UNK).double().mean() < 0.51


def test_a_rare_word_is_hidden_wherever_it_stands():
    tokens = torch.tensor([[5, 5, 6], [7, 8, 9]])
    hidden = hide_rare(tokens.clone(), 10)
    assert hidden.shape == tokens.shape and (hidden[0, :2] == 5).all()


@pytest.mark.parametrize(
    "settings, named",
    [
        ({"tokenizer": "syllable"}, "tokenizer"),
        ({"steps": 0}, "steps"),
        ({"threads": 2**31}, "threads"),
        ({"validation": 1}, "validation"),
        ({"dropout": math.nan}, "dropout"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"learning_rate": math.inf}, "learning_rate"),
        ({"refit": True, "validation": 0}, "refit"),
        ({"seed": 2**32}, "seed"),
    ],
)
def test_what_no_run_can_have_is_named(settings, named):
    with pytest.raises(ValueError, match=f"^{named} "):
        check_settings(settings)
