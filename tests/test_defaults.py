"""Settings that fit the text, and those that no run can have."""

import inspect
import math

import pytest
import torch

from transformer_lib.batches import Sentences
from transformer_lib.classifier import Classifier, EncoderClassifier
from transformer_lib.decoder import Decoder
from transformer_lib.defaults import (
    EVIDENCE,
    begin_as_naive_bayes,
    check_settings,
    count_evidence,
    distillation_loss,
    fit_heads,
    fit_table,
    fit_text,
    hidden_share,
    hide_rare,
    readings_for,
    steps_for,
    taught_share,
    tokenizer_for,
)
from transformer_lib.encoder import Encoder
from transformer_lib.evaluation import _naive_bayes, class_log_probs
from transformer_lib.ngrams import KneserNey
from transformer_lib.text import Passage
from transformer_lib.tokens import END, UNK, train_tokenizer
from transformer_lib.training import language_loss


@pytest.mark.parametrize("characters", [0, 59_999, 60_000, 1_000_000, 1_000_001, 10**9])
def test_what_is_chosen_can_be_trained(characters):
    for sizes in (fit_text(characters), fit_table(characters)):
        check_settings(sizes)
        assert sizes["embedding_dim"] % sizes["num_heads"] == 0


@pytest.mark.parametrize(
    "given, found",
    [
        ((None, 5), (130, 4)),  # the width above, that 5 divides
        ((None, 1000), (1000, 4)),
        ((None, 4), (128, 4)),
        ((90, None), (128, 3)),  # the most heads, up to 4, that divide it
        ((7, None), (128, 1)),
        ((96, None), (128, 4)),
        ((None, None), (128, 4)),
        ((10, 3), (128, 4)),  # both were given: check_settings says what is wrong
    ],
)
def test_width_and_heads_that_were_given_bring_the_other_along(given, found):
    fitting = fit_text(100_000)
    given = dict(zip(("embedding_dim", "num_heads"), given, strict=True))
    fit_heads(given, fitting)
    assert (fitting["embedding_dim"], fitting["num_heads"]) == found


def test_a_large_table_is_learned_faster_and_a_small_one_with_more_words_hidden():
    small, large = fit_table(5_000), fit_table(5_001)
    assert small["embedding_dim"] < large["embedding_dim"]
    assert (
        small["learning_rate"] == large["learning_rate"] == fit_table(5_000, False)["learning_rate"]
    )
    assert fit_table(5_001, False)["learning_rate"] > large["learning_rate"]
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


def test_a_text_in_words_is_known_by_heart_sooner():
    assert 4 < readings_for("word") < readings_for("bpe") == readings_for("char") < 40


def test_a_small_table_is_read_more_often_and_a_large_one_is_not_read_to_the_end():
    assert steps_for(8, 200, 32) == 50 and steps_for(8, 200, 32, least=300) == 300
    assert steps_for(8, 2_000, 32, least=300) == 500
    assert steps_for(8, 10**6, 32, least=300) == 1000


def test_characters_take_the_place_of_words_where_none_are_parted():
    assert tokenizer_for(["the cat sat", "Кошка спит."], "word") == "word"
    assert tokenizer_for(["แมวนั่งบนเสื่อ"], "word") == "char"
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


def test_the_only_end_of_a_text_is_not_hidden():
    for before in range(20):  # hidden at about half of these places
        tokens = torch.tensor([*range(4, 4 + before), END])
        assert hide_rare(tokens, 30)[-1] == END


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


def rows_of(classes, each=12, words=40):
    """Passages of some classes: each has words that are more frequent there."""
    chance = torch.Generator().manual_seed(0)
    found = []
    for k in range(classes):
        weight = torch.ones(words)
        weight[k::classes] += 3
        for i in range(each + k):
            drawn = torch.multinomial(weight, 9, replacement=True, generator=chance)
            found.append(Passage(" ".join(f"w{int(w)}" for w in drawn), f"{k}:{i}", f"k{k:02}"))
    return found


