"""Medians, per-round ratios with their spread, and what became of each promise."""
import statistics

# Share of the time that a proxy may wait for its core before a scenario is no result.
CROWDED_MAX = 0.1


def best_of(bars, values, at):
    return min(values[name][at].figure for name in bars)


def ratios(scenario, values):
    """For each round the gateway's figure over the bar's; the figure itself where the promise is absolute."""
    own = values["gatepost"]
    if not scenario.bars:
        return [value.figure for value in own]
    return [own[at].figure / best_of(scenario.bars, values, at) for at in range(len(own))]


def verdict(scenario, values):
    """A promise counts as kept only when every round kept it, and nothing where others had the core meanwhile."""
    per_round = ratios(scenario, values)
    crowded = max(statistics.median(one.crowded for one in rounds) for rounds in values.values())
    if crowded > CROWDED_MAX:
        return f"no result: others had the core {crowded:.0%} of the time"
    if max(per_round) <= scenario.target:
        return "met"
    if min(per_round) > scenario.target:
        return "missed"
    return "within the spread"


def spread(values, form):
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def lines_of(scenario, values):
    """What is printed after a scenario."""
    for name, rounds in values.items():
        median = {
            part: statistics.median(getattr(one, part) for one in rounds)
            for part in ("rate", "p50", "p99", "busy", "crowded", "machine")}
        further = ""
        if median["busy"]:
            further = (f"; {median['rate']:,.0f}/s, core busy {median['busy']:.0%}, kept waiting "
                       f"{median['crowded']:.0%}, whole machine {median['machine']:.1f} µs")
        if median["p50"]:
            further += f"; p50 {median['p50']:.2f} ms, p99 {median['p99']:.2f} ms"
        figure = spread([one.figure for one in rounds], ".2f" if rounds[0].figure < 10 else ".1f")
        yield f"  {name:18} {figure} {scenario.unit}{further}"
    per_round = ratios(scenario, values)
    yield "  ratios of the rounds: " + " ".join(f"{ratio:.2f}" for ratio in per_round)
    against = f"over {' / '.join(scenario.bars)}" if scenario.bars else f"{scenario.unit}, absolute"
    yield (f"  => {spread(per_round, '.2f')} {against}; promised {scenario.target:g}: "
           f"{verdict(scenario, values)}")


def row(scenario, values):
    """One row of README.md's table."""
    per_round = ratios(scenario, values)
    bar = " / ".join(scenario.bars) or "absolute"
    own = spread([one.figure for one in values["gatepost"]], ".2f")
    others = ", ".join(
        f"{name} {statistics.median(one.figure for one in rounds):.2f}"
        for name, rounds in values.items() if name != "gatepost")
    machine = ", ".join(
        f"{name} {statistics.median(one.machine for one in values[name]):.1f}"
        for name in ("gatepost", *scenario.bars) if values[name][0].machine)
    return (f"| {scenario.title} | {bar} | **{spread(per_round, '.2f')}** | {scenario.target:g} | "
            f"{verdict(scenario, values)} | {own} {scenario.unit} | {others} | {machine} |")


HEAD = ("| scenario | against | ratio (rounds) | promise | | Gatepost | others, median | whole machine, µs |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |")


def last_line(scenario, values):
    return f"{scenario.name} gatepost/nginx-plain cpu {statistics.median(ratios(scenario, values)):.2f}"
