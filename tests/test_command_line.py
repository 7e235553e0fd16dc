"""The command line, as its user types it."""

import io
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
from unittest.mock import Mock

import pytest
import torch
import typer
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from transformer_lib import Decoder, command_line, runs, training
from transformer_lib.batches import encode_all
from transformer_lib.command_line import _lines, app, report_errors
from transformer_lib.saving import load_model, read_checkpoint, save_model
from transformer_lib.splits import Split, hold_out
from transformer_lib.tables import read_labelled
from transformer_lib.text import Passage
from transformer_lib.tokens import train_tokenizer

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


def last(said):
    """The last line: a report, or why there is none."""
    return said.rstrip("\n").splitlines()[-1]


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


def train_writer(files, *more):
    """Train the decoder of the fixture `writer`; what the command says."""
    settings = ("--tokenizer", "word", "--block-size", "8", *SMALL, *more)
    texts = ("--train", files / "a.txt", "--test", files / "b.txt")
    return command("train-decoder", *texts, "--out", files / "x", *settings)


@pytest.fixture(scope="module")
def writer(files):
    code, said = train_writer(files)
    assert code == 0, said
    return files / "x", json.loads(last(said))


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
    assert "the test shares 33% of its texts" in said
    return files / "y", json.loads(last(said))


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
    assert (
        0 < results["validation_loss"] < 0.5 and 0 < test["nats_per_sentence"] < 0.5
    )  # it counted


def test_the_loss_of_a_classifier_is_that_of_its_probabilities(reader, files):
    _, said = command("evaluate", reader[0], "--test", files / "b.csv")
    rows = read_labelled(files / "b.csv")
    _, answers = command("classify", reader[0], "--json", *(f"--text={row.text}" for row in rows))
    shares = [json.loads(line)["probabilities"] for line in answers.splitlines() if line[0] == "{"]
    nats = [-math.log(share[row.label]) for share, row in zip(shares, rows, strict=True)]
    assert json.loads(last(said))["nats_per_sentence"] == pytest.approx(sum(nats) / 3, rel=1e-3)


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
    assert json.loads(last(said))["perplexity_per_token"] == pytest.approx(
        writer[1]["test"]["perplexity_per_token"]
    )
    _, said = command("evaluate", reader[0], "--test", files / "b.csv")
    assert json.loads(last(said))["accuracy"] == pytest.approx(reader[1]["test"]["accuracy"])


def test_evaluate_does_not_say_what_was_learned_since_it_cannot_know(reader, files):
    _, said = command("evaluate", reader[0], "--test", files / "a.tsv")
    assert not {"seen", "accuracy_seen", "accuracy_unseen"} & json.loads(last(said)).keys()


def test_a_run_says_how_the_test_was_read_and_how_large_the_parts_are(files):
    texts = ["--train", files / "a.tsv", "--test", files / "b.csv"]
    code, said = command("train-classifier", *texts, "--out", files / "parts", *SMALL)
    lines = said.splitlines()
    at = lines.index("to be judged on:")
    assert code == 0 and lines[at + 1].startswith("b.csv: CSV; text: 'text'")
    report, numbers = json.loads(last(said)), lines[-3]
    test = sum(len(row.text) for row in read_labelled(files / "b.csv"))
    assert any(
        line.startswith("characters: train ") and line.endswith(f", test {test}") for line in lines
    )
    assert numbers.startswith(f"accuracy {report['test']['accuracy']:.3f}, a bag of words")
    assert numbers.endswith("; 2 of 2 labels are in the test")
    assert f"the commonest label alone {report['baseline']['majority']:.3f};" in numbers
    assert report["device"] == "cpu" and report["precision"] in ("no", "bf16")


def test_the_overlap_counts_what_a_classifier_was_pretrained_on(files):
    rows = [row.text for row in read_labelled(files / "b.csv")]
    (files / "leak.txt").write_text("\n\n".join([*rows, "some more of it to read " * 200]))
    line = ["--train", files / "a.tsv", "--test", files / "b.csv", "--out", files / "leak", *SMALL]
    code, said = command("train-classifier", *line, "--pretrain", files / "leak.txt")
    assert code == 0 and json.loads(last(said))["overlap"]["texts"] == 1
    assert "the test shares 100% of its texts" in said
    assert "first, and no beginning with what counting knows" in said


def test_rows_that_are_cut_are_named(files):
    (files / "long.tsv").write_text(
        "\n".join(f"{'ab'[i % 2]}\t{'word ' * (40 if i % 3 else 4)} {i}" for i in range(60))
    )
    line = ["train-classifier", "--train", files / "long.tsv", *SMALL]
    code, said = command(*line, "--out", files / "cut", "--block-size", "16")
    assert code == 0 and "% of the rows are cut after block_size = 16 tokens" in said
    code, said = command(*line, "--out", files / "uncut", "--block-size", "64")
    assert code == 0 and "are cut after" not in said


def test_what_is_unknown_or_not_read_is_said_before_training(files, tmp_path):
    rows = "".join(f"{'ab'[i % 2]}\tword{i} is{i} all{i} that{i} there{i}\n" for i in range(60))
    (tmp_path / "new.tsv").write_text(rows)
    line = ["train-classifier", "--train", tmp_path / "new.tsv", *SMALL]
    code, said = command(*line, "--out", tmp_path / "1")
    assert code == 0 and said.count("of the tokens of the test are unknown to the model") == 1
    assert said.index("are unknown to the model") < said.index("chosen for")
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a.md").write_text((files / "a.txt").read_text())
    (tmp_path / "f" / "b.org").write_text("not read")
    found = str(runs.read_paragraphs(tmp_path / "f"))
    assert "f: 1 of 2 files are read (.txt, .md); not: 1 .org\n" in found


def test_what_an_output_cannot_show_does_not_end_a_command(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), "cp1252", write_through=True)
    monkeypatch.setattr(sys, "stdout", output)
    with report_errors():
        print("good 猫")
    assert output.buffer.getvalue() == rb"good \u732b" + os.linesep.encode()


