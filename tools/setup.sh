# Sourced by the tools: set_up "extra,extra" makes .venv in the checkout, if need be, installs
# this package there with those extras, and leaves its interpreter in $PYTHON.
set_up() {
    PYTHON=.venv/bin/python
    [ -x "$PYTHON" ] || make_environment
    # what is installed is written down, so that a second run starts at once
    stamp=.venv/installed
    wanted="$1 $(cksum < pyproject.toml)"
    if ! grep -qxF "$wanted" "$stamp" 2>/dev/null; then
        echo "installing tinygrad_rnn[$1] into .venv" >&2
        "$PYTHON" -m pip install --quiet --disable-pip-version-check --editable ".[$1]"
        echo "$wanted" >> "$stamp"
    fi
}

make_environment() {
    for candidate in python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
            2>/dev/null; then
            echo "setting up .venv with $candidate" >&2
            "$candidate" -m venv .venv
            return
        fi
    done
    echo "needs Python 3.11, 3.12 or 3.13 with the venv module, found none" >&2
    exit 1
}
