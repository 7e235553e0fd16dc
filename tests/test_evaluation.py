"""Scores: right by hand, independent of batches and padding, modes kept, errors over sources."""

import math
import random

import pytest
import torch
from torch.nn import functional as F

from transformer_lib import Classifier, Decoder, Encoder, EncoderClassifier, evaluation
from transformer_lib.batches import Sentences, encode_all
from transformer_lib.evaluation import (
    _logistic_regression,
    _naive_bayes,
    accuracy,
    best_ngrams,
    class_probabilities,
    compare,
    cross_entropy,
    evaluating,
    per_class,
    per_sentence,
    per_text,
    predict,
    standard_error,
    token_losses,
)
from transformer_lib.ngrams import KneserNey
from transformer_lib.text import Passage
from transformer_lib.tokens import train_tokenizer
from transformer_lib.training import classification_loss

SIZES = dict(embedding_dim=8, num_heads=2, num_layers=2)


def a_decoder(dropout=0.0):
    torch.manual_seed(0)
    return Decoder(40, 8, **SIZES, dropout=dropout)


def a_reader(V=10, classes=2):
    torch.manual_seed(0)
    return EncoderClassifier(Encoder(V, 4, **SIZES), Classifier(8, 4, classes))


def some_rows(tokenizer, labels="xxxy"):
    passages = [Passage(text, str(i), label)
                for i, (text, label) in enumerate(zip(["a", "b", "C  d", "e"], labels))]  # fmt: skip
    return passages, Sentences(passages, tokenizer, ["x", "y"], 4, 3)


def test_padding_does_not_move_the_cross_entropy():
    """Rows of different lengths, padded on the right and not scored there, cost what they cost alone."""
    model, rows = a_decoder().eval(), [torch.arange(n) + 4 for n in (3, 8, 5)]
    tokens, targets = torch.zeros(3, 8, dtype=torch.long), torch.full((3, 8), -100)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = row
        targets[i, : len(row) - 1] = row[1:]
    together = model(tokens, targets)[1].item()
    counts = [len(row) - 1 for row in rows]
    alone = sum(cross_entropy(model, row, stride=8) * n for row, n in zip(rows, counts))
    assert together == pytest.approx(alone / sum(counts), rel=1e-5)


def test_padding_does_not_move_the_loss_of_a_classifier():
    tokenizer = train_tokenizer(["a b C d e f"], "word", 10)
    model = a_reader().eval()
    passages, together = some_rows(tokenizer)
    alone = [Sentences([p], tokenizer, ["x", "y"], 4, 1) for p in passages]
    nats = [classification_loss(model, next(iter(rows.once()))).item() for rows in alone]
    assert per_sentence(model, together) == pytest.approx(sum(nats) / 4, rel=1e-5)


def test_modes_come_back_after_an_error_and_each_part_keeps_its_own():
    model = a_decoder()
    model.train()
    model.blocks[0].eval()  # a part that was frozen
    before = [module.training for module in model.modules()]
    with pytest.raises(MemoryError), evaluating(model):
        assert not any(module.training for module in model.modules())
        raise MemoryError
    assert [module.training for module in model.modules()] == before


def test_predict_leaves_the_mode_when_the_forward_fails(monkeypatch):
    model = a_reader().train()
    monkeypatch.setattr(model.classifier, "forward", lambda x: 1 / 0)
    _, rows = some_rows(train_tokenizer(["a b C d e f"], "word", 10))
    with pytest.raises(ZeroDivisionError):
        predict(model, rows)
    assert model.training and model.encoder.training


def test_predictions_are_ordinary_tensors():
    _, rows = some_rows(train_tokenizer(["a b C d e f"], "word", 10))
    found = predict(a_reader(), rows)
    weight = torch.ones(2, requires_grad=True)
    weight[found].sum().backward()  # an inference tensor is refused here
    assert not found.is_inference() and weight.grad.sum() == 4
    assert not token_losses(a_decoder(), torch.arange(9)).is_inference()


def test_probabilities_of_texts_without_labels_are_those_of_each_alone_in_order():
    tokenizer = train_tokenizer(["a b C d e f"], "word", 10)
    texts, model = ["d e f a b", "a", "C d e", "b b b b", "f"] * 30, a_reader().train()
    for weight in (p for p in model.parameters() if p.ndim == 2):
        torch.nn.init.normal_(weight, std=0.5)
    found = class_probabilities(model, tokenizer, texts)
    model.eval()
    for text, row in zip(texts, found, strict=True):
        ids = torch.tensor([tokenizer.encode(text).ids[:4]])  # block_size is 4
        torch.testing.assert_close(row, model(ids)[0][0].exp())
    assert len(found.unique(dim=0)) > 3