def test_a_run_that_goes_on_with_another_text_says_so(files):
    text = files / "grows.txt"
    text.write_text((files / "a.txt").read_text())
    line = ["train-decoder", "--train", text, "--out", files / "grown", "--block-size", "8", *SMALL]
    assert command(*line)[0] == 0
    text.write_text(text.read_text() + "\n\nand one line more , about a dog .")
    code, said = command(*line, "--resume")
    assert (
        code == 2
        and "settings: checksum of what is learned from (the file, --test, --validation) was "
        in last(said)
    )


def test_a_table_is_not_classified_line_by_line_without_a_word(reader, files):
    code, said = command("classify", reader[0], "--file", files / "b.csv")
    assert code == 0 and "b.csv is read as plain text, with its columns" in said


def test_a_run_from_another_does_not_know_what_that_had_learned(writer, files):
    line = ["--train", files / "a.txt", "--from", writer[0], "--out", files / "second"]
    code, said = command("train-decoder", *line, "--steps", "3", "--batch-size", "4")
    assert code == 0 and "not known: whether the model of --from had learned the test" in said


def test_resume_goes_on(writer, files):
    code, said = train_writer(files, "--resume")
    assert code == 0 and json.loads(last(said))["test"] == writer[1]["test"]


@pytest.mark.parametrize(
    "line, message",
    [
        (
            ["train-decoder", "--train", "none.txt", "--out", "{}/n"],
            "error: there is no file or folder 'none.txt'",
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
                "--embedding-dim",
                "64",
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
        (["generate", "{}/nowhere"], "does not exist; it must be the --out of"),
        (
            ["train-decoder", "--train", "{}/a.txt", "--test", "no", "--out", "{}/n"],
            "error: there is no file or folder",
        ),
        (["classify", "{}/y", "--file", "none.txt"], "error: there is no file"),
        (["classify", "{}/y", "--text", "a", "--file", "{}/lines.txt"], "and not both"),
        (["classify", "{}/y", "--text", "a", "--text", "  "], "text must hold a token, got '  '"),
        (["evaluate", "{}/y", "--test", "none.tsv"], "error: there is no file"),
        (
            ["evaluate", "{}/y", "--test", "{}/zebra.csv"],
            "error: test: its labels must be among ['neg', 'pos'], got also ['zebra']",
        ),
        (["generate", "{}/x", "--prompt", "the", "--top-p", "0"], "top_p must be"),
        (["generate", "{}/x", "--prompt", "the", "--top-k", "0"], "top_k must be"),
        (["generate", "{}/x", "--prompt", "the", "--tokens", "-1"], "error: tokens must be"),
        (["generate", "{}/x", "--seed", "-1"], "seed must be from 0 to 4294967295, got -1"),
        (["generate", "{}/x", "--seed", "1" + 30 * "0"], "seed must be from 0 to 4294967295"),
        (
            ["train-classifier", "--train", "{}/one.tsv", "--out", "{}/n"],
            "train must hold two labels",
        ),
        (
            ["train-classifier", "--train", "{}/each.tsv", "--out", "{}/n"],
            "12 different labels in 12 rows",
        ),
        (
            ["train-decoder", "--train", "{}/word.txt", "--out", "{}/n"],
            "train must hold at least",
        ),
        (["train-decoder", "--train", "{}/a.txt", "--out", "{}/a.txt"], "out: "),
        (["train-decoder", "--train", "{}/a.txt", "--out", "{}/a.txt/x"], "out: "),
    ],
)
def test_bad_input_is_one_sentence(writer, reader, files, line, message):
    code, said = command(*(part.format(files) for part in line))
    assert code == 2 and last(said).startswith("error: ") and message in last(said)
    assert said.count("error: ") == 1 and "Traceback" not in said
    assert not (files / "n").exists() or not list((files / "n").glob("*.*"))


WRONG = [
    *((f"--{name}", "0", f"{name.replace('-', '_')} must be at least 1") for name in (
        "steps", "batch-size", "block-size", "embedding-dim", "num-heads", "num-layers", "vocab-size",
    )),
    ("--steps", "-3", "steps must be at least 1, got -3"),
    ("--vocab-size", "1" + 30 * "0", "vocab_size must be below 2147483648"),
    ("--block-size", "1" + 30 * "0", "block_size must be below 2147483648"),
    ("--vocab-size", "259", "vocab_size must be at least 260 for 'bpe'"),
    ("--learning-rate", "0", "learning_rate must be a finite number above 0"),
    ("--learning-rate", "nan", "learning_rate must be a finite number above 0"),
    ("--learning-rate", "inf", "learning_rate must be a finite number above 0"),
    ("--dropout", "1", "dropout must be from 0 to below 1"),
    ("--teacher-share", "1", "teacher_share must be from 0 to below 1, got 1"),
    ("--teacher-share", "nan", "teacher_share must be from 0 to below 1, got nan"),
    ("--dropout", "-0.1", "dropout must be from 0 to below 1"),
    ("--dropout", "nan", "dropout must be from 0 to below 1"),
    ("--seed", "-1", "seed must be from 0 to 4294967295"),
    ("--seed", "4294967296", "seed must be from 0 to 4294967295"),
    ("--block-size", "4000", "train must hold at least 2 * block_size + 1 = 8001 tokens"),
    ("--embedding-dim", "600000000", "there is not enough memory; try a smaller block_size"),
]  # fmt: skip


@pytest.mark.parametrize("option, value, message", WRONG)
def test_a_wrong_setting_is_said_before_anything_is_written(files, option, value, message):
    line = ["train-decoder", "--train", files / "a.txt", "--out", files / "wrong"]
    code, said = command(*line, option, value)
    assert code == 2 and last(said).startswith(f"error: {message}")
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
        (["--tokenizer", "char"], 'settings: tokenizer was "word", is "char"'),
        (["--vocab-size", "50"], "settings: vocab_size was 16384, is 50"),
        (["--steps", "7"], "settings: steps was 6, is 7"),
        (
            ["--train", "{}/other.tsv"],
            "settings: checksum of what is learned from (the file, --test, --validation) was ",
        ),
        (["--block-size", "9"], "another model (block_size was 128, is 9)"),
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
    assert code == 2 and last(said).startswith("error: out: ") and "delete it" in said
    tokenizer.unlink()
    assert command(*begun, "--resume")[0] == 0 and tokenizer.read_bytes() == whole


def test_a_damaged_checkpoint_is_one_warning_and_the_run_goes_on(files, begun):
    newest = max((files / "begun" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:400])
    report = json.loads((files / "begun" / "results.json").read_text())
    code, said = command(*begun, "--resume")
    warned = [line for line in said.splitlines() if "passed over" in line]
    assert code == 0 and len(warned) == 1 and newest.name in warned[0]
    assert json.loads(last(said))["test"] == report["test"]


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
    assert code == 0 and json.loads(last(said))["nats_per_token"] > 709


def test_nothing_is_printed_before_a_wrong_setting_is_refused(writer):
    code, said = command("generate", writer[0], "--prompt", "the cat", "--temperature", "-1")
    assert code == 2 and said.startswith("error: ")


def test_lines_end_where_lines_end(files):
    (files / "marks.txt").write_bytes("one\u2028two\x0cthree\r\n\r\n \r\nfour".encode())
    assert _lines(None, files / "marks.txt") == ["one\u2028two\x0cthree", "four"]


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
    with pytest.raises((SystemExit, Exception)) as ended, report_errors():
        raise raised
    printed = capsys.readouterr().err
    assert said in printed and printed.count("\n") == 1
    assert getattr(ended.value, "exit_code", getattr(ended.value, "code", None)) == code


def test_whoever_stops_reading_is_not_an_error(capsys):
    with pytest.raises(BrokenPipeError), report_errors():
        raise BrokenPipeError
    assert capsys.readouterr().err == ""


def test_a_refused_run_leaves_its_folder_free(files):
    line = ["train-decoder", "--train", files / "a.txt", "--out", files / "free"]
    code, said = command(*line, "--num-heads", "5", "--embedding-dim", "64")
    assert code == 2 and "num_heads" in said and not (files / "free").exists()


@pytest.mark.parametrize(
    "given, width, heads", [(["--num-heads", "5"], 65, 5), (["--embedding-dim", "27"], 27, 1)]
)
def test_who_gives_a_width_or_heads_alone_gets_the_other_to_fit(
    files, tmp_path, given, width, heads
):
    code, said = command(
        *("train-decoder", "--train", files / "a.txt", "--out", tmp_path / "run", "--steps", "1"),
        *("--tokenizer", "word", "--block-size", "8", *given),
    )
    settings = json.loads(last(said))["settings"]
    assert code == 0
    assert (settings["embedding_dim"], settings["num_heads"]) == (width, heads)


def test_a_label_of_the_test_alone_is_refused_before_training(files):
    (files / "strange.csv").write_text("label,text\nzebra,the cat sat on the mat\n")
    code, said = command(
        *("train-classifier", "--train", files / "b.csv", "--test", files / "strange.csv"),
        *("--out", files / "strange"),
    )
    assert code == 2 and "zebra" in said and not (files / "strange").exists()


def test_no_more_is_set_aside_than_a_score_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "JUDGED", 2_000)
    path = tmp_path / "long.txt"
    path.write_text("It sat on the mat.\n\n" * 5_000)  # a tenth would be 9,000 characters
    split = runs.make_split(path, None, 0.1, runs.read_paragraphs, list)
    for part in (split.test, split.validation):
        assert 1_900 < sum(len(p.text) for p in part) < 2_100


