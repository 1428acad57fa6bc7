#!/bin/sh
# Stands in for wrangler in the tests of `cargo xtask deploy`: notes what it was asked, keeps an account in the folder $ACCOUNT, and
# answers what wrangler 4.164 prints. A file `fails` there names commands that fail with the words in it.
echo "$*" >> "$ACCOUNT/log"
if [ -f "$ACCOUNT/fails" ] && [ "$(head -n 1 "$ACCOUNT/fails")" = "$*" ]; then
  tail -n +2 "$ACCOUNT/fails" >&2
  exit 1
fi
has() { [ -f "$ACCOUNT/$1" ] && grep -qx "$2" "$ACCOUNT/$1"; }
# The lines of a file as a JSON list of objects with a name.
listed() { sed 's/.*/{"name":"&","type":"x"}/' "$ACCOUNT/$1" 2>/dev/null | paste -sd, - | sed 's/.*/[&]/'; }
case "$*" in
  "whoami --json") [ -f "$ACCOUNT/logged-out" ] && { echo '{"loggedIn":false}'; exit 1; }; echo '{"loggedIn":true}' ;;
  "queues info "*) has queues "$3" || { echo "X [ERROR] Queue \"$3\" does not exist. To create it, run: wrangler queues create $3" >&2; exit 1; } ;;
  "queues create "*) echo "$3" >> "$ACCOUNT/queues" ;;
  "d1 list --json") [ -f "$ACCOUNT/databases" ] && listed databases || echo "[]" ;;
  "d1 create "*) echo "$3" >> "$ACCOUNT/databases" ;;
  "secret list --format json")
    [ -f "$ACCOUNT/worker" ] || { printf 'X [ERROR] Worker "selgeo" not found.\n\nIf this is a new Worker, run `wrangler deploy` first to create it.\n' >&2; exit 1; }
    [ -f "$ACCOUNT/secrets" ] && listed secrets || echo "[]" ;;
  "secret bulk") touch "$ACCOUNT/worker"; tee "$ACCOUNT/bulk" | tr ',' '\n' | sed 's/.*"\([A-Z_]*\)":.*/\1/' >> "$ACCOUNT/secrets" ;;
  "d1 migrations apply "*" --remote") ;;
  "deploy") touch "$ACCOUNT/worker"; echo "{\"type\":\"deploy\",\"version\":1,\"targets\":[\"$ANSWERS_AT\",\"schedule: * * * * *\"]}" > "$WRANGLER_OUTPUT_FILE_PATH" ;;
  *) echo "the fake knows no wrangler $*" >&2; exit 2 ;;
esac