def test_accuracy_is_the_share_of_right_ones(monkeypatch):
    _, rows = some_rows(train_tokenizer(["a b C d e f"], "word", 10))
    monkeypatch.setattr(evaluation, "predict", lambda *_: torch.tensor([0, 1, 0, 1]))
    assert accuracy(a_reader(), rows) == 0.75


def test_perplexities_are_per_token_word_and_byte():
    texts = ["the cat sat .", "the café on the mat !"]
    tokenizer = train_tokenizer(texts, "char", 40)
    model = a_decoder()
    found, N = per_text(model, tokenizer, texts), 13 + 21 + 2 - 1  # an end after each
    nats = cross_entropy(model, encode_all(texts, tokenizer))
    assert found["tokens"] == N and found["nats_per_token"] == nats and found["unknown"] == 0
    assert found["perplexity_per_token"] == pytest.approx(math.exp(nats))
    assert found["perplexity_per_word"] == pytest.approx(math.exp(nats * N / 10))
    assert found["bits_per_byte"] == pytest.approx(nats * N / math.log(2) / (13 + 22))
    unknown = per_text(model, tokenizer, ["zz"])
    assert unknown["unknown"] > 0


def test_no_perplexity_per_word_where_words_have_no_spaces():
    texts = ["我们今天去公园散步", "然后回家吃饭"]
    tokenizer = train_tokenizer(texts, "char", 64)
    sizes = dict(embedding_dim=8, num_heads=2, num_layers=1)
    found = per_text(Decoder(tokenizer.get_vocab_size(), 8, **sizes), tokenizer, texts)
    assert found["perplexity_per_word"] is None and found["bits_per_byte"] > 0


def test_confusion_has_a_row_for_each_true_class_and_old_rows_are_told_from_new(monkeypatch):
    tokenizer = train_tokenizer(["a b c d e"], "word", 10)
    passages, _ = some_rows(tokenizer)
    said = F.one_hot(torch.tensor([0, 1, 1, 1]), 2).float().log_softmax(-1)  # x, y, y, y
    monkeypatch.setattr(evaluation, "class_log_probs", lambda *_: said)
    found = per_class(a_reader(), tokenizer, ["x", "y"], passages, {"a", "c d"})
    assert found["confusion"] == [[1, 2], [0, 1]] and found["accuracy"] == 0.5
    assert found["accuracy_per_class"] == {"x": pytest.approx(1 / 3), "y": 1.0}
    assert (found["seen"], found["accuracy_seen"], found["accuracy_unseen"]) == (2, 0.5, 0.5)
    assert found["accuracy_error"] == pytest.approx(0.25, rel=0.1)
    found = per_class(a_reader(), tokenizer, ["x", "y"], passages, {"a"})
    assert found["accuracy_seen"] == 1.0 and found["accuracy_unseen"] == pytest.approx(1 / 3)
    monkeypatch.setattr(
        evaluation, "_MOST_CLASSES", 1
    )  # a table of thousands would fill the memory
    assert per_class(a_reader(), tokenizer, ["x", "y"], passages, set())["confusion"] is None


def test_the_error_of_independent_values_is_the_formulas():
    values = torch.rand(400, generator=torch.Generator().manual_seed(0))
    assert standard_error(values, draws=4000) == pytest.approx(values.std().item() / 20, rel=0.1)