def classifier_of(passages, width, hidden):
    tokenizer = train_tokenizer([p.text for p in passages], "word", 500)
    names = sorted({p.label for p in passages})
    sentences = Sentences(passages, tokenizer, names, 16, 8)
    torch.manual_seed(0)
    sizes = {"embedding_dim": width, "num_heads": 2, "num_layers": 2}
    encoder = Encoder(tokenizer.get_vocab_size(), 16, **sizes)
    return EncoderClassifier(encoder, Classifier(width, hidden, len(names))), sentences, tokenizer


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_a_classifier_begins_with_the_answers_of_naive_bayes(classes):
    passages = rows_of(classes)
    model, sentences, tokenizer = classifier_of(passages, 16, 16)
    begin_as_naive_bayes(model, sentences)
    said = class_log_probs(model, sentences)
    lengths = sentences.mask.sum(1)
    assert (lengths == lengths[0]).all()  # so the shares of the classes weigh as in the sum
    assert (said.argmax(1) == sentences.labels).double().mean() > 0.5
    if classes == 2:  # what is not the one class is the other: naive Bayes itself
        rows = [tokenizer.encode(p.text).tokens for p in passages]
        bayes = _naive_bayes(rows, [p.label for p in passages], rows)
        ours = [f"k{int(k):02}" for k in said.argmax(1)]
        assert sum(a == b for a, b in zip(ours, bayes)) >= len(rows) - 1  # it counts one word more
    evidence = count_evidence(sentences, tokenizer.get_vocab_size(), classes)
    share = torch.bincount(sentences.labels) + 1.0
    prior = (share / share.sum()).log() / lengths[0]
    mean = torch.stack(
        [evidence[:, row[mask]].mean(1) for row, mask in zip(sentences.tokens, sentences.mask)]
    )
    size = evidence[:, (evidence != 0).any(0)].pow(2).mean() ** 0.5
    expected = (EVIDENCE / size * (mean + prior)).log_softmax(1)
    torch.testing.assert_close(said, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_the_evidence_is_that_of_complement_naive_bayes(classes):
    bayes = pytest.importorskip("sklearn.naive_bayes")
    _, sentences, tokenizer = classifier_of(rows_of(classes), 16, 16)
    V = tokenizer.get_vocab_size()
    pairs = zip(sentences.tokens, sentences.mask)
    counts = torch.stack([torch.bincount(row[mask], minlength=V) for row, mask in pairs])
    theirs = bayes.ComplementNB(alpha=1.0).fit(counts.numpy(), sentences.labels.numpy())
    expected = torch.from_numpy(theirs.feature_log_prob_).float()
    evidence = count_evidence(sentences, V, classes)
    said = evidence.any(0)
    assert said.sum() > 20
    torch.testing.assert_close(evidence[:, said], (expected - expected.mean(0))[:, said])


def test_words_that_tell_no_class_from_another_leave_finite_weights():
    passages = [Passage("the cat sat", f"{k}", k) for k in ("a", "b")]
    model, sentences, _ = classifier_of(passages, 8, 8)
    begin_as_naive_bayes(model, sentences)
    assert all(p.isfinite().all() for p in model.parameters())
    torch.testing.assert_close(class_log_probs(model, sentences).exp(), torch.full((2, 2), 0.5))


def test_more_classes_than_coordinates_share_them():
    passages = rows_of(20, each=30, words=400)
    model, sentences, _ = classifier_of(passages, 16, 32)
    before = (class_log_probs(model, sentences).argmax(1) == sentences.labels).double().mean()
    begin_as_naive_bayes(model, sentences)
    after = (class_log_probs(model, sentences).argmax(1) == sentences.labels).double().mean()
    assert before < 0.15 and after > 0.5


@pytest.mark.parametrize("width, hidden", [(2, 2), (16, 3)])
def test_the_narrowest_classifier_can_begin_and_learn(width, hidden):
    model, sentences, _ = classifier_of(rows_of(3), width, hidden)
    begin_as_naive_bayes(model, sentences)
    log_probs, _ = model(*sentences(0)[:2])
    torch.nn.functional.nll_loss(log_probs, sentences(0)[2]).backward()
    assert log_probs.isfinite().all() and model.classifier.output.weight.grad.any()


def test_a_classifier_without_room_for_evidence_stays_as_it_was():
    model, sentences, _ = classifier_of(rows_of(3), 2, 1)
    before = {name: p.clone() for name, p in model.named_parameters()}
    begin_as_naive_bayes(model, sentences)
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())


def test_a_word_that_nobody_said_and_a_special_token_say_nothing():
    passages = rows_of(2)
    _, sentences, tokenizer = classifier_of(passages, 16, 16)
    size = tokenizer.get_vocab_size()
    sentences.tokens[sentences.labels == 0, 0] = UNK  # of one class only
    evidence = count_evidence(sentences, size + 3, 2)
    assert not evidence[:, size:].any() and not evidence[:, :4].any()
    torch.testing.assert_close(evidence.sum(0), torch.zeros(size + 3), atol=1e-5, rtol=0)
    assert evidence[:, 4:size].abs().max() > 0.5


def test_sentences_of_another_model_are_refused():
    model, _, _ = classifier_of(rows_of(2), 16, 16)
    _, more_classes, _ = classifier_of(rows_of(3), 16, 16)
    with pytest.raises(ValueError, match="^sentences must have labels from 0 to 1, got 2"):
        begin_as_naive_bayes(model, more_classes)
    _, more_words, _ = classifier_of(rows_of(2, words=90), 16, 16)
    with pytest.raises(ValueError, match="^tokens of sentences must be ids from 0"):
        begin_as_naive_bayes(model, more_words)


