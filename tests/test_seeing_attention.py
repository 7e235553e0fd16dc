"""Measures of maps, what is asked of a model beside them, and the view of them in a page."""

import base64
import io
import itertools
import json
import math
import re
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from tools.notebooks import masked
from transformer_lib.classifier import Classifier, EncoderClassifier
from transformer_lib.decoder import Decoder
from transformer_lib.encoder import Encoder
from transformer_lib.seeing_attention import (
    ablation,
    entropy,
    gradient_times_input,
    rank_correlation,
    view_attention,
    weight_on,
)

sizes = dict(embedding_dim=8, num_heads=2, num_layers=2)


def random_maps(seed, *shape, causal=False):
    scores = 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    if causal:
        scores = scores.masked_fill(~torch.ones(shape[-2:], dtype=torch.bool).tril(), -math.inf)
    return scores.softmax(-1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.booleans())
def test_entropy_lies_between_one_token_and_all(seed, T, causal):
    found = entropy(random_maps(seed, 2, 3, T, T, causal=causal))
    seen = torch.arange(1.0, T + 1) if causal else torch.full((T,), float(T))
    assert found.shape == (2, 3, T)
    assert (found >= -1e-6).all() and (found <= seen.log() + 1e-5).all()


def test_entropy_of_known_rows():
    rows = torch.tensor([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4])
    assert_close(entropy(rows), torch.tensor([0.0, math.log(2), math.log(4)]))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_weights_on_a_place_and_off_it_sum_to_one(seed, T):
    maps = random_maps(seed, 2, 3, T, T)
    where = torch.rand(2, 1, 1, T, generator=torch.Generator().manual_seed(seed)) < 0.5
    assert_close(weight_on(maps, where) + weight_on(maps, ~where), torch.ones(2, 3, T))


def test_weight_on_reads_rows_and_not_columns():
    maps = torch.tensor([[1.0, 0.0], [0.75, 0.25]])
    assert_close(weight_on(maps, torch.tensor([[True, False]])), torch.tensor([1.0, 0.75]))
    before = torch.tensor([[False, False], [True, False]])
    assert_close(weight_on(maps, before), torch.tensor([0.0, 0.75]))


def the_models():
    torch.manual_seed(0)
    reader = EncoderClassifier(Encoder(20, 12, **sizes), Classifier(8, 8, 3)).eval()
    writer = Decoder(20, 12, **sizes).eval()
    for model in (reader, writer):
        for parameter in model.parameters():
            parameter.data.add_(0.3 * torch.randn_like(parameter))
    return [
        (
            reader,
            reader.encoder.token_embedding,
            lambda t: reader(t, return_attention=False)[0][:, 1],
        ),
        (
            writer,
            writer.token_embedding,
            lambda t: writer(t, return_attention=False)[0][:, -1].log_softmax(-1)[:, 5],
        ),
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_ablation_replaces_one_token_at_a_time(which):
    model, _, score = the_models()[which]
    tokens = torch.tensor([[4, 9, 9, 17, 6]])
    kept = tokens.clone()
    fall = ablation(score, tokens, 1)
    assert fall.shape == (5,) and not fall.requires_grad
    assert torch.equal(tokens, kept)
    for j in range(5):
        other = tokens.clone()
        other[0, j] = 1
        assert_close(fall[j], (score(tokens) - score(other)).detach()[0], atol=1e-5, rtol=1e-4)


def test_ablation_of_what_is_there_already_is_nothing():
    _, _, score = the_models()[0]
    assert_close(ablation(score, torch.full((1, 4), 7), 7), torch.zeros(4), atol=1e-6, rtol=0)


@pytest.mark.parametrize("which", [0, 1])
def test_gradient_times_input_is_the_slope_of_shrinking_a_word(which):
    model, table, score = the_models()[which]
    tokens = torch.tensor([[4, 9, 3, 17, 6]])  # each word once: a row of the table is one position
    found = gradient_times_input(score, table, tokens)
    step = 1e-3
    for j, word in enumerate(tokens[0].tolist()):
        with torch.no_grad():
            row = table.weight[word].clone()
            table.weight[word] = row * (1 + step)
            more = score(tokens)[0]
            table.weight[word] = row * (1 - step)
            less = score(tokens)[0]
            table.weight[word] = row
        assert_close(found[j], (more - less) / (2 * step), atol=3e-3, rtol=0.03)


def test_gradient_times_input_leaves_the_model_as_it_was():
    model, table, score = the_models()[0]
    tokens = torch.tensor([[4, 9, 3]])
    before = score(tokens)
    with torch.no_grad():  # works where gradients are off, too
        gradient_times_input(score, table, tokens)
    assert not table._forward_hooks
    assert all(parameter.grad is None for parameter in model.parameters())
    assert_close(score(tokens), before)


def test_gradient_times_input_takes_its_hook_away_after_an_error():
    table = nn.Embedding(5, 2)

    def broken(tokens):
        raise RuntimeError("oh")

    with pytest.raises(RuntimeError, match="oh"):
        gradient_times_input(broken, table, torch.tensor([[1, 2]]))
    assert not table._forward_hooks


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=3, max_size=12), st.integers(0, 10**6))
def test_rank_correlation_equals_scipys(values, seed):
    stats = pytest.importorskip("scipy.stats")
    a = torch.tensor(values, dtype=torch.float32)
    b = torch.randint(0, 6, (len(values),), generator=torch.Generator().manual_seed(seed)).float()
    if len(a.unique()) == 1 or len(b.unique()) == 1:
        assert rank_correlation(a, b).isnan()
    else:
        assert_close(
            float(rank_correlation(a, b)), float(stats.spearmanr(a, b).statistic), atol=1e-5, rtol=0
        )


