package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
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

// README.md has each preset in its table, with the version of the server that
// proved it or the word that there was none.
func TestPresetsInREADME(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range target.Presets() {
		row := []byte(fmt.Sprintf("\n| `%s` | ", p.Name))
		_, rest, ok := bytes.Cut(text, row)
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		if cells := bytes.Split(line, []byte(" | ")); !ok || len(cells) != 5 {
			t.Errorf("the row of %s: %d cells: %s", p.Name, len(cells), line)
		} else if p.Name != target.DefaultPreset && !bytes.ContainsAny(cells[4], "0123456789") && !bytes.Contains(cells[4], []byte("stand-in")) {
			t.Errorf("%s: no version: %s", p.Name, cells[4])
		}
	}
}
