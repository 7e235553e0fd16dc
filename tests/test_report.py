"""Who stands beside a result, and what a run ends with."""

import json
import math
import sys
import warnings
from unittest.mock import Mock

import pytest
import torch
from torch.nn import functional as F

from transformer_lib import evaluation, report
from transformer_lib.batches import Sentences
from transformer_lib.classifier import Classifier, EncoderClassifier
from transformer_lib.decoder import Decoder
from transformer_lib.encoder import Encoder
from transformer_lib.evaluation import compare
from transformer_lib.report import (
    beside_bag_of_words,
    beside_ngrams,
    best_temperature,
    by_heart,
    curves,
    divide_logits,
    give_up,
    kept_step,
    loss_at_best,
    verdict,
    warn_unknown,
    write_report,
)
from transformer_lib.training import History


@pytest.mark.parametrize(
    "more, ahead, settled",
    [(9, "the transformer", True), (-9, "it", True), (1, "the transformer", False)],
)
def test_the_verdict_names_who_is_ahead_and_whether_that_is_settled(more, ahead, settled):
    other = torch.zeros(20)
    ours = other.clone()
    ours[: abs(more)] = math.copysign(1, more)
    found = verdict("in accuracy", "it", ours, other)
    assert found["verdict"].startswith(f"{ahead} is ahead by {abs(more) / 20:.3f} \u00b1 ")
    assert found["settled"] == settled == ("cannot tell" not in found["verdict"])
    assert found["difference"] == pytest.approx(more / 20)


def test_nobody_is_ahead_of_an_equal():
    same = torch.tensor([1.0, 0.0, 1.0])
    said = verdict("in accuracy", "it", same, same.clone())["verdict"]
    assert said == "the transformer and it are level, with a gap of 0 ± 0.000 in accuracy"