def test_knobs_of_the_chapter_move_the_prediction():
    """The cell with widgets, as a kernel runs it: what it shows is what the changed model says."""
    import copy
    from pathlib import Path

    from tools import notebooks

    path = Path(__file__).parents[1] / "chapters" / "22_seeing_attention.ipynb"
    cells = {cell.id: cell.source for cell in notebooks.code_cells(path)}
    torch.manual_seed(0)
    wide = dict(embedding_dim=16, num_heads=4, num_layers=2)
    reader = EncoderClassifier(Encoder(9, 30, **wide), Classifier(16, 8, 6)).eval()
    for parameter in reader.parameters():
        parameter.data.add_(0.5 * torch.randn_like(parameter))

    class Letters:
        def encode(self, text):
            return type("Encoded", (), {"ids": [ord(c) % 9 for c in text[:30]]})

    space = dict(copy=copy, torch=torch, reader=reader, tokenizer=Letters(), sentence="a sentence")
    space["SIX_PACKAGES"] = list("abcdef")
    exec(cells["c22-h02"].split("\n\n\nrises")[0], space)
    statements, last = cells["c22-w02"].rsplit("\n", 1)  # the widget is the cell's value
    exec(statements, space)
    assert len(eval(last, space).children) == 4

    def said():
        return [float(x) for x in re.findall(r"</meter> ([\d.]+)<", space["answer"].value)]

    def expected(model, text, temperature):
        ids = torch.tensor([Letters().encode(text).ids])
        return (model(ids)[0][0] / temperature).softmax(-1).tolist()

    first = said()
    assert first == pytest.approx(expected(reader, "a sentence", 1), abs=6e-4)
    space["warmth"].value = 3.0
    assert said() == pytest.approx(expected(reader, "a sentence", 3), abs=6e-4) != first
    space["off"].value = (1, 2)
    lesser = copy.deepcopy(reader)
    for parameter in lesser.encoder.blocks[1].attention.heads[2].value.parameters():
        parameter.data.zero_()
    assert said() == pytest.approx(expected(lesser, "a sentence", 3), abs=6e-4)
    space["asked"].value = space["asked"].options[1]
    assert said() == pytest.approx(expected(lesser, space["asked"].options[1], 3), abs=6e-4)


def words(count):
    return [f"{'the stream closed a record'.split()[n % 5]}{n}" for n in range(count)]


def a_view(L=2, H=3, T=7, causal=False, **more):
    maps = random_maps(L * H * T, L, 1, H, T, T, causal=causal)
    return view_attention(words(T), list(maps), **more), maps[:, 0]


