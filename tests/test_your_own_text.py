"""The command line, as its user types it."""

import json

import pytest
from typer.testing import CliRunner

from transformer_lib.text import Passage
from transformer_lib.your_own_text import app, hold_out

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
            "path: there is no file or folder 'none.txt'",
        ),
        (["train-decoder", "--test", "{}/b.txt", "--out", "{}/n"], "test needs train"),
        (["train-decoder", "--train", "{}/a.txt", "--out", "{}/x"], "already holds a run"),
        (
            ["train-decoder", "--train", "{}/a.txt", "--out", "{}/n", "--tokenizer", "syllable"],
            "kind must be",
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
    ],
)
def test_bad_input_is_one_sentence(writer, reader, files, line, message):
    code, said = command(*(part.format(files) for part in line))
    assert code == 2 and said.startswith("error: ") and message in said
    assert len(said.strip().splitlines()) == 1


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
    many = [Passage(str(i), f"file{i // 2}") for i in range(40)]
    kept, aside = hold_out(many)
    assert aside and not {p.source for p in kept} & {p.source for p in aside}
    with pytest.raises(ValueError, match="at least two passages"):
        hold_out(one[:1])


def test_commands_explain_themselves():
    for name in ("train-decoder", "train-classifier", "generate", "classify", "evaluate"):
        code, said = command(name, "--help")
        assert code == 0 and "Usage" in said
