"""Masked-token pretraining: what is hidden, what is asked, and what may be read."""

import pytest
import torch
from torch.nn import functional as F

from transformer_lib.batches import Windows
from transformer_lib.classifier import Classifier, EncoderClassifier
from transformer_lib.devices import make_accelerator
from transformer_lib.encoder import Encoder
from transformer_lib.pretraining import (
    IGNORE,
    MaskedLanguageModel,
    MaskedWindows,
    finetuning_loss,
    mask_tokens,
    masked_loss,
    without_sources,
)
from transformer_lib.splits import overlap, which_library
from transformer_lib.text import python_documentation
from transformer_lib.tokens import MASK, SPECIAL_TOKENS
from transformer_lib.training import classification_loss, train

ROW = torch.arange(4, 100).repeat(10)


def small_encoder(**others):
    torch.manual_seed(0)
    return Encoder(100, 16, embedding_dim=16, num_heads=2, num_layers=2, **others)


@pytest.mark.parametrize("share", [0.15, 0.4])
def test_share_of_tokens_is_hidden_as_bert_does(share):
    tokens = torch.full((200, 500), 50)
    inputs, targets = mask_tokens(tokens, 1000, share, torch.Generator().manual_seed(1))
    asked = targets != IGNORE
    assert abs(asked.float().mean() - share) < 0.01
    assert abs((inputs[asked] == MASK).float().mean() - 0.8) < 0.02
    assert abs((inputs[asked] == 50).float().mean() - 0.1) < 0.02
    assert inputs[asked].ge(MASK).all() and inputs.max() < 1000


def test_targets_only_where_asked_and_inputs_untouched_elsewhere():
    tokens = ROW.view(60, 16)
    inputs, targets = mask_tokens(tokens, 100, 0.3, torch.Generator().manual_seed(2))
    asked = targets != IGNORE
    assert (targets[asked] == tokens[asked]).all()
    assert (inputs[~asked] == tokens[~asked]).all()
    assert (tokens == ROW.view(60, 16)).all()


def test_special_tokens_are_never_asked_for():
    tokens = torch.arange(len(SPECIAL_TOKENS)).repeat(50, 20)
    inputs, targets = mask_tokens(tokens, 100, 0.9, torch.Generator().manual_seed(0))
    assert (targets == IGNORE).all() and torch.equal(inputs, tokens)


def test_a_random_token_is_any_ordinary_one():
    tokens = torch.full((200, 500), 4)  # the only one that a vocabulary of five can draw
    inputs, targets = mask_tokens(tokens, 5, 0.5, torch.Generator().manual_seed(1))
    assert set(inputs.unique().tolist()) == {MASK, 4}
    assert abs((inputs[targets != IGNORE] == MASK).float().mean() - 0.8) < 0.01
    masked, turned = MaskedWindows(torch.tensor([4, 5]).repeat(400), 16, 8, share=0.9), set()
    for step in range(10):
        inputs, targets = masked(step)
        other = (targets != IGNORE) & (inputs != MASK) & (inputs != targets)
        turned |= set(inputs[other].tolist())
    assert turned == {4, 5}  # the last id of the text, too


def test_batch_depends_on_seed_and_step_alone():
    first, second = (MaskedWindows(ROW, 16, 8, seed=3) for _ in range(2))
    for step in (0, 50, 7):
        second(step + 1)
        for a, b in zip(first(step), second(step), strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(first(0)[1], MaskedWindows(ROW, 16, 8, seed=4)(0)[1])


def test_holes_differ_when_a_window_comes_back_and_fill_up_to_windows():
    masked, plain = MaskedWindows(ROW, 16, 8, seed=3), Windows(ROW, 16, 8, seed=3)
    places = set()
    for step in (0, masked.per_epoch, 2 * masked.per_epoch):
        inputs, targets = masked(step)
        assert torch.equal(inputs.where(targets == IGNORE, targets), plain(step)[0])
        places.add(tuple((targets != IGNORE).flatten().tolist()))
    assert len(places) == 3


def test_holes_follow_the_seed_and_the_share():
    same = torch.full((800,), 9)  # every window is the same, so only the holes can differ
    one, two = (MaskedWindows(same, 16, 8, seed=seed, share=0.5)(0) for seed in (3, 4))
    assert not torch.equal(one[1], two[1])
    for share in (0.2, 0.5):
        masked = MaskedWindows(same, 16, 8, share=share)
        asked = torch.stack([masked(step)[1] != IGNORE for step in range(60)])
        assert abs(asked.float().mean() - share) < 0.03


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="share"):
        MaskedWindows(ROW, 16, 8, share=share)


@pytest.mark.parametrize("name, value", [("hidden", -0.1), ("hidden", 1), ("smoothing", 1.2)])
def test_finetuning_loss_refuses_shares_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        finetuning_loss(torch.nn.Identity(), (), **{name: value})


def test_first_loss_is_near_ln_v_and_equal_to_ignoring_targets():
    model, batch = MaskedLanguageModel(small_encoder()), MaskedWindows(ROW, 16, 8)(0)
    loss = masked_loss(model, batch)
    assert abs(loss - torch.tensor(100.0).log()) < 0.15
    everywhere = F.cross_entropy(
        model(batch[0]).flatten(0, 1), batch[1].flatten(), ignore_index=IGNORE
    )
    torch.testing.assert_close(loss, everywhere)


