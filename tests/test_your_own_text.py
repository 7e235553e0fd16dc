"""The command line, as its user types it."""

import json
import math
import signal
from pathlib import Path

import pytest
import torch
import typer
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from transformer_lib import Classifier, Decoder, Encoder, EncoderClassifier, your_own_text
from transformer_lib.batches import encode_all
from transformer_lib.saving import save_model
from transformer_lib.text import Passage, Split, read_labelled, read_text
from transformer_lib.tokens import train_tokenizer
from transformer_lib.training import History, cross_entropy
from transformer_lib.your_own_text import (
    app,
    hold_out,
    lines_from,
    make_split,
    per_class,
    per_text,
    plain_errors,
)

SMALL = [
    "--embedding-dim",
    "16",
    "--num-heads",
    "2",
    "--num-layers",
    "1",
    "--steps",
    "6",
    "--batch-size",
    "4",
]


def command(*arguments):
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "a.txt").write_text(
        "\n\n".join(f"the cat number {i} sat on the mat ." for i in range(60))
    )
    (folder / "b.txt").write_text("the dog sat on the mat .\n\na cat sat .")
    rows = [
        f"{'pos' if i % 2 else 'neg'}\tthis is {'good' if i % 2 else 'bad'} text {i}"
        for i in range(60)
    ]
    (folder / "a.tsv").write_text("\n".join(rows))
    (folder / "b.csv").write_text(
        'label,text\npos,"a good, long one"\nneg,bad\npos,this is good text 1\n'
    )
    (folder / "lines.txt").write_text("good text\nbad text\n")
    (folder / "zebra.csv").write_text("label,text\nzebra,black and white\n")
    (folder / "one.tsv").write_text("\n".join(f"pos\tgood {i}" for i in range(30)))
    (folder / "each.tsv").write_text("\n".join(f"label {i}\ttext {i}" for i in range(12)))
    (folder / "word.txt").write_text("word")
    return folder


@pytest.fixture(scope="module")
def writer(files):
    code, said = command(
        "train-decoder",
        "--train",
        files / "a.txt",
        "--test",
        files / "b.txt",
        "--out",
        files / "x",
        "--tokenizer",
        "word",
        "--block-size",
        "8",
        *SMALL,
    )
    assert code == 0, said
    return files / "x", json.loads(said.splitlines()[-1])


@pytest.fixture(scope="module")
def reader(files):
    code, said = command(
        "train-classifier",
        "--train",
        files / "a.tsv",
        "--test",
        files / "b.csv",
        "--out",
        files / "y",
        *SMALL,
    )
    assert code == 0, said
    return files / "y", json.loads(said.splitlines()[-1])


def test_decoder_ends_with_its_results(writer):
    folder, results = writer
    assert {"steps", "tokens", "seconds", "validation_loss", "test", "overlap"} <= set(results)
    assert {"perplexity_per_token", "perplexity_per_word"} <= set(results["test"])
    assert json.loads((folder / "results.json").read_text()) == results
    assert results["tokens"] == 6 * 4 * 8


def test_classifier_ends_with_its_results(reader):
    _, results = reader
    test = results["test"]
    assert test["labels"] == ["neg", "pos"] and sum(map(sum, test["confusion"])) == 3
    assert test["seen"] == 1 and set(test["accuracy_per_class"]) == {"neg", "pos"}
    right = sum(test["confusion"][k][k] for k in range(2))
    assert test["accuracy"] == pytest.approx(right / 3)
    assert results["overlap"]["texts"] == pytest.approx(1 / 3)
    assert results["validation_loss"] == results["validation"]["nats_per_sentence"]
    assert 0.1 < results["validation_loss"] < 2 and 0.1 < test["nats_per_sentence"] < 2


def test_the_loss_of_a_classifier_is_that_of_its_probabilities(reader, files):
    _, said = command("evaluate", reader[0], "--test", files / "b.csv")
    rows = read_labelled(files / "b.csv")
    _, answers = command("classify", reader[0], "--json", *(f"--text={row.text}" for row in rows))
    shares = [json.loads(line)["probabilities"] for line in answers.splitlines()]
    nats = [-math.log(share[row.label]) for share, row in zip(shares, rows, strict=True)]
    assert json.loads(said)["nats_per_sentence"] == pytest.approx(sum(nats) / 3, rel=1e-3)