def test_the_memory_of_a_large_text_is_said_before_it_is_read(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.txt").write_text("It sat.")
    runs.read_paragraphs(tmp_path / "a.txt")
    assert capsys.readouterr().out == ""
    with open(tmp_path / "large.txt", "wb") as file:
        file.truncate(500_000_000)
    monkeypatch.setattr(runs, "read_text", lambda path: print("read") or [])
    runs.read_paragraphs(tmp_path / "large.txt")
    said = capsys.readouterr().out.splitlines()
    assert said == ["this text takes about 6.2 GB of memory", "read"]


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
    assert code == 0 and json.loads(last(said))["test"]["tokens"] > 0
    code, said = command("generate", out, "--prompt", "\U0001f642", "--tokens", "3")
    assert code == 0 and said.startswith("\U0001f642") and "\ufeff" not in said


def test_commands_explain_themselves():
    for name in ("train-decoder", "train-classifier", "generate", "classify", "evaluate"):
        code, said = command(name, "--help")
        assert code == 0 and "Usage" in said and f"transformer-lib {name} " in said


def test_every_option_says_what_it_does():
    for command_ in typer.main.get_command(app).commands.values():
        for option in command_.params:
            if option.name != "help":
                assert option.help and len(option.help.split()) > 2, (command_.name, option.name)


def test_generate_passes_on_what_is_asked(writer, monkeypatch):
    asked = {}
    monkeypatch.setattr(
        command_line, "write_on", lambda *a, **more: asked.update(more, prompt=a[2]) or iter(())
    )
    line = ["--prompt", "the", "--tokens", "7", "--temperature", "0.5", "--seed", "3"]
    command("generate", writer[0], *line, "--top-k", "2", "--top-p", "0.6")
    assert asked == dict(
        prompt="the", max_new_tokens=7, temperature=0.5, top_k=2, top_p=0.6, seed=3
    )


def test_classify_says_the_likeliest_and_cuts_a_long_text(reader):
    _, said = command("classify", reader[0], "--text", "good " * 200, "--json")
    found = json.loads(said.splitlines()[0])
    assert found["probabilities"][found["label"]] == max(found["probabilities"].values())
    assert "100% of the rows are cut after block_size = " in said


def test_ctrl_c_says_how_to_go_on(files, monkeypatch):
    def interrupted(*_, **more):
        raise KeyboardInterrupt("saved after step 3")

    monkeypatch.setattr(runs, "train", interrupted)
    line = ["train-decoder", "--train", files / "a.txt", "--out", files / "c", *SMALL]
    code, said = command(*line, "--tokenizer", "word")
    assert code == 130 and said.endswith("saved after step 3; --resume goes on from there\n")


@pytest.mark.parametrize("kind, data", [("decoder", "a.txt"), ("classifier", "a.tsv")])
def test_training_gets_the_settings_of_the_command(files, monkeypatch, kind, data):
    asked = {}

    def watched(model, batches, loss_fn, **more):
        asked.update(more, model=model, batches=batches)
        raise ValueError("enough")

    monkeypatch.setattr(runs, "train", watched)
    line = ["--train", files / data, "--out", files / f"s-{kind}", "--tokenizer", "word", *SMALL]
    line += ["--learning-rate", "0.25", "--seed", "9", "--dropout", "0.3", "--block-size", "8"]
    assert command(f"train-{kind}", *line)[0] == 2
    assert (asked["steps"], asked["learning_rate"], asked["seed"]) == (6, 0.25, 9)
    assert (asked["batches"].seed, asked["batches"].batch_size) == (9, 4)
    assert {m.p for m in asked["model"].modules() if isinstance(m, torch.nn.Dropout)} == {0.3}


def test_what_was_found_is_said_before_training_and_so_are_the_settings(writer, files):
    line = ["--train", files / "a.tsv", "--test", files / "b.csv", "--out", files / "said", *SMALL]
    code, said = command("train-classifier", *line)
    assert code == 0 and "2 labels: neg 30, pos 30" in said
    chosen = next(line for line in said.splitlines() if line.startswith("chosen for 54 rows"))
    assert "vocab_size 16384" in chosen and "steps" not in chosen.split("dropout")[0]
    assert (files / "said" / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_best_weights_are_those_that_are_saved(files):
    """With a rate that ruins the model after its first steps."""
    line = ["--train", files / "a.txt", "--out", files / "best", "--tokenizer", "word"]
    line += ["--block-size", "8", *SMALL[:6], "--batch-size", "4", "--steps", "40"]
    code, said = command("train-decoder", *line, "--learning-rate", "0.3")
    report = json.loads(last(said))
    curve = report["curves"]
    low = min(curve["validation"])
    at = curve["steps"][curve["validation"].index(low)]
    assert code == 0 and report["best_step"] == at
    assert report["validation_loss"] < 1.1 * low  # lower yet where more context helps
    if low < 0.99 * curve["validation"][-1]:
        assert f"from step {at} on it learned by heart" in said


def test_a_folder_that_cannot_be_made_is_named(files, tmp_path, monkeypatch):
    def refuse(path, **_):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(runs.Path, "mkdir", refuse)
    code, said = train_writer(files, "--out", tmp_path / "x")
    wanted = f"error: out: {str(tmp_path / 'x')!r} cannot be made (Read-only file system)"
    assert (code, last(said)) == (2, wanted)


def test_the_bar_shows_no_validation_loss_where_none_is_measured(files, tmp_path, monkeypatch):
    shown = []

    class Bar(training.tqdm):
        def set_postfix(self, values):
            shown.append("validation" in values)

    monkeypatch.setattr(training, "tqdm", Bar)
    settings = ("--validation", 0.2, "--tokenizer", "word", "--block-size", 4, *SMALL)
    given = ("--train", files / "a.txt", "--out", tmp_path / "x", *settings, "--refit")
    assert command("train-decoder", *given)[0] == 0
    assert any(shown[:6]) and len(shown) > 6 and not any(shown[6:])  # six steps, and then anew


@pytest.mark.parametrize(
    "command_, data", [("train-decoder", "a.txt"), ("train-classifier", "a.tsv")]
)
def test_without_validation_the_last_weights_are_kept_and_that_is_said(files, command_, data):
    out = files / f"none-{data}"
    line = ["--train", files / data, "--out", out, "--tokenizer", "word", "--block-size", "8"]
    code, said = command(command_, *line, *SMALL, "--validation", "0")
    report = json.loads(last(said))
    assert code == 0 and report["validation"] is None and report["best_step"] == 6
    assert "no part was set aside for validation" in said
    code, said = command(command_, *line[:2], "--out", out / "x", "--validation", "0", "--refit")
    assert code == 2 and "refit needs a validation part" in said


def test_a_classifier_keeps_the_weights_that_are_best_at_their_temperature_and_gets_it(
    files, monkeypatch
):
    """Lowest at the second of four evaluations, and at the third as low."""
    found = iter([0.5, 0.3, 0.3, 0.4])
    monkeypatch.setattr(runs, "loss_at_best", lambda model, sentences: next(found))
    monkeypatch.setattr(runs, "best_temperature", lambda model, sentences: (4.0, 0.3))
    line = ["--train", files / "a.tsv", "--out", files / "temper", *SMALL, "--steps", "4"]
    code, said = command("train-classifier", *line)
    assert code == 0, said
    report = json.loads(last(said))
    assert report["best_step"] == 3 and report["temperature"] == 4.0
    assert report["curves"]["validation"] == [0.5, 0.3, 0.3, 0.4]
    saved = load_model(files / "temper").model.state_dict()
    best, _ = read_checkpoint(files / "temper" / "checkpoints" / "best.safetensors")
    for name, tensor in saved.items():
        output = name.startswith("classifier.output.")
        torch.testing.assert_close(tensor, best[name] / 4 if output else best[name])


def test_refit_learns_from_the_validation_part_too(files):
    line = ["--train", files / "a.tsv", "--out", files / "refit", *SMALL, "--refit"]
    code, said = command("train-classifier", *line)
    report = json.loads(last(said))
    assert code == 0 and report["refit"] and 0.5 <= report["temperature"] <= 64
    learned = list((files / "refit" / "refit").glob("step-*"))
    assert max(int(re.search(r"step-(\d+)", p.name)[1]) for p in learned) == report["best_step"]


def test_a_refit_goes_the_same_way_and_ends_where_the_first_run_was_best(files, monkeypatch):
    """With the rates of a run of all steps: a whole one of fewer would have let them fall before."""
    ways, found, train = [], iter([0.5, 0.3, 0.4, 0.4]), runs.train

    def look(model, *more, **options):
        history = train(model, *more, **options)
        ways.append((options["steps"], len(history.losses), options["learning_rate"]))
        return history

    monkeypatch.setattr(runs, "train", look)
    monkeypatch.setattr(runs, "loss_at_best", lambda model, sentences: next(found))
    line = ["--train", files / "a.tsv", "--out", files / "way", *SMALL, "--steps", "4", "--refit"]
    code, said = command("train-classifier", *line)
    assert code == 0 and json.loads(last(said))["best_step"] == 2, said
    (steps, first, rate), (steps_again, second, rate_again) = ways
    assert steps == steps_again == first == 4 and second == 2 and rate == rate_again


@pytest.mark.parametrize("kind", ["decoder", "classifier"])
def test_after_a_refit_the_opponent_has_the_same_rows_and_validation_was_judged_before(
    kind, files, tmp_path, monkeypatch
):
    """What is called validation is never what the model has learned."""
    learned = []
    for name in ("beside_ngrams", "beside_bag_of_words"):
        honest = getattr(runs, name)

        def look(model, *more, honest=honest):
            rows = more[0] if kind == "decoder" else more[-1].train
            learned.append(len(rows))
            return honest(model, *more)

        monkeypatch.setattr(runs, name, look)
    file = files / ("a.txt" if kind == "decoder" else "a.tsv")
    found = {}
    for name, more in (("once", []), ("refit", ["--refit"])):
        line = ["--train", file, "--out", tmp_path / name, *SMALL, "--steps", "4", *more]
        code, said = command(f"train-{kind}", *line)
        assert code == 0, said
        found[name] = json.loads(last(said))
    assert 0 < learned[0] < learned[1]
    assert found["once"]["validation"] == found["refit"]["validation"]
    assert found["once"]["test"] != found["refit"]["test"]


def test_a_run_can_begin_with_another_model(writer, reader, files):
    line = [
        "--train",
        files / "a.txt",
        "--out",
        files / "from",
        "--steps",
        "2",
        "--batch-size",
        "4",
    ]
    code, said = command("train-decoder", *line, "--from", writer[0], "--dropout", "0.25")
    assert code == 0, said
    loaded, before = (load_model(folder).model for folder in (files / "from", writer[0]))
    assert loaded.sizes == before.sizes and loaded.blocks[0].feed_forward.dropout.p == 0.25
    gap = (loaded.token_embedding.weight - before.token_embedding.weight).abs().max()
    assert 0 < gap < 0.1
    for more, message in (
        (["--from", writer[0], "--num-heads", "1"], "num_heads is that of the model in --from"),
        (["--from", reader[0]], "needs, Decoder; it holds EncoderClassifier"),
    ):
        code, said = command("train-decoder", *line[:2], "--out", files / "from2", *more)
        assert code == 2 and message in last(said)


def test_pretraining_comes_first_when_asked_for(files):
    line = ["--train", files / "a.tsv", "--out", files / "pre", *SMALL, "--block-size", "8"]
    code, said = command("train-classifier", *line, "--pretrain", "own")
    assert code == 0 and "steps of masked training" in said
    assert list((files / "pre" / "pretraining").glob("step-*"))


def test_a_run_that_was_killed_in_pretraining_is_a_run(files, tmp_path, monkeypatch):
    """The folder is refused without --resume, and with it the run ends as one that was left alone."""
    line = ["--train", files / "a.tsv", *SMALL, "--block-size", "8", "--pretrain", "own"]

    def killed(run):
        raise MemoryError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(runs, "write_tokenizer", killed)  # it comes right after
        assert command("train-classifier", *line, "--out", tmp_path / "a")[0] == 2
    assert not (tmp_path / "a" / "tokenizer.json").exists()
    code, said = command("train-classifier", *line, "--out", tmp_path / "a")
    assert code == 2 and "already holds a run; add --resume" in last(said)
    found = []
    for name, more in (("a", ["--resume"]), ("b", [])):
        code, said = command("train-classifier", *line, "--out", tmp_path / name, *more)
        assert code == 0, said
        found.append(json.loads(last(said)) | {"seconds": None})
    assert found[0] == found[1]


def test_the_best_weights_of_a_run_without_a_checkpoint_are_not_inherited(
    files, tmp_path, monkeypatch
):
    """A run ends in an error after an evaluation that is never met again; the next has other sizes."""
    line = ["--train", files / "a.txt", "--out", tmp_path / "a", *SMALL, "--tokenizer", "word"]
    line += ["--block-size", "8"]

    def good_and_broken(model, tokens, stride):
        return 1e-3

    honest = runs.fit

    def killed(model, batches, *more, **named):
        def fragile(step):
            if step == 1:
                raise MemoryError("killed")
            return batches(step)

        return honest(model, fragile, *more, **named)

    with monkeypatch.context() as patched:
        patched.setattr(runs, "cross_entropy", good_and_broken)
        patched.setattr(runs, "fit", killed)
        assert command("train-decoder", *line, "--steps", "20")[0] == 2
    assert (tmp_path / "a" / "checkpoints" / "best.safetensors").exists()
    code, said = command("train-decoder", *line, "--resume", "--embedding-dim", "32")
    assert code == 0, said
    report = json.loads(last(said))
    assert (
        report["validation_loss"] > 1
        and load_model(tmp_path / "a").model.sizes["embedding_dim"] == 32
    )


@pytest.mark.parametrize("name", ["results.json", "curves.png"])
def test_a_report_of_somebody_else_is_not_written_over(files, tmp_path, name):
    (tmp_path / name).write_text("theirs")
    code, said = command("train-decoder", "--train", files / "a.txt", "--out", tmp_path, *SMALL)
    assert code == 2 and "choose another folder" in last(said)
    assert (tmp_path / name).read_text() == "theirs"


def test_of_a_model_to_begin_with_nothing_is_chosen_that_it_has(writer, tmp_path, monkeypatch):
    """What the line says was chosen for the text; its word list is read as often as any other one."""
    text = tmp_path / "long.txt"
    text.write_text("\n\n".join(f"the cat number {i} sat on the mat ." for i in range(400)))
    planned = []

    def look(task, run, batches):
        planned.append((run, runs.steps_for(8, len(batches.tokens), 16 * 8)))
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train_model", look)
    line = ["--train", text, "--from", writer[0], "--out", tmp_path / "a"]
    _, said = command("train-decoder", *line)
    (run, steps), chosen = planned[0], next(s for s in said.splitlines() if s.startswith("chosen"))
    names = [part.split()[-2] for part in chosen.split(": ")[1].split(", ")]
    assert names == ["batch_size", "learning_rate", "steps", "teacher_share"]
    own = load_model(writer[0]).model.blocks[0].feed_forward.dropout.p
    assert run.settings["dropout"] == own and run.settings["embedding_dim"] == 16
    assert run.settings["steps"] == steps > 100
    assert run.settings["learning_rate"] == 0.003  # a third of what a new model takes
    long = Mock(spec=runs.Run, start=run.start, learned=["x" * 60_000])
    assert runs.TextTask().gather(long)[0]["learning_rate"] == 0.01


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_the_kind_of_a_tokenizer_is_seen(kind):
    assert runs.kind_of(train_tokenizer(["the cat sat on the mat"] * 9, kind, 300)) == kind


@pytest.mark.parametrize("name", ["train-decoder", "train-classifier"])
def test_no_option_of_a_run_escapes_the_comparison(name):
    options = {p.name for p in typer.main.get_command(app).commands[name].params} - {"help"}
    given = dict.fromkeys(options) | {"seed": 0, "validation": 0.1}
    compared = set(runs.compared(given))
    assert options - compared == runs.ELSEWHERE & options


def test_half_a_character_in_a_prompt_is_one_sentence(writer, reader):
    code, said = command("generate", writer[0], "--prompt", "Caf\udcc3")
    assert code == 2 and "prompt must be valid Unicode" in said
    code, said = command("classify", reader[0], "--text", "Caf\udcc3")
    assert code == 2 and "text must be valid Unicode" in said


@pytest.mark.slow
def test_a_closed_output_and_an_early_ctrl_c_leave_no_traceback(writer):
    run = [sys.executable, "-m", "transformer_lib", "generate", str(writer[0]), "--tokens", "2"]
    line = " ".join(map(shlex.quote, run))
    done = subprocess.run(f"{line} >&-", shell=True, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    program = "import sys; sys.modules['transformer_lib.command_line'] = None"
    program = (
        "import builtins, transformer_lib.__main__ as m; real = builtins.__import__\n"
        "def imported(name, *more):\n"
        "    if name == 'command_line' and more[-1]: raise KeyboardInterrupt\n"
        "    return real(name, *more)\n"
        "builtins.__import__ = imported; m.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "stopped: nothing is lost\n")


def test_unknown_tokens_are_said(writer, files):
    (files / "strange.txt").write_text("zebras graze where okapis browse")
    code, said = command("evaluate", writer[0], "--test", files / "strange.txt")
    assert code == 0 and json.loads(last(said))["unknown"] > 0.5
    assert "of the tokens of the test are unknown to the model" in said


def test_unknown_words_of_a_prompt_are_said(writer):
    _, said = command("generate", writer[0], "--prompt", "the okapi", "--tokens", "1")
    assert "50.0% of the tokens of the prompt are unknown to the model" in said
    for known in ("the cat", ""):
        _, said = command("generate", writer[0], "--prompt", known, "--tokens", "1")
        assert "unknown" not in said


def test_a_model_whose_labels_stand_in_another_order_can_be_trained_on(reader, files, tmp_path):
    """As a model saved from Python may have them: its classes keep their places."""
    model, tokenizer, labels = load_model(reader[0])
    with torch.no_grad():
        for parameter in model.classifier.output.parameters():
            parameter.copy_(parameter.flip(0).clone())
    save_model(tmp_path / "old", model, tokenizer, labels[::-1])
    line = [
        "train-classifier",
        "--train",
        files / "a.tsv",
        "--test",
        files / "b.csv",
        "--steps",
        "1",
    ]
    line += ["--batch-size", "4", "--learning-rate", "1e-9"]
    code, said = command(*line, "--from", tmp_path / "old", "--out", tmp_path / "new")
    assert code == 0, said
    test = json.loads(last(said))["test"]
    assert test["labels"] == load_model(tmp_path / "new").labels == labels[::-1]
    assert test["accuracy_per_class"] == reader[1]["test"]["accuracy_per_class"]


def test_where_all_was_given_nothing_is_chosen(files, tmp_path):
    line = ["train-decoder", "--train", files / "a.txt", "--out", tmp_path / "all", *SMALL]
    line += ["--tokenizer", "word", "--vocab-size", "50", "--block-size", "8", "--dropout", "0"]
    code, said = command(*line, "--learning-rate", "0.01", "--teacher-share", "0")
    chosen = next(one for one in said.splitlines() if one.startswith("chosen for"))
    assert code == 0 and chosen.endswith(" characters: nothing")


def test_a_classifier_begins_as_a_mean_of_its_words(files, tmp_path, monkeypatch):
    """Unless it was pretrained: then the blocks have learned something already."""
    begun = []

    def look(model, *_, **__):
        begun.append(model)
        raise KeyboardInterrupt

    fit = runs.fit

    def masked_only(model, *more, **named):
        return (look if hasattr(model, "classifier") else fit)(model, *more, **named)

    monkeypatch.setattr(runs, "fit", masked_only)
    tokens = torch.tensor([[4, 5, 6]])
    for more in ([], ["--pretrain", "own"]):
        command("train-classifier", "--train", files / "a.tsv", "--out", tmp_path / f"{len(more)}", *SMALL, *more)  # fmt: skip
        encoder = begun[-1].eval().encoder
        words = encoder.token_embedding(tokens) + encoder.position_embedding(torch.arange(3))
        assert torch.equal(encoder(tokens)[0], words) == (not more)


def test_a_classifier_begins_where_counting_ends(files, reader, tmp_path, monkeypatch):
    """With all rows that it is going to learn, unless it comes from elsewhere or they are many."""
    counted, begin = [], runs.begin_as_naive_bayes

    def look(model, sentences):
        counted.append(len(sentences.labels))
        begin(model, sentences)

    monkeypatch.setattr(runs, "begin_as_naive_bayes", look)
    line = ["train-classifier", "--train", files / "a.tsv"]
    rows = len(read_labelled(files / "a.tsv"))
    code, said = command(*line, "--out", tmp_path / "a", *SMALL, "--refit")
    assert code == 0, said
    learned, everything = counted
    assert learned < everything < rows  # a test part is set aside before
    short = ["--steps", "1", "--batch-size", "4"]
    still = [*SMALL, *short, "--learning-rate", "1e-9"]
    code, said = command(*line, "--out", tmp_path / "b", *still)
    assert code == 0 and json.loads(last(said))["test"]["accuracy"] == 1  # by counting alone
    counted.clear()
    for name, more in (
        ("c", [*SMALL, *short, "--pretrain", "own"]),
        ("d", [*short, "--from", reader[0]]),
    ):
        code, said = command(*line, "--out", tmp_path / name, *more)
        assert code == 0 and not counted, said
    monkeypatch.setattr("transformer_lib.defaults.LARGE_TABLE", 5)
    monkeypatch.setattr("transformer_lib.defaults.MANY_CLASSES", 1)
    code, said = command(*line, "--out", tmp_path / "e", *SMALL, *short)
    assert code == 0 and not counted, said


def test_the_blocks_learn_slowly_where_the_words_know_what_counting_knows(
    files, reader, tmp_path, monkeypatch
):
    seen, fit = [], runs.fit

    def look(model, *more, **named):
        if hasattr(model, "classifier"):
            seen.append(more[6])
            raise KeyboardInterrupt
        return fit(model, *more, **named)

    monkeypatch.setattr(runs, "fit", look)
    line = ["train-classifier", "--train", files / "a.tsv", "--steps", "1"]
    for name, more in (("a", []), ("b", ["--pretrain", "own"]), ("c", ["--from", reader[0]])):
        command(*line, "--out", tmp_path / name, *more)
    share, *others = seen
    assert len(others) == 2 and all(0 < share < blocks for blocks in others)


def test_a_generator_has_the_counts_of_its_text_for_a_teacher(files, writer, tmp_path, monkeypatch):
    """Those of all that it is going to learn, with the share that is given or fits the text, unless
    it comes from elsewhere."""
    counted, losses, best = [], [], runs.best_ngrams

    def look(tokens, vocab_size, longest):
        assert longest == 5  # longer ones know the text by heart
        counted.append(len(tokens))
        return best(tokens, vocab_size, longest)

    def fit(model, batches, loss_fn, *more, honest=runs.fit, **named):
        losses.append((loss_fn, len(batches.tokens)))
        return honest(model, batches, loss_fn, *more, **named)

    def train(name, *more):
        losses.clear()
        line = ["--train", files / "a.txt", "--out", tmp_path / name, "--steps", "2", *more]
        code, said = command("train-decoder", *line)
        assert code == 0, said
        return json.loads(last(said))["settings"]["teacher_share"]

    monkeypatch.setattr(runs, "best_ngrams", look)
    monkeypatch.setattr(runs, "fit", fit)
    sizes = ["--tokenizer", "word", "--block-size", "8", *SMALL[:6], "--batch-size", "4"]
    share = train("a", *sizes, "--refit")
    assert 0.5 < share < 1
    assert counted == [tokens for _, tokens in losses] and counted[0] < counted[1]
    for loss_fn, _ in losses:
        assert loss_fn.func is runs.distillation_loss and loss_fn.keywords["share"] == share
    teachers = [loss_fn.keywords["teacher"] for loss_fn, _ in losses]
    assert teachers[0] is not teachers[1]
    monkeypatch.setattr("transformer_lib.defaults.SMALL_TEXT", 10)
    assert 0 < train("b", *sizes) < share
    assert train("c", *sizes, "--teacher-share", "0.25") == losses[0][0].keywords["share"] == 0.25
    for name, more in (("d", [*sizes, "--teacher-share", "0"]), ("e", ["--from", writer[0]])):
        assert train(name, *more) == 0 and losses[0][0] is runs.language_loss
    assert train("f", "--from", writer[0], "--teacher-share", "0.5") == 0.5
    assert losses[0][0].func is runs.distillation_loss


def test_a_model_with_room_for_more_tokens_than_its_tokenizer_has_can_be_taught(
    writer, files, tmp_path
):
    tokenizer = load_model(writer[0]).tokenizer
    size = tokenizer.get_vocab_size() + 9
    model = Decoder(size, 8, embedding_dim=4, num_heads=1, num_layers=1)
    save_model(tmp_path / "wide", model, tokenizer)
    line = ["train-decoder", "--train", files / "a.txt", "--from", tmp_path / "wide"]
    line += ["--out", tmp_path / "a", "--steps", "1", "--batch-size", "4"]
    code, said = command(*line, "--teacher-share", "0.5")
    assert code == 0 and load_model(tmp_path / "a").model.sizes["vocab_size"] == size, said


def test_an_empty_path_is_none_and_not_the_current_folder(writer, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text("the cat sat on the mat\n\n" * 40)
    text = ["--train", files / "a.txt"]
    for line in (
        ["train-decoder", "--train", "", "--out", "n"],
        ["train-decoder", *text, "--out", ""],
        ["train-decoder", *text, "--out", "n", "--test", ""],
        ["evaluate", writer[0], "--test", ""],
        ["generate", ""],
    ):
        code, said = command(*line)
        assert code == 2 and "must name a file or a folder, got ''" in said, line
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_text_with_line_breaks_is_answered_in_one_line(reader):
    code, said = command("classify", reader[0], "--text", "good\nand  bad\r\n")
    (line,) = (line for line in said.splitlines() if "\t" in line)
    assert code == 0 and line.endswith("\tgood and bad")


def test_pretraining_is_that_of_the_line_that_began_the_run(files, reader, tmp_path, monkeypatch):
    line = ["train-classifier", "--train", files / "a.tsv"]
    code, said = command(*line, "--out", tmp_path / "a", "--from", reader[0], "--pretrain", "own")
    line += [*SMALL, "--block-size", "8"]
    assert code == 2 and "pretrain: the model of --from is trained already" in last(said)

    def killed(run):
        raise MemoryError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(runs, "write_tokenizer", killed)  # it comes right after
        assert command(*line, "--out", tmp_path / "a", "--pretrain", "own")[0] == 2
    before = sorted(path.name for path in (tmp_path / "a").rglob("*"))
    code, said = command(*line, "--out", tmp_path / "a", "--resume")
    assert code == 2 and "began with it; give the line that began it" in last(said)
    assert sorted(path.name for path in (tmp_path / "a").rglob("*")) == before
    code, said = command(*line, "--out", tmp_path / "b")
    assert code == 0 and json.loads(last(said))["settings"]["pretrain"] is None
    code, said = command(*line, "--out", tmp_path / "b", "--resume", "--pretrain", "own")
    assert code == 2 and "began without it" in last(said) and "masked training" not in said


def test_a_run_is_not_taken_up_from_another_model(files, tmp_path):
    line = ["train-decoder", "--train", files / "a.txt", "--out"]
    more = ["--tokenizer", "word", "--block-size", "8", *SMALL]
    for seed in "12":
        assert command(*line, tmp_path / seed, *more, "--seed", seed)[0] == 0
    short = ["--steps", "4", "--batch-size", "4", "--from"]
    code, said = command(*line, tmp_path / "c", *short, tmp_path / "1")
    assert code == 0 and json.loads(last(said))["settings"]["dropout"] is not None
    code, said = command(*line, tmp_path / "c", *short, tmp_path / "2", "--resume")
    assert code == 2 and "settings: checksum of the model in --from was" in last(said)


@pytest.mark.parametrize("kind, data", [("decoder", "a.txt"), ("classifier", "a.tsv")])
def test_a_run_from_another_ends_no_worse_than_it_began(
    kind, data, writer, reader, files, tmp_path
):
    """With a rate that ruins the model from its first steps on."""
    begin = writer[0] if kind == "decoder" else reader[0]
    line = ["--train", files / data, "--from", begin, "--out", tmp_path / "x", "--refit"]
    line += ["--learning-rate", "3", "--batch-size", "4", "--steps", "40", "--dropout", "0"]
    code, said = command(f"train-{kind}", *line)
    assert code == 0, said
    report, curve = json.loads(last(said)), json.loads(last(said))["curves"]
    assert report["best_step"] == curve["steps"][0] == 0 and curve["train"][0] is None
    first = f"before the first step the validation loss is {curve['validation'][0]:.3f}"
    assert first in said.splitlines() and report["steps"] < 40  # ten evaluations, two steps each
    assert "the weights it began with are kept" in report["by_heart"]
    assert not report["refit"] and "trained anew" not in report["by_heart"]
    kept, before = (load_model(f).model.state_dict() for f in (tmp_path / "x", begin))
    again = 1.0  # the temperature divides the logits once more
    for name, tensor in before.items():
        if name == "classifier.output.weight":
            again = report["temperature"]
        torch.testing.assert_close(kept[name], tensor / again)
        again = again if name.startswith("classifier.output.") else 1.0
    code, said = command(f"train-{kind}", *line, "--resume")
    assert code == 0 and json.loads(last(said)) == report


def test_the_batch_size_that_is_said_is_the_one_that_is_used(files, tmp_path):
    (tmp_path / "short.txt").write_text("\n\n".join(f"the cat {i} sat" for i in range(40)))
    line = ["train-decoder", "--train", tmp_path / "short.txt", "--block-size", "16"]
    line += ["--steps", "2", "--tokenizer", "word"]
    code, said = command(*line, "--out", tmp_path / "a")
    used = json.loads(last(said))["settings"]["batch_size"]
    assert code == 0 and 1 <= used < 16 and f", batch_size {used}, " in said
    code, said = command(*line, "--out", tmp_path / "b", "--batch-size", "64")
    assert code == 0 and json.loads(last(said))["settings"]["batch_size"] == used
    assert f"batch_size {used}: there is not enough text for more" in said.splitlines()
    code, said = command(*line, "--out", tmp_path / "c", "--batch-size", "2")
    assert code == 0 and "not enough text" not in said


def test_a_generator_is_evaluated_all_over_its_validation_part(monkeypatch):
    passages = [Passage(f"{i} a b c d e f g h i", "x") for i in range(1_500)]
    tokenizer = train_tokenizer([p.text for p in passages], "word")
    seen = []
    monkeypatch.setattr(
        runs, "cross_entropy", lambda model, tokens, stride: float(seen.append(tokens) or len(seen))
    )
    run = Mock(spec=runs.Run, tokenizer=tokenizer, settings={"block_size": 64})
    run.split = Split([], passages, [])
    assert runs.TextTask().evaluation(run)(torch.nn.Identity()) == 5.5  # the mean of 1 to 10
    whole = encode_all([p.text for p in passages], tokenizer)
    assert [len(part) for part in seen] == [1_001] * 10
    assert torch.equal(seen[0], whole[:1_001]) and torch.equal(seen[-1], whole[-1_001:])
    (short,) = runs.stretches(whole[:10_010])
    assert torch.equal(short, whole[:10_010])


def test_what_is_too_short_or_labelled_otherwise_is_named(files, tmp_path):
    (tmp_path / "short.txt").write_text("a few words")
    (tmp_path / "other.tsv").write_text("neg\tbad\nnone\tso so\n")
    (tmp_path / "capital.tsv").write_text("neg\tbad\nPOS\tgood\n")
    line = ["train-classifier", "--train", files / "a.tsv", "--out", tmp_path / "n", *SMALL]
    for more, message in (
        (["--pretrain", tmp_path / "short.txt"], "error: pretrain must hold at least 2 *"),
        (
            ["--test", tmp_path / "other.tsv"],
            "error: test: its labels must be among ['neg', 'pos'], got also ['none']",
        ),
        (
            ["--test", tmp_path / "capital.tsv"],
            "error: test: its labels must be among ['neg', 'pos'], got also ['POS'], and capitals",
        ),
    ):
        code, said = command(*line, *more)
        assert code == 2 and last(said).startswith(message), said


def test_a_refit_says_that_other_weights_are_kept(files, tmp_path):
    line = ["train-classifier", "--train", files / "a.tsv", "--out", tmp_path / "r", *SMALL]
    code, said = command(*line, "--refit", "--steps", "20")
    found = json.loads(last(said))
    anew = f"anew with the same tokenizer, on everything, to step {found['best_step']}"
    assert code == 0 and found["by_heart"].endswith(anew)
    rows = found["settings"]["batch_size"]
    assert found["by_heart"] in said and rows <= len(read_labelled(files / "a.tsv"))
