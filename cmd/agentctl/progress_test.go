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
	p := newProgress(&out, true)
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
		p.show(&step.r, now)
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
	p := newProgress(&out, false)
	for i := range 10 * 5 { // ten seconds
		p.show(&api.ReplayReport{Events: 100, Waiting: 100 - i}, longAgo().Add(time.Duration(i)*watchEvery))
	}
	p.end()
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(got) != 4 || got[1] != "agentctl replay: 20 of 100 events through, 5/s, 16s left" {
		t.Errorf("got %q", got)
	}
	var none *progress // with -format=json
	none.show(&api.ReplayReport{Events: 1}, longAgo())
	none.end()
}