def test_generate_is_repeatable_and_begins_with_the_prompt(writer):
    arguments = ["generate", writer[0], "--prompt", "the cat", "--tokens", "5", "--seed", "3"]
    assert command(*arguments) == command(*arguments)
    assert command(*arguments)[1].startswith("the cat")


def test_classify_reads_texts_and_files(reader, files):
    code, said = command("classify", reader[0], "--text", "good", "--text", "bad", "--json")
    rows = [json.loads(line) for line in said.splitlines()]
    assert code == 0 and [row["text"] for row in rows] == ["good", "bad"]
    assert all(sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5) for row in rows)
    code, said = command("classify", reader[0], "--file", files / "lines.txt")
    assert code == 0 and [line.split("\t")[2] for line in said.splitlines()] == [
        "good text",
        "bad text",
    ]


def test_evaluate_judges_both_kinds(writer, reader, files):
    _, said = command("evaluate", writer[0], "--test", files / "b.txt")
    assert json.loads(said)["perplexity_per_token"] == pytest.approx(
        writer[1]["test"]["perplexity_per_token"]
    )
    _, said = command("evaluate", reader[0], "--test", files / "b.csv")
    assert json.loads(said)["accuracy"] == pytest.approx(reader[1]["test"]["accuracy"])


def test_resume_goes_on(writer, files):
    code, said = command(
        "train-decoder",
        "--train",
        files / "a.txt",
        "--test",
        files / "b.txt",
        "--out",
        files / "x",
        "--tokenizer",
        "word",
        "--block-size",
        "8",
        *SMALL,
        "--resume",
    )
    assert code == 0 and json.loads(said.splitlines()[-1])["test"] == writer[1]["test"]


@pytest.mark.parametrize(
    "line, message",
    [
        (
            ["train-decoder", "--train", "none.txt", "--out", "{}/n"],
            "error: train: there is no file or folder 'none.txt'",
        ),
        (["train-decoder", "--test", "{}/b.txt", "--out", "{}/n"], "test needs train"),
        (["train-decoder", "--train", "{}/a.txt", "--out", "{}/x"], "already holds a run"),
        (
            ["train-decoder", "--train", "{}/a.txt", "--out", "{}/n", "--tokenizer", "syllable"],
            "tokenizer must be char, word or bpe, got 'syllable'",
        ),
        (
            [
                "train-decoder",
                "--train",
                "{}/a.txt",
                "--out",
                "{}/n2",
                "--num-heads",
                "5",
                "--tokenizer",
                "word",
            ],
            "embedding_dim must be a multiple of num_heads",
        ),
        (
            ["train-classifier", "--train", "{}/a.txt", "--out", "{}/n"],
            "must be a label, a tab and a text",
        ),
        (["generate", "{}/y"], "needs, Decoder; it holds EncoderClassifier"),
        (["generate", "{}/x", "--temperature", "-1"], "temperature must be"),
        (["classify", "{}/x", "--text", "a"], "needs, EncoderClassifier; it holds Decoder"),
        (["classify", "{}/y"], "text or file must be given"),
        (["classify", "{}/y", "--text", ""], "text must hold"),
        (["evaluate", "{}/y", "--test", "{}/b.txt"], "must be a label, a tab and a text"),
        (["generate", "{}/nowhere"], "holds no config.json"),
        (
            ["train-decoder", "--train", "{}/a.txt", "--test", "no", "--out", "{}/n"],
            "error: test: ",
        ),
        (["classify", "{}/y", "--file", "none.txt"], "error: file: there is no file"),
        (["classify", "{}/y", "--text", "a", "--file", "{}/lines.txt"], "and not both"),
        (["classify", "{}/y", "--text", "a", "--text", "  "], "text must hold a token, got '  '"),
        (["evaluate", "{}/y", "--test", "none.tsv"], "error: test: there is no file"),
        (
            ["evaluate", "{}/y", "--test", "{}/zebra.csv"],
            "test: labels must be among ['neg', 'pos']",
        ),
        (["generate", "{}/x", "--prompt", "the", "--top-p", "0"], "top_p must be"),
        (["generate", "{}/x", "--prompt", "the", "--top-k", "0"], "top_k must be"),
        (["generate", "{}/x", "--prompt", "the", "--tokens", "-1"], "tokens must be"),
        (["generate", "{}/x", "--seed", "-1"], "seed must be from 0 to 4294967295, got -1"),
        (["generate", "{}/x", "--seed", "1" + 30 * "0"], "seed must be from 0 to 4294967295"),
        (
            ["train-classifier", "--train", "{}/one.tsv", "--out", "{}/n"],
            "train must hold two labels",
        ),
        (
            ["train-classifier", "--train", "{}/each.tsv", "--out", "{}/n"],
            "in a table, two of one label",
        ),
        (
            ["train-decoder", "--train", "{}/word.txt", "--out", "{}/n"],
            "train: tokens must hold at least",
        ),
        (["train-decoder", "--train", "{}/a.txt", "--out", "{}/a.txt"], "out: "),
        (["train-decoder", "--train", "{}/a.txt", "--out", "{}/a.txt/x"], "out: "),
    ],
)
def test_bad_input_is_one_sentence(writer, reader, files, line, message):
    code, said = command(*(part.format(files) for part in line))
    assert code == 2 and said.startswith("error: ") and message in said
    assert len(said.strip().splitlines()) == 1
    assert not (files / "n").exists() or not list((files / "n").glob("*.*"))


