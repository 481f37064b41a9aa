package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"agentctl/handler/target"
)

// presetReport is a preset as "check -presets" shows it, with the keys that a
// target of a configuration file has.
type presetReport struct {
	Preset     string            `json:"preset"`
	About      string            `json:"about"`
	Needs      string            `json:"needs"`
	Events     string            `json:"events"`
	Method     string            `json:"method"`
	Path       string            `json:"path"`
	Headers    map[string]string `json:"headers,omitempty"`
	Body       string            `json:"body,omitempty"`
	DoneCodes  []int             `json:"done_codes,omitempty"` // beside 2xx
	RetryCodes []int             `json:"retry_codes,omitempty"`
	BuryCodes  []int             `json:"bury_codes,omitempty"`
	Collapse   bool              `json:"collapse,omitempty"`
	Flush      *flushReport      `json:"flush,omitempty"`
}

// flushReport is a preset's flush.
type flushReport struct {
	SelfJoin  bool              `json:"self_join,omitempty"`
	LastEvent bool              `json:"last_event,omitempty"`
	Method    string            `json:"method,omitempty"`
	Path      string            `json:"path,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
}

func newPresetReport(p target.Preset) presetReport {
	t := p.Target
	r := presetReport{
		Preset: p.Name, About: p.About, Needs: p.Needs, Events: t.Filters.String(),
		Method: cmp.Or(t.Method, http.MethodPost), Path: t.URL, Headers: oneEach(t.Header), Body: t.Body,
		DoneCodes: t.DoneCodes, RetryCodes: t.RetryCodes, BuryCodes: t.BuryCodes, Collapse: t.Collapse,
	}
	if f := t.Flush; f != nil {
		r.Flush = &flushReport{SelfJoin: f.SelfJoin, LastEvent: f.LastEvent}
		if !f.LastEvent {
			r.Flush.Method, r.Flush.Path = cmp.Or(f.Method, http.MethodPost), cmp.Or(f.URL, t.URL)
			r.Flush.Headers = oneEach(f.Header)
		}
	}
	return r
}

// oneEach are headers with their first values.
func oneEach(h http.Header) map[string]string {
	out := map[string]string{}
	for name := range h {
		out[name] = h.Get(name)
	}
	return out
}

// printPresets shows all presets.
func printPresets(w io.Writer, format string) error {
	var all []presetReport
	for _, p := range target.Presets() {
		all = append(all, newPresetReport(p))
	}
	if format == "json" {
		return writeLine(w, map[string]any{"presets": all})
	}
	var b strings.Builder
	for i, r := range all {
		if i > 0 {
			b.WriteByte('\n')
		}
		r.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *presetReport) write(b *strings.Builder) {
	row := func(key, format string, args ...any) {
		fmt.Fprintf(b, "  %-7s %s\n", key, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(b, "%s: %s\n", r.Preset, r.About)
	row("events", "%s", strings.ReplaceAll(r.Events, "*", "* (all)"))
	row("needs", "%s", r.Needs)
	row("sends", "%s %s", r.Method, cmp.Or(r.Path, "(what the url says)"))
	writeHeaders(row, r.Headers)
	switch {
	case r.Body != "":
		row("body", "%s", r.Body)
	case r.Method == http.MethodPost:
		row("body", "the event's")
	}
	done := []string{"2xx"}
	for _, code := range r.DoneCodes {
		done = append(done, strconv.Itoa(code))
	}
	row("done", "%s", strings.Join(done, ", "))
	switch f := r.Flush; {
	case f == nil:
		row("flush", "none: give it one, or it is stale when events were lost")
	case f.LastEvent:
		row("flush", "the last event once more")
	case f.SelfJoin:
		row("flush", "%s %s, a member-join of this node", f.Method, f.Path)
	default:
		row("flush", "%s %s", f.Method, f.Path)
		writeHeaders(row, f.Headers)
	}
}

func writeHeaders(row func(string, string, ...any), headers map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		row("", "%s: %s", name, headers[name])
	}
}
