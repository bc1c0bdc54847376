"""`completion`: scripts for shells, and what they ask for while somebody types; prints, no more.

The scripts call this program with a variable set, as click's do. What is offered for a parameter
stands in one table here, so that commands need not know of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from runner.catalogue import Catalogue
from runner.errors import RunnerError

if TYPE_CHECKING:
    _Kind = click.ParamType[Any]
else:  # click 8.1 has no types of values
    _Kind = click.ParamType

PROGRAM = "keitaro-runner"
VARIABLE = "_KEITARO_RUNNER_COMPLETE"

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' line type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            plain)
                COMPREPLY+=("$value")
                [[ $value == *[=.] ]] && compopt -o nospace
                ;;
            playbook)
                compopt -o filenames
                COMPREPLY+=($(compgen -d -- "$value"))
                COMPREPLY+=($(compgen -f -X '!*.yaml' -- "$value"))
                COMPREPLY+=($(compgen -f -X '!*.yml' -- "$value"))
                ;;
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
        esac
    done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \
%(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local type value help
    local -a response
    (( ! $+commands[%(prog_name)s] )) && return 1
    response=("${(@f)$(env COMP_WORDS="${(j:\n:)words}" COMP_CWORD=$((CURRENT-1)) \
%(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null)}")
    for type value help in ${response}; do
        case $type in
            plain)
                if [[ $value == *[=.] ]]; then
                    compadd -S '' -- "$value"
                else
                    compadd -- "$value"
                fi
                ;;
            playbook) _path_files -g '*.(yaml|yml)'; _path_files -/ ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
        esac
    done
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """\
function %(complete_func)s
    for line in (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \
COMP_CWORD=(commandline -t) %(prog_name)s 2>/dev/null)
        set -l parts (string split -m 1 "," $line)
        switch $parts[1]
            case plain
                echo $parts[2]
            case playbook
                __fish_complete_suffix .yaml .yml
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes words in SHELL.

    \b
    bash:  eval "$(keitaro-runner completion bash)"     in ~/.bashrc
    zsh:   eval "$(keitaro-runner completion zsh)"      in ~/.zshrc, after compinit
    fish:  keitaro-runner completion fish | source      in ~/.config/fish/config.fish
    """  # noqa: D301  (click wants the character itself: it keeps the lines apart)
    group = click.get_current_context().find_root().command
    # The base class's: bash's own starts a bash to ask for its version.
    click.echo(ShellComplete.source(_CLASSES[shell](group, {}, PROGRAM, VARIABLE)))


# -- what is offered --------------------------------------------------------------------------

Offer = Callable[[Mapping[str, Any]], Iterable[str]]


class _Offered(_Kind):
    """The values that a parameter can take, offered while it is typed; converts nothing."""

    name = "offered"

    def __init__(self, offer: Offer) -> None:
        self._offer = offer

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        try:
            values = list(self._offer({**ctx.params, "": incomplete}))
        except (RunnerError, OSError, ValueError):
            return []
        return [CompletionItem(value) for value in values if value.startswith(incomplete)]


class _Playbooks(_Kind):
    """Playbook files, which the shell itself finds."""

    name = "playbook"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="playbook")]


def _topics(given: Mapping[str, Any]) -> Iterable[str]:
    from runner.cli.topics import names  # noqa: PLC0415

    catalogue = Catalogue()
    resource, dot, _ = given[""].partition(".")
    found = catalogue.resource(resource) if dot else None
    if found is not None:
        return [f"{resource}.{name}" for name in found.operations]
    return names(catalogue)


def _steps(given: Mapping[str, Any]) -> Iterable[str]:
    """The names of the steps, those in blocks with the block's before them."""
    from runner.playbook import read  # noqa: PLC0415

    playbook = given.get("playbook")
    data = read(playbook).data if playbook and playbook != "-" else None
    for key in ("steps", "finally"):
        yield from _named(data.get(key) if isinstance(data, dict) else None, "")


def _named(steps: Any, outer: str) -> Iterable[str]:
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict) and isinstance(step.get("name"), str):
            yield outer + step["name"]
            yield from _named(step.get("steps"), f"{outer}{step['name']}.")