def test_values_of_one_source_stand_for_one():
    """Ten copies of each value: the error is that of the forty, not of the four hundred."""
    values = torch.rand(40, generator=torch.Generator().manual_seed(0))
    sources = [i // 10 for i in range(400)]
    copied = standard_error(values.repeat_interleave(10), sources, draws=4000)
    assert copied == pytest.approx(standard_error(values, draws=4000), rel=0.1)
    assert copied > 2.5 * standard_error(values.repeat_interleave(10), draws=1000)


def test_a_pair_that_stumbles_together_is_told_apart():
    chance = torch.Generator().manual_seed(0)
    hard = 3 * torch.rand(200, generator=chance)
    better = hard + 0.1 + 0.01 * torch.rand(200, generator=chance)
    found = compare(better, hard)
    assert found.settled and found.low < found.difference < found.high
    assert found.difference == pytest.approx(0.105, abs=0.005)
    assert standard_error(hard) > 5 * found.error
    assert not compare(hard, hard.flip(0)).settled
    assert compare(hard, better).difference == -found.difference


@pytest.mark.parametrize("bag", [_naive_bayes, _logistic_regression])
def test_a_bag_of_words_learns_what_words_say(bag):
    chance = random.Random(0)
    learn = [[chance.choice("abc"), "x" if i % 2 else "y"] for i in range(60)]
    labels = ["one" if i % 2 else "two" for i in range(60)]
    assert bag(learn, labels, [["a", "x"], ["q", "y"], ["x"]]) == ["one", "two", "one"]


@pytest.mark.parametrize(("weights", "answers"), [(4, ["two", "two"]), (400, ["one", "two"])])
def test_a_bag_of_words_has_no_more_weights_than_fit(monkeypatch, weights, answers):
    """With 4 of them, two classes leave two terms: the commonest, which each sentence holds."""
    monkeypatch.setattr(evaluation, "_WEIGHTS", weights)
    learn, labels = [["a", "a", "x"], ["a", "a", "y"], ["a", "a", "y"]], ["one", "two", "two"]
    assert _logistic_regression(learn, labels, [["a", "x"], ["a", "y"]]) == answers


def test_naive_bayes_by_hand():
    """Two classes, three tokens each: P(a | one) = 3/6, P(a | two) = 2/6; a priori 1/2."""
    said = _naive_bayes([["a", "a", "b"], ["a", "b", "b"]], ["one", "two"], [["a"], ["b"], []])
    assert said == ["one", "two", "one"]


def test_the_ngram_opponent_is_the_one_that_does_best_on_text_it_has_not_counted():
    tokens = torch.tensor([4, 5, 6, 7] * 100)
    counted = best_ngrams(tokens, 8)
    assert 2 <= counted.order <= 8 and counted.log_probs(tokens[:41]).mean() > -0.5
    few = best_ngrams(torch.arange(4, 8), 8)  # hardly any text
    assert few.order == 2 and few.log_probs(tokens[:9]).isfinite().all()
    bits = torch.randint(2, (1_000, 2), generator=torch.Generator().manual_seed(0))
    sums = torch.cat([bits, bits.sum(1, keepdim=True) % 2], 1)  # two tokens tell the third
    of_two = best_ngrams(sums.flatten() + 4, 6)
    assert of_two.order > 2 and of_two.levels[-1].counts.sum() == 3_000 - of_two.order + 1  # all


@pytest.mark.parametrize(("length", "longer"), [(1, False), (7, True), (30, True)])
def test_the_ngram_opponent_is_as_long_as_helps(length, longer):
    """Words of so many letters: the longer the word, the further back one has to look."""
    chance = random.Random(0)
    words = ["".join(chance.choices("abcd", k=length)) for _ in range(40)]
    tokens = torch.tensor(
        [ord(letter) for letter in "".join(chance.choices(words, k=3_000 // length))]
    )
    cut = len(tokens) * 9 // 10
    found = best_ngrams(tokens, 128)
    losses = {
        order: -KneserNey(order, 128).fit(tokens[:cut]).log_probs(tokens[cut:]).mean().item()
        for order in range(2, 8 + 1)
    }
    tried = {2, 3, 4, 5, min(found.order + 1, 8)}
    assert losses[found.order] == min(losses[order] for order in tried | {found.order})
    assert (found.order > 5) == longer
    assert best_ngrams(tokens, 128, 5).order == min(found.order, 5)


def test_the_ngram_opponent_counts_the_end_of_a_long_text(monkeypatch):
    tokens = torch.randint(4, 9, (3_000,), generator=torch.Generator().manual_seed(0))
    asked = torch.arange(4, 9).repeat(9)
    end = best_ngrams(tokens[-500:], 9)
    assert not torch.equal(best_ngrams(tokens, 9).log_probs(asked), end.log_probs(asked))
    monkeypatch.setattr(evaluation, "COUNTED", 500)
    found = best_ngrams(tokens, 9)
    assert found.order == end.order
    assert torch.equal(found.log_probs(asked), end.log_probs(asked))


def test_over_one_source_nothing_is_settled():
    for values, sources in (([1.0, 0, 1, 1], ["a"] * 4), ([1.0], None)):
        found = compare(values, [0.0] * len(values), sources)
        assert not found.settled and found.difference > 0 and found.error == found.high == math.inf


def test_fewer_than_six_sources_that_differ_settle_nothing():
    for differ, settled in ((5, False), (6, True)):
        found = compare([1.0] * differ + [0.0] * 4, [0.0] * (differ + 4))
        assert found.low > 0 and found.differ == differ and found.settled == settled
    within = compare([1.0, 0.0] * 6, [0.0, 1.0] * 6, [i // 2 for i in range(12)])
    assert within.differ == 0 and within.error == 0  # level in each source


def test_over_one_source_the_error_is_not_known():
    assert standard_error([1.0, 0.0, 1.0], ["a"] * 3) == standard_error([1.0]) == math.inf
    tokenizer = train_tokenizer(["a b c d e"], "word", 10)
    passages = [Passage(text, "one", label) for text, label in zip("abcd", "xxyy")]
    found = per_class(a_reader(), tokenizer, ["x", "y"], passages, set())
    assert found["accuracy_error"] is None
