import os
from pathlib import Path

import pandas as pd

from d3s.benchmarks import busy_seconds, read_benchmarks, stages


def test_parallel_jobs_and_pauses_are_not_counted_twice() -> None:
    jobs = pd.DataFrame({"seconds": [10.0, 10.0, 5.0], "end": [110.0, 115.0, 9000.0]})
    assert busy_seconds(jobs) == 20.0


def test_benchmarks_are_read_from_files_and_folders(tmp_path: Path) -> None:
    for name, seconds in (("a/val/0.tsv", 3), ("a/train/0.tsv", 4), ("fit_probes.tsv", 5), ("broken.tsv", None)):
        path = tmp_path / "benchmarks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if seconds is None else f"s\tmax_rss\n{seconds}\t-\n")
        os.utime(path, (1000, 1000))
    jobs = read_benchmarks([tmp_path / "benchmarks"])
    assert jobs.groupby("rule")["seconds"].sum().to_dict() == {"a": 7.0, "fit_probes": 5.0}
    table = stages(jobs).set_index("rule")
    assert table.index.tolist() == ["fit_probes", "a"]
    assert table.loc["a", "busy"] == 4.0
    alone = read_benchmarks([tmp_path / "benchmarks" / "a" / "val" / "0.tsv"])
    assert alone["rule"].tolist() == ["a"]