V = 11  # tokens of the decoder and of its teacher


@pytest.fixture
def taught():
    """A decoder, a batch of windows, and a teacher that counted another row."""
    torch.manual_seed(0)
    model = Decoder(V, 6, embedding_dim=8, num_heads=2, num_layers=1)
    windows = torch.randint(V, (3, 7))
    return model, (windows[:, :-1], windows[:, 1:]), KneserNey(3, V).fit(torch.randint(V, (400,)))


@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_a_teacher_has_its_share_of_every_target(taught, share):
    model, (tokens, targets), teacher = taught
    log_p = model(tokens)[0].log_softmax(-1)
    terms = []
    for b in range(3):
        for t in range(6):
            target = share * teacher.distribution(tokens[b, : t + 1]).float()
            target[targets[b, t]] += 1 - share
            terms.append(-(target * log_p[b, t]).sum())
    found = distillation_loss(model, (tokens, targets), teacher, share)
    torch.testing.assert_close(found, torch.stack(terms).mean())


def test_without_a_share_it_is_the_usual_loss_and_with_all_of_it_the_text_says_nothing(taught):
    model, (tokens, targets), teacher = taught
    usual = language_loss(model, (tokens, targets))
    torch.testing.assert_close(distillation_loss(model, (tokens, targets), teacher, 0), usual)
    one, other = (distillation_loss(model, (tokens, y), teacher, 1) for y in (targets, tokens))
    assert one == other != usual


def test_a_place_that_is_not_scored_is_not_taught(taught):
    model, (tokens, targets), teacher = taught
    some = targets.clone()
    some[:, 4:] = -100
    found = distillation_loss(model, (tokens, some), teacher)
    cut = distillation_loss(model, (tokens[:, :4], targets[:, :4]), teacher)
    torch.testing.assert_close(found, cut)


def test_a_model_in_double_precision_is_taught_in_it(taught):
    model, (tokens, targets), teacher = taught
    log_p = model.double()(tokens)[0].log_softmax(-1)
    p = torch.stack([teacher.distributions(row)[1:] for row in tokens])
    found = distillation_loss(model, (tokens, targets), teacher, 1)
    torch.testing.assert_close(found, -(p * log_p).sum(-1).mean(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_many_small_shares_are_added_up_in_float32(dtype):
    """Here 499 tokens may follow, all alike; a sum in half precision would lose some."""
    pairs = [token for i in range(1, 500) for token in (0, i)]
    teacher = KneserNey(2, 500).fit(pairs * 2)
    model = Decoder(500, 3, embedding_dim=8, num_heads=1, num_layers=1)
    torch.nn.init.zeros_(model.projection.weight)  # it says 1 / 500 of each
    tokens = torch.zeros(1, 3).long()
    with torch.autocast("cpu", dtype):
        found = distillation_loss(model, (tokens, tokens + 1), teacher, 0.7)
    torch.testing.assert_close(found, torch.tensor(500.0).log())


def test_a_teacher_teaches(taught):
    """With all of the share, the decoder comes to say what was counted."""
    model, (tokens, targets), teacher = taught
    optimizer = torch.optim.Adam(model.parameters(), 0.03)
    for _ in range(200):
        optimizer.zero_grad()
        distillation_loss(model, (tokens, targets), teacher, 1).backward()
        optimizer.step()
    said = model.eval()(tokens)[0].softmax(-1)
    wanted = torch.stack([teacher.distributions(row)[1:] for row in tokens]).float()
    assert (said - wanted).abs().sum(-1).mean() < 0.1  # twice what is put elsewhere


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan, "half"])
def test_a_share_that_can_be_none_is_refused(taught, share):
    model, batch, teacher = taught
    with pytest.raises(ValueError, match="^share must be from 0 to 1, got"):
        inspect.unwrap(distillation_loss)(model, batch, teacher, share)


def test_a_teacher_of_other_tokens_is_refused(taught):
    model, batch, _ = taught
    with pytest.raises(ValueError, match=f"^teacher must know the model's {V} tokens, knows 12"):
        distillation_loss(model, batch, KneserNey(2, 12).fit([1, 2]))
    with pytest.raises(ValueError, match="^teacher must be of the class KneserNey"):
        inspect.unwrap(distillation_loss)(model, batch, model)


def test_the_teacher_of_a_longer_text_has_a_smaller_share():
    assert 0 < taught_share(10**6) < taught_share(100_000) == taught_share(1) < 1