def test_models_give_what_a_view_takes():
    torch.manual_seed(0)
    tokens = torch.tensor([[4, 9, 3, 17, 6], [4, 9, 3, 0, 0]])
    reader = EncoderClassifier(Encoder(20, 12, **sizes), Classifier(8, 8, 3)).eval()
    real = tokens != 0
    maps = reader(tokens, real)[1]
    whole = view_attention(words(5), maps)
    assert torch.equal(whole.maps, torch.stack(maps)[:, 0]) and not whole.more["causal"]
    part = view_attention(words(5), maps, row=1, padding_mask=real, token_effects=torch.arange(5))
    assert part.tokens == words(3) and part.more["token_effects"].tolist() == [0, 1, 2]
    assert torch.equal(part.maps, torch.stack(maps)[:, 1, :, :3, :3])
    assert_close(part.maps.sum(-1), torch.ones(2, 2, 3))  # nothing was left to the padding
    written = Decoder(20, 12, **sizes).eval()(tokens)[2]
    assert view_attention(words(5), written).more["causal"]
    assert not view_attention(words(5), written, causal=False).more["causal"]


def stored(shown):
    """The data of a view, as its HTML holds them."""
    text = re.search(r'application/json">(.*?)</script>', shown._repr_html_())[1]
    return json.loads(text)


def bytes_of(text):
    return base64.b64decode(text.removeprefix("base64,"))


def test_a_page_holds_the_maps_in_thousandths():
    import zlib

    shown, maps = a_view(head_effects=torch.tensor([[0.5, -0.25, 1], [2, 3, 4]]))
    data = stored(shown)
    low, high = torch.tensor(list(zlib.decompress(bytes_of(data["weights"])))).view(2, -1)
    assert torch.equal((low + 256 * high).view_as(maps), (maps.double() * 1000).round().long())
    effects = torch.frombuffer(bytearray(bytes_of(data["head_effects"])), dtype=torch.float32)
    assert effects.tolist() == [0.5, -0.25, 1, 2, 3, 4] and data["token_effects"] is None


def test_pages_are_equal_but_for_their_numbers():
    """Byte for byte the same for the same maps; what another machine computes is masked, no more."""
    one, maps = a_view()
    page = one._repr_html_()
    assert page == a_view()[0]._repr_html_()
    other = view_attention(words(7), list(maps.roll(1, -1)))._repr_html_()
    assert page != other and masked(page) == masked(other)
    for changed in (
        view_attention(["x", *words(6)], list(maps)),
        view_attention(words(7), list(maps), causal=True)
        if not maps.triu(1).any()
        else a_view(H=2)[0],
        a_view(head_effects=torch.zeros(2, 3))[0],
        a_view(T=6)[0],
    ):
        assert masked(changed._repr_html_()) != masked(page)
    assert "0.1" not in re.sub(
        r"<data>[^<]*</data>|base64,[\w+/=]+|<style>.*?</style>|<script>.*?</script>",
        "",
        page,
        flags=re.S,
    )


@pytest.fixture
def show(browser, tmp_path):
    """Show views in one page; in the end nothing went wrong there, and nobody was asked."""
    opened = []

    def show_it(*views, scripts=True, theme=None, **options):
        options = {"viewport": {"width": 1280, "height": 900}, **options}
        context = browser.new_context(java_script_enabled=scripts, **options)
        page = context.new_page()
        errors, asked = [], []
        page.on("console", lambda m: "willRead" in m.text or errors.append(m.text))
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("dialog", lambda d: (errors.append(d.message), d.dismiss()))
        page.on("request", lambda r: asked.append(r.url))
        opened.append((context, errors, asked))
        parts = "".join(f"<section>{view._repr_html_()}</section>" for view in views)
        attribute = f' data-theme="{theme}"' if theme else ""
        path = tmp_path / f"{len(opened)}.html"
        head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        path.write_text(
            f'<!doctype html><html lang="en"{attribute}><head>{head}<title>A page</title></head>'
            f"<body><main><h1>A page</h1>{parts}</main></body></html>", "utf-8"
        )  # fmt: skip
        page.goto(path.as_uri())
        if scripts:
            page.wait_for_function(
                "n => document.querySelectorAll('.av-body').length === n", arg=len(views)
            )
        return page

    yield show_it
    for context, errors, asked in opened:
        context.close()
        assert errors == []
        assert [url for url in asked[1:] if not url.startswith("data:")] == []