WRONG = [
    *((f"--{name}", "0", f"{name.replace('-', '_')} must be at least 1") for name in (
        "steps", "batch-size", "block-size", "embedding-dim", "num-heads", "num-layers", "vocab-size",
    )),
    ("--steps", "-3", "steps must be at least 1, got -3"),
    ("--vocab-size", "1" + 30 * "0", "vocab_size must be below 2147483648"),
    ("--block-size", "1" + 30 * "0", "block_size must be below 2147483648"),
    ("--vocab-size", "259", "vocab_size must be at least 260 for 'bpe'"),
    ("--num-heads", "5", "embedding_dim must be a multiple of num_heads"),
    ("--learning-rate", "0", "learning_rate must be a number above 0"),
    ("--learning-rate", "nan", "learning_rate must be a number above 0"),
    ("--learning-rate", "inf", "learning_rate must be a number above 0"),
    ("--dropout", "1", "dropout must be from 0 to below 1"),
    ("--dropout", "-0.1", "dropout must be from 0 to below 1"),
    ("--dropout", "nan", "dropout must be from 0 to below 1"),
    ("--seed", "-1", "seed must be from 0 to 4294967295"),
    ("--seed", "4294967296", "seed must be from 0 to 4294967295"),
    ("--block-size", "4000", "train: tokens must hold at least 2 * block_size + 1 = 8001 ids"),
    ("--embedding-dim", "600000000", "there is not enough memory; try a smaller block_size"),
]  # fmt: skip


@pytest.mark.parametrize("option, value, message", WRONG)
def test_a_wrong_setting_is_said_before_anything_is_written(files, option, value, message):
    line = ["train-decoder", "--train", files / "a.txt", "--out", files / "wrong"]
    code, said = command(*line, option, value)
    assert code == 2 and said.startswith(f"error: {message}") and said.count("\n") == 1
    assert not (files / "wrong").exists()


def test_a_model_of_another_origin_is_not_written_over(files):
    model = Decoder(10, 8, embedding_dim=4, num_heads=1, num_layers=1)
    save_model(files / "mine", model, train_tokenizer(["a b"], "word", 10))
    (files / "mine" / "tokenizer.json").unlink()  # as in a folder of another library
    before = (files / "mine" / "model.safetensors").read_bytes()
    line = ["train-decoder", "--train", files / "a.txt", "--out", files / "mine", *SMALL]
    for more in ([], ["--resume"]):
        code, said = command(*line, *more)
        assert code == 2 and "holds a model and no checkpoint to go on from" in said
    assert (files / "mine" / "model.safetensors").read_bytes() == before