@pytest.mark.parametrize("rows, differ, settled", [(6, 5, False), (40, 5, False), (40, 6, True)])
def test_a_difference_on_fewer_than_six_sources_is_not_settled(rows, differ, settled):
    """Five coins fall alike once in sixteen throws."""
    ours, other = (torch.arange(rows) < differ).double(), torch.zeros(rows).double()
    assert verdict("in accuracy", "it", ours, other)["settled"] == settled
    pairs = [str(i // 2) for i in range(2 * rows)]  # two rows of each source
    ours, other = ours.repeat_interleave(2), other.repeat_interleave(2)
    found = verdict("in accuracy", "it", ours, other, pairs)
    assert found["settled"] == settled == ("cannot tell" not in found["verdict"])


def test_over_one_source_no_error_is_said():
    one, none = torch.ones(1), torch.zeros(1)
    found = verdict("in accuracy", "it", one, none)
    assert found["error"] is None and not found["settled"]
    assert found["verdict"] == (
        "the transformer is ahead by 1.000 in accuracy, which this test cannot tell from 0"
    )
    three = torch.tensor([1.0, 0.0, 1.0])
    found = verdict("in accuracy", "it", three, torch.zeros(3), ["a"] * 3)
    assert found["error"] is None and "±" not in found["verdict"]


def test_the_ngram_beside_a_decoder_is_the_one_that_counts_its_tokens():
    torch.manual_seed(0)
    model = Decoder(12, 8, embedding_dim=8, num_heads=1, num_layers=1)
    counting = torch.arange(900) % 12
    found = beside_ngrams(model, counting[:700], counting[700:])
    assert found["verdict"].startswith(found["name"]) and "Kneser-Ney" in found["name"]
    assert found["settled"] and -found["difference"] == pytest.approx(math.log(12), abs=0.4)
    assert 1 <= found["perplexity_per_token"] < 1.5


def test_the_ngram_beside_a_long_text_says_how_much_of_it_it_counted(monkeypatch):
    torch.manual_seed(0)
    model = Decoder(12, 8, embedding_dim=8, num_heads=1, num_layers=1)
    counting = torch.arange(900) % 12
    assert "tokens" not in beside_ngrams(model, counting[:700], counting[700:])["name"]
    for module in (evaluation, report):
        monkeypatch.setattr(module, "COUNTED", 300)
    found = beside_ngrams(model, counting[:700], counting[700:])
    assert (
        found["name"].endswith("-gram of the last 300 tokens") and found["name"] in found["verdict"]
    )


def test_the_error_stands_on_stretches_and_not_on_single_tokens(monkeypatch):
    asked = []
    monkeypatch.setattr(report, "compare", lambda *given: asked.append(given[2]) or compare(*given))
    model = Decoder(12, 8, embedding_dim=8, num_heads=1, num_layers=1)
    counting = torch.arange(1301) % 12
    beside_ngrams(model, counting[:300], counting[300:])
    stretches = asked[0]
    assert len(stretches) == 1000 and len(set(stretches)) == 20
    assert stretches == sorted(stretches, key=int)  # neighbours are together


def test_the_bag_of_words_is_judged_on_the_rows_of_the_classifier():
    from transformer_lib import Classifier, Encoder, EncoderClassifier
    from transformer_lib.splits import Split
    from transformer_lib.text import Passage
    from transformer_lib.tokens import train_tokenizer

    texts = [f"{'good' if i % 3 else 'bad'} number {i}" for i in range(45)]
    rows = [Passage(t, str(i), t.split()[0]) for i, t in enumerate(texts)]
    tokenizer = train_tokenizer(texts, "word", 100)
    torch.manual_seed(0)
    encoder = Encoder(100, 8, embedding_dim=4, num_heads=1, num_layers=1)
    model = EncoderClassifier(encoder, Classifier(4, 4, 2))
    split = Split(rows[:30], [], rows[30:])
    found = beside_bag_of_words(model, tokenizer, ["bad", "good"], split)
    assert found["accuracy"] == 1 and found["majority"] == pytest.approx(2 / 3)
    assert found["difference"] <= 0 and "bag of words" in found["name"]


def test_a_run_that_gets_no_better_ends_early():
    falling = [(i, 3.0 - i / 10) for i in range(6)]
    assert not give_up(History(evaluations=falling))
    rising = falling + [(i, 2.6) for i in range(6, 15)]
    assert not give_up(History(evaluations=rising))
    assert give_up(History(evaluations=[*rising, (15, 2.6)]))


def test_the_step_that_is_kept_is_the_lowest_of_equals_the_later_and_the_sentence_says_so():
    history = History([1.0] * 9, [(3, 2.0), (6, 1.0), (9, 1.0), (12, 1.5)])
    assert kept_step(History([1.0] * 7)) == 7
    assert kept_step(history) == 9 and "the weights of step 9 are kept" in by_heart(history)


def test_a_validation_loss_of_next_to_nothing_has_not_risen():
    assert "hardly higher" in by_heart(History([1.0] * 4, [(2, 0.0), (4, 0.0005)]))
    tiny = [(i, 1e-6) for i in range(1, 3)] + [(i, 2e-4) for i in range(3, 20)]
    assert not give_up(History([1.0] * 20, tiny))
    assert give_up(History([1.0] * 20, [(i, 100 * v) for i, v in tiny]))


def judged(labels):
    return Mock(spec=Sentences, labels=labels)


@pytest.mark.parametrize("share, gap", [(0.75, 6.0), (0.9, 12.0), (0.75, 0.7)])
def test_the_temperature_makes_a_model_as_sure_as_it_is_right(monkeypatch, share, gap):
    """Two classes with logits a gap apart: the loss is lowest where gap / t is the logarithm of the odds."""
    right = torch.arange(1000) < 1000 * share
    log_probs = torch.tensor([gap, 0.0]).log_softmax(-1).expand(1000, 2)
    monkeypatch.setattr(report, "class_log_probs", lambda model, rows: log_probs)
    found, _ = best_temperature(Mock(spec=EncoderClassifier), judged((~right).long()))
    best = gap / math.log(share / (1 - share))
    assert abs(math.log2(found / best)) <= 1 / 32 + 1e-6


def test_a_model_that_is_always_right_gets_at_most_twice_as_sure(monkeypatch):
    log_probs = torch.tensor([[1.0, 0.0]]).log_softmax(-1)
    monkeypatch.setattr(report, "class_log_probs", lambda model, rows: log_probs)
    assert best_temperature(Mock(spec=EncoderClassifier), judged(torch.tensor([0])))[0] == 0.5


def test_the_loss_at_the_best_temperature_does_not_depend_on_how_sure_a_model_is(monkeypatch):
    torch.manual_seed(0)
    true = torch.arange(60) % 3
    logits = torch.randn(60, 3) + F.one_hot(true, 3)
    for factor in (1.0, 4.0):
        said = (factor * logits).log_softmax(-1).double()
        monkeypatch.setattr(report, "class_log_probs", lambda model, rows, said=said: said)
        found = loss_at_best(Mock(spec=EncoderClassifier), judged(true))
        temperature, _ = best_temperature(Mock(spec=EncoderClassifier), judged(true))
        assert found == pytest.approx(F.cross_entropy(said / temperature, true).item())
        if factor == 1.0:
            at_first = found
            assert found <= F.nll_loss(said, true).item() < 2 * found
    assert found == pytest.approx(at_first) and 1.1 * found < F.nll_loss(said, true).item()


def test_dividing_the_logits_changes_no_answer():
    torch.manual_seed(0)
    encoder = Encoder(20, 6, embedding_dim=8, num_heads=2, num_layers=1)
    model = EncoderClassifier(encoder, Classifier(8, 8, 3)).eval()
    torch.nn.init.normal_(model.classifier.output.bias)
    tokens = torch.randint(20, (9, 6))
    before = model(tokens)[0]
    divide_logits(model, 2.5)
    after = model(tokens)[0]
    torch.testing.assert_close(after, (before / 2.5).log_softmax(-1))
    assert torch.equal(before.argmax(-1), after.argmax(-1))


def test_by_heart_tells_a_rise_from_noise():
    def said(*values, losses=(9, 8, 7, 6, 5, 4, 3, 2, 1)):
        return by_heart(History([*losses], [(3 * i + 3, v) for i, v in enumerate(values)]))

    noise = said(3.0, 2.0, 2.01)
    assert noise == (
        "the validation loss was lowest at step 6 (2.000), and at step 9, the end, hardly higher; "
        "the weights of step 6 are kept"
    )
    assert said(3.0, 2.0, 1.5).startswith("the validation loss was lowest at the end (1.500)")
    turned = said(3.0, 2.0, 2.5)
    assert turned.startswith("from step 6 on it learned by heart")
    assert turned.endswith("the weights of step 6 are kept")
    worse = said(3.0, 2.0, 2.5, losses=[1] * 6 + [2] * 3)  # nothing was learned by heart
    assert worse == (
        "after step 6 the validation loss rose from 2.000 to 2.500 at step 9; "
        "the weights of step 6 are kept"
    )
    both = by_heart(History([3, 2, 1, 1, 1.5, 1.9], [(2, 3.0), (3, 2.0), (6, 2.5)]))
    assert both.startswith("after step 3 the")  # the training loss was low, and rose
    assert "nothing says whether they are the best" in said()
    trained = [(0, 2.0), (2, 2.5), (4, 3.0)]  # evaluated before the first step too
    assert by_heart(History([4, 4, 2, 2], trained)) == (
        "from step 0 on it learned by heart: the validation loss rose from 2.000 to 3.000 at "
        "step 4 while the training loss fell; the weights it began with are kept"
    )
    assert by_heart(History([4, 4, 5, 5], trained)).startswith("after step 0 the validation loss")
    later = by_heart(History([4, 4, 2, 2], [(0, 3.0), *trained[1:]]))
    assert later.startswith("from step 2 on") and later.endswith("of step 2 are kept")


def test_what_was_best_before_the_first_step_counts_when_a_run_is_given_up():
    risen = [(i, 2.0) for i in range(1, 11)]
    assert not give_up(History([1.0] * 10, risen))
    assert give_up(History([1.0] * 10, risen), before=[(0, 1.0)])
    assert not give_up(History([1.0] * 9, risen[:9]), before=[(0, 1.0)])


def test_curves_hold_every_loss_once():
    history = History([4.0, 2.0, 3.0, 1.0, 9.0], [(2, 2.5), (4, 2.4)])
    assert curves(history) == {"steps": [2, 4], "train": [3.0, 2.0], "validation": [2.5, 2.4]}
    assert curves(History([4.0, 2.0])) == {
        "steps": [1, 2],
        "train": [4.0, 2.0],
        "validation": [None, None],
    }
    assert curves(History([4.0, 2.0], [(0, 3.0), (2, 2.5)]))["train"] == [None, 3.0]
    long = curves(History([float(i) for i in range(100)]))
    assert long["steps"] == list(range(5, 101, 5)) and long["train"][-1] == 97


def test_the_report_is_what_is_written(tmp_path):
    history = History([3.0, 2.0], [(1, 2.5), (2, 2.4)], 1.5)
    results = write_report(tmp_path, history, 2, {"task": "decoder"})
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert (results["best_step"], results["train_loss"], results["seconds"]) == (2, 2.0, 1.5)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    (other := tmp_path / "refit").mkdir()
    again = write_report(other, history, 2, {"refit": True})["by_heart"]
    assert again.endswith("; then trained anew with the same tokenizer, on everything, to step 2")
    with pytest.raises(ValueError):  # no file that other programs cannot read
        write_report(tmp_path, History([math.nan]), 1, {})
    assert json.loads((tmp_path / "results.json").read_text()) == results


def test_a_report_without_curves_says_why(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.warns(UserWarning, match=r"^curves.png is not drawn: it needs matplotlib; the num"):
        write_report(tmp_path, History([3.0], [(1, 2.5)]), 1, {})
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_the_curves_of_a_model_that_was_trained_before_begin_at_step_0(tmp_path):
    write_report(tmp_path, History([3.0, 2.0], [(0, 2.7), (1, 2.5), (2, 2.6)]), 1, {})
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_unknown_tokens_are_said_when_they_are_many():
    with pytest.warns(UserWarning, match="6.0% of the tokens of the test are unknown"):
        warn_unknown(0.06, "the test")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_unknown(0.05, "the test")


@pytest.mark.parametrize("planned, said", [(4, False), (9, True)])
def test_a_run_that_ended_early_says_so(tmp_path, planned, said):
    history = History([3.0, 2.0, 2.5, 1.5], [(2, 2.2), (4, 2.1)])
    results = write_report(tmp_path, history, 4, {"settings": {"steps": planned}})
    assert results["by_heart"].endswith("; 9 steps were planned") == said