def numbers(page, which=".av-strip button small:first-of-type"):
    return page.locator(which).all_inner_texts()


ALPHAS = """canvas => { const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return Array.from({length: data.length / 4}, (_, n) => data[4 * n + 3]); }"""


@pytest.mark.parametrize("causal", [False, True])
def test_every_number_drawn_is_the_maps(show, causal):
    """Strip, table and pictures of each head, in both directions, to the digits shown."""
    shown, maps = a_view(causal=causal, T=8)
    page = show(shown)
    page.locator("summary").click()
    for n, weights in enumerate(maps.flatten(0, 1)):
        page.locator(".av-glance button").nth(n).click()
        hidden = torch.ones(8, 8, dtype=torch.bool).triu(1) if causal else torch.zeros(8, 8) > 0
        expected = [
            ["–" if hidden[i, j] else f"{weights[i, j].item():.3f}" for j in range(8)]
            for i in range(8)
        ]
        for way in (0, 1):
            page.locator("select").select_option(index=way)
            for token in (0, 3, 7):
                page.locator(".av-strip button").nth(token).click()
                page.mouse.move(0, 0)
                row = expected[token] if way == 0 else [row[token] for row in expected]
                assert numbers(page) == row
                if way == 0:
                    assert sum(float(x) for x in row if x != "–") == pytest.approx(1, abs=0.004)
        table = page.locator("tbody tr").evaluate_all(
            "rows => rows.map(r => [...r.querySelectorAll('td')].map(c => c.textContent))"
        )
        assert table == expected
        said = page.locator(".av-legend span").first.inner_text()
        full = float(re.fullmatch(r"0\s*([\d.]+) or more", said)[1])
        kept = weights if not causal else weights[3:]
        assert 0.05 <= full <= 1
        alphas = (255 * (weights / full).clamp(max=1)).masked_fill(hidden, 0x30)
        for canvas in (".av-square canvas", f".av-glance button:nth-of-type({n + 1}) canvas"):
            drawn = torch.tensor(page.locator(canvas).evaluate(ALPHAS)).view(8, 8)
            assert (drawn - alphas).abs().max() < 1.5, canvas
    visible = maps[..., 3:, :][..., torch.ones(5, 8, dtype=torch.bool).tril(3)] if causal else maps
    assert (visible > full).float().mean() <= 0.011 and kept is not None
    if full > 0.05:
        assert (visible > full - 0.05).float().mean() >= 0.009