def _doubts(given: Mapping[str, Any]) -> Iterable[str]:
    step, equals, _ = given[""].partition("=")
    if equals:
        return [f"{step}={word}" for word in ("done", "retry", "id:")]
    return [f"{name}=" for name in _steps(given)]


def _trackers(given: Mapping[str, Any]) -> Iterable[str]:
    from runner.trackers import Trackers  # noqa: PLC0415

    file = given.get("trackers_file")
    return Trackers(Path(file) if file else None, os.environ).names


def _runs(given: Mapping[str, Any]) -> Iterable[str]:
    from runner.journal.store import Store, state_folder  # noqa: PLC0415

    playbook = given.get("playbook")
    path = Path(playbook) if playbook and playbook != "-" else None
    folder = state_folder(path, given.get("state_dir"), os.environ)
    return [state.id for state in Store(folder).states()]


# By command and by the parameter's name in Python.
_OFFERED: Mapping[tuple[str, str], _Kind] = {
    ("explain", "topic"): _Offered(_topics),
    ("run", "playbook"): _Playbooks(),
    ("run", "yes"): _Offered(_steps),
    ("run", "in_doubt"): _Offered(_doubts),
    ("run", "tracker"): _Offered(_trackers),
    ("run", "resume"): _Offered(_runs),
    ("validate", "playbooks"): _Playbooks(),
    ("validate", "tracker"): _Offered(_trackers),
    ("doctor", "tracker"): _Offered(_trackers),
}


def prepare(group: click.Group) -> None:
    """Have click answer the scripts with what stands here; for a process that only does that."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        for param in found.params if found else ():
            offered = _OFFERED.get((name, param.name or ""))
            if offered is not None:
                param.type = offered
    for kind in _CLASSES.values():
        add_completion_class(kind)


# -- the shells -------------------------------------------------------------------------------


class _Bash(BashComplete):
    """Bash takes `--yes=cam` for three words, and wants only the last of them completed."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        *before, last = _joined([*args, incomplete])
        return before, last

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        found = _asked(self, args, incomplete)
        typed = incomplete.partition("=")[2] if incomplete.startswith("-") else incomplete
        skip = typed.rfind("=") + 1
        return [CompletionItem(item.value[skip:], type=item.type) for item in found]


def _joined(words: list[str]) -> list[str]:
    """Words with those around a lone `=` made one again."""
    joined: list[str] = []
    for word in words:
        if joined and (word == "=" or joined[-1].endswith("=")):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _asked(shell: ShellComplete, args: list[str], incomplete: str) -> list[CompletionItem]:
    """What click offers; nothing after a command that there is not."""
    try:
        return ShellComplete.get_completions(shell, *_attached(shell.cli, args, incomplete))
    except click.UsageError:
        return []


def _attached(cli: click.Command, args: list[str], incomplete: str) -> tuple[list[str], str]:
    """The words with an option before the last one attached to it: `--tracker=ma`.

    click forgets a command's arguments where an option at the end lacks its value. An option whose
    value is optional takes none from the next word.
    """
    if len(args) < 2 or not args[-1].startswith("--") or not isinstance(cli, click.Group):
        return args, incomplete
    found = cli.get_command(click.Context(cli), args[0])
    for param in found.params if found else ():
        if isinstance(param, click.Option) and args[-1] in param.opts and not param.is_flag:
            if (param.metavar or "").startswith("["):
                return args[:-1], incomplete
            return args[:-1], f"{args[-1]}={incomplete}"
    return args, incomplete


def _whole(items: list[CompletionItem], incomplete: str) -> list[CompletionItem]:
    """The items with `--option=` before them, where that is part of the word."""
    option, equals, _ = incomplete.partition("=")
    if not (equals and option.startswith("-")):
        return items
    return [
        CompletionItem(item.value if item.type != "plain" else f"{option}={item.value}", item.type)
        for item in items
    ]


class _Zsh(ZshComplete):
    source_template = _ZSH

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        return _whole(_asked(self, args, incomplete), incomplete)


class _Fish(FishComplete):
    source_template = _FISH

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        return _whole(_asked(self, args, incomplete), incomplete)


_CLASSES: Mapping[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}