@pytest.fixture(scope="module")
def begun(files):
    line = ["train-classifier", "--train", files / "a.tsv", "--out", files / "begun", *SMALL]
    assert command(*line)[0] == 0
    return line


@pytest.mark.parametrize(
    "more, message",
    [
        (["--batch-size", "5"], "settings: batch_size was 4, is 5"),
        (["--dropout", "0.3"], "settings: dropout was 0.2, is 0.3"),
        (["--tokenizer", "char"], "settings: tokenizer was word, is char"),
        (["--vocab-size", "50"], "settings: vocab_size was 4096, is 50"),
        (["--steps", "7"], "settings: steps was 6, is 7"),
        (["--train", "{}/other.tsv"], "settings: text_checksum was "),
        (["--block-size", "9"], "another model (block_size was 64, is 9)"),
    ],
)
def test_resume_with_other_settings_is_refused_and_loses_nothing(files, begun, more, message):
    rows = (files / "a.tsv").read_text().replace("text 3", "text three")
    (files / "other.tsv").write_text(rows)
    kept = {p: p.read_bytes() for p in (files / "begun").rglob("*") if p.is_file()}
    code, said = command(*begun, *(part.format(files) for part in more), "--resume")
    assert code == 2 and message in said and "Traceback" not in said
    assert {p: p.read_bytes() for p in (files / "begun").rglob("*") if p.is_file()} == kept


def test_a_damaged_tokenizer_is_said_and_can_be_made_anew(files, begun):
    tokenizer = files / "begun" / "tokenizer.json"
    whole = tokenizer.read_bytes()
    tokenizer.write_bytes(whole[:50])
    code, said = command(*begun, "--resume")
    assert code == 2 and said.startswith("error: out: ") and "delete it" in said
    tokenizer.unlink()
    assert command(*begun, "--resume")[0] == 0 and tokenizer.read_bytes() == whole


def test_a_damaged_checkpoint_is_one_warning_and_the_run_goes_on(files, begun):
    newest = max((files / "begun" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:400])
    report = json.loads((files / "begun" / "results.json").read_text())
    code, said = command(*begun, "--resume")
    warned = [line for line in said.splitlines() if "refused" in line]
    assert code == 0 and len(warned) == 1 and warned[0].startswith(f"warning: {newest.name} is")
    assert json.loads(said.splitlines()[-1])["test"] == report["test"]


def test_an_unfinished_run_is_said_to_be_one(files, begun):
    config = files / "begun" / "config.json"
    content = config.read_bytes()
    config.unlink()
    for line in (["classify", files / "begun", "--text", "a"], ["generate", files / "begun"]):
        code, said = command(*line)
        assert code == 2 and "holds a run that has not ended" in said
    config.write_bytes(content)


def test_a_failed_training_leaves_no_model(files):
    line = ["train-decoder", "--train", files / "a.txt", "--out", files / "failed", *SMALL]
    code, said = command(*line, "--learning-rate", "1e38")
    assert code == 2 and "error: " in said and "learning" in said and "batch" in said
    assert not (files / "failed" / "model.safetensors").exists()


def test_weights_without_a_loss_get_a_sentence(writer, files):
    """Finite weights can still be so large that the loss is not a number."""
    (files / "large").mkdir()
    for name in ("config.json", "tokenizer.json"):
        (files / "large" / name).write_bytes((writer[0] / name).read_bytes())
    tensors = {k: v * 1e30 for k, v in load_file(writer[0] / "model.safetensors").items()}
    save_file(tensors, files / "large" / "model.safetensors")
    code, said = command("evaluate", files / "large", "--test", files / "b.txt")
    assert code == 2 and said.startswith("error: the loss on the texts to judge by is")


def test_a_perplexity_has_no_overflow(writer, files):
    (files / "sure").mkdir()
    for name in ("config.json", "tokenizer.json"):
        (files / "sure" / name).write_bytes((writer[0] / name).read_bytes())
    tensors = load_file(writer[0] / "model.safetensors")
    tensors["projection.bias"] = torch.arange(len(tensors["projection.bias"])) * 1e4
    save_file(tensors, files / "sure" / "model.safetensors")
    code, said = command("evaluate", files / "sure", "--test", files / "b.txt")
    assert code == 0 and json.loads(said)["nats_per_token"] > 709


