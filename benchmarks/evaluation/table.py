"""The figures as README shows them."""

from typing import Any, Final

AIM: Final = 1 / 3


def markdown(found: dict[str, Any]) -> str:
    """Return the seconds of each task, of all together, and how they were measured."""
    lines = ["| task | rows | generated anew | scored | ratio |", "|---" * 5 + "|"]
    lines += [_line(row["task"], row, row["ratio"]) for row in found["tasks"]]
    sums = {name: sum(row[name] for row in found["tasks"]) for name in ("rows", "generated_seconds", "scored_seconds")}
    lines.append(_line("**all**", sums, found["ratio"]))
    low, high = found["ratio_95"]
    settings = found["settings"]
    lines += [
        "",
        (
            f"{found['ratio']:.2f} of the time ({low:.2f} to {high:.2f}; aimed at: a third at most); both say the same of "
            f"{found['agree_on']} of {found['rows']} rows. An answer took {max(row['longest_answer'] for row in found['tasks'])} "
            f"tokens at most, of {settings['target_tokens']} that it might. Pairs of version and task that are known from "
            "earlier jobs are not scored again; that is not counted here."
        ),
        "",
        f"{found['processor'] or found['device']}, {found['threads']} threads, torch {found['torch']}, SmolLM2-135M in "
        f"float32, order `{settings['order']}`, prompts of up to {settings['source_tokens']} tokens, "
        f"{settings['batch_rows']} at once, medians of {settings['rounds']} interleaved rounds, revision "
        f"`{found['revision']}`."
        + ("" if found["idle"] else f" The machine was not idle (load {found['load_before']})."),
    ]
    return "\n".join(lines)


def _line(name: str, row: dict[str, Any], ratio: float) -> str:
    return (
        f"| {name} | {row['rows']} | {row['generated_seconds']:.1f} s | {row['scored_seconds']:.1f} s | {ratio:.2f} |"
    )
