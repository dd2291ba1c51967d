#!/usr/bin/env bash
# Verifies one Waybill receipt with nothing but bash, coreutils, awk and openssl,
# as spec/receipt.md describes. Nothing is fetched and nothing is written outside of
# a temporary folder.
#
#   verify.sh RECEIPT.tlog-proof VKEY-FILE [OUTPUT-NAME FILE]
#
# With OUTPUT-NAME and FILE it also checks that FILE is that subject of the receipt.
# Exit code: 0 all of it holds, 1 a link is broken (named on standard error), 2 usage.
set -euo pipefail

[ $# -eq 2 ] || [ $# -eq 4 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
receipt=$1 vkey=$(cat "$2")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

broken() { echo "$receipt: $1: $2" >&2; exit 1; }
tohex() { od -An -v -tx1 | tr -d ' \n'; }
tobin() { local h; read -r h; printf "$(sed 's/../\\x&/g' <<<"$h")"; }
sha() { sha256sum | cut -d' ' -f1; }
node() { tobin <<<"01$1$2" | sha; } # RFC 6962: H(0x01 || left || right)

# The receipt: header, statement, index, path, empty line, checkpoint.
[ "$(head -n 1 "$receipt")" = c2sp.org/tlog-proof@v1 ] || broken proof "not a tlog-proof"
awk '/^$/ { exit } { print }' "$receipt" >"$dir/head"
awk 'found { print } /^$/ && !found { found = 1 }' "$receipt" >"$dir/checkpoint"
sed -n '2s/^extra //p' "$dir/head" | base64 -d >"$dir/statement" || broken statement "not base64"
index=$(sed -n 's/^index \([0-9][0-9]*\)$/\1/p' "$dir/head")
origin=$(sed -n 1p "$dir/checkpoint")
size=$(sed -n 2p "$dir/checkpoint")
root=$(sed -n 3p "$dir/checkpoint" | base64 -d | tohex)
[ -n "$index" ] && [ "$index" -lt "$size" ] || broken inclusion "index $index is outside of a log of $size entries"

# Inclusion: from the statement up to the root (RFC 9162, section 2.1.3.2).
h=$({ printf '\000'; cat "$dir/statement"; } | sha) # H(0x00 || entry)
fn=$index sn=$((size - 1))
for line in $(sed -e 1d -e '/^extra /d' -e '/^index /d' "$dir/head"); do
	p=$(base64 -d <<<"$line" | tohex)
	[ "$sn" -gt 0 ] || broken inclusion "the path is too long"
	if ((fn % 2 == 1 || fn == sn)); then
		h=$(node "$p" "$h")
		while ((fn % 2 == 0 && fn != 0)); do fn=$((fn / 2)) sn=$((sn / 2)); done
	else
		h=$(node "$h" "$p")
	fi
	fn=$((fn / 2)) sn=$((sn / 2))
done
[ "$sn" -eq 0 ] && [ "$h" = "$root" ] || broken inclusion "the path leads to $h, the checkpoint says $root"

# Signature: Ed25519 over the first three lines of the checkpoint, under the key of
# this origin (C2SP signed-note). DER needs twelve bytes before the raw key.
[ "${vkey%%+*}" = "$origin" ] || broken signature "the key is for ${vkey%%+*}, the log is $origin"
{ echo 302a300506032b6570032100 | tobin; cut -d+ -f3- <<<"$vkey" | base64 -d | tail -c +2; } >"$dir/key.der"
head -n 3 "$dir/checkpoint" >"$dir/body"
awk -v name="$origin" '$1 == "—" && $2 == name { print $3; exit }' "$dir/checkpoint" | base64 -d | tail -c +5 >"$dir/signature"
openssl pkeyutl -verify -pubin -keyform DER -inkey "$dir/key.der" -rawin -in "$dir/body" -sigfile "$dir/signature" >/dev/null 2>&1 ||
	broken signature "the checkpoint is not signed by this key"

# An output: its digest stands in the statement, which is canonical JSON on one line.
if [ $# -eq 4 ]; then
	digest=$(sha <"$4")
	tr '{' '\n' <"$dir/statement" | awk -v d="$digest" -v n="\"name\":\"$3\"" '
		index($0, "\"sha256\":\"" d "\"") { hit = 1 }
		hit && index($0, n) { found = 1; exit }
		index($0, "\"name\":") { hit = 0 }
		END { exit !found }' || broken object "$4 ($digest) is not the output $3 of this receipt"
fi
echo "$receipt: OK: entry $index of $size in $origin"