def test_nothing_is_printed_before_a_wrong_setting_is_refused(writer):
    code, said = command("generate", writer[0], "--prompt", "the cat", "--temperature", "-1")
    assert code == 2 and said.startswith("error: ")


def test_lines_end_where_lines_end(files):
    (files / "marks.txt").write_bytes("one\u2028two\x0cthree\r\n\r\n \r\nfour".encode())
    assert lines_from(None, files / "marks.txt") == ["one\u2028two\x0cthree", "four"]


@pytest.mark.parametrize(
    "raised, said, code",
    [
        (KeyboardInterrupt("saved after step 3"), "saved after step 3; --resume goes on", 130),
        (KeyboardInterrupt(), "stopped: nothing is lost", 130),
        (SystemExit(128 + signal.SIGTERM), "stopped: saved; --resume goes on", 143),
        (MemoryError(), "not enough memory", 2),
    ],
)
def test_every_end_is_one_sentence(capsys, raised, said, code):
    with pytest.raises((SystemExit, Exception)) as ended, plain_errors():
        raise raised
    printed = capsys.readouterr().err
    assert said in printed and printed.count("\n") == 1
    assert getattr(ended.value, "exit_code", getattr(ended.value, "code", None)) == code


def test_whoever_stops_reading_is_not_an_error(capsys):
    with pytest.raises(BrokenPipeError), plain_errors():
        raise BrokenPipeError
    assert capsys.readouterr().err == ""


def test_a_refused_run_leaves_its_folder_free(files):
    line = ["train-decoder", "--train", files / "a.txt", "--out", files / "free"]
    code, said = command(*line, "--tokenizer", "word", "--num-heads", "5")
    assert code == 2 and "num_heads" in said and not (files / "free").exists()


def test_a_label_of_the_test_alone_is_refused_before_training(files):
    (files / "strange.csv").write_text("label,text\nzebra,the cat sat on the mat\n")
    code, said = command(
        *("train-classifier", "--train", files / "b.csv", "--test", files / "strange.csv"),
        *("--out", files / "strange"),
    )
    assert code == 2 and "zebra" in said and not (files / "strange").exists()


def test_hold_out_keeps_sources_whole_and_takes_the_end_of_one():
    one = [Passage(str(i), "book") for i in range(20)]
    assert hold_out(one) == (one[:18], one[18:])
    many = [Passage(str(i), f"file{i % 20}") for i in range(40)]
    kept, aside = hold_out(many)
    assert aside and not {p.source for p in kept} & {p.source for p in aside}
    with pytest.raises(ValueError, match="at least two passages"):
        hold_out(one[:1])


@pytest.mark.parametrize(
    "texts",
    [
        ["one line of many words " * 40],
        ["A title", "\n".join(f"line {i} of a text" for i in range(60))],
        ["\n".join(f"line {i} of a text" for i in range(60)), "The end"],
        ["\u65e5\u672c\u8a9e" * 300],
        ["x" * 999],
    ],
)
def test_a_text_without_paragraphs_is_cut_at_its_end_and_loses_nothing(texts):
    passages = [Passage(text, "book") for text in texts]
    kept, aside = hold_out(passages)
    assert "".join(p.text for p in [*kept, *aside]) == "".join(texts)
    share = sum(len(p.text) for p in aside) / len("".join(texts))
    assert 0.1 <= share < 0.15
    if any(" " in text for text in texts):  # no word is cut in two
        assert kept[-1].text[-1].isspace()


@pytest.mark.parametrize("labels", ["abcd" * 3, "aaabbbcccddd", "aab", "ab" + "c" * 9])
def test_a_small_table_keeps_every_label_on_the_side_that_is_learned(tmp_path, labels):
    rows = "\n".join(f"{label}\ttext {i}" for i, label in enumerate(labels))
    (tmp_path / "small.tsv").write_text(rows)
    kept, aside = hold_out(read_labelled(tmp_path / "small.tsv"))
    assert {p.label for p in kept} == set(labels) and aside
    assert len(kept) + len(aside) == len(labels)


