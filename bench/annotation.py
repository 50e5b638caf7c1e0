"""Benchmarks of annotation: votes to decisions, and the page that people see."""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from measuring import Figure, figure


def aggregation(folder: Path) -> Iterator[Figure]:
    """How long 100,000 votes take from files to decisions, and how often each rule is right on simulated people."""
    import json

    from d3s.annotation.campaign import campaign_secret
    from d3s.annotation.deciding import RULES, decide
    from d3s.annotation.items import image_item, plain_key
    from d3s.annotation.reading import read_votes
    from d3s.annotation.workers import judge_workers, measure_agreement
    from voting import right_decisions, simulate_votes

    given, _ = simulate_votes(20_000, people=200, seed=0)
    secret = campaign_secret(0, "bench")
    recipes: dict[str, str | None] = {sample: f"r{sample}" for sample in given["sample"].unique()}
    items = {sample: image_item(sample, str(recipe)) for sample, recipe in recipes.items()}
    for worker, rows in given.groupby("worker"):
        votes = [
            {
                "item": str(items[row.sample]),
                "key": plain_key(secret, items[row.sample]),
                "object": row.object,
                "unsafe": row.unsafe,
                "background": "yes",
                "seconds": 2.5,
            }
            for row in rows.itertuples()
        ]
        content = {"format": "d3s-annotations", "version": 2, "campaign": "bench", "worker": worker, "votes": votes}
        (folder / f"{worker}.json").write_text(json.dumps(content))

    def seconds(work: Callable[[], object]) -> float:
        started = time.monotonic()
        work()
        return time.monotonic() - started

    read = read_votes(list(folder.glob("*.json")), recipes, "bench", secret)
    yield figure("votes of the benchmark that count", len(read.table), "votes")
    took = seconds(lambda: read_votes(list(folder.glob("*.json")), recipes, "bench", secret))
    yield figure("reading and checking 100,000 votes", took, "s")
    took = seconds(lambda: (judge_workers(read, 0.7, 4), measure_agreement(read.table, 0)))
    yield figure("judging their people and measuring agreement", took, "s")
    for rule in RULES:
        took = seconds(lambda rule=rule: decide(read.table, rule, 5))  # type: ignore[misc]
        yield figure(f"deciding by {rule}", took, "s")
    simulated, truth = simulate_votes(2_000, people=40, seed=0)
    for rule in RULES:
        share = 100 * right_decisions(simulated, truth, rule)
        yield figure(f"right decisions on 2,000 simulated images by {rule}", share, "%")


def annotation_page(folder: Path) -> Iterator[Figure]:
    """How quick a page of 500 pictures of 512 px is in headless Chromium."""
    from PIL import Image

    from browsing import headless_browser
    from d3s.annotation.page import data_address, render_page
    from d3s.annotation.pictures import shown_picture

    rng = np.random.default_rng(0)
    items = []
    for number in range(500):
        small = Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8))
        picture = data_address(shown_picture(small.resize((512, 512), Image.Resampling.BICUBIC), 512))
        items.append({"item": f"i{number}", "key": "k", "class": "0", "background": "sea", "picture": picture})
    classes = {0: {"label": "ball", "definition": "a round thing", "examples": []}}
    page_file = folder / "page.html"
    page_file.write_text(render_page("bench", 1, items, classes, {"sea": "at sea"}), encoding="utf-8")
    yield figure("a page of 500 pictures", page_file.stat().st_size / 1e6, "MB")
    with headless_browser() as browser:
        page = browser.new_page()
        started = time.monotonic()
        page.goto(page_file.as_uri())
        page.keyboard.type("Ann")
        page.keyboard.press("Enter")
        page.wait_for_function("document.getElementById('picture').naturalWidth > 0")
        yield figure("from opening it to its first picture", time.monotonic() - started, "s")
        times = page.evaluate(
            """async () => {
                const times = [];
                for (let number = 0; number < 499; number++) {
                    const started = performance.now();
                    for (const key of ["y", "n", "y"]) document.dispatchEvent(new KeyboardEvent("keydown", {key}));
                    await document.getElementById("picture").decode();
                    times.push(performance.now() - started);
                }
                return times;
            }"""
        )
    yield figure("from a last answer to the next picture, median", statistics.median(times), "ms")
    yield figure("from a last answer to the next picture, slowest", max(times), "ms")
