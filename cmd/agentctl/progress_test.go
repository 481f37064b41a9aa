package main

import (
	"strings"
	"testing"
	"time"

	"agentctl/agent/api"
)

func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := newProgress(&out, true, "replay")
	now := longAgo()
	for _, step := range []struct {
		r    api.ReplayReport
		want string
	}{
		{api.ReplayReport{Events: 300, Waiting: 300}, "\r[                              ] 0 of 300 events through"},
		{api.ReplayReport{Events: 300, Waiting: 200, Buried: 2}, "\r[==========                    ] 100 of 300 events through, 2 buried, 100/s, 2s left"},
		{api.ReplayReport{Events: 300, Waiting: 1, Buried: 2}, "\r[============================= ] 299 of 300 events through, 2 buried, 150/s, 6ms left"},
		{api.ReplayReport{Events: 300, Lost: 1}, "\r[==============================] 300 of 300 events through, 1 lost                   "},
	} {
		out.Reset()
		p.show(replayStep(&step.r), now)
		if got := out.String(); got != step.want {
			t.Errorf("got  %q\nwant %q", got, step.want)
		}
		now = now.Add(time.Second)
	}
	out.Reset()
	p.end()
	p.end()
	if got := out.String(); got != "\n" {
		t.Errorf("the end: %q", got)
	}
}

func TestProgressElsewhere(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := newProgress(&out, false, "replay")
	for i := range 10 * 5 { // ten seconds
		p.show(replayStep(&api.ReplayReport{Events: 100, Waiting: 100 - i}), longAgo().Add(time.Duration(i)*watchEvery))
	}
	p.end()
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(got) != 4 || got[1] != "agentctl replay: 20 of 100 events through, 5/s, 16s left" {
		t.Errorf("got %q", got)
	}
	var none *progress // with -format=json
	none.show(step{of: 1}, longAgo())
	none.end()
}

// Where nobody knows how much is to come, there is no bar.
func TestProgressWithoutAnEnd(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := newProgress(&out, true, "event")
	p.show(step{text: "10 events published", events: 10}, longAgo())
	p.show(step{text: "30 events published", events: 30}, longAgo().Add(2*time.Second))
	if got, want := out.String(), "\r10 events published\r30 events published, 10/s"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
