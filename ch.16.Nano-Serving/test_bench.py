"""The bench: its workloads, its clock, its figures and its command."""

import json
import pathlib
import sys
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters

from ch16_testing import engine, require_all_back
from nano_engine import __main__ as command_line
from nano_engine import cli_bench
from nano_engine.bench import cases, open_loop, report, workloads
from nano_engine.bench.workloads import Arrival

SIZES = {"vocab_size": 300, "max_seq_len": 40}


@pytest.mark.parametrize("name", workloads.WORKLOADS)
def test_workloads_are_the_same_for_a_seed_and_fit_the_model(name):
    make = workloads.WORKLOADS[name]
    arrivals = make(30, 5.0, vocab_size=300, max_seq_len=1024, seed=3)
    assert arrivals == make(30, 5.0, vocab_size=300, max_seq_len=1024, seed=3) != make(30, 5.0, 300, 1024, 4)
    assert len(arrivals) == 30
    assert all(len(a.prompt_tokens) + a.max_tokens <= 1024 for a in arrivals)
    assert all(a.follows is None or a.follows < i for i, a in enumerate(arrivals))


def test_arrivals_are_as_frequent_as_asked():
    times = workloads.poisson_times(4000, 8.0, np.random.default_rng(0))
    gaps = np.diff(times)
    assert abs(gaps.mean() * 8 - 1) < 0.05 and abs(gaps.std() / gaps.mean() - 1) < 0.05
    assert workloads.poisson_times(3, 0, None) == [0, 0, 0]


