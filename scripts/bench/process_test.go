//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A name may have blanks and parentheses in it. Of the times, those of children
// come last.
const someStat = "1234 (a ) (b) S 1 1234 1234 0 -1 4194560 500 900 0 0 150 50 7 3 20 0 9 0 99 1 2 3\n"

func TestParseUsage(t *testing.T) {
	u, err := parseUsage(someStat, "Name:\ta\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nThreads:\t9\n")
	if want := (usage{cpu: 2100 * time.Millisecond, rss: 10, peak: 20, faults: 500}); err != nil || u != want {
		t.Errorf("%+v, %v; want %+v", u, err, want)
	}
	for name, texts := range map[string][2]string{
		"nothing":            {"", ""},
		"cut off":            {someStat[:50], "VmHWM: 1 kB\n"},
		"no number":          {strings.Replace(someStat, " 150 ", " x ", 1), "VmHWM: 1 kB\n"},
		"faults no number":   {strings.Replace(someStat, " 500 ", " x ", 1), "VmHWM: 1 kB\n"},
		"no memory":          {someStat, "Name:\ta\n"},
		"memory no number":   {someStat, "VmHWM: many kB\n"},
		"no closing bracket": {strings.ReplaceAll(someStat, ")", ""), "VmHWM: 1 kB\n"},
	} {
		if u, err := parseUsage(texts[0], texts[1]); err == nil {
			t.Errorf("%s: no error, but %+v", name, u)
		}
	}
}

// TestProcess has a process that starts another: the time of both counts, and
// both end.
func TestProcess(t *testing.T) {
	dir := t.TempDir()
	p, err := startProcess(filepath.Join(dir, "log"), "sh", "-c",
		"sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; sleep 1000 & echo $!; wait")
	if err != nil {
		t.Fatal(err)
	}
	var child int
	eventually(t, "its child has a number", func() bool {
		child, err = strconv.Atoi(strings.TrimSpace(p.printed()))
		return err == nil
	})
	u, err := p.usage()
	if err != nil {
		t.Error(err)
	}
	if u.cpu <= 0 || u.peak < u.rss || u.rss <= 0 {
		t.Errorf("usage is %+v", u)
	}
	if p.ended() {
		t.Error("it has ended by itself")
	}
	p.kill()
	if !p.ended() {
		t.Error("it lives on")
	}
	eventually(t, "its child ends too", func() bool {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(child) + "/stat")
		_, rest, _ := cutLast(string(stat), ")")
		return err != nil || strings.HasPrefix(rest, " Z") // waits for someone to ask
	})
}

// eventually waits for a condition; a busy machine must not fail a test.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !cond(); {
		if time.Now().After(limit) {
			t.Fatalf("after a minute still not so: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}
