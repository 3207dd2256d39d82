# SPDX-License-Identifier: Apache-2.0
# portolan.bash - completion of portolan's commands, options and published names in bash

# Only a server that runs already is asked: completing starts none.
_portolan_has_server()
{
        local socket=${PORTOLAN_SOCKET:-/run/portolan/portolan.sock}
        [ -S "$socket" ] || socket=${XDG_RUNTIME_DIR:-/nowhere}/portolan/portolan.sock
        [ -S "$socket" ] || socket=/tmp/portolan-$EUID/portolan.sock
        [ -S "$socket" ]
}

# Processes that use the server.
_portolan_pids()
{
        _portolan_has_server || return
        portolan ls tasks --json 2>/dev/null | sed -n 's/^{"pid":\([0-9]*\),.*/\1/p'
}

# Names that are published.
_portolan_names()
{
        _portolan_has_server || return
        portolan ls names --json 2>/dev/null |
                sed -n 's/^{"name":"\([^"\\]*\)","is":"port".*/\1/p'
}

_portolan_options()
{
        case $1 in
        tour) echo --quick --json ;;
        send) echo --lines --kind --wait --leave ;;
        receive) echo --count --timeout --limit --hex --raw --json ;;
        call) echo --timeout --kind --raw --json ;;
        ls | ports) echo --json ;;
        doctor) echo --json ;;
        trace) echo --to --for ;;
        bench) portolan bench --help 2>/dev/null | grep -o -- '--[a-z][a-z-]*' | sort -u ;;
        esac
        echo --help
}

_portolan()
{
        local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
        local command=${COMP_WORDS[1]} IFS=$' \t\n'
        COMPREPLY=()

        if [ "$COMP_CWORD" -eq 1 ]; then
                COMPREPLY=($(compgen -W 'tour send receive call echo ls ports doctor trace bench help
                        --help --version' -- "$word"))
                return
        fi
        case $before in
        --kind | --count | --limit) return ;;
        --wait | --timeout | --for)
                COMPREPLY=($(compgen -W 'forever' -- "$word"))
                return
                ;;
        --to)
                COMPREPLY=($(compgen -f -- "$word"))
                return
                ;;
        esac
        if [[ $word == -* ]]; then
                COMPREPLY=($(compgen -W "$(_portolan_options "$command")" -- "$word"))
                return
        fi
        case $command:$COMP_CWORD in
        send:2 | call:2) COMPREPLY=($(compgen -W "$(_portolan_names)" -- "$word")) ;;
        ls:*) COMPREPLY=($(compgen -W 'names tasks links' -- "$word")) ;;
        ports:2) COMPREPLY=($(compgen -W "$(_portolan_pids)" -- "$word")) ;;
        help:2)
                COMPREPLY=($(compgen -W 'tour send receive call echo ls ports doctor trace bench' -- "$word"))
                ;;
        trace:2) COMPREPLY=($(compgen -c -- "$word")) ;;
        esac
}

complete -o default -F _portolan portolan