def test_pointer_keys_and_threshold(show):
    shown, maps = a_view(T=6)
    page = show(shown)
    reading, strip = page.locator(".av-reading"), page.locator(".av-strip button")
    pressed = lambda: strip.evaluate_all("all => all.findIndex(b => b.ariaPressed === 'true')")  # noqa: E731
    assert pressed() == 5 and f"“{words(6)[5]}” looks at" in reading.inner_text()
    strip.nth(2).hover()
    assert pressed() == 2 and numbers(page) == [f"{w:.3f}" for w in maps[0, 0, 2].tolist()]
    page.mouse.move(0, 0)
    assert pressed() == 5  # hovering chooses nothing
    strip.nth(5).focus()
    for key, at in (
        ("ArrowLeft", 4),
        ("ArrowUp", 3),
        ("ArrowRight", 4),
        ("Home", 0),
        ("ArrowLeft", 0),
        ("End", 5),
    ):
        page.keyboard.press(key)
        assert pressed() == at and page.evaluate("document.activeElement.ariaPressed") == "true"
    heads = page.locator(".av-glance button")
    heads.nth(0).focus()
    for key, label in (
        ("ArrowDown", "layer 2, head 1"),
        ("ArrowRight", "layer 2, head 2"),
        ("ArrowUp", "layer 1, head 2"),
    ):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.ariaLabel") == label
        assert reading.inner_text().lower().startswith(label)
    box = page.locator(".av-square canvas").bounding_box()
    left, top, side = box["x"], box["y"], box["width"] / 6

    def point(i, j):
        return left + (j + 0.5) * side, top + (i + 0.5) * side

    page.mouse.move(*point(1, 4))
    assert (
        f"“{words(6)[1]}” looks at “{words(6)[4]}” {maps[0, 1, 1, 4]:.3f}" in reading.inner_text()
    )
    page.locator("select").select_option(index=1)
    page.mouse.move(*point(1, 3))
    assert (
        f"“{words(6)[3]}” is looked at by “{words(6)[1]}” {maps[0, 1, 1, 3]:.3f}"
        in reading.inner_text()
    )
    page.locator("select").select_option(index=0)
    page.mouse.click(*point(4, 0))
    page.mouse.move(0, 0)
    assert pressed() == 4
    row = maps[0, 1, 4]
    for near in row.sort().values[1:5].tolist():  # just below a weight, and just above
        for least in (math.floor(100 * near) / 100, math.ceil(100 * near) / 100):
            page.locator("input").first.fill(f"{least:.2f}")
            kept = [round(w, 3) >= least for w in row.tolist()]
            shown = [f"{w:.3f}" if k else "·" for w, k in zip(row.tolist(), kept, strict=True)]
            assert numbers(page) == shown
            sum_ = sum(w for w, k in zip(row.tolist(), kept, strict=True) if k)
            if least:
                said = f"From {least:.2f} on: {sum(kept)} token{'s' * (sum(kept) != 1)}, "
                assert said in reading.inner_text()
                assert float(re.search(r", ([\d.]+) in all", reading.inner_text())[1]) == (
                    pytest.approx(sum_, abs=0.0081)
                )


def test_several_views_on_a_page_live_apart(show):
    (one, _), (two, maps) = a_view(), a_view(L=1, H=2, T=5)
    page = show(one, two, one)
    page.locator("section").nth(1).locator(".av-strip button").nth(1).click()
    chosen = page.locator(".av-strip button[aria-pressed=true] bdi").all_inner_texts()
    assert chosen == [words(7)[6], words(5)[1], words(7)[6]]
    assert numbers(page.locator("section").nth(1)) == [f"{w:.3f}" for w in maps[0, 0, 1].tolist()]


def test_effects_stand_beside_weights(show):
    """Small ones are not shown as zero, and large ones stay in their frame."""
    heads, tokens = torch.tensor([[0.5, -4e-4, 0], [2, -3, 12345.678]]), torch.linspace(-1, 1, 7)
    shown, _ = a_view(head_effects=heads, token_effects=tokens)
    page = show(shown)
    signed = lambda x: f"{'+' if x >= 0 else '−'}{abs(x):.3f}"  # noqa: E731
    given = ["+0.500", "−0.00040", "+0.000", "+2.000", "−3.000", "+1.2e+4"]
    assert numbers(page, ".av-glance .av-effect") == given
    assert numbers(page, ".av-strip .av-effect") == [signed(x) for x in tokens.tolist()]
    assert "the effect of taking it away" in page.locator(".av-legend").inner_text()


HOSTILE = ["<script>alert(1)</script>", "</script><!--", "\"'&amp;", "שלום", "👩‍👩‍👧", "\ud83d", "\u202ex", " ", "", "\n", "$&", "{0}", "ﷺ" * 40, "\u2069\u202e)(", "\u200b", "\ufeff\xad"]  # fmt: skip


@pytest.mark.parametrize("scripts", [True, False])
def test_any_text_of_a_token_is_shown_and_not_obeyed(show, scripts):
    T = len(HOSTILE)
    shown = view_attention(HOSTILE, [random_maps(1, 1, T, T)])
    shown._repr_html_().encode("utf-8")  # no half of a character is left
    page = show(shown, scripts=scripts, viewport={"width": 390, "height": 844})
    if scripts:
        seen = page.locator(".av-strip bdi").all_text_contents()
        assert seen[:6] == [
            "<script>alert(1)</script>",
            "</script><!--",
            "\"'&amp;",
            "שלום",
            "👩‍👩‍👧",
            "\ufffd",
        ]
        assert seen[7:12] == ["·", "∅", "↵", "$&", "{0}"]
        assert seen[14:] == ["U+200B", "U+FEFF U+00AD"]
        page.locator(".av-strip button").nth(13).click()
        said = page.locator(".av-reading bdi").all_text_contents()
        assert said[0] == HOSTILE[13] and len(said) == 5  # each kept apart from the numbers
        page.locator("summary").click()
    else:
        page.locator("summary").click()
        assert page.locator("thead bdi").all_text_contents() == [
            *HOSTILE[:5],
            "\ufffd",
            *HOSTILE[6:],
        ]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("causal", [False, True])