def test_the_head_is_a_norm_and_a_small_map_of_the_encodings_and_blind_to_padding():
    model = MaskedLanguageModel(small_encoder()).eval()
    assert abs(model.projection.weight.std() - 0.02) < 0.002 and not model.projection.bias.any()
    torch.nn.init.normal_(model.norm.weight)
    tokens, mask = ROW[:12].view(2, 6), torch.arange(6)[None] < torch.tensor([[6], [3]])
    x = F.layer_norm(model.encoder(tokens, mask)[0], (16,), model.norm.weight, model.norm.bias)
    torch.testing.assert_close(model(tokens, mask), F.linear(x, model.projection.weight))
    torch.testing.assert_close(model(tokens, mask)[1:, :3], model(tokens[1:, :3]))


def test_a_batch_without_questions_has_loss_zero_and_no_nan():
    loss = masked_loss(
        MaskedLanguageModel(small_encoder()), (ROW[:16][None], torch.full((1, 16), IGNORE))
    )
    loss.backward()
    assert loss == 0


def test_training_moves_the_encoder_it_was_given():
    encoder = small_encoder()
    model, before = (
        MaskedLanguageModel(encoder),
        {k: v.clone() for k, v in encoder.state_dict().items()},
    )
    train(
        model,
        MaskedWindows(ROW, 16, 16, share=0.3),
        masked_loss,
        steps=5,
        learning_rate=1e-2,
        accelerator=make_accelerator("cpu", "no"),
    )
    assert model.encoder is encoder
    assert not torch.equal(before["token_embedding.weight"], encoder.token_embedding.weight)
    other = small_encoder()
    other.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(other.eval()(ROW[:16][None])[0], encoder.eval()(ROW[:16][None])[0])


def test_finetuning_loss_without_hiding_is_the_classification_loss():
    model = EncoderClassifier(small_encoder(), Classifier(16, 8, 3))
    tokens = torch.randint(4, 100, (5, 9))
    mask = torch.arange(9)[None] < torch.tensor([9, 3, 4, 5, 6])[:, None]
    batch = tokens, mask, torch.tensor([0, 1, 2, 0, 1])
    torch.testing.assert_close(
        finetuning_loss(model, batch, 0, 0), classification_loss(model, batch)
    )


def test_smoothing_spreads_a_part_of_each_target_over_all_classes():
    model = EncoderClassifier(small_encoder(), Classifier(16, 8, 3))
    torch.nn.init.normal_(model.classifier.output.weight, std=2.0)
    tokens, labels = torch.randint(4, 100, (5, 9)), torch.tensor([0, 1, 2, 0, 1])
    mask = torch.ones(5, 9, dtype=torch.bool)
    log_probs = model(tokens, mask)[0]
    targets = 0.7 * F.one_hot(labels, 3) + 0.3 / 3
    expected = -(targets * log_probs).sum(-1).mean()
    found = finetuning_loss(model, (tokens, mask, labels), hidden=0, smoothing=0.3)
    torch.testing.assert_close(found, expected)


def test_padding_is_never_hidden():
    seen = []

    class Watcher(torch.nn.Module):
        def forward(self, tokens, padding_mask, return_attention):
            seen.append(tokens)
            return (torch.zeros(len(tokens), 3),)

    mask = torch.arange(40)[None] < torch.full((8, 1), 20)
    finetuning_loss(
        Watcher(), (torch.where(mask, 9, 0), mask, torch.zeros(8, dtype=torch.long)), hidden=0.9
    )
    assert (seen[0][:, 20:] == 0).all() and (seen[0][:, :20] == MASK).float().mean() > 0.8


@pytest.mark.slow
def test_no_validation_or_test_source_is_read():
    split = which_library()
    rest = without_sources(python_documentation(), split.validation, split.test)
    held = {p.source for p in (*split.validation, *split.test)}
    assert rest and not held & {p.source for p in rest}
    text = "\n".join(p.text.lower() for p in rest)
    held_out = (
        *split.validation,
        *split.test,
    )  # a short sentence may be part of a longer one elsewhere
    assert sum(p.text.lower() in text for p in held_out) < 0.01 * len(held_out)
    assert overlap([p.text for p in rest], [p.text for p in split.test])["runs"] < 0.06
    assert {p.source for p in split.train} <= {p.source for p in rest}


def test_ids_of_32_bits_are_hidden_and_judged_and_a_double_model_keeps_its_precision():
    torch.manual_seed(0)
    tokens = torch.randint(4, 20, (4, 8), dtype=torch.int32)
    hidden = mask_tokens(tokens, 20, 0.5, torch.Generator().manual_seed(0))
    assert {part.dtype for part in hidden} == {torch.int32}
    model = MaskedLanguageModel(Encoder(20, 8, embedding_dim=8, num_heads=2, num_layers=1))
    single, double = masked_loss(model, hidden), masked_loss(model.double(), hidden)
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double)
