package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"agentctl/handler/target"
)

// "check -presets" lists all presets, and in JSON with the keys of a target.
func TestCheckPresets(t *testing.T) {
	out, _, status := check(t, "-presets")
	if status != 0 {
		t.Fatalf("exit status %d", status)
	}
	for _, want := range []string{
		"kong-cache: ", "\n  sends   DELETE /cache/{{.key}}\n", "\n  done    2xx, 404, 412\n",
		"\n  sends   PURGE {{path}}\n          Host: {{host}}\n", "\n  flush   the last event once more\n",
		"\n  flush   POST /cluster/events/, a member-join of this node\n", "\n  flush   BAN /\n          X-Ban: obj.status != 0\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	out, _, _ = check(t, "-presets", "-format=json")
	var list struct{ Presets []presetReport }
	dec := json.NewDecoder(strings.NewReader(out))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil || len(list.Presets) != len(target.Presets()) {
		t.Fatalf("%v in %s", err, out)
	}
	if got := list.Presets[1]; got.Preset != "kong-cache" || got.Method != "DELETE" || got.Path != "/cache/{{.key}}" || got.Flush.Path != "/cache" {
		t.Errorf("%+v", got)
	}
}

// The page on presets has each in its table, with the version of the server that it
// was tested on or the word that there was none.
func TestPresetsPage(t *testing.T) {
	const path = "handler/target/PRESETS.md"
	text := pageAt(t, path).Text
	for _, p := range target.Presets() {
		_, rest, ok := strings.Cut(text, fmt.Sprintf("\n| `%s` | ", p.Name))
		line, _, _ := strings.Cut(rest, "\n")
		if cells := strings.Split(line, " | "); !ok || len(cells) != 5 {
			t.Errorf("%s: the row of %s: %d cells: %s", path, p.Name, len(cells), line)
		} else if p.Name != target.DefaultPreset && !strings.ContainsAny(cells[4], "0123456789") && !strings.Contains(cells[4], "stand-in") {
			t.Errorf("%s: %s: no version: %s", path, p.Name, cells[4])
		}
	}
}