def test_without_scripts_there_is_a_picture_and_a_table(show, causal):
    Image = pytest.importorskip("PIL.Image")
    shown, maps = a_view(causal=causal, T=6)
    page = show(shown, scripts=False)
    image = page.locator("img")
    assert image.is_visible() and "a row for each of 2 layers" in image.get_attribute("alt")
    assert not page.locator(".av-body").count()
    drawn = Image.open(io.BytesIO(bytes_of(image.get_attribute("src").split(";")[1]))).convert(
        "RGBA"
    )
    assert drawn.size == (3 * 8, 2 * 8) and drawn.getpixel((0, 0))[:3] == (31, 131, 198)
    alphas = torch.tensor(list(drawn.getchannel("A").tobytes())).view(2, 8, 3, 8)[:, 1:7, :, 1:7]
    expected = (255 * maps / maps.quantile(0.99)).clamp(0, 255).transpose(1, 2)
    assert (alphas - expected).abs().max() <= 1
    page.locator("summary").click()
    table = page.locator("tbody tr").all() or page.locator("table tr").all()[1:]
    rows = [row.locator("data").all_inner_texts() for row in table]
    assert rows == [[f"{w:.3f}" for w in row] for row in maps[0, 0].tolist()]


def test_a_telephone_and_a_large_zoom(show):
    shown, maps = a_view(T=20, H=4, token_effects=torch.zeros(20))
    page = show(shown, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.locator(".av-strip button").nth(3).tap()
    assert numbers(page) == [f"{w:.3f}" for w in maps[0, 0, 3].tolist()]
    page.locator(".av-glance button").nth(6).tap()
    canvas = page.locator(".av-square canvas")
    side = canvas.bounding_box()["width"] / 20
    canvas.tap(position={"x": 0.5 * side, "y": 8.5 * side})
    assert (
        f"looks at “{words(20)[0]}” {maps[1, 2, 8, 0]:.3f}"
        in page.locator(".av-reading").inner_text()
    )
    assert numbers(page) == [f"{w:.3f}" for w in maps[1, 2, 8].tolist()]
    sizes = page.locator("button").evaluate_all(
        "all => all.map(b => b.getBoundingClientRect()).map(r => [r.width, r.height])"
    )
    assert min(map(min, sizes)) >= 43  # a finger's width
    page.locator("summary").click()
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    assert (
        show(shown, viewport={"width": 640, "height": 450}, device_scale_factor=2).evaluate(wide)
        == 0
    )


PAPER = "getComputedStyle(document.querySelector('.attention-view')).backgroundColor"


@pytest.mark.parametrize("system", ["light", "dark"])
def test_both_themes_and_the_pages_own(show, system):
    dark = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}
    shown, _ = a_view()
    assert show(shown, color_scheme=system).evaluate(PAPER) == dark[system]
    for theme, paper in dark.items():  # what the page says goes before what the system says
        assert show(shown, color_scheme=system, theme=theme).evaluate(PAPER) == paper
    notebook = show(shown, color_scheme=system)
    for light, theme in ((True, "light"), (False, "dark")):
        notebook.evaluate(f"document.body.dataset.jpThemeLight = '{str(light).lower()}'")
        assert notebook.evaluate(PAPER) == dark[theme]


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("system", ["light", "dark"])
def test_a_view_is_accessible(show, system, scripts):
    from axe_playwright_python.sync_playwright import Axe

    shown, _ = a_view(causal=True, token_effects=torch.ones(7), head_effects=torch.zeros(2, 3))
    page = show(shown, shown, color_scheme=system, theme=system)
    if not scripts:  # what stands there before the script runs
        page.set_content(re.sub("(?s)<script.*?</script>", "", page.content().split("<section>")[0])
                         + re.sub("(?s)<script.*?</script>", "", shown._repr_html_()))  # fmt: skip
    page.locator("details").evaluate_all("all => all.forEach(d => (d.open = true))")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == []


def test_rounded_weights_of_a_long_row_sum_to_one_and_the_table_has_the_chosen_row(show):
    shown = view_attention(words(201), [torch.full((1, 201, 201), 1 / 201)])
    page = show(shown)
    page.locator("input").first.fill("0.00")
    page.locator("summary").click()
    page.locator(".av-strip button").nth(7).click()
    assert page.locator(".av-scroll tbody tr th").all_text_contents() == [words(201)[7]]
    page.evaluate("() => document.querySelector('.av-scroll td:last-child').id = 'kept'")
    page.locator("input").first.fill("0.01")
    assert "0 tokens, 0.00 in all" in page.locator(".av-reading").inner_text()
    assert page.locator("#kept").count() == 1  # the same table: nothing in it has changed
    page = show(view_attention(words(80), [torch.full((1, 80, 80), 1 / 80)]))
    page.locator("input").first.fill("0.01")
    assert "80 tokens, 1.00 in all" in page.locator(".av-reading").inner_text()
    page.locator("select").select_option(index=1)
    assert "80 tokens, 1.0 in all" in page.locator(".av-reading").inner_text()


def test_a_long_input_is_small_and_smooth(show):
    """128 tokens, 12 layers of 12 heads, weights that compress badly."""
    maps = random_maps(3, 12, 12, 128, 128)
    worst = (torch.randn(12, 12, 128, 128, generator=torch.Generator().manual_seed(0))).softmax(-1)
    began = time.perf_counter()
    shown = view_attention(words(128), list(maps), head_effects=torch.zeros(12, 12))
    size = len(shown._repr_html_())
    written = time.perf_counter() - began
    largest = len(view_attention(words(128), list(worst))._repr_html_())
    began = time.perf_counter()
    page = show(shown)
    alive = time.perf_counter() - began
    took = page.evaluate("""() => {
      const strip = [...document.querySelectorAll(".av-strip button")], time = (times, act) => {
        const began = performance.now();
        for (let n = 0; n < times; n++) { act(n); document.body.offsetHeight; }
        return (performance.now() - began) / times; };
      const slider = document.querySelector("input");
      return [time(64, (n) => strip[n].dispatchEvent(new PointerEvent("pointerenter", {pointerType: "mouse"}))),
        time(4, (n) => { slider.value = n / 50; slider.dispatchEvent(new Event("input")); })]; }""")
    print(f"{size / 1e6:.2f} MB, at most {largest / 1e6:.2f} MB; written in {written:.1f} s, alive after {alive:.1f} s; "
          f"a move of the pointer {took[0]:.1f} ms, of the threshold {took[1]:.0f} ms")  # fmt: skip
    assert size < largest < 2_000_000
    assert took[0] < 50 and took[1] < 500  # five to ten times what one core needs


def test_a_score_that_compares_with_other_words_moves_none_of_theirs():
    """f(ids) - f(base) has the gradient of f(ids), and f(ids) twice has it twice."""
    torch.manual_seed(0)
    table, line = nn.Embedding(9, 4), nn.Linear(4, 1)
    ids, base = torch.tensor([[1, 2, 3]]), torch.tensor([[4, 5, 6]])

    def f(tokens):
        return line(table(tokens)).tanh().sum((1, 2))

    alone = gradient_times_input(f, table, ids)
    assert alone.abs().min() > 1e-3
    assert_close(gradient_times_input(lambda t: f(t) - f(base), table, ids), alone)
    assert_close(gradient_times_input(lambda t: f(t) + f(t), table, ids), 2 * alone)


@pytest.mark.parametrize("a", [[1.0, 1, 1], [0.0, math.nan, 2]])
def test_ranks_of_equal_values_or_of_what_is_no_number_have_no_correlation(a):
    for one, other in itertools.permutations((torch.tensor(a), torch.arange(3.0))):
        assert rank_correlation(one, other).isnan()