def test_a_folder_with_spaces_and_a_byte_order_mark(tmp_path):
    folder = tmp_path / "a folder of mine"
    folder.mkdir()
    for i in range(12):
        text = f"na\u00efve \U0001f642 text {i}\r\n\r\nand more of it\r\n" * 4
        (folder / f"note {i}.md").write_bytes(b"\xef\xbb\xbf" + text.encode())
    out = tmp_path / "an out folder"
    line = ["train-decoder", "--train", folder, "--out", out, *SMALL, "--block-size", "8"]
    code, said = command(*line, "--tokenizer", "char")
    assert code == 0 and json.loads(said.splitlines()[-1])["test"]["tokens"] > 0
    code, said = command("generate", out, "--prompt", "\U0001f642", "--tokens", "3")
    assert code == 0 and said.startswith("\U0001f642") and "\ufeff" not in said


def test_a_missing_training_file_is_told_from_a_missing_test_file(files):
    for train, test, named in (("no", "b.txt", "train: "), ("a.txt", "no", "test: ")):
        with pytest.raises(ValueError, match=f"^{named}there is no file or folder"):
            make_split(files / train, files / test, read_text, None)


def test_commands_explain_themselves():
    for name in ("train-decoder", "train-classifier", "generate", "classify", "evaluate"):
        code, said = command(name, "--help")
        assert code == 0 and "Usage" in said and f"transformer-lib {name} " in said


def test_every_option_says_what_it_does():
    for command_ in typer.main.get_command(app).commands.values():
        for option in command_.params:
            if option.name != "help":
                assert option.help and len(option.help.split()) > 2, (command_.name, option.name)


def test_perplexities_are_per_token_word_and_byte():
    torch.manual_seed(0)
    texts = ["the cat sat .", "the café on the mat !"]
    tokenizer = train_tokenizer(texts, "char", 40)
    model = Decoder(40, 8, embedding_dim=8, num_heads=2, num_layers=1)
    found, N = per_text(model, tokenizer, texts), 13 + 21 + 2 - 1  # an end after each
    nats = cross_entropy(model, encode_all(texts, tokenizer))
    assert found["tokens"] == N and found["nats_per_token"] == nats
    assert found["perplexity_per_token"] == pytest.approx(math.exp(nats))
    assert found["perplexity_per_word"] == pytest.approx(math.exp(nats * N / 10))
    assert found["bits_per_byte"] == pytest.approx(nats * N / math.log(2) / (13 + 22))


def test_confusion_has_a_row_for_each_true_class_and_old_rows_are_told_from_new(monkeypatch):
    passages = [
        Passage(text, str(i), label)
        for i, (text, label) in enumerate([("a", "x"), ("b", "x"), ("C  d", "x"), ("e", "y")])
    ]
    tokenizer = train_tokenizer(["a b c d e"], "word", 10)
    model = EncoderClassifier(
        Encoder(10, 4, embedding_dim=4, num_heads=1, num_layers=1), Classifier(4, 4, 2)
    )
    said = torch.tensor([0, 1, 1, 1])  # x, y, y, y
    monkeypatch.setattr(your_own_text, "predict", lambda *_: said)
    found = per_class(model, tokenizer, ["x", "y"], passages, {"a", "c d"})
    assert found["confusion"] == [[1, 2], [0, 1]] and found["accuracy"] == 0.5
    assert found["accuracy_per_class"] == {"x": pytest.approx(1 / 3), "y": 1.0}
    assert (found["seen"], found["accuracy_seen"], found["accuracy_unseen"]) == (2, 0.5, 0.5)
    found = per_class(model, tokenizer, ["x", "y"], passages, {"a"})
    assert found["accuracy_seen"] == 1.0 and found["accuracy_unseen"] == pytest.approx(1 / 3)


