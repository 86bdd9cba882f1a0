"""The figures as README shows them."""

from typing import Any


def markdown(found: dict[str, Any]) -> str:
    """Return the table, what was aimed at, and where it was measured."""
    lines = [
        "| at once | tokens/s | of `generate` one by one | of a static batch | of its continuous batching | first token, p50 / p99 | a token, p50 / p99 |",
        "|---" * 7 + "|",
    ]
    lines += [
        f"| {row['concurrency']} | {row['tokens_per_second']:.0f} | x {row['ratio_sequential']:.2f} "
        f"| x {row['ratio_static']:.2f} | x {row['ratio_continuous']:.2f} | {row['ttft_p50']:.2f} / {row['ttft_p99']:.2f} s "
        f"| {1000 * row['token_seconds_p50']:.0f} / {1000 * row['token_seconds_p99']:.0f} ms |"
        for row in found["rows"]
    ]
    flips, most = found["flips"], found["memory"][-1]
    http = found["http"]["tokens_per_second"]
    added = found["http"]["added_milliseconds_p50"]
    lines += [
        "",
        (
            f"With 8 at once: {http['engine']:.0f} tokens/s inside the process, {http['engine_http']:.0f} at the engine's "
            f"door, {http['api']:.0f} through the API; a call takes {added['engine_http']:.1f} ms more at the door and "
            f"{added['api']:.1f} ms more through the API. {flips['count']} flips and {flips['rollbacks']} rollbacks under 8 "
            f"callers: of {flips['answers']} answers {flips['failed']} failed and {flips['mixed']} mixed versions, p99 was "
            f"{flips['p99_ratio']:.2f} times that without; a new version answered after {flips['live_seconds']:.2f} s. "
            f"{most['versions']} live versions take {most['unique_ratio']:.2f} times the base's memory (bound "
            f"{most['bound']:.2f})."
        ),
        "",
        f"{found['processor'] or found['device']}, {found['threads']} threads, torch {found['torch']}, SmolLM2-135M in "
        f"float32, {found['settings']['max_tokens']} tokens an answer, medians of {found['settings']['rounds']} "
        f"interleaved rounds, revision `{found['revision']}`."
        + ("" if found["idle"] else f" The machine was not idle (load {found['load_before']})."),
    ]
    return "\n".join(lines)