def test_a_trace_is_replayed_and_its_mistakes_are_named(tmp_path):
    file = tmp_path / "trace.jsonl"
    file.write_text(
        '{"time_s": 0.5, "prompt_tokens": 3, "max_tokens": 2}\n'
        '{"time_s": 0.25, "prompt_tokens": [5, 6], "max_tokens": 4}\n'
    )
    later, earlier = workloads.trace(str(file), **SIZES)[::-1]
    assert (earlier.time_s, earlier.prompt_tokens, earlier.max_tokens) == (0.25, (5, 6), 4)
    assert (later.time_s, len(later.prompt_tokens), later.max_tokens) == (0.5, 3, 2)
    for text, sentence in (
        ('{"time_s": 1, "prompt_tokens": 3}', "line 1: KeyError: 'max_tokens'"),
        ('{"time_s": 1, "prompt_tokens": 39, "max_tokens": 2}', r"39 \+ 2 tokens; the model has room for 40"),
        ("nonsense", "line 1: JSONDecodeError"),
        ("", "holds no arrivals"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=sentence):
            workloads.trace(str(file), **SIZES)


def test_the_loop_asks_when_it_is_time_and_not_when_it_is_convenient():
    served = engine("hash", max_batch_size=1)
    arrivals = [Arrival(0.0, (1, 2), 5), Arrival(0.02, (3,), 5), Arrival(0.02, (4,), 3)]
    arrivals.append(Arrival(0.03, (9,), 2, follows=1))
    outcomes = open_loop.run(served, arrivals)
    for outcome in outcomes:
        assert len(outcome.token_s) == outcome.arrival.max_tokens == len(outcome.request.output_tokens)
        assert outcome.due_s <= outcome.asked_s < outcome.token_s[0]
        assert outcome.token_s == sorted(outcome.token_s)
    turn, before = outcomes[3], outcomes[1]
    assert turn.request.prompt_tokens == before.request.prompt_tokens + before.request.output_tokens + [9]
    assert turn.due_s >= before.token_s[-1] + 0.03
    open_loop.check_answers(engine("hash"), outcomes)
    outcomes[2].request.output_tokens[1] += 1
    with pytest.raises(RuntimeError, match="request 2 has"):
        open_loop.check_answers(engine("hash"), outcomes)
    require_all_back(served)


def test_figures_are_what_they_are_called():
    served = engine("hash")
    outcomes = open_loop.run(served, [Arrival(0.0, (1, 2, 3, 4, 5), 3), Arrival(0.0, (1,), 1)])
    for outcome, times in zip(outcomes, ([0.25, 0.5, 0.75], [2.0])):
        outcome.token_s, outcome.due_s, outcome.asked_s = times, 0.0, 0.125
    limits = report.Limits(first_token_s=1.0, per_token_s=0.3)
    summary = report.summarize(outcomes, served.get_stats(), limits)
    assert (summary["seconds"], summary["tokens_per_s"]) == (2.0, 2.0)
    assert (summary["requests_per_s"], summary["goodput_per_s"]) == (1.0, 0.5)
    assert summary["first_token_ms"]["p50"] == 1125 and summary["between_tokens_ms"]["p99"] == 250
    assert summary["per_token_ms"]["p50"] == 250 and summary["lateness_ms"]["p99"] == 125
    assert summary["num_failed"] == 0 and summary["cached_prompt_part"] == 0


def test_the_cases_switch_off_what_they_say():
    options = cases.cases(40)
    assert list(options)[0] == "all on" and options["no batching"] == {"max_batch_size": 1}
    for changed in options.values():
        served = engine("hash", **changed)
        served.generate([[1, 2, 3, 4, 5, 6, 7, 8, 9]] * 2)
        assert bool(served.get_stats()["num_cached_pages"]) == changed.get("enable_prefix_cache", True)


def test_the_command_prints_a_table_and_writes_json_and_a_plot(monkeypatch, tmp_path, capsys):
    from ch16_testing import model, weights

    monkeypatch.setattr(cli_bench, "load", lambda path, cache_dir: (weights(), model("compiled", 16)))
    files = {name: tmp_path / name for name in ("out.json", "out.png")}
    arguments = ["bench", "--num", "6", "--json", str(files["out.json"]), "--plot", str(files["out.png"])]
    assert command_line.main([*arguments, "--workload", "shared-prefix", "--workload", "chat"]) == 2
    assert "the model reads at most 40" in capsys.readouterr().err
    arguments += ["--workload", "shared-prefix", "--rate", "200", "--case", "all on", "--case", "none"]
    short = lambda *_, **__: [Arrival(0.0, (1, 2, 3) * 6, 4)] * 6  # noqa: E731
    monkeypatch.setitem(workloads.WORKLOADS, "shared-prefix", short)
    assert command_line.main(arguments) == 0
    out = capsys.readouterr().out
    assert "shared-prefix, 6 requests, 200 a second" in out and "| all on |" in out and "| none |" in out
    results = json.loads(files["out.json"].read_text())
    assert results["workloads"]["shared-prefix"]["all on"]["num_requests"] == 6
    assert files["out.png"].read_bytes().startswith(b"\x89PNG")
    assert command_line.main(["bench", "--case", "nosuch"]) == 2
    assert "--case must be one of all on, no prefix cache" in capsys.readouterr().err


@pytest.fixture
def peers(monkeypatch):
    monkeypatch.syspath_prepend(str(chapters.ROOT / "bench"))
    import serving_peers

    return serving_peers


def test_the_bench_of_peers_compares_what_it_says(peers):
    assert peers.agreement([[1, 2, 3], [4]], [[1, 2, 9], [4]]) == 3 / 4, "up to the first difference"
    assert peers.agreement([[1, 2]], [[3, 2]]) == 0
    args = types.SimpleNamespace(slots=4, num_tokens=20)
    prompts, nums = peers.workload("alike", args, 50, seed=1)
    assert [len(p) for p in prompts] == [32] * 4 and nums == [20] * 4
    prompts, nums = peers.workload("mixed", args, 50, seed=1)
    assert len(prompts) == len(nums) == 8 and len(set(map(len, prompts))) > 1
    assert all(0 < token < 50 for prompt in prompts for token in prompt)
    assert prompts != peers.workload("mixed", args, 50, seed=2)[0], (
        "no prefix cache finds them in another round"
    )


@pytest.mark.parametrize(
    "rates, alike, complaint",
    [
        ({"ours": 13.1, "llama.cpp": 10.0}, {"llama.cpp": 0.95}, ""),
        (
            {"ours": 12.9, "llama.cpp": 10.0},
            {"llama.cpp": 0.95},
            "ours makes 1.29 times the tokens of llama.cpp",
        ),
        (
            {"ours": 20.0, "llama.cpp": 10.0},
            {"llama.cpp": 0.85},
            "85.0% of llama.cpp's greedy tokens are ours",
        ),
        (
            {"ours": 20.0, "ours, over HTTP": 12.0, "llama.cpp server": 10.0},
            {"llama.cpp server": 1.0},
            "ours, over HTTP makes 1.20 times the tokens of llama.cpp server, expected at least 1.3",
        ),
    ],
)
def test_the_bench_of_peers_fails_below_its_floors(peers, capsys, rates, alike, complaint):
    args = types.SimpleNamespace(workloads=["alike"], floor=1.3, dtype="float32")
    assert peers.report(args, list(rates), {"alike": rates}, alike) == (not complaint)
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ([], "the following arguments are required: --peers"),
        (["--peers", "/no/such/python"], "--peers /no/such/python is no program"),
        (["--peers", sys.executable, "--engines", "llama.cpp"], '--engines must hold "ours"'),
        (["--peers", sys.executable, "--num-tokens", "65"], "--num-tokens be 1 to 64"),
    ],
)
def test_the_bench_of_peers_refuses_what_it_cannot_do(peers, monkeypatch, capsys, arguments, sentence):
    monkeypatch.setattr(sys, "argv", ["serving_peers.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        peers.main()
    assert sentence in capsys.readouterr().err


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