def test_the_three_parts_are_kept_apart():
    made = [Passage(str(i), "book") for i in range(100)]
    files = {Path("train"): made, Path("test"): made[:3]}
    split = make_split(Path("train"), None, files.get, None)
    assert (split.train, split.validation, split.test) == (made[:81], made[81:90], made[90:])
    split = make_split(Path("train"), Path("test"), files.get, None)
    assert (split.train, split.validation, split.test) == (made[:90], made[90:], made[:3])


def test_each_part_is_reported_under_its_name(monkeypatch):
    tokenizer = train_tokenizer(["a b c"], "word", 10)
    sizes = dict(embedding_dim=4, num_heads=1, num_layers=1)
    writes = Decoder(10, 4, **sizes), tokenizer
    reads = EncoderClassifier(Encoder(10, 4, **sizes), Classifier(4, 4, 2)), tokenizer, ["x"]
    monkeypatch.setattr(your_own_text, "per_text", lambda m, t, x: {"nats_per_token": 1, "of": x})
    history = History(losses=[2.0, 1.0])
    said = your_own_text.report_decoder(*writes, history, 7, ["a", "b"], ["b"], ["a", "c"])
    assert said["validation"]["of"] == ["b"] and said["test"]["of"] == ["a", "c"]
    assert said["overlap"]["texts"] == 0.5 and said["train_loss"] == 1.0 and said["steps"] == 2
    said = your_own_text.report_decoder(*writes, history, 7, ["a", "c"], ["b"], ["a"])
    assert said["overlap"]["texts"] == 1.0  # of the test, not of what was learned
    monkeypatch.setattr(
        your_own_text, "per_class", lambda m, t, k, *more: dict(of=more, nats_per_sentence=1.0)
    )
    parts = [[Passage(f"The {text}", text, "x")] for text in "abc"]
    said = your_own_text.report_classifier(*reads, history, 7, Split(*parts))
    assert said["validation"]["of"] == (parts[1], {"the a"})
    assert said["test"]["of"] == (parts[2], {"the a"})


def test_generate_passes_on_what_is_asked(writer, monkeypatch):
    asked = {}
    monkeypatch.setattr(
        your_own_text, "write_on", lambda *a, **more: asked.update(more, prompt=a[2]) or iter(())
    )
    line = ["--prompt", "the", "--tokens", "7", "--temperature", "0.5", "--seed", "3"]
    command("generate", writer[0], *line, "--top-k", "2", "--top-p", "0.6")
    assert asked == dict(prompt="the", tokens=7, temperature=0.5, top_k=2, top_p=0.6, seed=3)


def test_classify_says_the_likeliest_and_cuts_a_long_text(reader):
    _, said = command("classify", reader[0], "--text", "good " * 200, "--json")
    found = json.loads(said)
    assert found["probabilities"][found["label"]] == max(found["probabilities"].values())


def test_ctrl_c_says_how_to_go_on(files, monkeypatch):
    def interrupted(*_, **more):
        raise KeyboardInterrupt("saved after step 3")

    monkeypatch.setattr(your_own_text, "train", interrupted)
    line = ["train-decoder", "--train", files / "a.txt", "--out", files / "c", *SMALL]
    code, said = command(*line, "--tokenizer", "word")
    assert code == 130 and said.endswith("saved after step 3; --resume goes on from there\n")


@pytest.mark.parametrize("kind, data", [("decoder", "a.txt"), ("classifier", "a.tsv")])
def test_training_gets_the_settings_of_the_command(files, monkeypatch, kind, data):
    asked = {}

    def watched(model, batches, loss_of, **more):
        asked.update(more, model=model, batches=batches)
        raise ValueError("enough")

    monkeypatch.setattr(your_own_text, "train", watched)
    line = ["--train", files / data, "--out", files / f"s-{kind}", "--tokenizer", "word", *SMALL]
    line += ["--learning-rate", "0.25", "--seed", "9", "--dropout", "0.3", "--block-size", "8"]
    assert command(f"train-{kind}", *line)[0] == 2
    assert (asked["steps"], asked["learning_rate"], asked["seed"]) == (6, 0.25, 9)
    assert (asked["batches"].seed, asked["batches"].batch_size) == (9, 4)
    assert {m.p for m in asked["model"].modules() if isinstance(m, torch.nn.Dropout)} == {0.3}
